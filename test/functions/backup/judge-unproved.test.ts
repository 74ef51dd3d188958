import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  findCandidate,
  judgeCandidate,
  type ManifestFacts,
  type SnapshotFacts,
} from '../../../functions/backup/judge-unproved.ts';
import { idOfInstant } from '../../../functions/contracts/identifiers.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { intermediateSnapshotId, vaultSnapshotId } from '../../../functions/contracts/vault-layout.ts';

const HOUR_MS = 60 * 60 * 1000;
const scheduledAt = new Date('2026-11-22T02:30:00.000Z');
const recoveryPointId = '20261122t023000z';
const atHour = (hours: number) => new Date(scheduledAt.getTime() + hours * HOUR_MS);
const keyArn = 'arn:aws:kms:eu-west-2:111122223333:key/vault';
const intermediateId = intermediateSnapshotId(recoveryPointId, 'app');
const copyId = vaultSnapshotId(recoveryPointId, 'app');

const intermediate: SnapshotFacts = {
  snapshotId: intermediateId,
  status: 'available',
  createdAt: atHour(0.2),
  takenAt: atHour(0.2),
  storageEncryptionType: 'sse-kms',
  keyArn: 'arn:aws:kms:eu-west-2:111122223333:key/source',
  purpose: 'intermediate',
  recoveryPointId,
};
const copy: SnapshotFacts = {
  ...intermediate,
  snapshotId: copyId,
  createdAt: atHour(2),
  keyArn,
  purpose: 'unproved-copy',
};
const proved: SnapshotFacts = { ...copy, purpose: 'recovery-point' };

const named = (id: string, failure: string | null = null): RecoveryPoint['databases'][number] => ({
  databaseId: 'app',
  snapshot: {
    id,
    arn: `arn:aws:rds:eu-west-2:111122223333:snapshot:${id}`,
    takenAt: atHour(0.2).toISOString(),
    kmsKeyArn: keyArn,
    engineVersion: '17.10',
    allocatedStorageBytes: 0,
  },
  fingerprints: null,
  rowCount: 0,
  failure,
});
const none: ManifestFacts = { kind: 'none' };
const naming = (...ids: string[]): ManifestFacts => ({ kind: 'read', databases: ids.map(id => named(id)) });
const withoutSnapshot: ManifestFacts = {
  kind: 'read',
  databases: [{ ...named('x'), snapshot: null, failure: 'Error' }],
};

/** The decision in words. */
function judge(
  snapshot: SnapshotFacts,
  {
    manifest = none,
    others = [],
    now = atHour(80),
  }: { manifest?: ManifestFacts; others?: SnapshotFacts[]; now?: Date } = {},
): string {
  const snapshots = new Map([snapshot, ...others].map(one => [one.snapshotId, one]));
  const candidate = findCandidate(snapshot, { snapshots, databaseIds: ['app', 'b'], now });
  if (candidate.kind === 'keep') return `keep: ${candidate.reason}`;
  const decision = judgeCandidate(candidate, manifest, snapshots);
  return decision.kind === 'keep' ? `keep: ${decision.reason}` : `remove: ${decision.removal.reason}`;
}

