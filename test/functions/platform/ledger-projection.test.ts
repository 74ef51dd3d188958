import { describe, expect, it } from 'vitest';
import { NO_ENTRY_SHA256, type StoredLedgerEntry } from '../../../functions/contracts/ledger.ts';
import { canonicalJson, sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { LedgerBrokenError, parseLedgerEntry } from '../../../functions/platform/ledger-entry.ts';
import {
  EMPTY_PROJECTION,
  fold,
  LedgerProjection,
  sequencesOfEvent,
} from '../../../functions/platform/ledger-projection.ts';

const recordedAt = '2026-11-22T03:10:00.000Z';

type Unsigned = Extract<StoredLedgerEntry, { version: 1 }>;

function entryAfter(state: LedgerProjection, part: Partial<Unsigned> = {}): Unsigned {
  return {
    version: 1,
    sequence: state.lastSequence + 1,
    recordedAt,
    previousSha256: state.lastEntrySha256,
    eventId: `event/${state.lastSequence + 1}`,
    kind: 'later.kind',
    actor: 'workflow/daily-backup',
    subject: 'school-1',
    body: {},
    ...part,
  };
}

function foldAll(parts: readonly Partial<Unsigned>[]): LedgerProjection {
  return parts.reduce<LedgerProjection>((state, part) => {
    const entry = entryAfter(state, part);
    return fold(state, entry, sha256Hex(canonicalJson(entry)));
  }, EMPTY_PROJECTION);
}

const backup = (id: string, status: string, more: object = {}) => ({
  kind: 'backup.completed',
  body: { recoveryPointId: id, status, rootManifestSha256: 'a'.repeat(64), rowCount: 12, ...more },
});
const test = (id: string, recoveryPointId: string | null, verdict: string) => ({
  kind: 'restore-test.completed',
  body: { restoreTestId: id, recoveryPointId, verdict, rowCoveragePercent: 99.5, recordSha256: 'b'.repeat(64) },
});

describe('fold', () => {
  it('lets a good recovery point stand whatever a slower run records of it', () => {
    const [good, incomplete] = [backup('20261121t023000z', 'good'), backup('20261121t023000z', 'incomplete')];
    const statusAfter = (parts: Partial<Unsigned>[]) => {
      const { recoveryPoints, lastSequence } = foldAll(parts);
      const { status, sequence } = recoveryPoints['20261121t023000z'] ?? {};
      return { status, sequence, lastSequence };
    };
    expect(statusAfter([incomplete, good])).toEqual({ status: 'good', sequence: 2, lastSequence: 2 });
    expect(statusAfter([good, incomplete])).toEqual({ status: 'good', sequence: 1, lastSequence: 2 });
  });

  it('keeps recovery points, tests and failures', () => {
    const state = foldAll([
      backup('20261121t023000z', 'good'),
      { kind: 'backup.failed', subject: '20261122t023000z' },
      test('20261122t050000z', '20261121t023000z', 'passed'),
      test('20261122t060000z', null, 'could-not-start'),
    ]);
    expect(state.recoveryPoints).toEqual({
      '20261121t023000z': {
        recoveryPointId: '20261121t023000z',
        status: 'good',
        recordedAt,
        sequence: 1,
        rootManifestSha256: 'a'.repeat(64),
        objectLosses: null,
      },
    });
    expect(state.failures).toEqual([{ kind: 'backup.failed', subject: '20261122t023000z', recordedAt, sequence: 2 }]);
    expect(state.restoreTests).toEqual({
      '20261122t050000z': {
        restoreTestId: '20261122t050000z',
        recoveryPointId: '20261121t023000z',
        verdict: 'passed',
        recordedAt,
        sequence: 3,
        recordSha256: 'b'.repeat(64),
        allObjectsFrom: null,
      },
      '20261122t060000z': {
        restoreTestId: '20261122t060000z',
        recoveryPointId: null,
        verdict: 'could-not-start',
        recordedAt,
        sequence: 4,
        recordSha256: 'b'.repeat(64),
        allObjectsFrom: null,
      },
    });
    expect(state.lastSequence).toBe(4);
    expect(LedgerProjection.parse(JSON.parse(JSON.stringify(state)))).toEqual(state);
  });

  it('passes over a kind that a later release wrote, and names a body that it does not understand', () => {
    const state = foldAll([
      { kind: 'erasure.completed', body: { anything: [1, { deep: true }] } },
      backup('not an id', 'good'),
      backup('20261121t023000z', 'splendid'),
      { kind: 'restore-test.completed', body: {} },
    ]);
    expect(state.recoveryPoints).toEqual({});
    expect(state.restoreTests).toEqual({});
    expect(state.notUnderstood).toEqual([2, 3, 4]);
    expect(state.lastSequence).toBe(4);
  });

  it('keeps the newest hundred failures', () => {
    const failures = Array.from({ length: 130 }, () => ({ kind: 'backup.failed' }));
    expect(foldAll(failures).failures.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 100 }, (_, index) => index + 31),
    );
  });

  it.each([
    ['a gap', { sequence: 3 }],
    ['a repetition', { sequence: 1 }],
    ['another predecessor', { previousSha256: 'b'.repeat(64) }],
    ['a second beginning', { previousSha256: NO_ENTRY_SHA256 }],
  ])('refuses %s', (_, part) => {
    const state = foldAll([{}]);
    expect(() => fold(state, entryAfter(state, part), 'c'.repeat(64))).toThrow(LedgerBrokenError);
  });

  it('finds the entries of an event again', () => {
    const state = foldAll(Array.from({ length: 500 }, (_, index) => ({ eventId: `event/${index % 400}` })));
    expect(sequencesOfEvent(state, 'event/7')).toEqual([8, 408]);
    expect(sequencesOfEvent(state, 'event/399')).toEqual([400]);
    expect(sequencesOfEvent(state, 'event/400')).toEqual([]);
  });
});

