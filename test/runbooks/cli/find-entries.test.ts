import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LedgerDraft, NO_ENTRY_SHA256, type StoredLedgerEntry } from '../../../functions/contracts/ledger.ts';
import { ledgerEntryKey } from '../../../functions/contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { addMs } from '../../../functions/platform/clock.ts';
import { LedgerBrokenError } from '../../../functions/platform/ledger-entry.ts';
import { tamper } from '../../../infra/local/s3/damage.ts';
import { describeEntries } from '../../../runbooks/cli/describe-entries.ts';
import { type EntryFilter, findEntries } from '../../../runbooks/cli/find-entries.ts';
import { draft, type LocalLedger, openLedger } from '../../functions/evidence/local-ledger.ts';

const HOUR_MS = 3_600_000;
const EVERYTHING: EntryFilter = { kinds: [], subject: undefined, since: undefined, limit: undefined };
const FILE = { width: undefined, hasColour: false, redraws: false };

let ledger: LocalLedger;
let startedAt: Date;
const find = (filter: Partial<EntryFilter> = {}) =>
  ledger.run(() => findEntries('evidence', { ...EVERYTHING, ...filter }));
const sequences = async (filter: Partial<EntryFilter>) =>
  (await find(filter)).entries.map(({ sequence }: StoredLedgerEntry) => sequence);

// An hour apart: a backup, 300 keys of schools, a test that failed, tampering, and what was refused.
const actor = 'principal/AIDACKCEVSQ6C2EXAMPLE';
const tested = { restoreTestId: '20261122t043000z', recoveryPointId: '20261122t023000z', verdict: 'failed' };
const seen = { rule: 'snapshot-deleted', cloudTrailEventId: 'event-1', eventName: 'DeleteDBSnapshot', errorCode: null };
const refused = { ...seen, eventName: 'PutKeyPolicy', errorCode: 'AccessDenied', rule: 'key-changed' };
const APPENDED: readonly (readonly Partial<LedgerDraft>[])[] = [
  [{ kind: 'backup.failed', subject: '20261122t023000z', body: { error: 'TimedOut' } }],
  Array.from({ length: 300 }, (_, school) => ({
    kind: 'tenant-key.created',
    subject: `school-${school}`,
    body: { keyArn: 'arn' },
  })),
  [{ kind: 'restore-test.completed', subject: '20261122t023000z', body: tested }],
  [{ kind: 'tampering.seen', actor, subject: 'evil\u001b[31m\nsnapshot', body: seen }],
  [{ kind: 'tampering.refused', actor, subject: 'a-key', body: refused }],
];

beforeAll(async () => {
  ledger = await openLedger();
  startedAt = ledger.clock.now();
  let previousSha256 = NO_ENTRY_SHA256;
  let sequence = 0;
  for (const [hour, drafts] of APPENDED.entries()) {
    const recordedAt = addMs(startedAt, hour * HOUR_MS).toISOString();
    for (const part of drafts) {
      sequence++;
      const entry = { ...draft(String(sequence), part), version: 1, sequence, recordedAt, previousSha256 };
      const bytes = Buffer.from(canonicalJson(entry));
      await ledger.put(ledgerEntryKey(sequence), bytes);
      previousSha256 = sha256Hex(bytes);
    }
  }
});
afterAll(() => ledger.s3.close());