describe('what a backup left', () => {
  it.each<[string, string, SnapshotFacts, Parameters<typeof judge>[1]?]>([
    ['a late copy', 'remove: no root manifest names it', copy],
    ['a late copy of an incomplete one', 'remove: no root manifest names it', copy, { manifest: withoutSnapshot }],
    ['a copy that failed', 'remove: it failed', { ...copy, status: 'failed' }],
    ['an intermediate of a killed run', 'remove: no root manifest names a copy of it', intermediate],
    ['one with its late copy', 'remove: no root manifest names a copy of it', intermediate, { others: [copy] }],
    [
      'an intermediate whose copy is proved',
      'remove: its copy is in the vault',
      intermediate,
      { manifest: naming(copyId), others: [proved] },
    ],
    [
      'one that failed and that nobody dated',
      'remove: it failed',
      { ...copy, status: 'failed', createdAt: undefined },
      { now: atHour(120) },
    ],
  ])('is removed: %s', (_name, decision, snapshot, context) => {
    expect(judge(snapshot, context)).toBe(decision);
  });

  it.each<[string, string, SnapshotFacts, Parameters<typeof judge>[1]?]>([
    ['a proved copy', 'its tag says that a root manifest names it as proved', proved],
    ['one that is named as proved', 'its root manifest names it', copy, { manifest: naming(copyId) }],
    [
      'one that is named, and nothing proves it',
      'its root manifest names it',
      copy,
      { manifest: { kind: 'read', databases: [named(copyId, 'DatabaseAccessDeniedError')] } },
    ],
    [
      'one whose root manifest cannot be read',
      'its root manifest cannot be read',
      copy,
      { manifest: { kind: 'unreadable' } },
    ],
    [
      'a failed one that is named',
      'its root manifest names it',
      { ...copy, status: 'failed' },
      { manifest: naming(copyId) },
    ],
    [
      'an intermediate whose proved copy is gone',
      'its copy does not read back as its root manifest says',
      intermediate,
      { manifest: naming(copyId) },
    ],
    ...(
      [
        ['under another key', { keyArn: 'another' }],
        ['not encrypted by a key', { storageEncryptionType: 'none' }],
        ['not available', { status: 'failed' }],
        ['of another time', { takenAt: atHour(0.3) }],
      ] as const
    ).map(([what, difference]): [string, string, SnapshotFacts, Parameters<typeof judge>[1]] => [
      `an intermediate whose proved copy is ${what}`,
      'its copy does not read back as its root manifest says',
      intermediate,
      { manifest: naming(copyId), others: [{ ...proved, ...difference }] },
    ]),
    [
      'an intermediate that is being copied',
      'it is being copied',
      intermediate,
      { others: [{ ...copy, status: 'copying' }] },
    ],
    ['one that is being made', 'its status is creating', { ...intermediate, status: 'creating' }],
    [
      'a copy under way',
      'its status is copying',
      { ...copy, status: 'copying', createdAt: undefined },
      { now: atHour(500) },
    ],
    ['one that is going', 'its status is deleting', { ...copy, status: 'deleting' }],
    ['one of which nothing is known', 'its status is undefined', { ...copy, status: undefined }],
    ['a recovery point that can be closed', 'its recovery point can still be closed', copy, { now: atHour(71.99) }],
    ['one of the future', 'its recovery point can still be closed', copy, { now: atHour(-1) }],
    [
      'a young copy of an old recovery point',
      'it is younger than 48 hours',
      { ...copy, createdAt: atHour(60) },
      { now: atHour(107.99) },
    ],
    ['one without a time', 'it is younger than 48 hours', { ...copy, createdAt: undefined }, { now: atHour(119.99) }],
    [
      'one older than its recovery point',
      'it is older than its recovery point: no backup made it',
      { ...copy, createdAt: atHour(-0.1) },
    ],
    ['one without tags', 'its tags do not say that a backup left it', { ...copy, purpose: undefined }],
    ['one of another purpose', 'its tags do not say that a backup left it', { ...copy, purpose: 'before-migration' }],
    ['one without a recovery point', 'its tags name no recovery point', { ...copy, recoveryPointId: undefined }],
    [
      'one of a recovery point that is none',
      'its tags name no recovery point',
      { ...copy, recoveryPointId: '../20261122t023000z' },
    ],
    [
      'one of an instant that is none',
      'its tags name no recovery point',
      { ...copy, recoveryPointId: '20269922t023000z' },
    ],
    [
      'one of another recovery point',
      'its name and its tags do not agree',
      { ...copy, recoveryPointId: '20261121t023000z' },
    ],
    [
      'an intermediate that is tagged as a copy',
      'its database is not configured',
      { ...intermediate, purpose: 'unproved-copy' },
    ],
    [
      'a copy that is tagged as an intermediate',
      'its name and its tags do not agree',
      { ...copy, purpose: 'intermediate' },
    ],
    [
      'a copy of a database that is not configured',
      'its database is not configured',
      { ...copy, snapshotId: vaultSnapshotId(recoveryPointId, 'app-before-migration') },
    ],
    ['somebody’s name', 'its name and its tags do not agree', { ...copy, snapshotId: 'before-migration' }],
    ['somebody’s name around ours', 'its name and its tags do not agree', { ...copy, snapshotId: `mine-${copyId}` }],
    [
      'a name without a database',
      'its name and its tags do not agree',
      { ...copy, snapshotId: `daybreak-${recoveryPointId}` },
    ],
    [
      'a name with two dashes',
      'its database is not configured',
      { ...copy, snapshotId: `daybreak--${recoveryPointId}` },
    ],
  ])('is kept: %s', (_name, reason, snapshot, context) => {
    expect(judge(snapshot, context)).toBe(`keep: ${reason}`);
  });

  it('goes at the hour, not before', () => {
    expect(judge(copy, { now: atHour(72) })).toMatch(/^remove/);
    expect(judge({ ...copy, createdAt: atHour(60) }, { now: atHour(108) })).toMatch(/^remove/);
  });
});

