import { sqlName } from '../../../functions/platform/sql-name.ts';
import { formatBytes, formatDuration, formatTable } from './display.ts';
import type { Summary } from './summary.ts';

const PATHS_SHOWN = 5;

/** The closing lines of a run: why the verdict is not `passed`, and what was done, in numbers of the summary. */
export function describeSummary(summary: Summary): string[] {
  const { failures, backups, restoreTest, durationMs, peakResidentBytes } = summary;
  const reasons = [
    ...failures,
    ...backups
      .filter(({ status }) => status !== 'good')
      .map(({ recoveryPointId, status }) => `recovery point ${recoveryPointId} is ${status}`),
    ...(restoreTest?.reasons ?? []),
  ];
  return [
    ...reasons.map(reason => `  ! ${reason}`),
    ...formatTable([
      ...describeBackups(summary),
      ...describeRestoreTest(summary),
      ['whole run', `${formatDuration(durationMs)}, at most ${formatBytes(peakResidentBytes)} of memory`],
    ]),
    '  Times are this machine’s. Waiting for RDS is simulated and takes no time here: in AWS a restore takes minutes to hours.',
  ];
}

function describeBackups({ input, backups }: Summary): [string, string][] {
  const last = backups.at(-1);
  if (last === undefined) return [];
  return [
    ['backed up', `${last.rows} rows as it began, ${objects(last.objects, last.bytes)} of ${last.tenants} tenants`],
    ...(last.skewMs === null
      ? []
      : [['rows and objects', `of moments at most ${formatDuration(last.skewMs)} apart`] satisfies [string, string]]),
    ...last.unproved.map(({ instanceId, name, tableCount }): [string, string] => [
      'not proved',
      `database ${sqlName(name)} of instance ${instanceId}, with ${tableCount ?? 'an unknown number of'} tables: it is in the snapshot, and has no entry in the configuration`,
    ]),
    ['outside every tenant', `${input.untenantedFiles} files, under the vault key`],
    ...input.leftOut.map(({ kind, count, paths }): [string, string] => [
      'left out',
      `${count}, ${kind}: ${paths.slice(0, PATHS_SHOWN).join(', ')}${count > PATHS_SHOWN ? ' and more' : ''}`,
    ]),
    ...backups.map(({ objectsCopied, bytesCopied, durationMs }, at): [string, string] => [
      at === 0 ? 'first backup' : 'second backup',
      `${formatDuration(durationMs)}, copied ${objects(objectsCopied, bytesCopied)}`,
    ]),
  ];
}

function describeRestoreTest({ restoreTest, phases }: Summary): [string, string][] {
  if (restoreTest === null) return [];
  const { databases, objects: restored, rowCoveragePercent } = restoreTest;
  const sum = (pick: (database: (typeof databases)[number]) => number) =>
    databases.reduce((total, database) => total + pick(database), 0);
  const heaps = databases.every(({ heapRelationsChecked }) => heapRelationsChecked !== null)
    ? `${sum(({ heapRelationsChecked }) => heapRelationsChecked ?? 0)} heaps`
    : 'no heaps, for lack of amcheck';
  const durationMs = phases
    .filter(({ phase }) => phase.startsWith('restore-test: '))
    .reduce((total, phase) => total + phase.durationMs, 0);
  const duration: [string, string] = ['restore test', formatDuration(durationMs)];
  if (databases.length === 0) return [duration];
  return [
    duration,
    [
      'restored',
      `${sum(({ rowCount }) => rowCount)} rows, with those written until the snapshot, in ${sum(({ tableCount }) => tableCount)} tables; ${objects(restored.objectsRestored, restored.bytesRestored)} of ${restored.objectCount}`,
    ],
    [
      'compared exactly',
      `${sum(({ rowsComparedExactly }) => rowsComparedExactly)} rows (${rowCoveragePercent ?? 0} %); ${sum(({ driftRowCount }) => driftRowCount)} in ranges that changed during the snapshot, within their bounds`,
    ],
    [
      'also checked',
      `${sum(({ foreignKeysChecked }) => foreignKeysChecked)} foreign keys, ${sum(({ indexesChecked }) => indexesChecked)} indexes, ${heaps}; that all ${restored.objectCount} objects are there with their sizes`,
    ],
  ];
}

function objects(count: number, bytes: number): string {
  return `${count} ${count === 1 ? 'object' : 'objects'} (${formatBytes(bytes)})`;
}
