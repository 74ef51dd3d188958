import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { idOfInstant, instantOfId } from '../../../functions/contracts/identifiers.ts';
import { assessLedger } from '../../../functions/pulse/assess-ledger.ts';
import { isHeld } from '../../../functions/pulse/assess-lock.ts';
import { assessQuotas } from '../../../functions/pulse/assess-quotas.ts';
import { assessSnapshots, type FoundSnapshot, findUnproved } from '../../../functions/pulse/assess-snapshots.ts';
import { describeShares } from '../../../functions/pulse/read-shares.ts';
import { PULSE_INTERVAL_MS, rotateNameStart, rotateSample } from '../../../functions/pulse/rotate-sample.ts';

const NOW = new Date('2026-11-24T03:00:00.000Z');
const HOUR_MS = 60 * 60 * 1000;

type Story = Parameters<typeof assessLedger>[0];
type Event =
  | ['good' | 'incomplete', string]
  | ['passed' | 'failed' | 'inconclusive' | 'could-not-start', string]
  | ['backup.failed' | 'restore-test.failed', string];

/** The fold of these events, each recorded ten minutes after its instant. */
function storyOf(events: readonly Event[]): Story {
  const story = { recoveryPoints: {}, restoreTests: {}, failures: [] } as {
    recoveryPoints: Story['recoveryPoints'];
    restoreTests: Story['restoreTests'];
    failures: Story['failures'];
  };
  events.forEach(([what, instant], index) => {
    const id = idOfInstant(instant);
    const recordedAt = new Date(Date.parse(instant) + 10 * 60_000).toISOString();
    const sequence = index + 1;
    if (what === 'good' || what === 'incomplete') {
      const recorded = { recoveryPointId: id, status: what, recordedAt, sequence };
      story.recoveryPoints[id] = { ...recorded, rootManifestSha256: null, objectLosses: null };
    } else if (what === 'backup.failed' || what === 'restore-test.failed') {
      story.failures.push({ kind: what, subject: id, recordedAt, sequence });
    } else {
      story.restoreTests[id] = {
        restoreTestId: id,
        recoveryPointId: null,
        verdict: what,
        recordedAt,
        sequence,
        recordSha256: null,
        allObjectsFrom: null,
      };
    }
  });
  return story;
}

const NOTHING_UNPROVED = { recoveryPoints: new Set<string>(), restoreTests: new Set<string>() };
const nothingWrong = { FailedBackups: 0, FailedRestoreTests: 0, InconclusiveRestoreTests: 0 };

