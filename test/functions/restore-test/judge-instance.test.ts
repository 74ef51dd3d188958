import { expect, it } from 'vitest';
import { judgeInstance } from '../../../functions/restore-test/judge-instance.ts';

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