describe('whatever there is', () => {
  const instants = fc.constantFrom(scheduledAt, atHour(24), atHour(-24));
  const ids = fc.oneof(
    instants.map(instant => idOfInstant(instant.toISOString())),
    fc.constantFrom('x', '20269922t023000z'),
  );
  const facts = fc.record({
    id: ids,
    database: fc.constantFrom('app', 'b', 'c', 'intermediate', ''),
    name: fc.constantFrom(intermediateSnapshotId, vaultSnapshotId, (id: string) => `mine-${id}`),
    status: fc.constantFrom('available', 'failed', 'creating', 'copying', 'deleting', undefined),
    createdAfter: fc.option(fc.integer({ min: -30, max: 200 }), { nil: undefined }),
    purpose: fc.constantFrom('intermediate', 'unproved-copy', 'recovery-point', 'mine', undefined),
    tag: fc.option(ids, { nil: undefined }),
    keyArn: fc.constantFrom(keyArn, 'another'),
  });
  const snapshots = fc.array(facts, { maxLength: 12 }).map(all =>
    all.map(
      ({ id, database, name, createdAfter, tag, ...rest }): SnapshotFacts => ({
        ...rest,
        snapshotId: name(id, database),
        createdAt: createdAfter === undefined ? undefined : atHour(createdAfter),
        takenAt: atHour(0.2),
        storageEncryptionType: 'sse-kms',
        recoveryPointId: tag ?? id,
      }),
    ),
  );

  it('nothing named, young, unfinished, proved or foreign is removed, and each of two recovery points by its own manifest', () => {
    fc.assert(
      fc.property(snapshots, fc.integer({ min: 0, max: 300 }), fc.boolean(), (all, hours, isNamed) => {
        const byName = new Map(all.map(one => [one.snapshotId, one]));
        const now = atHour(hours);
        for (const snapshot of byName.values()) {
          const candidate = findCandidate(snapshot, { snapshots: byName, databaseIds: ['app', 'b'], now });
          if (candidate.kind === 'keep') continue;
          const manifest = isNamed ? naming(snapshot.snapshotId) : naming(candidate.copyId);
          const decision = judgeCandidate(candidate, manifest, byName);
          if (decision.kind === 'keep') continue;
          const { recoveryPointId: point = '' } = snapshot;
          expect(isNamed).toBe(false);
          expect(['available', 'failed']).toContain(snapshot.status);
          expect(decision.removal).toMatchObject({ snapshotId: snapshot.snapshotId, recoveryPointId: point });
          expect(snapshot.snapshotId).toMatch(new RegExp(`^daybreak-(?:intermediate-)?(?:app|b)-${point}$`));
          expect(snapshot.snapshotId.includes('-intermediate-')).toBe(snapshot.purpose === 'intermediate');
          const made = snapshot.createdAt ?? atHour(200);
          if (snapshot.createdAt) expect(now.getTime() - made.getTime()).toBeGreaterThanOrEqual(48 * HOUR_MS);
          const ofCopy = byName.get(candidate.copyId);
          if (snapshot.purpose === 'intermediate' && snapshot.status === 'available') {
            expect([ofCopy?.status, ofCopy?.keyArn]).toEqual(['available', keyArn]);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
