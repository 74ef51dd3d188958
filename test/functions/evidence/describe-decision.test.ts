import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Decision, LOSS_KINDS, LOSS_REASONS, type LossKind } from '../../../functions/contracts/decisions.ts';
import { LedgerDraft, type StoredLedgerEntry } from '../../../functions/contracts/ledger.ts';
import { describeDecision, LossNotFoundError } from '../../../functions/evidence/describe-decision.ts';
import { recoveryPointsLost } from '../../../functions/platform/accepted-losses.ts';
import { EMPTY_PROJECTION, fold, LedgerProjection } from '../../../functions/platform/ledger-projection.ts';
import { subtractAccepted } from '../../../functions/pulse/subtract-accepted.ts';

const KINDS = Object.keys(LOSS_KINDS) as LossKind[];
const id = fc.stringMatching(/^[a-z0-9][a-z0-9/-]{0,30}$/);
const loss = fc.tuple(fc.constantFrom(...KINDS), id).map(parts => parts.join('/'));
const decision = (name: string) =>
  ({ kind: 'loss.accepted', loss: name, reason: 'mistake', reference: 'INC-42', by: 'staff-7' }) as const;

const entryOf = (draft: LedgerDraft, state: LedgerProjection, version: 1 | 2) =>
  ({
    ...draft,
    version,
    sequence: state.lastSequence + 1,
    recordedAt: '2026-11-22T09:00:00.000Z',
    previousSha256: state.lastEntrySha256,
    ...(version === 2 && { signature: { algorithm: 'ECDSA_SHA_256', keyArn: 'k', value: 's' } }),
  }) as unknown as StoredLedgerEntry;
const accept = (state: LedgerProjection, name: string, version: 1 | 2 = 2) =>
  fold(state, entryOf(describeDecision(decision(name), [name]), state, version), 'a'.repeat(64));

it('is recorded once for each loss, by its name, with who and why', () => {
  const name = 'snapshot-missing/daybreak-app-20261122t023000z';
  const draft = describeDecision(decision(name), [name]);
  expect(LedgerDraft.parse(draft)).toEqual({
    eventId: `loss-accepted/${name}`,
    kind: 'loss.accepted',
    actor: 'person/staff-7',
    subject: 'daybreak-app-20261122t023000z',
    body: { loss: name, reason: 'mistake', reference: 'INC-42' },
  });
});

it('accepts nothing that pulse does not find lost', () => {
  fc.assert(
    fc.property(loss, fc.array(loss), (name, found) => {
      fc.pre(!found.includes(name));
      expect(() => describeDecision(decision(name), found)).toThrow(LossNotFoundError);
    }),
  );
});

it('takes from what was found exactly what was accepted by name, and nothing of another kind', () => {
  fc.assert(
    fc.property(fc.constantFrom(...KINDS), fc.uniqueArray(id), fc.array(loss), (kind, ids, names) => {
      const own = ids.filter((_, index) => index % 2 === 0).map(one => `${kind}/${one}`);
      const state = [...new Set([...own, ...names])].reduce((folded, name) => accept(folded, name), EMPTY_PROJECTION);
      const { standing, accepted } = subtractAccepted(kind, ids, state.acceptedLosses);
      expect([...standing, ...accepted].sort()).toEqual(ids.map(one => `${kind}/${one}`).sort());
      expect(accepted.every(name => own.includes(name) || names.includes(name))).toBe(true);
      expect(standing.some(name => own.includes(name) || names.includes(name))).toBe(false);
      // What is kept of it is read again as it was.
      expect(LedgerProjection.parse(JSON.parse(JSON.stringify(state)))).toEqual(state);
    }),
  );
});

it('believes no entry that no appender signed, none that it does not understand, and the first word about a loss', () => {
  const name = 'object-gone/tenants/s-1/objects/ff';
  expect(accept(EMPTY_PROJECTION, name, 1).acceptedLosses).toEqual({});
  const strange = describeDecision(decision(name), [name]);
  const unknown = { ...strange, body: { ...strange.body, reason: 'it was tiresome' } };
  expect(fold(EMPTY_PROJECTION, entryOf(unknown, EMPTY_PROJECTION, 2), 'a'.repeat(64))).toMatchObject({
    acceptedLosses: {},
    notUnderstood: [1],
  });
  const first = accept(EMPTY_PROJECTION, name);
  const again = describeDecision({ ...decision(name), reason: 'attack' }, [name]);
  expect(fold(first, entryOf(again, first, 2), 'b'.repeat(64)).acceptedLosses).toEqual(first.acceptedLosses);
});

it('calls no recovery point whole that an accepted loss belongs to', () => {
  const losses = [
    'snapshot-missing/daybreak-app-20261122t023000z',
    'snapshot-altered/daybreak-app-20261123t023000z',
    'root-manifest-altered/20261124t023000z',
    'test-record-altered/20261125t023000z',
    'object-gone/tenants/s-1/objects/20261126t023000z',
  ];
  const state = losses.reduce((folded, name) => accept(folded, name), EMPTY_PROJECTION);
  expect([...recoveryPointsLost(state)].sort()).toEqual(['20261122t023000z', '20261123t023000z', '20261124t023000z']);
});

it.each<[string, object]>([
  ['a key', { loss: 'key-unusable/alias-daybreak-vault' }],
  ['a snapshot that is shared', { loss: 'snapshot-shared/daybreak-app-20261122t023000z' }],
  ['a snapshot that no recovery point names', { loss: 'unproved-snapshot-left/daybreak-app-20261122t023000z' }],
  ['a lock that was let go', { loss: 'object-not-locked/tenants/s-1/objects/ff' }],
  ['a broken chain', { loss: 'ledger-broken/17' }],
  ['everything of a kind', { loss: 'snapshot-missing/*' }],
  ['a reason of its own', { reason: 'nobody minds' }],
  ['a person’s name', { by: 'Jane Smith' }],
  ['an address', { reference: 'jane@school.example' }],
  ['another kind of entry', { kind: 'backup.completed' }],
  ['more than it says', { status: 'good' }],
])('refuses %s', (_name, part) => {
  const said = decision('snapshot-missing/daybreak-app-20261122t023000z');
  expect(Decision.safeParse(said).success).toBe(true);
  expect(LOSS_REASONS).toContain(said.reason);
  expect(Decision.safeParse({ ...said, ...part }).success).toBe(false);
});