describe('the entries of a ledger', () => {
  it('are all but the keys of tenants, which are counted', async () => {
    expect(await find()).toMatchObject({
      entries: [{ sequence: 1 }, { sequence: 302 }, { sequence: 303 }, { sequence: 304 }],
      summed: [{ kind: 'tenant-key.created', entryCount: 300, firstSequence: 2, lastSequence: 301 }],
      lookedAt: { firstSequence: 1, lastSequence: 304 },
      isComplete: true,
    });
  });

  it('are the newest so many, however many keys lie between them', async () => {
    expect(await find({ limit: 2 })).toMatchObject({
      entries: [{ sequence: 303 }, { sequence: 304 }],
      summed: [],
      lookedAt: { firstSequence: 303 },
      isComplete: false,
    });
    expect(await sequences({ limit: 4 })).toEqual([1, 302, 303, 304]);
  });

  it.each<[string, Partial<EntryFilter>, number[]]>([
    ['of one kind', { kinds: ['tampering.seen'] }, [303]],
    ['of kinds that begin alike', { kinds: ['tampering'] }, [303, 304]],
    ['of several kinds', { kinds: ['backup', 'restore-test.completed'] }, [1, 302]],
    ['of no kind that there is', { kinds: ['tamper'] }, []],
    ['of keys of tenants, where those are asked for', { kinds: ['tenant-key.created'], limit: 2 }, [300, 301]],
    ['about a recovery point', { subject: '20261122t023000z' }, [1, 302]],
    ['about a tenant, its key among them', { subject: 'school-7' }, [9]],
    ['about a subject and of a kind', { subject: 'school-7', kinds: ['backup'] }, []],
  ])('are found %s', async (_, filter, found) => {
    expect(await sequences(filter)).toEqual(found);
  });

  it('are found by time, to the millisecond, and no older ones are read', async () => {
    const since = addMs(startedAt, 3 * HOUR_MS);
    expect(await sequences({ since })).toEqual([303, 304]);
    expect(await sequences({ since: addMs(since, 1) })).toEqual([304]);
    expect(await sequences({ since: addMs(startedAt, 5 * HOUR_MS) })).toEqual([]);
    ledger.requests.length = 0;
    expect(await find({ since })).toMatchObject({ isComplete: true, summed: [] });
    expect(ledger.requests.filter(request => request.endsWith(ledgerEntryKey(1)))).toEqual([]);
  });

  it('are not believed where one does not follow the one before it, between what is read at a time too', async () => {
    // The newest of what is read second.
    const key = ledgerEntryKey(304 - 256);
    const replace = (from: string, to: string) => (content: Buffer) =>
      Buffer.from(content.toString().replace(from, to));
    await tamper(ledger.s3, 'evidence', key, replace('"arn"', '"ARN"'));
    await expect(find()).rejects.toThrow(LedgerBrokenError);
    await expect(find()).rejects.toThrow(
      `${ledgerEntryKey(304 - 255)}: names another hash than the entry before it has`,
    );
    await tamper(ledger.s3, 'evidence', key, replace('"ARN"', '"arn"'));
    expect((await find()).entries).toHaveLength(4);
  });
});

it('finds nothing in an empty ledger', async () => {
  const empty = await openLedger();
  const found = await empty.run(() => findEntries('evidence', EVERYTHING));
  expect(found).toEqual({ entries: [], summed: [], upgraded: [], lookedAt: null, isComplete: true });
  expect(describeEntries(found, undefined, FILE)).toBe('no entry matches');
  empty.s3.close();
});

describe('what is shown of them', () => {
  it('is who, which rule, which test, and no control character', async () => {
    const lines = describeEntries(await find(), undefined, FILE).split('\n');
    expect(lines.map(line => line.split(/ {2,}/))).toEqual([
      ['entry', 'recorded at', 'kind', 'subject', 'who', 'what'],
      ['1', '2026-11-22T03:00:00.000Z', 'backup.failed', '20261122t023000z', 'workflow/daily-backup', 'TimedOut'],
      [
        '302',
        '2026-11-22T05:00:00.000Z',
        'restore-test.completed',
        '20261122t023000z',
        'workflow/daily-backup',
        'failed, test 20261122t043000z',
      ],
      [
        '303',
        '2026-11-22T06:00:00.000Z',
        'tampering.seen',
        'evil?[31m?snapshot',
        'principal/AIDACKCEVSQ6C2EXAMPLE',
        'rule snapshot-deleted, DeleteDBSnapshot, event event-1',
      ],
      [
        '304',
        '2026-11-22T07:00:00.000Z',
        'tampering.refused',
        'a-key',
        'principal/AIDACKCEVSQ6C2EXAMPLE',
        'rule key-changed, PutKeyPolicy, refused: AccessDenied, event event-1',
      ],
      ['and 300 of tenant-key.created, between entries 2 and 301: --kind tenant-key.created lists them'],
    ]);
  });

  it('is some lines each where the terminal is too narrow for a table, and nothing is cut off', async () => {
    const found = await find({ kinds: ['tampering'], limit: 1 });
    expect(describeEntries(found, undefined, { width: 80, hasColour: true, redraws: true })).toBe(
      [
        '\u001b[1m304  tampering.refused\u001b[0m',
        '    2026-11-22T07:00:00.000Z',
        '    subject  a-key',
        '    who      principal/AIDACKCEVSQ6C2EXAMPLE',
        '    what     rule key-changed, PutKeyPolicy, refused: AccessDenied, event event-1',
        'entries before 304 were not looked at: give --since or a larger --limit',
      ].join('\n'),
    );
  });

  it('says from when on there is nothing', async () => {
    const since = addMs(startedAt, 5 * HOUR_MS);
    expect(describeEntries(await find({ since }), since, FILE)).toBe('no entry matches since 2026-11-22T08:00:00.000Z');
  });
});
