import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { z } from 'zod';
import { Obstacle } from '../../contracts/gap.ts';
import { type Database, type Query, quoteIdentifier, quoteName, sqlStateOf } from '../postgres.ts';
import { comparedRows, MASKED_COLUMNS, OMITTED_CATALOGS, OMITTED_COLUMNS } from './catalog-omissions.ts';
import { FingerprintUnreadableError } from './fingerprint-file.ts';
import { circularRange, parseSnapshot, recentRange, type Snapshot, type XidRange } from './horizon.ts';
import { rowText } from './row-text.ts';

const CatalogSection = z.strictObject({
  /** `pg_class`; outside of `pg_catalog` with its schema. */
  catalog: z.string(),
  /** Those that the rows' hashes are made of. */
  columns: z.array(z.string()),
  rowCount: z.int().min(0),
  /** Why there are no rows; null where there could be. */
  obstacle: Obstacle.nullable(),
});

const CatalogHeader = z.strictObject({
  /** Full transaction ids as decimal text, and the snapshot as `pg_current_snapshot()` prints it: see `horizon`. */
  horizon: z.string(),
  snapshot: z.string(),
  sections: z.array(CatalogSection),
  /** By catalog and key (hexadecimal), what the user's own objects are called: on a copy that lacks them nobody can say. */
  names: z.record(z.string(), z.record(z.string(), z.string())),
});

/** Bytes of one row: its key, its hash, and its part. */
export const CATALOG_ROW = { key: 16, hash: 16, length: 33 } as const;
/** What a row's last byte says (see `horizon`); `unknown` where the reader does not see which transaction made it. */
export const CATALOG_PART = { settled: 0, recent: 1, later: 2, unknown: 3 } as const;

/** The rows of one system catalog, sorted by key: CATALOG_ROW.length bytes each. */
export interface CatalogRows extends z.infer<typeof CatalogSection> {
  readonly rows: Buffer;
}

/** What is not inside tables, of one database and of its server, in one snapshot. */
export interface CatalogMeasurement extends Omit<z.infer<typeof CatalogHeader>, 'sections'> {
  readonly catalogs: readonly CatalogRows[];
}

/** How catalogs are measured: as tables are (`MeasurementPlan`). */
export interface CatalogPlan {
  readonly seeds: readonly [string, string];
  readonly recent: XidRange;
  /** Ids of transactions after the backup. Only on a restored copy. */
  readonly later?: XidRange;
}

/** The plan of the measurement *before* the snapshot, or after it over the same horizon. */
export function planCatalogs(
  seeds: readonly [string, string],
  before?: Pick<CatalogMeasurement, 'horizon'>,
): (snapshot: Snapshot) => CatalogPlan {
  return snapshot => ({ seeds, recent: recentRange(before ? BigInt(before.horizon) : snapshot.xmin, snapshot) });
}

/** The plan for a restored copy, which was first touched by the transaction `firstTouchXid`. */
export function planRestoredCatalogs(
  seeds: readonly [string, string],
  source: { before: Pick<CatalogMeasurement, 'horizon'>; after: Pick<CatalogMeasurement, 'snapshot'> },
  firstTouchXid: bigint | undefined,
): (snapshot: Snapshot) => CatalogPlan {
  const end = parseSnapshot(source.after.snapshot);
  const from = firstTouchXid !== undefined && firstTouchXid < end.xmax ? firstTouchXid : end.xmax;
  return snapshot => ({
    seeds,
    recent: recentRange(BigInt(source.before.horizon), end),
    later: { from, until: recentRange(from, snapshot).until },
  });
}

