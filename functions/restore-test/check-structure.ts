import type { CheckObstacle, Gap } from '../contracts/gap.ts';
import { inUserSchema } from '../platform/fingerprint/definition.ts';
import { type Database, type Query, quoteIdentifier, quoteName } from '../platform/postgres.ts';
import { sqlName } from '../platform/sql-name.ts';
import type { Check } from './check-result.ts';

interface Index {
  oid: string;
  method: string;
  valid: boolean;
  /** Whether it is the index of a toast table; then `owner` is the table whose toast it is. */
  toast: boolean;
  owner: string | null;
  schema: string;
  table: string;
  indexName: string;
  predicate: string | null;
  order: string[];
}

interface Heap {
  oid: string;
  schema: string;
  table: string;
}

/**
 * Checks of each B-tree index, and of each table's pages with its toast, by PostgreSQL's own `amcheck`. Where the
 * database does not have it, a B-tree is walked in its order and must lead to as many rows as the table has, and pages
 * are checked only by reading them all. Where time runs out, what matters most was checked: primary keys come first, then
 * unique indexes, then others, and of each the small ones, of which the most can be had.
 * https://www.postgresql.org/docs/current/amcheck.html
 */
export async function listStructureChecks(
  query: Query,
  databaseId: string,
): Promise<{ checks: Check[]; gaps: Gap[]; heapsCheckable: boolean }> {
  const [amcheck] = await query<{ schema: string | null; index: boolean; heap: boolean }>(
    `SELECT quote_ident(n.nspname) AS schema,
            has_schema_privilege(n.oid, 'USAGE') AND coalesce(bool_or(p.proname = 'bt_index_check' AND has_function_privilege(p.oid, 'EXECUTE')), false) AS index,
            has_schema_privilege(n.oid, 'USAGE') AND coalesce(bool_or(p.proname = 'verify_heapam' AND has_function_privilege(p.oid, 'EXECUTE')), false) AS heap
       FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
       LEFT JOIN pg_proc p ON p.pronamespace = n.oid
      WHERE e.extname = 'amcheck' GROUP BY n.oid, n.nspname`,
  );
  const notMade = (subject: 'index' | 'heap', name: string, why: CheckObstacle): Gap => ({
    kind: 'check-not-made',
    databaseId,
    subject,
    name,
    why,
  });
  const indexes = await listIndexes(query);
  const trees = indexes.filter(({ method, valid }) => method === 'btree' && valid);
  const checks: Check[] = trees
    .filter(({ toast }) => amcheck?.index || !toast)
    .map(index => ({
      subject: 'index',
      name: nameOf(index),
      gap: why => notMade('index', nameOf(index), why),
      run: database =>
        amcheck?.index
          ? checkTree(database, index, amcheck.schema ?? '')
          : walkTree(database, index, () => notMade('index', nameOf(index), 'not-walked')),
    }));
  if (amcheck?.heap) {
    checks.push(
      ...(await listHeaps(query)).map(
        (heap): Check => ({
          subject: 'heap',
          name: sqlName(heap.schema, heap.table),
          gap: why => notMade('heap', sqlName(heap.schema, heap.table), why),
          run: database => checkHeap(database, heap, amcheck.schema ?? ''),
        }),
      ),
    );
  }
  return {
    checks,
    heapsCheckable: amcheck?.heap === true,
    gaps: [
      ...(amcheck?.index && amcheck.heap ? [] : [{ kind: 'amcheck-missing' as const, databaseId }]),
      ...indexes.filter(({ valid }) => !valid).map(index => notMade('index', nameOf(index), 'not-valid-on-source')),
      ...indexes
        .filter(({ method, valid }) => valid && method !== 'btree')
        .map(index => notMade('index', nameOf(index), 'no-check-exists')),
    ],
  };
}

/** An index by its own name; that of a toast table by the name of the table whose toast it is. */
function nameOf({ toast, schema, owner, indexName }: Index): string {
  return toast ? `${sqlName(schema, owner ?? '')} (toast index)` : sqlName(schema, indexName);
}

