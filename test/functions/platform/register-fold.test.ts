import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Decision } from '../../../functions/contracts/decisions.ts';
import { LedgerDraft, type StoredLedgerEntry } from '../../../functions/contracts/ledger.ts';
import { describeDecision } from '../../../functions/evidence/describe-decision.ts';
import { EMPTY_PROJECTION, fold, LedgerProjection } from '../../../functions/platform/ledger-projection.ts';

const HEAD = 'contact/head222222222222';
const hash = (letter: string) => letter.repeat(64);
const DAY_MS = 86_400_000;
const STARTS_MS = Date.parse('2026-11-01T09:00:00.000Z');
const day = (days: number) => new Date(STARTS_MS + days * DAY_MS).toISOString();

/** As what words lie in the bucket. */
const versionOf = (sha256: string) => `version-${sha256[0]}`;

type Act = Extract<Decision, { entry: string }>;
const changed = (sha256: string, previousSha256: string | null, entry = HEAD): Act => ({
  kind: 'register.changed',
  entry,
  sha256,
  versionId: versionOf(sha256),
  previousSha256,
  by: 'staff-7',
});
const putBack = (sha256: string, versionId: string): Act => ({
  kind: 'register.put-back',
  entry: HEAD,
  sha256,
  versionId,
  by: 'staff-7',
});
const confirmed = (sha256: string): Act => ({
  kind: 'register.confirmed',
  entry: HEAD,
  sha256,
  on: '2026-11-22',
  by: 'staff-7',
});
const removed = (previousSha256: string): Act => ({
  kind: 'register.removed',
  entry: HEAD,
  previousSha256,
  by: 'staff-7',
});

function record(state: LedgerProjection, act: Act, days: number, part: object = {}): LedgerProjection {
  const draft = LedgerDraft.parse(
    describeDecision(Decision.parse(act), undefined, new Date(day(days)), { coolingOffDays: 7 }),
  );
  const entry = {
    ...draft,
    version: 2,
    sequence: state.lastSequence + 1,
    recordedAt: day(days),
    previousSha256: state.lastEntrySha256,
    signature: { algorithm: 'ECDSA_SHA_256', keyArn: 'k', value: 's' },
    ...part,
  } as unknown as StoredLedgerEntry;
  return fold(state, entry, hash('e'));
}
const recordAll = (...acts: readonly (readonly [days: number, act: Act])[]) =>
  acts.reduce((state, [days, act]) => record(state, act, days), EMPTY_PROJECTION).register[HEAD];

const words = (sha256: string, days: number, sequence: number, coolingOffDays = 7) => ({
  sha256,
  versionId: versionOf(sha256),
  recordedAt: day(days),
  sequence,
  countsFrom: day(days + coolingOffDays),
});
const [A, B, C] = [hash('a'), hash('b'), hash('c')];

