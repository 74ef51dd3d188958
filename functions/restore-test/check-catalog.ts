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
import type { Check } from './check-result.ts';
import type { Source } from './check-tables.ts';
import { type CatalogDifference, compareCatalogs } from './compare-catalog.ts';

/** The catalogs of the source, and when the restored copy was first touched (see `hydrate`). */
export interface CatalogSource {
  readonly databaseId: string;
  readonly seeds: readonly [string, string];
  readonly before: CatalogMeasurement;
  readonly after: CatalogMeasurement;
  readonly firstTouchXid: bigint | undefined;
}

/** Reads the catalogs of one moment; undefined where the vault does not have them as they were. */
export type ReadCatalogs = (moment: 'before' | 'after', sha256: string) => Promise<CatalogMeasurement | undefined>;

/** The one check of what is not inside tables. */
export function catalogCheck({ before, after, firstTouchXid }: Source, read: ReadCatalogs): Check {
  const { databaseId, seeds } = before;
  const gap: Check['gap'] = why => ({ kind: 'catalog-unread', databaseId, catalog: 'pg_catalog', why });
  const run: Check['run'] = async database => {
    // An earlier version took none, and neither did a source that refused.
    if (before.catalogsSha256 === null || after.catalogsSha256 === null) {
      return { gaps: [gap('absent')], completed: false };
    }
    const [first, last] = [await read('before', before.catalogsSha256), await read('after', after.catalogsSha256)];
    if (first && last)
      return await checkCatalogs(database, { databaseId, seeds, before: first, after: last, firstTouchXid });
    const detail = 'it is missing, or its SHA-256 is not the one that was signed';
    const altered = [...(first ? [] : ['before']), ...(last ? [] : ['after'])];
    return {
      findings: altered.map(moment => ({
        kind: 'fingerprint-altered',
        place: `catalogs ${moment} the snapshot`,
        detail,
      })),
      completed: false,
    };
  };
  return { subject: 'catalog', name: 'pg_catalog', run, gap };
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
): Promise<{ findings: Finding[]; gaps: Gap[] }> {
  const { databaseId } = source;
  const plan = planRestoredCatalogs(source.seeds, source, source.firstTouchXid);
  const restored = await measureCatalogs(database, plan);
  const { differences, drift, unread } = compareCatalogs(source, restored);
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
    findings,
    gaps: [
      ...drift.map(entry => ({ kind: 'catalog-drift' as const, databaseId, ...entry })),
      ...unread.map(entry => ({ kind: 'catalog-unread' as const, databaseId, ...entry })),
    ],
  };
}
