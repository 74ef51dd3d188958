import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { registerEntryKey } from '../../../functions/contracts/vault-layout.ts';
import type { RecordedEntry } from '../../../functions/platform/ledger-projection.ts';
import type { ListedVersion } from '../../../functions/platform/s3-listing.ts';
import {
  assessRegister,
  contactsNotConfirmed,
  type RegisterProblem,
} from '../../../functions/pulse/assess-register.ts';

const HEAD = 'contact/head222222222222';
const DAY_MS = 86_400_000;
const NOW = new Date('2026-12-01T09:00:00.000Z');
const ago = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000).toISOString();
const OLD = ago(60 * 24 * 40);

/** Versions of one entry, the newest first: each by its id and how many minutes ago it was put; a marker begins with `-`. */
const versions = (entry: string, ...all: readonly (readonly [versionId: string, minutes: number])[]): ListedVersion[] =>
  all.map(([versionId, minutes], index) => ({
    key: entry.startsWith('entries/') || entry.includes(' ') ? entry : registerEntryKey(entry),
    versionId,
    lastModified: ago(minutes),
    isLatest: index === 0,
    isDeleteMarker: versionId.startsWith('-'),
    eTag: '',
    sizeBytes: 1,
    storageClass: 'STANDARD',
  }));
const words = (versionId: string, countsFrom: string) => ({
  ...{ sha256: 'a'.repeat(64), versionId, recordedAt: OLD, sequence: 1 },
  countsFrom,
});
const recorded = (versionId: string, part: Partial<RecordedEntry> = {}): RecordedEntry => ({
  latest: words(versionId, OLD),
  before: null,
  confirmedAt: OLD,
  ...part,
});
const waiting = (latest: string, before: string): RecordedEntry =>
  recorded(latest, { latest: words(latest, ago(-1)), before: words(before, OLD) });
const problem = (is: RegisterProblem['problem'], entry: string | null = HEAD) => [{ entry, problem: is }];

describe('what lies in the bucket of the register', () => {
  it.each<[string, RecordedEntry | undefined, ListedVersion[], object[]]>([
    ['what was recorded, over older words', recorded('b'), versions(HEAD, ['b', 90], ['a', 900]), []],
    ['words that are about to be recorded', recorded('b'), versions(HEAD, ['c', 59], ['b', 900]), []],
    ['other words for an hour', recorded('b'), versions(HEAD, ['c', 60], ['b', 900]), problem('altered')],
    ['a delete marker for an hour', recorded('b'), versions(HEAD, ['-c', 60], ['b', 900]), problem('altered')],
    [
      'other words, written again and again so that none is old',
      recorded('b'),
      versions(HEAD, ['e', 1], ['d', 50], ['c', 100], ['b', 900]),
      problem('altered'),
    ],
    ['nothing of it', recorded('b'), [], problem('gone')],
    ['a marker alone', recorded('b'), versions(HEAD, ['-c', 1]), problem('gone')],
    ['older words alone', recorded('b'), versions(HEAD, ['a', 900]), problem('gone')],
    ['a version of another entry', recorded('b'), versions('contact/other22222222222', ['b', 1]), problem('gone')],
    ['what waits, and what counts until then', waiting('b', 'a'), versions(HEAD, ['b', 90], ['a', 900]), []],
    ['what waits, and not what counts until then', waiting('b', 'a'), versions(HEAD, ['b', 90]), problem('gone')],
    [
      'what counts, and not what counted before',
      recorded('b', { before: words('a', OLD) }),
      versions(HEAD, ['b', 90]),
      [],
    ],
    ['words that are about to be added', undefined, versions(HEAD, ['a', 59]), []],
    ['words that were never recorded', undefined, versions(HEAD, ['a', 60]), problem('left')],
    ['words that were removed', undefined, versions(HEAD, ['-b', 90], ['a', 900]), []],
    ['words that are about to be added again', undefined, versions(HEAD, ['c', 1], ['-b', 90], ['a', 900]), []],
    [
      'words that were added again and never recorded',
      undefined,
      versions(HEAD, ['d', 1], ['c', 60], ['-b', 90], ['a', 900]),
      problem('left'),
    ],
    ['what is no entry', undefined, versions('entries/Jane Smith.json', ['a', 60]), problem('left', null)],
    ['what lies elsewhere', undefined, versions('Jane Smith', ['a', 60]), problem('left', null)],
  ])('%s', (_name, entry, all, problems) => {
    const register = entry === undefined ? {} : { [HEAD]: entry };
    const found = assessRegister(register, all, NOW).filter(one => one.entry === null || one.entry === HEAD);
    expect(found).toEqual(problems);
  });

  it('is never called right for 35 days where somebody wrote over it, however often, and nobody put it back', () => {
    // Each look finds either that the recorded version is not the newest, or that it is gone.
    const minutes = fc.integer({ min: 0, max: 36 * 24 * 60 });
    fc.assert(
      fc.property(fc.array(minutes, { minLength: 1, maxLength: 8 }), puts => {
        const sorted = puts.toSorted((a, b) => a - b).map((at, index) => [`x${index}`, at] as const);
        const first = sorted.at(-1)?.[1] ?? 0;
        const isExpired = first >= 35 * 24 * 60;
        const all = versions(HEAD, ...sorted, ...(isExpired ? [] : [['b', 40 * 24 * 60] as const]));
        const expected = isExpired ? problem('gone') : first >= 60 ? problem('altered') : [];
        expect(assessRegister({ [HEAD]: recorded('b') }, all, NOW)).toEqual(expected);
      }),
    );
  });
});

it('is due to be confirmed after twelve months: a contact, and nothing else', () => {
  const at = (days: number) => new Date(NOW.getTime() - days * DAY_MS).toISOString();
  const register = {
    [HEAD]: recorded('a', { confirmedAt: at(366) }),
    'contact/late222222222222': recorded('a', { confirmedAt: new Date(Date.parse(at(366)) - 1).toISOString() }),
    'controller/late222222222222': recorded('a', { confirmedAt: at(1000) }),
    'tenant/oak': recorded('a', { confirmedAt: at(1000) }),
  };
  expect(contactsNotConfirmed(register, NOW)).toEqual(['contact/late222222222222']);
});