/** Catalogs that have no oid: the columns that tell their rows apart. What stands in no list is told apart as a whole. */
const KEYS: Readonly<Record<string, readonly string[]>> = {
  pg_aggregate: ['aggfnoid'],
  pg_attribute: ['attrelid', 'attnum'],
  pg_auth_members: ['roleid', 'member'],
  pg_db_role_setting: ['setdatabase', 'setrole'],
  pg_description: ['objoid', 'classoid', 'objsubid'],
  pg_foreign_table: ['ftrelid'],
  pg_index: ['indexrelid'],
  pg_inherits: ['inhrelid', 'inhseqno'],
  pg_init_privs: ['objoid', 'classoid', 'objsubid'],
  pg_partitioned_table: ['partrelid'],
  pg_range: ['rngtypid'],
  pg_replication_origin: ['roident'],
  pg_sequence: ['seqrelid'],
  pg_shdescription: ['objoid', 'classoid'],
  pg_subscription_rel: ['srrelid', 'srsubid'],
  pg_ts_config_map: ['mapcfg', 'maptokentype', 'mapseqno'],
};

/** A reader may be kept from these; then the view beside them says what everybody may know. */
const VIEWS: Readonly<Record<string, { view: string; key: string }>> = {
  pg_authid: { view: 'pg_roles', key: 'oid' },
  pg_user_mapping: { view: 'pg_user_mappings', key: 'umid' },
};

interface Catalog {
  readonly catalog: string;
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly { name: string; notNull: boolean; type: string }[];
  /** Empty where rows are told apart as a whole. */
  readonly key: readonly string[];
  /** A view does not show which transaction made a row. */
  readonly hasXmin: boolean;
  readonly readable: boolean;
}

/**
 * Reads the rows of every system catalog in one snapshot, for each a key and a hash that the server makes. Which catalogs
 * and columns there are is asked of the server; what is left out is in `catalog-omissions`. A snapshot of RDS is a physical
 * copy, and keeps the oids that the rows are told apart by.
 * @throws DatabaseQueryError
 */
export async function measureCatalogs(
  database: Pick<Database, 'transaction'>,
  plan: (snapshot: Snapshot) => CatalogPlan,
): Promise<CatalogMeasurement> {
  return await database.transaction('REPEATABLE READ', query => readCatalogs(query, plan));
}

/** `measureCatalogs` within the transaction of `query`. */
export async function readCatalogs(
  query: Query,
  plan: (snapshot: Snapshot) => CatalogPlan,
): Promise<CatalogMeasurement> {
  const [row] = await query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot');
  const snapshot = row?.snapshot ?? '';
  const chosen = plan(parseSnapshot(snapshot));
  const catalogs: CatalogRows[] = [];
  for (const catalog of await listCatalogs(query)) catalogs.push(await readCatalog(query, catalog, chosen));
  return { horizon: chosen.recent.from.toString(), snapshot, catalogs, names: {} };
}

async function listCatalogs(query: Query): Promise<Catalog[]> {
  const found = await query<{
    schema: string;
    table: string;
    kind: string;
    whole: boolean;
    columns: { name: string; notNull: boolean; type: string; readable: boolean }[];
  }>(
    `SELECT n.nspname AS schema, c.relname AS table, c.relkind AS kind, has_table_privilege(c.oid, 'SELECT') AS whole,
            (SELECT jsonb_agg(jsonb_build_object('name', a.attname, 'notNull', a.attnotnull, 'type', t.typname,
                      'readable', has_column_privilege(c.oid, a.attnum, 'SELECT')) ORDER BY a.attnum)
               FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns
       FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE n.nspname IN ('pg_catalog', 'information_schema')
        AND (c.relkind = 'r' AND c.relpersistence = 'p' OR c.relname = ANY($1))
      ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"`,
    [Object.values(VIEWS).map(({ view }) => view)],
  );
  const describe = ({ schema, table, columns, whole, kind }: (typeof found)[number], catalog: string): Catalog => {
    const left = new Set(OMITTED_COLUMNS.filter(entry => entry.catalog === catalog).flatMap(entry => entry.columns));
    const compared = columns.filter(({ name, readable }) => readable && !left.has(name));
    const names = new Set(columns.map(({ name }) => name));
    const view = kind === 'v' ? VIEWS[catalog] : undefined;
    const key = view ? [view.key] : names.has('oid') ? ['oid'] : (KEYS[catalog] ?? []);
    return { catalog, schema, table, columns: compared, key, hasXmin: whole && !view, readable: compared.length > 0 };
  };
  const views = new Map(found.filter(({ kind }) => kind === 'v').map(view => [view.table, view]));
  return found
    .filter(({ schema, table, kind }) => kind === 'r' && !(schema === 'pg_catalog' && table in OMITTED_CATALOGS))
    .map(table => {
      const catalog = table.schema === 'pg_catalog' ? table.table : `${table.schema}.${table.table}`;
      const described = describe(table, catalog);
      const view = views.get(VIEWS[catalog]?.view ?? '');
      return !described.readable && view ? describe(view, catalog) : described;
    });
}