describe('what the ledger tells', () => {
  it.each<[string, Event[], object]>([
    ['nothing of an empty ledger, not even an age', [], nothingWrong],
    [
      'the age of the newest good point, from its scheduled instant',
      [
        ['good', '2026-11-22T02:30:00.000Z'],
        ['good', '2026-11-24T02:30:00.000Z'],
      ],
      { ...nothingWrong, NewestGoodRecoveryPointAge: 0.5 * HOUR_MS },
    ],
    [
      'nothing good about an incomplete point',
      [
        ['good', '2026-11-23T02:30:00.000Z'],
        ['incomplete', '2026-11-24T02:30:00.000Z'],
      ],
      { ...nothingWrong, NewestGoodRecoveryPointAge: 24.5 * HOUR_MS, FailedBackups: 1 },
    ],
    [
      'failures since the last good point alone',
      [
        ['backup.failed', '2026-11-20T02:30:00.000Z'],
        ['incomplete', '2026-11-21T02:30:00.000Z'],
        ['good', '2026-11-22T03:00:00.000Z'],
        ['backup.failed', '2026-11-23T02:30:00.000Z'],
        ['backup.failed', '2026-11-24T02:30:00.000Z'],
      ],
      { ...nothingWrong, NewestGoodRecoveryPointAge: 48 * HOUR_MS, FailedBackups: 2 },
    ],
    [
      'that an old point which a rerun makes good today is old',
      [
        ['good', '2026-11-23T03:00:00.000Z'],
        ['good', '2026-11-20T02:30:00.000Z'],
      ],
      { ...nothingWrong, NewestGoodRecoveryPointAge: 24 * HOUR_MS },
    ],
    [
      'of tests what went wrong since the last passed one; what could not start is no bad backup',
      [
        ['failed', '2026-10-01T04:00:00.000Z'],
        ['passed', '2026-11-23T03:00:00.000Z'],
        ['could-not-start', '2026-11-23T04:00:00.000Z'],
        ['inconclusive', '2026-11-23T05:00:00.000Z'],
        ['failed', '2026-11-23T06:00:00.000Z'],
        ['restore-test.failed', '2026-11-23T07:00:00.000Z'],
      ],
      {
        FailedBackups: 0,
        FailedRestoreTests: 2,
        InconclusiveRestoreTests: 1,
        NewestPassedRestoreTestAge: 24 * HOUR_MS,
      },
    ],
  ])('tells %s', (_name, events, expected) => {
    expect(assessLedger(storyOf(events), NOTHING_UNPROVED, NOW)).toEqual(expected);
  });

  it('takes what is unproved neither for good nor for passed, but for gone wrong', () => {
    const events: Event[] = [
      ['good', '2026-11-23T02:30:00.000Z'],
      ['passed', '2026-11-23T03:00:00.000Z'],
      ['failed', '2026-11-23T04:00:00.000Z'],
      ['good', '2026-11-24T02:30:00.000Z'],
      ['passed', '2026-11-24T03:00:00.000Z'],
    ];
    const unproved = { recoveryPoints: new Set(['20261124t023000z']), restoreTests: new Set(['20261124t030000z']) };
    expect(assessLedger(storyOf(events), unproved, NOW)).toEqual({
      NewestGoodRecoveryPointAge: 24.5 * HOUR_MS,
      NewestPassedRestoreTestAge: 24 * HOUR_MS,
      FailedBackups: 1,
      FailedRestoreTests: 2,
      InconclusiveRestoreTests: 0,
    });
  });

  it('does not let a point that names a later instant look newer than its record', () => {
    const story = storyOf([['good', '2027-01-01T00:00:00.000Z']]);
    const [point] = Object.values(story.recoveryPoints);
    if (point !== undefined) point.recordedAt = '2026-11-23T03:00:00.000Z';
    expect(assessLedger(story, NOTHING_UNPROVED, NOW).NewestGoodRecoveryPointAge).toBe(24 * HOUR_MS);
  });

  it('reads the instant back that an id was made from', () => {
    const inSeconds = fc.date({ min: new Date(0), max: new Date('2099-12-31T23:59:59Z'), noInvalidDate: true });
    fc.assert(
      fc.property(inSeconds, date => {
        const instant = `${date.toISOString().slice(0, 19)}.000Z`;
        expect(instantOfId(idOfInstant(instant))).toBe(instant);
      }),
    );
  });
});

describe('what RDS tells of snapshots', () => {
  const expected = { id: 'daybreak-app-1', takenAt: '2026-11-22T02:31:00.000Z', kmsKeyArn: 'vault' };
  const sound: FoundSnapshot = {
    id: expected.id,
    status: 'available',
    kmsKeyArn: 'vault',
    takenAt: new Date(expected.takenAt),
  };
  it.each<[string, FoundSnapshot[], [number, number, number]]>([
    ['is right', [sound], [0, 0, 0]],
    ['is gone', [{ ...sound, id: 'another' }], [1, 0, 0]],
    ['is being copied', [{ ...sound, status: 'copying' }], [0, 0, 1]],
    ['is under another key', [{ ...sound, kmsKeyArn: 'another' }], [0, 1, 0]],
    ['has no key', [{ ...sound, kmsKeyArn: undefined }], [0, 1, 0]],
    ['is of another time', [{ ...sound, takenAt: new Date(0) }], [0, 1, 0]],
    ['is another twice over, and counted once', [{ ...sound, kmsKeyArn: 'another', takenAt: undefined }], [0, 1, 0]],
  ])('sees one that %s', (_name, found, counts) => {
    const problems = assessSnapshots([expected], found);
    const counted = (kind: (typeof problems)[number]['problem']) =>
      new Set(problems.filter(({ problem }) => problem === kind).map(({ snapshotId }) => snapshotId)).size;
    expect([counted('missing'), counted('replaced'), counted('unavailable')]).toEqual(counts);
  });

  it('names no account in its reasons', () => {
    expect(describeShares(['999988887777'])).toBe('1 other accounts may restore it');
    expect(describeShares(['999988887777', 'all'])).toBe('everybody may restore it');
  });
});

