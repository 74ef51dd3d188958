import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  Decision,
  LOSS_KINDS,
  LOSS_REASONS,
  type LossKind,
  POLICIES_IN_DECISION,
} from '../../../functions/contracts/decisions.ts';
import { LedgerDraft, type StoredLedgerEntry } from '../../../functions/contracts/ledger.ts';
import { describeDecision, LossNotFoundError, lostNow } from '../../../functions/evidence/describe-decision.ts';
import { recoveryPointsLost } from '../../../functions/platform/accepted-losses.ts';
import { EMPTY_PROJECTION, fold, LedgerProjection } from '../../../functions/platform/ledger-projection.ts';
import { subtractAccepted } from '../../../functions/pulse/subtract-accepted.ts';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';

const KINDS = Object.keys(LOSS_KINDS) as LossKind[];
const id = fc.stringMatching(/^[a-z0-9][a-z0-9/-]{0,30}$/);
const loss = fc.tuple(fc.constantFrom(...KINDS), id).map(parts => parts.join('/'));
const decision = (name: string) =>
  ({ kind: 'loss.accepted', loss: name, reason: 'mistake', reference: 'INC-42', by: 'staff-7' }) as const;

const RUN = '2026-11-22T09:00:00.000Z';
const LONGEST_ALIAS = `alias/daybreak/tenant/${'a'.repeat(234)}`;
const [FROM, TO] = ['a'.repeat(64), 'b'.repeat(64)];
const PLANNED = {
  kind: 'policies.upgrade-planned',
  run: RUN,
  policies: Array.from({ length: POLICIES_IN_DECISION }, () => ({
    policy: 'evidence-bucket' as const,
    subject: LONGEST_ALIAS,
    keyId: `mrk-${'a'.repeat(32)}`,
    from: 999_999,
    fromSha256: FROM,
    to: 999_999,
    toSha256: TO,
    removedStatements: 10_000,
  })),
} as const satisfies Decision;
const ENDED = {
  kind: 'policies.upgraded',
  run: RUN,
  changedCount: 100_000,
  policies: Array.from({ length: POLICIES_IN_DECISION }, () => ({
    policy: 'evidence-bucket' as const,
    state: 'unreadable' as const,
    version: 999_999,
    sha256: FROM,
  })),
  tenantKeys: {
    version: 999_999,
    currentCount: 100_000,
    otherCount: 100_000,
    others: Array.from({ length: POLICIES_IN_DECISION }, () => ({
      subject: LONGEST_ALIAS,
      state: 'unreadable' as const,
    })),
  },
} as const satisfies Decision;

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

it('is recorded of a loss by its name, with who and why', () => {
  const name = 'snapshot-missing/daybreak-app-20261122t023000z';
  const draft = describeDecision(decision(name), [name]);
  expect(LedgerDraft.parse(draft)).toEqual({
    eventId: expect.stringMatching(/^loss-accepted\/[0-9a-f]{64}$/),
    kind: 'loss.accepted',
    actor: 'person/staff-7',
    subject: 'daybreak-app-20261122t023000z',
    body: { loss: name, reason: 'mistake', reference: 'INC-42' },
  });
});

it('tells nobody of an entry with another’s words: the same words are one event, and others another', () => {
  const name = 'object-gone/20261122t023000z/tenants/s-1/objects/ff';
  const idOf = (said: Decision) => describeDecision(said, [name]).eventId;
  expect(idOf(decision(name))).toBe(idOf({ ...decision(name) }));
  const others = [
    { ...decision(name), by: 'staff-8' },
    { ...decision(name), reason: 'attack' },
    { ...decision(name), reference: 'INC-43' },
    PLANNED,
    { ...PLANNED, run: '2026-11-22T09:00:00.001Z' },
    // As somebody would forge it, before or after.
    { ...PLANNED, policies: [] },
    ENDED,
    { ...ENDED, changedCount: 0 },
  ] as Decision[];
  expect(new Set([decision(name), ...others].map(idOf)).size).toBe(1 + others.length);
});

it('accepts nothing that pulse does not find lost', () => {
  fc.assert(
    fc.property(loss, fc.array(loss), (name, found) => {
      fc.pre(!found.includes(name));
      expect(() => describeDecision(decision(name), found)).toThrow(LossNotFoundError);
    }),
  );
});

it('accepts nothing that pulse has not found again within an hour: it may have been put right', () => {
  const lost = ['snapshot-missing/daybreak-app-20261122t023000z'];
  const lostAt = '2026-11-22T08:00:00.000Z';
  expect(lostNow({ lost, lostAt }, new Date('2026-11-22T09:00:00.000Z'))).toEqual(lost);
  const late = () => lostNow({ lost, lostAt }, new Date('2026-11-22T09:00:00.001Z'));
  expect(late).toThrow(LossNotFoundError);
  expect(late).toThrow('pulse found that lost 2026-11-22T08:00:00.000Z, and not since');
  expect(() => lostNow({ lost, lostAt: null }, new Date(lostAt))).toThrow(LossNotFoundError);
  expect(lostNow({ lost: [], lostAt: null }, new Date(lostAt))).toEqual([]);
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

it('is told of an upgrade as it was announced, by nobody who could be named, within what the steps are built for', () => {
  for (const said of [PLANNED, ENDED]) {
    expect(Decision.parse(said)).toEqual(said);
    const { kind, ...body } = said;
    const draft = LedgerDraft.parse(describeDecision(said, []));
    expect(draft).toEqual({
      eventId: expect.stringMatching(/^policies\/2026-11-22T09:00:00\.000Z\/[0-9a-f]{64}$/),
      kind,
      actor: 'workflow/record-decision',
      subject: 'policies',
      body,
    });
    for (const step of ['evidence/check-decision', 'evidence/append-entry'] as const) {
      const { payloadBytes } = STEP_DEFINITIONS[step].builtFor;
      expect(Buffer.byteLength(JSON.stringify({ draft }))).toBeLessThan(payloadBytes);
    }
  }
});

const planned = (part: object) => ({ ...PLANNED, policies: [{ ...PLANNED.policies[0], ...part }] });
it.each<[string, object]>([
  ['more policies than an entry takes', { ...PLANNED, policies: [...PLANNED.policies, PLANNED.policies[0]] }],
  ['a plan of nothing', { ...PLANNED, policies: [] }],
  ['a policy that Daybreak does not have', planned({ policy: 'pay-roll-key' })],
  ['a longer name than AWS allows', planned({ subject: `${LONGEST_ALIAS}a` })],
  ['a person’s address for a name', planned({ subject: 'jane@school.example' })],
  ['a statement of a policy', planned({ statement: { Effect: 'Allow' } })],
  ['who did it', { ...PLANNED, actor: 'administrator' }],
  ['an instant that is none', { ...PLANNED, run: 'yesterday' }],
  ['an end that says who', { ...ENDED, by: 'staff-7' }],
  ['a state of its own', { ...ENDED, tenantKeys: { ...ENDED.tenantKeys, others: [{ subject: 'a', state: 'good' }] } }],
])('records of an upgrade not %s', (_name, said) => {
  expect(Decision.safeParse(said).success).toBe(false);
});
