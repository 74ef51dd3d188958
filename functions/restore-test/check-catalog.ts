import type { Gap } from '../contracts/gap.ts';
import type { Finding } from '../contracts/restore-test-record.ts';
import {
  type CatalogMeasurement,
  measureCatalogs,
  nameCatalogRows,
  planRestoredCatalogs,
} from '../platform/fingerprint/catalog-rows.ts';
import { parseSnapshot } from '../platform/fingerprint/horizon.ts';
import type { Database } from '../platform/postgres.ts';
import { type CatalogDifference, compareCatalogs } from './compare-catalog.ts';

/** The catalogs of the source, and when the restored copy was first touched. */
export interface CatalogSource {
  readonly databaseId: string;
  readonly seeds: readonly [string, string];
  readonly before: CatalogMeasurement;
  readonly after: CatalogMeasurement;
  readonly firstTouchXid: bigint | undefined;
}

const DETAILS: Readonly<Record<CatalogDifference['kind'], string>> = {
  missing: 'the restored copy does not have it',
  added: 'the source does not have it',
  changed: 'it is not as it was on the source',
};

/**
 * Compares what is not inside tables: the rows of the system catalogs. What differs is named as PostgreSQL names it, where
 * it is there: by the copy, else as the source did beforehand.
 */
export async function checkCatalogs(
  database: Pick<Database, 'query' | 'transaction'>,
  source: CatalogSource,
): Promise<{ rowsComparedExactly: number; findings: Finding[]; gaps: Gap[] }> {
  const { databaseId } = source;
  const plan = planRestoredCatalogs(source.seeds, source, source.firstTouchXid);
  const restored = await measureCatalogs(database, plan);
  const { rowsComparedExactly, differences, drift, unread } = compareCatalogs(source, restored);
  const findings: Finding[] = [];
  for (const { catalog, kind, keys, more } of differences) {
    const names =
      kind === 'missing'
        ? new Map(Object.entries(source.before.names[catalog] ?? {}))
        : await nameCatalogRows(database.query, plan(parseSnapshot(restored.snapshot)), catalog, keys);
    for (const key of keys) {
      findings.push({
        kind: `catalog-${kind}`,
        place: `${catalog}: ${names.get(key) ?? `row ${key}`}`,
        detail: DETAILS[kind],
      });
    }
    if (more > 0) findings.push({ kind: `catalog-${kind}`, place: catalog, detail: `and ${more} more of its rows` });
  }
  return {
    rowsComparedExactly,
    findings,
    gaps: [
      ...drift.map(entry => ({ kind: 'catalog-drift' as const, databaseId, ...entry })),
      ...unread.map(entry => ({ kind: 'catalog-unread' as const, databaseId, ...entry })),
    ],
  };
}