function listIndexes(query: Query): Promise<Index[]> {
  return query<Index>(
    `SELECT i.oid::text, o.relname AS owner,
            am.amname AS method, x.indisvalid AND x.indisready AS valid, t.relkind = 't' AS toast,
            n.nspname AS schema, t.relname AS table, i.relname AS "indexName",
            pg_get_expr(x.indpred, x.indrelid) AS predicate,
            coalesce((SELECT jsonb_agg(pg_get_indexdef(i.oid, k::int, false)
                        || CASE WHEN x.indoption[k - 1] & 1 = 1 THEN ' DESC' ELSE ' ASC' END
                        || CASE WHEN x.indoption[k - 1] & 2 = 2 THEN ' NULLS FIRST' ELSE ' NULLS LAST' END ORDER BY k)
               FROM generate_series(1, x.indnkeyatts) k), '[]') AS order
       FROM pg_index x
       JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_am am ON am.oid = i.relam
       JOIN pg_class t ON t.oid = x.indrelid
       LEFT JOIN pg_class o ON o.reltoastrelid = t.oid
       JOIN pg_namespace n ON n.oid = coalesce(o.relnamespace, t.relnamespace)
      WHERE i.relkind = 'i' AND i.relpersistence = 'p' AND ${inUserSchema}
      ORDER BY NOT x.indisprimary OR t.relkind = 't', NOT x.indisunique, pg_relation_size(i.oid), i.oid`,
  );
}

function listHeaps(query: Query): Promise<Heap[]> {
  return query<Heap>(
    `SELECT c.oid::text, n.nspname AS schema, c.relname AS table
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'm') AND c.relpersistence = 'p' AND ${inUserSchema}
      ORDER BY pg_table_size(c.oid), c.oid`,
  );
}

async function checkTree(database: Database, index: Index, schema: string): ReturnType<Check['run']> {
  await database.query(`SELECT ${schema}.bt_index_check($1::oid::regclass, true)`, [index.oid]);
  return {};
}

async function checkHeap(database: Database, heap: Heap, schema: string): ReturnType<Check['run']> {
  const [row] = await database.query<{ damaged: string; block: string | null }>(
    `SELECT count(*)::text AS damaged, min(blkno)::text AS block
       FROM ${schema}.verify_heapam($1::oid::regclass, check_toast => true)`,
    [heap.oid],
  );
  if (row?.damaged === '0') return {};
  const detail = `amcheck found ${row?.damaged} faults, the first in block ${row?.block}`;
  return { findings: [{ kind: 'heap-corrupt', place: sqlName(heap.schema, heap.table), detail }] };
}

const BY_INDEX = {
  enable_seqscan: 'off',
  enable_bitmapscan: 'off',
  enable_sort: 'off',
  enable_indexscan: 'on',
  enable_indexonlyscan: 'on',
};
const BY_TABLE = {
  enable_seqscan: 'on',
  enable_bitmapscan: 'off',
  enable_indexscan: 'off',
  enable_indexonlyscan: 'off',
};

async function walkTree(database: Database, index: Index, notWalked: () => Gap): ReturnType<Check['run']> {
  const rows = `SELECT FROM ONLY ${quoteName(index.schema, index.table)} ${index.predicate === null ? '' : `WHERE ${index.predicate}`}`;
  const walk = `SELECT count(*)::text AS rows FROM (${rows} ORDER BY ${index.order.join(', ')} OFFSET 0) w`;
  const [byIndex, byTable] = await database.transaction('REPEATABLE READ', async query => {
    await set(query, BY_INDEX);
    const [explained] = await query<{ 'QUERY PLAN': PlannedQuery[] }>(`EXPLAIN (FORMAT JSON, COSTS OFF) ${walk}`);
    if (!explained?.['QUERY PLAN'].some(({ Plan }) => walks(Plan, index.indexName))) return [undefined, undefined];
    const [first] = await query<{ rows: string }>(walk);
    await set(query, BY_TABLE);
    const [second] = await query<{ rows: string }>(`SELECT count(*)::text AS rows FROM (${rows}) w`);
    return [first?.rows, second?.rows];
  });
  if (byIndex === undefined) {
    return { gaps: [notWalked()], completed: false };
  }
  if (byIndex === byTable) return {};
  const detail = `it leads to ${byIndex} rows, its table has ${byTable}`;
  return { findings: [{ kind: 'index-corrupt', place: nameOf(index), detail }] };
}

interface PlannedQuery {
  readonly Plan: PlanNode;
}

interface PlanNode {
  readonly 'Index Name'?: string;
  readonly Plans?: readonly PlanNode[];
}

/** Whether a plan leads through the index of this name, and not through one whose name it is a part of. */
function walks({ 'Index Name': name, Plans = [] }: PlanNode, indexName: string): boolean {
  return name === indexName || Plans.some(node => walks(node, indexName));
}

async function set(query: Query, settings: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, value] of Object.entries(settings)) await query(`SET LOCAL ${quoteIdentifier(name)} = ${value}`);
}
