import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Decision, LOSS_REASONS, POLICIES_IN_DECISION } from '../../../functions/contracts/decisions.ts';
import { LedgerDraft, type StoredLedgerEntry } from '../../../functions/contracts/ledger.ts';
import { type Loss, type LossKind, lossName } from '../../../functions/contracts/losses.ts';
import type { FoundWrong } from '../../../functions/contracts/pulse.ts';
import type { ObjectLosses } from '../../../functions/contracts/recovery-point.ts';
import { describeDecision, LossNotFoundError } from '../../../functions/evidence/describe-decision.ts';
import { recoveryPointsLost } from '../../../functions/platform/accepted-losses.ts';
import { parseLedgerEntry } from '../../../functions/platform/ledger-entry.ts';
import { EMPTY_PROJECTION, fold, LedgerProjection } from '../../../functions/platform/ledger-projection.ts';
import { NOTHING_WRONG } from '../../../functions/pulse/found-wrong.ts';
import { subtractAccepted } from '../../../functions/pulse/subtract-accepted.ts';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';

const NOW = new Date('2026-11-22T09:00:00.000Z');
const snapshotId = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,30}$/);
const key = fc.stringMatching(/^[a-z0-9][a-z0-9/-]{0,30}$/);
const instantId = fc.constantFrom('20261122t023000z', '20261123t023000z');
const content = fc.stringMatching(/^[0-9a-f]{16}$/);
const kindOf = <K extends LossKind>(kind: K) => fc.constant(kind);
const loss = fc
  .oneof(
    fc.record({ kind: kindOf('snapshot-missing'), snapshotId, since: instantId }),
    fc.record({ kind: kindOf('snapshot-replaced'), snapshotId, content, since: instantId }),
    fc.record({ kind: kindOf('root-manifest-gone'), recoveryPointId: instantId, since: instantId }),
    fc.record({ kind: kindOf('test-record-altered'), restoreTestId: instantId, content, since: instantId }),
    fc.record({ kind: kindOf('object-gone'), recoveryPointId: instantId, since: instantId, key }),
  )
  .map((one: Loss) => lossName(one));
/** What pulse left at `NOW`. */
const foundBy = (found: Partial<FoundWrong>): FoundWrong => ({
  ...NOTHING_WRONG,
  lookedAt: NOW.toISOString(),
  ...found,
});
const decision = (name: string) =>
  ({ kind: 'loss.accepted', loss: name, reason: 'mistake', reference: 'INC-42', by: 'staff-7' }) as const;

const REGISTER = { coolingOffDays: 7 };
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
const draftOf = (said: Decision) =>
  describeDecision(
    said,
    'loss' in said ? foundBy({ lost: [said.loss], acceptances: [said.loss] }) : undefined,
    NOW,
    REGISTER,
  );
const record = (state: LedgerProjection, said: Decision, version: 1 | 2 = 2) =>
  fold(state, entryOf(draftOf(said), state, version), 'a'.repeat(64));
const accept = (state: LedgerProjection, name: string, version: 1 | 2 = 2) => record(state, decision(name), version);
const withdrawn = (name: string) =>
  ({ kind: 'loss.acceptance-withdrawn', loss: name, reference: 'INC-43', by: 'staff-7' }) as const;

it('is recorded of a loss by its name, with who and why', () => {
  const name = 'snapshot-missing/daybreak-app-20261122t023000z';
  const draft = draftOf(decision(name));
  expect(LedgerDraft.parse(draft)).toEqual({
    eventId: expect.stringMatching(/^loss-accepted\/[0-9a-f]{64}$/),
    kind: 'loss.accepted',
    actor: 'person/staff-7',
    subject: 'daybreak-app-20261122t023000z',
    body: { loss: name, reason: 'mistake', reference: 'INC-42' },
  });
});

it('tells nobody of an entry with another’s words: the same words are one event, and others another', () => {
  const name = 'object-gone/20261122t023000z/20261122t090000z/tenants/s-1/objects/ff';
  const idOf = (said: Decision) => draftOf(said).eventId;
  expect(idOf(decision(name))).toBe(idOf({ ...decision(name) }));
  const others = [
    { ...decision(name), by: 'staff-8' },
    { ...decision(name), reason: 'attack' },
    { ...decision(name), reference: 'INC-43' },
    withdrawn(name),
    PLANNED,
    { ...PLANNED, run: '2026-11-22T09:00:00.001Z' },
    // As somebody would forge it, before or after.
    { ...PLANNED, policies: [] },
    ENDED,
    { ...ENDED, changedCount: 0 },
  ] as Decision[];
  expect(new Set([decision(name), ...others].map(idOf)).size).toBe(1 + others.length);
});

