import { describe, expect, it } from 'vitest';
import { judgeInstance, provedBeside } from '../../../functions/restore-test/judge-instance.ts';

const databaseId = 'app';
const system = (name: string) => ({ kind: 'system-database', databaseId, name });
const other = (name: string, tableCount: number | null) => ({ kind: 'other-database', databaseId, name, tableCount });

it.each([
  ['postgres', 0, system('postgres')],
  ['postgres', 1, other('postgres', 1)],
  // It may hold anything, for all that the reader can see.
  ['postgres', null, other('postgres', null)],
  ['template1', 2, other('template1', 2)],
  ['template0', null, system('template0')],
  ['template0', 1, other('template0', 1)],
  ['rdsadmin', null, system('rdsadmin')],
  // An empty one is named as well: nothing proves that it came back.
  ['reports', 0, other('reports', 0)],
  ['reports', null, other('reports', null)],
])('names %s with %s tables', (name, tableCount, gap) => {
  expect(judgeInstance(databaseId, [[{ name, tableCount }]], new Set(['app']))).toEqual([gap]);
});

it('puts the listings together, and leaves out what the configuration proves', () => {
  const listed = (name: string, tableCount: number | null) => ({ name, tableCount });
  expect(
    judgeInstance(
      databaseId,
      [
        [listed('notes', 4), listed('reports', 1), listed('postgres', 0)],
        [listed('reports', 3), listed('postgres', null), listed('made-meanwhile', 2)],
        [listed('only-on-the-copy', 0)],
      ],
      new Set(['app', 'notes']),
    ),
  ).toEqual([other('reports', 3), other('postgres', null), other('made-meanwhile', 2), other('only-on-the-copy', 0)]);
});

describe('provedBeside', () => {
  const sha256 = 'a'.repeat(64);
  const held = (id: string, snapshotId: string, isMeasured = true) => ({
    databaseId: id,
    snapshot: {
      id: snapshotId,
      arn: `arn:${snapshotId}`,
      takenAt: '2026-11-22T02:40:00.000Z',
      kmsKeyArn: 'key',
      engineVersion: '17',
      allocatedStorageBytes: 1,
    },
    fingerprints: isMeasured ? { before: sha256, after: sha256 } : null,
    rowCount: 1,
    failure: null,
  });
  const entry = (id: string, instanceId = 'school') => ({
    id,
    instanceId,
    databaseName: `${id}_db`,
    rootTable: 'school',
    rootColumn: 'id',
    readerUser: 'daybreak_reader',
  });
  const databases = [entry('pupils'), entry('app'), entry('notes'), entry('other', 'elsewhere')];

  it('gives the names to the first database of a snapshot alone', () => {
    const recoveryPoint = {
      databases: [held('pupils', 's'), held('app', 's'), held('notes', 's'), held('other', 't')],
    };
    expect(provedBeside('app', recoveryPoint, { databases })).toEqual(new Set(['app_db', 'notes_db', 'pupils_db']));
    expect(provedBeside('pupils', recoveryPoint, { databases })).toBeUndefined();
    expect(provedBeside('other', recoveryPoint, { databases })).toEqual(new Set(['other_db']));
  });

  it('leaves out a database that was configured later, or that the recovery point has no fingerprints of', () => {
    const recoveryPoint = { databases: [held('pupils', 's'), held('notes', 's', false)] };
    expect(provedBeside('pupils', recoveryPoint, { databases })).toEqual(new Set(['pupils_db']));
  });
});