describe('what the ledger knows of an entry of the register', () => {
  it('is nothing but ids and a salted hash', () => {
    expect(describeDecision(changed(A, null), undefined, new Date(day(0)), { coolingOffDays: 7 })).toEqual({
      eventId: expect.stringMatching(/^register\/[0-9a-f]{64}$/),
      kind: 'register.changed',
      actor: 'person/staff-7',
      subject: HEAD,
      body: { sha256: A, versionId: 'version-a', previousSha256: null, coolingOffDays: 7 },
    });
  });

  it('says that a new entry counts after its cooling-off, and a text at once', () => {
    expect(recordAll([0, changed(A, null)])).toEqual({
      latest: words(A, 0, 1),
      before: null,
      confirmedAt: day(0),
    });
    const text = 'text/words22222222222';
    const state = record(EMPTY_PROJECTION, changed(A, null, text), 0);
    expect(state.register[text]?.latest).toEqual(words(A, 0, 1, 0));
  });

  it.each<[string, [number, Act][], string | null, string]>([
    [
      'a change after the first counts',
      [
        [0, changed(A, null)],
        [8, changed(B, A)],
      ],
      A,
      B,
    ],
    [
      'a change before the first counts',
      [
        [0, changed(A, null)],
        [6, changed(B, A)],
      ],
      null,
      B,
    ],
    [
      // Whoever puts a forged one in is found out within the cooling-off: it never counts, not for a day.
      'a correction of one that never counted',
      [
        [0, changed(A, null)],
        [8, changed(B, A)],
        [9, changed(C, B)],
      ],
      A,
      C,
    ],
    [
      'a correction of one that counted',
      [
        [0, changed(A, null)],
        [8, changed(B, A)],
        [15, changed(C, B)],
      ],
      B,
      C,
    ],
    [
      'a change that followed other words than the newest',
      [
        [0, changed(A, null)],
        [1, changed(B, A)],
        [2, changed(C, A)],
      ],
      null,
      B,
    ],
    [
      'a second new entry under the same id',
      [
        [0, changed(A, null)],
        [1, changed(B, null)],
      ],
      null,
      A,
    ],
    [
      'a removal that followed other words',
      [
        [0, changed(A, null)],
        [1, changed(B, A)],
        [2, removed(A)],
      ],
      null,
      B,
    ],
    [
      'words that are recorded again',
      [
        [0, changed(A, null)],
        [8, changed(B, A)],
        [9, changed(A, null)],
      ],
      A,
      B,
    ],
  ])('of %s: what counts until then, and then', (_name, acts, before, latest) => {
    const recorded = recordAll(...acts);
    expect([recorded?.before?.sha256 ?? null, recorded?.latest.sha256]).toEqual([before, latest]);
  });

  it('is nothing once it was removed, and what is added then waits like a new one', () => {
    expect(recordAll([0, changed(A, null)], [8, removed(A)])).toBeUndefined();
    expect(recordAll([0, changed(A, null)], [8, removed(A)], [9, changed(B, null)])?.before).toBeNull();
  });

  it('says when it was confirmed, of the newest words alone, and as often as somebody does', () => {
    expect(recordAll([0, changed(A, null)], [20, confirmed(A)])?.confirmedAt).toBe(day(20));
    expect(recordAll([0, changed(A, null)], [8, changed(B, A)], [20, confirmed(A)])?.confirmedAt).toBe(day(8));
    const twice = [confirmed(A), { ...confirmed(A), on: '2027-11-22' } as Act];
    expect(
      new Set(twice.map(act => describeDecision(act, undefined, new Date(day(20)), { coolingOffDays: 7 }).eventId))
        .size,
    ).toBe(2);
  });

  it('says as which version its newest words lie, and what is put back counts no sooner and no later by that', () => {
    const [first, second] = [recordAll([0, changed(A, null)], [8, changed(B, A)]), putBack(B, 'version-x')];
    expect(recordAll([0, changed(A, null)], [8, changed(B, A)], [9, second])).toEqual({
      ...first,
      latest: { ...first?.latest, versionId: 'version-x' },
    });
    // Words that are not the newest, or of what was removed, are put back nowhere.
    expect(recordAll([0, changed(A, null)], [8, changed(B, A)], [9, putBack(A, 'version-x')])).toEqual(first);
    expect(recordAll([0, changed(A, null)], [8, removed(A)], [9, putBack(A, 'version-x')])).toBeUndefined();
  });

  it('does not change by an entry that no appender signed, or that this release does not understand', () => {
    for (const part of [
      { version: 1, signature: undefined },
      { subject: 'contact/../../oak' },
      { body: { sha256: A, versionId: 'v', previousSha256: null, coolingOffDays: -7 } },
      { body: { sha256: 'Head', versionId: 'v', previousSha256: null, coolingOffDays: 7 } },
      { body: { sha256: A, previousSha256: null, coolingOffDays: 7 } },
      { kind: 'register.put-back', body: { sha256: A } },
      { kind: 'register.removed', body: {} },
      { kind: 'register.confirmed', body: {} },
    ]) {
      const state = record(EMPTY_PROJECTION, changed(A, null), 0, part);
      expect([state.register, state.notUnderstood]).toEqual([{}, [1]]);
    }
  });

  it('never counts what was not the newest for a whole cooling-off, in any order of acts', () => {
    const act = fc.record({
      to: fc.constantFrom('a', 'b', 'c', 'd'),
      follows: fc.constantFrom('a', 'b', 'c', 'd', null),
      days: fc.integer({ min: 0, max: 10 }),
      isRemoval: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(act, { maxLength: 12 }), acts => {
        let state = EMPTY_PROJECTION;
        let today = 0;
        /** Since when each hash has been the newest. */
        let newest: { sha256: string; since: number } | undefined;
        const counted = new Set<string>();
        for (const { to, follows, days, isRemoval } of acts) {
          if (newest !== undefined && today + days >= newest.since + 7) counted.add(newest.sha256);
          today += days;
          const previous = follows === null ? null : hash(follows);
          const next = isRemoval && previous !== null ? removed(previous) : changed(hash(to), previous);
          state = record(state, next, today);
          if ((newest?.sha256 ?? null) === previous) {
            newest = next.kind === 'register.removed' ? undefined : { sha256: hash(to), since: today };
          }
          const recorded = state.register[HEAD];
          expect(recorded?.latest.sha256).toBe(newest?.sha256);
          expect(recorded?.before == null || counted.has(recorded.before.sha256)).toBe(true);
          expect(LedgerProjection.parse(JSON.parse(JSON.stringify(state)))).toEqual(state);
        }
      }),
    );
  });
});

it.each<[string, object]>([
  ['a name for an id', { entry: 'contact/Jane Smith' }],
  ['an id of no kind', { entry: 'school/abcdefgh234567xy' }],
  ['a path out of the bucket', { entry: 'tenant/../contact' }],
  ['two lines', { entry: 'tenant/oak\n' }],
  ['a person’s name', { by: 'Jane Smith' }],
  ['words for a hash', { sha256: 'Jane Smith' }],
  ['a cooling-off of its sender’s', { coolingOffDays: 0 }],
  ['a version of a bucket that keeps none', { versionId: 'null' }],
  ['a sentence for a version', { versionId: 'Jane Smith' }],
  ['words beside it', { content: { name: 'Jane Smith' } }],
])('%s is no decision', (_name, part) => {
  expect(Decision.safeParse({ ...changed(A, null), ...part }).success).toBe(false);
});