it('accepts nothing that pulse does not find lost, and withdraws no acceptance that pulse does not know', () => {
  fc.assert(
    fc.property(loss, fc.array(loss), (name, names) => {
      fc.pre(!names.includes(name));
      for (const found of [
        foundBy({ lost: names }),
        foundBy({ lost: names, acceptances: [name], explained: [name] }),
      ]) {
        expect(() => describeDecision(decision(name), found, NOW, REGISTER)).toThrow(LossNotFoundError);
      }
      const found = foundBy({ lost: [name], acceptances: names });
      expect(() => describeDecision(withdrawn(name), found, NOW, REGISTER)).toThrow(LossNotFoundError);
    }),
  );
});

it.each([decision, withdrawn])(
  'decides nothing by what pulse has not looked at within an hour, or could not look for: %o',
  say => {
    const name = 'root-manifest-gone/20261122t023000z/20261122t080000z';
    const found = foundBy({ lost: [name], acceptances: [name], lookedAt: '2026-11-22T08:00:00.000Z' });
    expect(describeDecision(say(name), found, NOW, REGISTER).subject).toBe('20261122t023000z');
    const late = () => describeDecision(say(name), found, new Date('2026-11-22T09:00:00.001Z'), REGISTER);
    expect(late).toThrow(LossNotFoundError);
    expect(late).toThrow('pulse looked last at 2026-11-22T08:00:00.000Z');
    expect(() => describeDecision(say(name), { ...found, lookedAt: null }, NOW, REGISTER)).toThrow(
      'pulse has left nothing',
    );
    expect(() => describeDecision(say(name), undefined, NOW, REGISTER)).toThrow('pulse has left nothing');
  },
);

it('accepts nothing that pulse found earlier, and could not look for last time', () => {
  const name = 'root-manifest-gone/20261122t023000z/20261122t080000z';
  const found = (kind: LossKind) => foundBy({ lost: [name], notLookedFor: [kind] });
  expect(() => describeDecision(decision(name), found('root-manifest-gone'), NOW, REGISTER)).toThrow(
    'could not look for it last time',
  );
  expect(describeDecision(decision(name), found('object-gone'), NOW, REGISTER).kind).toBe('loss.accepted');
});

it('ends an acceptance, so that the loss counts again until it is accepted anew, in the same words too', () => {
  const name = 'snapshot-missing/daybreak-app-20261122t023000z';
  const first = accept(EMPTY_PROJECTION, name);
  expect(draftOf(withdrawn(name))).toMatchObject({
    actor: 'person/staff-7',
    body: { loss: name, reference: 'INC-43' },
  });
  // The first entry of a ledger may be one that no appender signed.
  const unsigned = { ...first, signedFrom: null };
  expect(record(unsigned, withdrawn(name), 1)).toMatchObject({
    acceptedLosses: first.acceptedLosses,
    notUnderstood: [2],
  });
  const ended = record(first, withdrawn(name));
  expect([ended.acceptedLosses, [...recoveryPointsLost(first)], [...recoveryPointsLost(ended)]]).toEqual([
    {},
    ['20261122t023000z'],
    [],
  ]);
  expect(accept(ended, name).acceptedLosses).toMatchObject({ [name]: { sequence: 3 } });
  // A quarter of an hour later pulse has looked again: what is said of that is no earlier event.
  const later = foundBy({ lost: [name], lookedAt: '2026-11-22T09:15:00.000Z' });
  expect(describeDecision(decision(name), later, NOW, REGISTER).eventId).not.toBe(draftOf(decision(name)).eventId);
});

it('takes from what was found exactly what was accepted by name', () => {
  fc.assert(
    fc.property(fc.uniqueArray(loss), fc.array(loss), (found, others) => {
      const names = new Set([...found.filter((_, index) => index % 2 === 0), ...others]);
      const state = [...names].reduce((folded, name) => accept(folded, name), EMPTY_PROJECTION);
      const { standing, explained } = subtractAccepted(found, state.acceptedLosses);
      expect(explained).toEqual(found.filter(name => names.has(name)));
      expect(standing).toEqual(found.filter(name => !names.has(name)));
      // What is kept of it is read again as it was.
      expect(LedgerProjection.parse(JSON.parse(JSON.stringify(state)))).toEqual(state);
    }),
  );
});