describe('parseLedgerEntry', () => {
  const entry = entryAfter(EMPTY_PROJECTION);
  const canonical = canonicalJson(entry);
  const parse = (text: string | Buffer) => parseLedgerEntry('ledger/1.json', Buffer.from(text));

  it('reads canonical bytes', () => {
    expect(parse(canonical)).toEqual({ entry, sha256: sha256Hex(canonical), bytes: Buffer.from(canonical) });
  });

  const withBody = (body: string) => canonical.replace('"body":{}', `"body":${body}`);
  it.each([
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['no JSON', '{"version":1'],
    ['white space', ` ${canonical}`],
    ['a line feed at the end', `${canonical}\n`],
    ['keys in another order', JSON.stringify(entry)],
    ['a key twice', canonical.replace('{', '{"actor":"someone-else",')],
    ['a byte order mark', `\uFEFF${canonical}`],
    [
      'bytes that are no UTF-8',
      Buffer.concat([Buffer.from(canonical.slice(0, -3)), Buffer.of(0xff, 0x22, 0x7d, 0x7d)]),
    ],
    ['an escape where none is needed', canonical.replace('school-1', 'schoo\\u006c-1')],
    ['a number that changes when it is read', withBody('{"rowCount":123456789012345678901234567890}')],
    ['a number beyond all numbers', withBody('{"rowCount":1e999}')],
    ['a negative zero', withBody('{"rowCount":-0}')],
    ['nesting without end', withBody(`{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`)],
    ['a field that is not its', canonical.replace('"subject"', '"a":1,"subject"')],
    ['a missing field', canonical.replace('"subject":"school-1",', '')],
    ['another version', canonical.replace('"version":1', '"version":2')],
    ['sequence 0', canonical.replace('"sequence":1', '"sequence":0')],
    ['an instant that is none', canonical.replace('03:10:00.000Z', '25:10:00.000Z')],
  ])('refuses %s', (_, text) => {
    expect(() => parse(text)).toThrow(LedgerBrokenError);
  });

  it('takes `__proto__` for a key like any other, and changes no prototype', () => {
    const text = withBody('{"__proto__":{"polluted":true}}');
    expect(parse(text).sha256).toBe(sha256Hex(text));
    expect('polluted' in {}).toBe(false);
  });
});