/** How a key's column becomes bytes of a fixed number; 4 of a text's hash. */
const SEND: Readonly<Record<string, (column: string) => string>> = {
  oid: column => `oidsend(${column})`,
  regproc: column => `oidsend(${column}::oid)`,
  int2: column => `int2send(${column})`,
  int4: column => `int4send(${column})`,
};

/**
 * SQL for each compared row of a catalog: `key` and `hash` (bytea, 16 bytes each), `part` (CATALOG_PART),
 * and `object` of the row `r`. Its parameters are those of `parametersOf`.
 */
function selectRows(catalog: Catalog, object = 'NULL'): string {
  const masked = new Map(
    MASKED_COLUMNS.filter(entry => entry.catalog === catalog.catalog).map(({ column, sql }) => [column, sql]),
  );
  const columns = catalog.columns.map(({ name, type }) => {
    const quoted = `r.${quoteIdentifier(name)}`;
    // The name that a `regproc` is printed as depends on which other functions there are; its number does not.
    return `${masked.get(name) ?? (type === 'regproc' ? `${quoted}::oid` : quoted)} AS ${quoteIdentifier(name)}`;
  });
  const types = new Map(catalog.columns.map(({ name, type }) => [name, type]));
  const parts = catalog.key.map(name => SEND[types.get(name) ?? '']?.(`r.${quoteIdentifier(name)}`));
  // Rows without a key are told apart by all that they hold.
  const key =
    parts.length > 0 && parts.every(part => part !== undefined)
      ? `substr(${parts.join(' || ')} || decode(repeat('00', 16), 'hex'), 1, 16)`
      : `substr(sha256(convert_to(content, 'UTF8')), 1, 16)`;
  const isSystem = catalog.schema === 'pg_catalog' && catalog.table === catalog.catalog;
  return `SELECT ${key} AS key, part, object,
            int8send(hashtextextended(content COLLATE "C", $2::bigint)) || int8send(hashtextextended(content COLLATE "C", $3::bigint)) AS hash
       FROM (SELECT ${rowText(catalog.columns, '$1::text')} AS content, r.*, ${object} AS object,
                    CASE WHEN r.made IS NULL THEN 3
                         WHEN r.made < 3 THEN 0
                         WHEN (r.made - $4::bigint) & 4294967295 < $5::bigint THEN 2
                         WHEN (r.made - $6::bigint) & 4294967295 < $7::bigint THEN 1
                         ELSE 0 END AS part
               FROM (SELECT ${columns.join(', ')}, ${catalog.hasXmin ? 'r.xmin::text::bigint' : 'NULL::bigint'} AS made
                       FROM ${quoteName(catalog.schema, catalog.table)} r
                      WHERE ${isSystem ? comparedRows(catalog.catalog) : 'true'} OFFSET 0) r
             OFFSET 0) r`;
}

function parametersOf({ seeds, later, recent }: CatalogPlan): string[] {
  const [latest, late] = [circularRange(later ?? { from: 0n, until: 0n }), circularRange(recent)];
  const separator = `\u001f${BigInt.asUintN(64, BigInt(seeds[0])).toString(36)}`;
  return [separator, ...seeds, latest.start, latest.length, late.start, late.length];
}