it('believes no entry that no appender signed, none that it does not understand, and the first word about a loss', () => {
  const name = 'object-gone/20261122t023000z/20261122t090000z/tenants/s-1/objects/ff';
  expect(accept(EMPTY_PROJECTION, name, 1).acceptedLosses).toEqual({});
  const strange = draftOf(decision(name));
  const unknown = { ...strange, body: { ...strange.body, reason: 'it was tiresome' } };
  expect(fold(EMPTY_PROJECTION, entryOf(unknown, EMPTY_PROJECTION, 2), 'a'.repeat(64))).toMatchObject({
    acceptedLosses: {},
    notUnderstood: [1],
  });
  const first = accept(EMPTY_PROJECTION, name);
  const again = draftOf({ ...decision(name), reason: 'attack' });
  expect(fold(first, entryOf(again, first, 2), 'b'.repeat(64)).acceptedLosses).toEqual(first.acceptedLosses);
});

it('calls no recovery point whole that an accepted loss belongs to', () => {
  const losses = [
    'snapshot-missing/daybreak-app-20261122t023000z',
    `snapshot-replaced/daybreak-app-20261123t023000z/${'a'.repeat(16)}`,
    'root-manifest-gone/20261124t023000z/20261126t090000z',
    'test-record-gone/20261125t023000z/20261126t090000z',
    'object-gone/20261127t023000z/20261127t090000z/recovery-points/20261127t023000z.json',
  ];
  const state = losses.reduce((folded, name) => accept(folded, name), EMPTY_PROJECTION);
  expect([...recoveryPointsLost(state)].sort()).toEqual([
    '20261122t023000z',
    '20261123t023000z',
    '20261124t023000z',
    '20261127t023000z',
  ]);
});

const [MONDAY, TUESDAY, WEDNESDAY] = ['20261123t023000z', '20261124t023000z', '20261125t023000z'];
const GONE = 'tenants/s-1/objects/ff';
const GONE_NAME = `object-gone/${TUESDAY}/20261124t090000z/${GONE}`;
const backedUp = (state: LedgerProjection, id: string, objectLosses: ObjectLosses | null) => {
  const losses = objectLosses && { ...objectLosses, back: objectLosses.back ?? [], gone: objectLosses.gone ?? [] };
  const body = { recoveryPointId: id, status: 'good', rootManifestSha256: 'c'.repeat(64), objectLosses: losses };
  const draft = { kind: 'backup.completed' as const, eventId: id, actor: 'workflow/daily-backup', subject: id, body };
  const entry = { ...entryOf(draft, state, 2), recordedAt: '2026-11-29T09:00:00.000Z' };
  return fold(state, entry, 'c'.repeat(64));
};
const lostIn = (state: LedgerProjection) => [...recoveryPointsLost(state)].sort();

it('calls none good that may name a vault object that is lost, until a backup has it again', () => {
  const before = [MONDAY, TUESDAY].reduce((state, id) => backedUp(state, id, null), EMPTY_PROJECTION);
  const accepted = accept(before, GONE_NAME);
  expect(lostIn(accepted)).toEqual([MONDAY, TUESDAY]);
  const known = { ledgerSequence: accepted.lastSequence, knownAt: null };
  // Copied again, or there as it was: all that name it are whole.
  const back = { absent: [], back: [GONE], gone: [] };
  const copied = backedUp(accepted, WEDNESDAY, { ...known, ...back });
  expect(lostIn(copied)).toEqual([]);
  // Its source changed since, or its school failed that night: what was copied lies in the vault.
  const unnamed = backedUp(copied, '20261126t023000z', { ...known, absent: [GONE], back: [], gone: [] });
  expect(lostIn(unnamed)).toEqual([]);
  // Lost once more before anybody looked, and found so by the next backup.
  const then = { ledgerSequence: unnamed.lastSequence, knownAt: null };
  const again = backedUp(unnamed, '20261127t023000z', { ...then, absent: [GONE], back: [], gone: [GONE] });
  // Also those in doubt that found it back: they name what is lost now.
  expect(lostIn(again)).toEqual([MONDAY, TUESDAY, WEDNESDAY, '20261126t023000z']);
  const later = { ledgerSequence: again.lastSequence, knownAt: null };
  expect(lostIn(backedUp(again, '20261128t023000z', { ...later, ...back }))).toEqual([]);
  // What is merely not called absent, as by an earlier release, is not there by that.
  expect(lostIn(backedUp(accepted, WEDNESDAY, { ...known, absent: [] }))).toEqual([MONDAY, TUESDAY]);
  // Gone at its source too, or too many to be named: what looked for it is judged by itself, and nothing before it is good.
  expect(lostIn(backedUp(accepted, WEDNESDAY, { ...known, absent: [GONE] }))).toEqual([MONDAY, TUESDAY]);
  expect(lostIn(backedUp(accepted, WEDNESDAY, { ...known, absent: null }))).toEqual([MONDAY, TUESDAY]);
  // Another release's, and one that could not know, looked for nothing.
  expect(lostIn(backedUp(accepted, WEDNESDAY, null))).toEqual([MONDAY, TUESDAY, WEDNESDAY]);
  const blind = { ledgerSequence: null, knownAt: '2026-11-24T08:45:00.000Z', ...back };
  expect(lostIn(backedUp(accepted, WEDNESDAY, blind))).toEqual([MONDAY, TUESDAY, WEDNESDAY]);
});

