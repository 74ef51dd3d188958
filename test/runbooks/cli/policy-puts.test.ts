import { expect, it } from 'vitest';
import type { StoredLedgerEntry } from '../../../functions/contracts/ledger.ts';
import { PolicyPuts } from '../../../runbooks/cli/policy-puts.ts';

const [KEY, OTHER_KEY] = ['1234abcd-12ab-34cd-56ef-1234567890ab', '0d990263-018e-4e65-a703-eff731de951e'];
const [SHA256, OTHER_SHA256] = ['a'.repeat(64), 'b'.repeat(64)];
const RUN = '2026-11-22T09:00:00.000Z';

const entry = (sequence: number, recordedAt: string, kind: string, actor: string, subject: string, body: object) =>
  ({ sequence, recordedAt, kind, actor, subject, body }) as unknown as StoredLedgerEntry;
const planned = (keyId: unknown = KEY, toSha256 = SHA256, recordedAt = '2026-11-22T09:00:01.000Z') =>
  entry(10, recordedAt, 'policies.upgrade-planned', 'workflow/record-decision', 'policies', {
    run: RUN,
    policies: [
      {
        policy: 'tenant-key',
        subject: 'alias/daybreak/tenant/oak',
        ...(keyId === 'none' ? {} : { keyId }),
        from: 1,
        fromSha256: null,
        to: 2,
        toSha256,
        removedStatements: 0,
      },
    ],
  });
const put = (sequence: number, { at, key, by = 'principal/A', ...more }: Record<string, string> = {}) =>
  entry(
    sequence,
    '2026-11-22T09:05:00.000Z',
    'tampering.seen',
    by,
    key ?? `arn:aws:kms:eu-west-2:111122223333:key/${KEY}`,
    {
      rule: 'key-changed',
      eventName: 'PutKeyPolicy',
      eventTime: at ?? '2026-11-22T09:00:02Z',
      policySha256: SHA256,
      ...more,
    },
  );
const explain = (plan: StoredLedgerEntry, ...entries: StoredLedgerEntry[]) => {
  const puts = new PolicyPuts();
  for (const one of entries) puts.add(one);
  const sequences = puts.explainBy(plan).map(({ sequence }) => sequence);
  return { sequences, open: puts.areOpen(), explained: puts.explained() };
};

it('explains the put that an upgrade had recorded', () => {
  expect(explain(planned(), put(12))).toEqual({
    sequences: [12],
    open: false,
    explained: [{ run: RUN, actor: 'principal/A', entryCount: 1, firstSequence: 12, lastSequence: 12 }],
  });
});

it('explains the first of two, once', () => {
  const twice = explain(planned(), put(14, { by: 'principal/B' }), put(12));
  expect([twice.sequences, twice.open]).toEqual([[12], true]);
});

it.each<[string, StoredLedgerEntry, StoredLedgerEntry]>([
  ['another policy', planned(), put(12, { policySha256: OTHER_SHA256 })],
  ['another key', planned(), put(12, { key: OTHER_KEY })],
  ['one that was announced for another key', planned(OTHER_KEY), put(12)],
  ['one before it', planned(), put(12, { at: '2026-11-22T08:58:00Z' })],
  ['one an hour later', planned(), put(12, { at: '2026-11-22T10:00:02Z' })],
  ['one of which no time is known', planned(), put(12, { at: 'now' })],
  ['another change of the key', planned(), put(12, { eventName: 'DisableKey' })],
  ['one of a release that recorded no keys', planned('none'), put(12)],
  ['one beside a bucket', planned(null), put(12)],
  ['one that a broken entry announces', planned({ $ne: 1 }), put(12)],
])('explains nothing else: %s', (_, plan, one) => {
  expect(explain(plan, one)).toMatchObject({ sequences: [], explained: [] });
});

it('waits for no older entry than can explain a put', () => {
  expect(explain(planned(KEY, OTHER_SHA256, '2026-11-22T08:30:00.000Z'), put(12)).open).toBe(true);
  expect(explain(planned(KEY, OTHER_SHA256, '2026-11-22T08:00:00.000Z'), put(12)).open).toBe(false);
});