async function readCatalog(query: Query, catalog: Catalog, plan: CatalogPlan): Promise<CatalogRows> {
  const section = { catalog: catalog.catalog, columns: catalog.columns.map(({ name }) => name) };
  if (!catalog.readable) return { ...section, rowCount: 0, obstacle: 'permission-denied', rows: Buffer.alloc(0) };
  const chunks = await query<{ rows: Buffer }>(
    `SELECT string_agg(bytes, ''::bytea ORDER BY bytes) AS rows
       FROM (SELECT bytes, (row_number() OVER (ORDER BY bytes) - 1) / 10000 AS chunk
               FROM (SELECT key || hash || substr(int2send(max(part)::int2), 2) AS bytes
                       FROM (${selectRows(catalog)}) q GROUP BY key, hash) q) q
      GROUP BY chunk ORDER BY chunk`,
    parametersOf(plan),
  );
  const rows = Buffer.concat(chunks.map(chunk => chunk.rows));
  return { ...section, rowCount: rows.length / CATALOG_ROW.length, obstacle: null, rows };
}

/** By catalog, the object that its row is about, as arguments of `pg_identify_object`; else the row itself. */
const OBJECTS: Readonly<Record<string, string>> = {
  pg_aggregate: `'pg_proc'::regclass, r.aggfnoid, 0`,
  pg_attribute: `'pg_class'::regclass, r.attrelid, r.attnum`,
  pg_depend: 'r.classid, r.objid, r.objsubid',
  pg_description: 'r.classoid, r.objoid, r.objsubid',
  pg_enum: `'pg_type'::regclass, r.enumtypid, 0`,
  pg_foreign_table: `'pg_class'::regclass, r.ftrelid, 0`,
  pg_index: `'pg_class'::regclass, r.indexrelid, 0`,
  pg_inherits: `'pg_class'::regclass, r.inhrelid, 0`,
  pg_init_privs: 'r.classoid, r.objoid, r.objsubid',
  pg_partitioned_table: `'pg_class'::regclass, r.partrelid, 0`,
  pg_range: `'pg_type'::regclass, r.rngtypid, 0`,
  pg_seclabel: 'r.classoid, r.objoid, r.objsubid',
  pg_sequence: `'pg_class'::regclass, r.seqrelid, 0`,
  pg_shdepend: 'r.classid, r.objid, r.objsubid',
  pg_shdescription: 'r.classoid, r.objoid, 0',
  pg_shseclabel: 'r.classoid, r.objoid, 0',
  pg_subscription_rel: `'pg_class'::regclass, r.srrelid, 0`,
  pg_ts_config_map: `'pg_ts_config'::regclass, r.mapcfg, 0`,
};
/** Rows that are no object, and about none. */
const DESCRIPTIONS: Readonly<Record<string, string>> = {
  pg_auth_members: `'membership of role ' || pg_get_userbyid(r.member) || ' in role ' || pg_get_userbyid(r.roleid)`,
  pg_db_role_setting: `'settings of ' || concat_ws(' in ', CASE WHEN r.setrole <> 0 THEN 'role ' || pg_get_userbyid(r.setrole) END,
      CASE WHEN r.setdatabase <> 0 THEN 'database ' || coalesce((SELECT d.datname FROM pg_database d WHERE d.oid = r.setdatabase), r.setdatabase::text) END)`,
  pg_replication_origin: `'replication origin ' || r.roident`,
};
/** Of these nothing is asked beforehand: they are many, and go only with what they belong to. */
const NAMED_BY_OWNER = new Set(['pg_attribute', 'pg_depend', 'pg_init_privs', 'pg_shdepend']);
/** What has a larger number was made by a user. */
const FIRST_USER_OID = 16_384;

function objectOf({ catalog, schema, key }: Catalog): { name: string; oid: string } | undefined {
  if (schema !== 'pg_catalog') return undefined;
  const description = DESCRIPTIONS[catalog];
  if (description !== undefined) return { name: description, oid: String(FIRST_USER_OID) };
  const object = OBJECTS[catalog] ?? (key.length === 1 ? `'${catalog}'::regclass, r.${key[0]}, 0` : undefined);
  if (object === undefined) return undefined;
  const name = `(SELECT o.type || ' ' || o.identity FROM pg_identify_object(${object}) o)`;
  return { name, oid: object.split(', ')[1] ?? '' };
}