it('lifts the doubt of one recovery point by a test of it that began after the acceptance and compared every object', () => {
  const before = [MONDAY, TUESDAY].reduce((state, id) => backedUp(state, id, null), EMPTY_PROJECTION);
  const tested = (state: LedgerProjection, more: object) => {
    const restoreTestId = '20261130t060000z';
    const said = { restoreTestId, recoveryPointId: MONDAY, verdict: 'passed', startedAt: '2026-11-30T06:00:00.000Z' };
    const body = { ...said, objectCount: 12, objectsRestored: 12, ...more };
    const names = { eventId: restoreTestId, actor: 'workflow/restore-test', subject: MONDAY };
    const entry = entryOf({ kind: 'restore-test.completed', ...names, body }, state, 2);
    return fold(state, { ...entry, recordedAt: '2026-11-30T09:00:00.000Z' }, 'c'.repeat(64));
  };
  const accepted = accept(before, GONE_NAME);
  expect(lostIn(tested(accepted, {}))).toEqual([TUESDAY]);
  for (const less of [
    { verdict: 'failed' },
    { objectsRestored: 11 },
    { objectCount: null },
    { startedAt: '2026-11-22T08:59:59.000Z' },
    { startedAt: null },
    { recoveryPointId: null },
  ]) {
    expect(lostIn(tested(accepted, less))).toEqual([MONDAY, TUESDAY]);
  }
  // Of before the acceptance, and of before the recovery point was closed anew.
  expect(lostIn(accept(tested(before, {}), GONE_NAME))).toEqual([MONDAY, TUESDAY]);
  expect(lostIn(backedUp(tested(accepted, {}), MONDAY, null))).toEqual([MONDAY, TUESDAY]);
});

it('believes no backup that it knew what came after it', () => {
  const OTHER = `object-gone/${WEDNESDAY}/20261125t090000z/tenants/s-1/objects/ee`;
  for (const claim of [
    { ledgerSequence: 9_000_000_000, knownAt: null },
    { ledgerSequence: null, knownAt: '2031-01-01T00:00:00.000Z' },
  ]) {
    const claimed = backedUp(EMPTY_PROJECTION, MONDAY, { ...claim, absent: [], back: [], gone: [] });
    expect(lostIn(accept(claimed, OTHER))).toEqual([MONDAY]);
  }
});

it('believes one whose backup looked for it before anybody accepted it', () => {
  const seen = { ledgerSequence: 0, knownAt: '2026-11-24T09:00:00.000Z', absent: [GONE] };
  const state = backedUp(backedUp(EMPTY_PROJECTION, MONDAY, null), WEDNESDAY, seen);
  expect(lostIn(accept(state, GONE_NAME))).toEqual([MONDAY]);
});

it('reads an acceptance as an earlier release stored it, under a name without an instant', () => {
  const stored = readFileSync(join(import.meta.dirname, '../../fixtures/ledger/loss-accepted-without-instant.json'));
  const { entry } = parseLedgerEntry('ledger/000000000001.json', stored);
  const state = fold(EMPTY_PROJECTION, entry, 'a'.repeat(64));
  expect(state.notUnderstood).toEqual([]);
  expect(Object.keys(state.acceptedLosses)).toEqual(['snapshot-missing/daybreak-app-20261122t023000z']);
  expect(lostIn(state)).toEqual(['20261122t023000z']);
});

it.each<[string, object]>([
  ['a key', { loss: 'key-unusable/alias-daybreak-vault' }],
  ['a snapshot that is shared', { loss: 'snapshot-shared/daybreak-app-20261122t023000z' }],
  ['a snapshot that no recovery point names', { loss: 'unproved-snapshot-left/daybreak-app-20261122t023000z' }],
  ['a lock that was let go', { loss: 'object-not-locked/tenants/s-1/objects/ff' }],
  ['a broken chain', { loss: 'ledger-broken/17' }],
  ['a kind of an earlier form', { loss: 'snapshot-altered/daybreak-app-20261122t023000z' }],
  ['a loss without when it was missed', { loss: 'root-manifest-gone/20261122t023000z' }],
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
    const draft = LedgerDraft.parse(describeDecision(said, undefined, NOW, REGISTER));
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
