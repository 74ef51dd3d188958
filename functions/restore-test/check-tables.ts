import type { DatabaseFingerprint, TableFingerprint } from '../contracts/fingerprint.ts';
import { nameOf, type Relation } from '../platform/fingerprint/catalog.ts';
import { parseSnapshot, recentRange, type XidRange } from '../platform/fingerprint/horizon.ts';
import {
  type MeasurementPlan,
  measureTable,
  planAfresh,
  type TableDetails,
} from '../platform/fingerprint/measure-table.ts';
import type { Check } from './check-result.ts';
import { chooseEnds, compareTable, type Ends } from './compare-fingerprints.ts';

/** The source's two measurements, and when the restored copy was first touched (see `hydrate`). */
export interface Source {
  readonly before: DatabaseFingerprint;
  readonly after: DatabaseFingerprint;
  readonly firstTouchXid: bigint | undefined;
}

/** A check for each table that the source measured at least once: the restored rows against them. */
export function tableChecks(source: Source, restored: readonly Relation[]): Check[] {
  const { databaseId } = source.before;
  const befores = new Map(source.before.tables.map(table => [nameOf(table), table]));
  const afters = new Map(source.after.tables.map(table => [nameOf(table), table]));
  return restored.flatMap(relation => {
    const name = nameOf(relation);
    const ends: Ends = { before: befores.get(name), after: afters.get(name) };
    if (!ends.before && !ends.after) return [];
    const gap: Check['gap'] = why => ({
      kind: 'rows-unreadable',
      databaseId,
      table: { schema: relation.schema, name: relation.table },
      why,
    });
    const run: Check['run'] = async database => {
      const measured = await measureTable(database, relation, details => planRestored(source, ends, details));
      if (!measured) return { gaps: [gap('unreadable')], completed: false };
      const { definitionSha256 } = measured.details;
      return compareTable({ databaseId, ...relation, definitionSha256, ...measured.rows }, ends);
    };
    return [{ subject: 'table' as const, name, run, gap }];
  });
}

/** How the restored table is measured: as the end that it will be held against was. */
export function planRestored(source: Source, ends: Ends, details: TableDetails): MeasurementPlan {
  const { before, after } = chooseEnds(ends, details.definitionSha256);
  const reference: TableFingerprint | undefined = after ?? before;
  const later = laterRange(source, ends, details);
  const seeds = source.before.seeds;
  if (reference === undefined) return { ...planAfresh(details, seeds), later };
  return {
    seeds,
    bucketColumns: reference.bucketColumns,
    bucketCount: reference.bucketCount,
    recent: recentRange(BigInt(reference.horizon), parseSnapshot(reference.snapshot)),
    later,
  };
}

/** Ids of transactions that cannot be in the backup: given out after the *after* measurement, or after the first touch. */
function laterRange({ firstTouchXid }: Source, { after }: Ends, { snapshot }: TableDetails): XidRange {
  const bounds = [firstTouchXid, after && parseSnapshot(after.snapshot).xmax].filter(bound => bound !== undefined);
  const [from = snapshot.xmax] = bounds.toSorted((a, b) => (a < b ? -1 : 1));
  return { from, until: snapshot.xmax };
}