describe('snapshots that no recovery point names', () => {
  const named = { id: 'daybreak-app-1', takenAt: '2026-11-22T02:31:00.000Z', kmsKeyArn: 'vault' };
  const listed = {
    id: named.id,
    createdAt: new Date(0),
    purpose: 'recovery-point',
    recoveryPointId: '20261122t023000z',
  };
  const made = new Date(NOW.getTime() - HOUR_MS);
  it.each<[string, Partial<typeof listed> | { createdAt: undefined; recoveryPointId?: string }, number | undefined]>([
    ['not one that is named', {}, undefined],
    ['not somebody’s own', { id: 'mine', purpose: 'before-migration' }, undefined],
    ['one of our name, whatever its tags', { id: 'daybreak-2', purpose: 'mine', createdAt: made }, HOUR_MS],
    ['one of our tags, whatever its name', { id: 'mine', purpose: 'intermediate', createdAt: made }, HOUR_MS],
    ['one that says it is proved', { id: 'daybreak-app-2', createdAt: made }, HOUR_MS],
    ['one that is not made yet, by its instant', { id: 'daybreak-app-2', createdAt: undefined }, 48.5 * HOUR_MS],
    ['one of no time at all', { id: 'daybreak-app-2', createdAt: undefined, recoveryPointId: 'x' }, 0],
  ])('are told with their ages: %s', (_name, difference, ageMs) => {
    const one = { ...listed, ...difference };
    expect(findUnproved([named], [one], NOW)).toEqual(ageMs === undefined ? [] : [{ snapshotId: one.id, ageMs }]);
  });
});

describe('samples', () => {
  it('come to every item in turn, each pulse to as many as it may', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 12 }), (count, size) => {
        const items = Array.from({ length: count }, (_, index) => index);
        const seen = new Set<number>();
        for (let pulse = 0; pulse < 2 * Math.ceil(count / size); pulse++) {
          const sample = rotateSample(items, size, new Date(NOW.getTime() + pulse * PULSE_INTERVAL_MS));
          expect(new Set(sample).size).toBe(Math.min(count, size));
          for (const item of sample) seen.add(item);
        }
        expect(seen.size).toBe(count);
      }),
    );
  });

  it('begin all over the range of names', () => {
    const starts = Array.from({ length: 96 }, (_, pulse) =>
      rotateNameStart(new Date(NOW.getTime() + pulse * PULSE_INTERVAL_MS)),
    );
    expect(starts.every(start => /^[0-9a-f]{8}$/.test(start))).toBe(true);
    expect(new Set(starts.map(start => start[0])).size).toBe(16);
  });
});

it.each<[string, Parameters<typeof isHeld>[0], boolean]>([
  ['without a lock', undefined, false],
  ['under an event hold', { eventHold: true, retainUntil: undefined }, true],
  ['until a date to come', { eventHold: false, retainUntil: new Date('2026-11-24T03:00:01Z') }, true],
  ['until a date that has come', { eventHold: false, retainUntil: NOW }, false],
])('an object %s is held or not', (_name, lock, held) => {
  expect(isHeld(lock, NOW)).toBe(held);
});

it('tells what is used of quotas, and the highest', () => {
  const quotas = {
    snapshots: { used: 90, maximum: 100 },
    instances: { used: 1, maximum: 40 },
    keys: { used: 333, maximum: 100_000 },
  };
  expect(assessQuotas(quotas)).toEqual({
    SnapshotQuotaUsed: 90,
    InstanceQuotaUsed: 2.5,
    KeyQuotaUsed: 0.33,
    HighestQuotaUse: 90,
  });
  expect(assessQuotas({ ...quotas, snapshots: { used: 0, maximum: 0 } }).HighestQuotaUse).toBe(100);
});