/**
 * What the objects are called that a user made, by catalog and key: asked on the source, where they are for certain. A
 * catalog whose objects the server cannot name is left out.
 */
export async function nameUserObjects(query: Query, plan: CatalogPlan): Promise<CatalogMeasurement['names']> {
  const names: CatalogMeasurement['names'] = {};
  for (const catalog of await listCatalogs(query)) {
    const object = objectOf(catalog);
    if (!object || !catalog.readable || NAMED_BY_OWNER.has(catalog.catalog)) continue;
    const condition = `CASE WHEN ${object.oid}::bigint >= ${FIRST_USER_OID} THEN ${object.name} END`;
    const found = await askNames(query, selectRows(catalog, condition), parametersOf(plan));
    if (found.size > 0) names[catalog.catalog] = Object.fromEntries(found);
  }
  return names;
}

/** What the server at hand calls the rows of `catalog` that have these keys (hexadecimal), as far as it can. */
export async function nameCatalogRows(
  query: Query,
  plan: CatalogPlan,
  catalogName: string,
  keys: readonly string[],
): Promise<Map<string, string>> {
  const catalog = (await listCatalogs(query)).find(({ catalog }) => catalog === catalogName);
  const object = catalog && objectOf(catalog);
  if (!catalog?.readable || !object) return new Map();
  const select = `SELECT key, object FROM (${selectRows(catalog, object.name)}) q WHERE encode(key, 'hex') = ANY($8)`;
  return await askNames(query, select, [...parametersOf(plan), keys]);
}

async function askNames(query: Query, select: string, parameters: readonly unknown[]): Promise<Map<string, string>> {
  try {
    const rows = await query<{ key: string; name: string }>(
      `SELECT encode(key, 'hex') AS key, object AS name FROM (${select}) q WHERE object IS NOT NULL`,
      parameters,
    );
    return new Map(rows.map(({ key, name }) => [key, name]));
  } catch (error) {
    // A name is a help, and no part of the comparison: PostgreSQL 13 fails where an object is gone meanwhile.
    if (sqlStateOf(error) === undefined) throw error;
    return new Map();
  }
}

/** A measurement as the vault holds it: its header's length and JSON, then the rows of each catalog; compressed. */
export function encodeCatalogs({ catalogs, ...rest }: CatalogMeasurement): Buffer {
  const sections = catalogs.map(({ rows: _, ...section }) => section);
  const header = Buffer.from(JSON.stringify({ ...rest, sections } satisfies z.infer<typeof CatalogHeader>));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(header.length);
  return zstdCompressSync(Buffer.concat([length, header, ...catalogs.map(({ rows }) => rows)]));
}

/** @throws FingerprintUnreadableError also where the rows are not as many as it says, or not sorted. */
export function decodeCatalogs(bytes: Buffer, what: string): CatalogMeasurement {
  try {
    const whole = zstdDecompressSync(bytes);
    let at = 4 + whole.readUInt32BE(0);
    const { sections, ...rest } = CatalogHeader.parse(JSON.parse(whole.subarray(4, at).toString('utf8')));
    const catalogs = sections.map(section => {
      const rows = whole.subarray(at, at + section.rowCount * CATALOG_ROW.length);
      at += section.rowCount * CATALOG_ROW.length;
      if (rows.length !== section.rowCount * CATALOG_ROW.length || !isSorted(rows)) throw new RangeError('rows');
      return { ...section, rows };
    });
    if (at !== whole.length) throw new RangeError('bytes after the last row');
    return { ...rest, catalogs };
  } catch (cause) {
    throw new FingerprintUnreadableError(`${what} is not readable as rows of catalogs`, { cause });
  }
}

function isSorted(rows: Buffer): boolean {
  const { key, length } = CATALOG_ROW;
  for (let at = length; at < rows.length; at += length) {
    if (rows.compare(rows, at - length, at - length + key, at, at + key) <= 0) return false;
  }
  return true;
}
