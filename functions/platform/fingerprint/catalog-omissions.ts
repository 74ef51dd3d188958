/**
 * What of the system catalogs is not compared, and why. It is the one list: the measurement takes its SQL from here, and
 * `docs/compared.md` is held equal to it by a test. What it does not name is compared, a later version's catalogs and
 * columns too.
 */

/** Catalogs that are left out as a whole. */
export const OMITTED_CATALOGS: Readonly<Record<string, string>> = {
  pg_largeobject: 'the contents of large objects, which are rows of the user, not of the catalog',
  pg_largeobject_metadata:
    'one row for each large object, of which there may be millions; it belongs to their contents',
  pg_statistic: 'samples of rows, which ANALYZE draws anew; a restore needs none of them',
  pg_statistic_ext_data: 'as pg_statistic; what is to be sampled stands in pg_statistic_ext, and is compared',
};

/** Columns that are left out. */
export const OMITTED_COLUMNS: readonly { catalog: string; columns: readonly string[]; reason: string }[] = [
  {
    catalog: 'pg_authid',
    columns: ['rolpassword'],
    reason: 'a secret; the copy’s master password is set anew, and RDS rotates its own',
  },
  {
    catalog: 'pg_authid',
    columns: ['rolconfig'],
    reason:
      'only the view pg_roles has it, which a reader is given that may not read the table; pg_db_role_setting holds it',
  },
  {
    catalog: 'pg_class',
    columns: ['relpages', 'reltuples', 'relallvisible', 'relallfrozen'],
    reason: 'estimates that VACUUM and ANALYZE write in place',
  },
  {
    catalog: 'pg_class',
    columns: ['relfrozenxid', 'relminmxid'],
    reason: 'how far VACUUM came; it writes them in place',
  },
  {
    catalog: 'pg_class',
    columns: ['relfilenode', 'reltoastrelid'],
    reason: 'other files after VACUUM FULL, CLUSTER, REINDEX, TRUNCATE and each REFRESH; their rows are compared',
  },
  {
    catalog: 'pg_database',
    columns: ['datfrozenxid', 'datminmxid'],
    reason: 'how far VACUUM came; it writes them in place',
  },
  {
    catalog: 'pg_database',
    columns: ['dathasloginevt'],
    reason: 'a hint that a login takes back; event triggers are compared themselves',
  },
  {
    catalog: 'pg_index',
    columns: ['indcheckxmin'],
    reason: 'the server decides by the transactions that ran while the index was built; the next REINDEX clears it',
  },
  { catalog: 'pg_subscription', columns: ['subconninfo'], reason: 'it holds the password of the publisher' },
  {
    catalog: 'pg_subscription',
    columns: ['subskiplsn', 'subtwophasestate'],
    reason: 'the subscription’s worker writes them as it goes on',
  },
  {
    catalog: 'pg_subscription_rel',
    columns: ['srsubstate', 'srsublsn'],
    reason: 'the subscription’s worker writes them as it goes on',
  },
];

/** Without such a hint the server does not look for what it hints at; VACUUM and ANALYZE take it back late. */
const hint = (column: string, what: string, catalog: string, owner: string) => ({
  catalog: 'pg_class',
  column,
  sql: `r.${column} AND EXISTS (SELECT FROM ${catalog} o WHERE o.${owner} = r.oid)`,
  reason: `a hint at ${what} that are not there any more: VACUUM and ANALYZE take it back late`,
});

/** SQL for a column that is not compared as it stands. `r` is the catalog's row. */
export const MASKED_COLUMNS: readonly { catalog: string; column: string; sql: string; reason: string }[] = [
  hint('relhasindex', 'indexes', 'pg_index', 'indrelid'),
  hint('relhasrules', 'rules', 'pg_rewrite', 'ev_class'),
  hint('relhastriggers', 'triggers', 'pg_trigger', 'tgrelid'),
  hint('relhassubclass', 'heirs', 'pg_inherits', 'inhparent'),
  {
    catalog: 'pg_user_mapping',
    column: 'umoptions',
    sql: `ARRAY(SELECT CASE WHEN split_part(o, '=', 1) ~* 'pass|secret|token|key|credential' THEN split_part(o, '=', 1) ELSE o END
                  FROM unnest(r.umoptions) WITH ORDINALITY u (o, place) ORDER BY place)`,
    reason:
      'the values of options whose name says pass, secret, token, key or credential: of these the name is compared',
  },
];

// TOAST tables, and what a session made for itself. `pg_toast` holds the first, the others a schema for each session.
const transientNamespace = (column: string) =>
  `${column} IN (SELECT n.oid FROM pg_namespace n WHERE n.nspname ~ '^pg_(toast$|toast_temp_|temp_)')`;
const transientRelation = (column: string) =>
  `${column} IN (SELECT c.oid FROM pg_class c WHERE ${transientNamespace('c.relnamespace')})`;

/** By catalog, the column that says which schema, or which relation, a row belongs to. */
const SCHEMA_COLUMNS: Readonly<Record<string, string>> = {
  pg_class: 'relnamespace',
  pg_collation: 'collnamespace',
  pg_conversion: 'connamespace',
  pg_opclass: 'opcnamespace',
  pg_operator: 'oprnamespace',
  pg_opfamily: 'opfnamespace',
  pg_proc: 'pronamespace',
  pg_statistic_ext: 'stxnamespace',
  pg_ts_config: 'cfgnamespace',
  pg_ts_dict: 'dictnamespace',
  pg_ts_parser: 'prsnamespace',
  pg_ts_template: 'tmplnamespace',
  pg_type: 'typnamespace',
};
const RELATION_COLUMNS: Readonly<Record<string, string>> = {
  pg_attrdef: 'adrelid',
  pg_attribute: 'attrelid',
  pg_constraint: 'conrelid',
  pg_foreign_table: 'ftrelid',
  pg_index: 'indrelid',
  pg_inherits: 'inhrelid',
  pg_partitioned_table: 'partrelid',
  pg_policy: 'polrelid',
  pg_rewrite: 'ev_class',
  pg_sequence: 'seqrelid',
  pg_trigger: 'tgrelid',
};
/** Catalogs whose rows speak of an object of another catalog: the columns with its catalog and its oid. */
const OBJECT_COLUMNS: Readonly<Record<string, readonly (readonly [string, string])[]>> = {
  pg_depend: [
    ['classid', 'objid'],
    ['refclassid', 'refobjid'],
  ],
  pg_description: [['classoid', 'objoid']],
  pg_init_privs: [['classoid', 'objoid']],
  pg_seclabel: [['classoid', 'objoid']],
  pg_shdepend: [['classid', 'objid']],
};

function transientRow(catalog: string): string | undefined {
  const schema = SCHEMA_COLUMNS[catalog];
  if (schema !== undefined) return transientNamespace(`r.${schema}`);
  const relation = RELATION_COLUMNS[catalog];
  return relation === undefined ? undefined : transientRelation(`r.${relation}`);
}

// Of the catalogs by relation some have no oid: nothing speaks of their rows.
const WITHOUT_OID = new Set([
  'pg_attribute',
  'pg_foreign_table',
  'pg_index',
  'pg_inherits',
  'pg_partitioned_table',
  'pg_sequence',
]);
const TRANSIENT_OBJECTS = [...Object.keys(SCHEMA_COLUMNS), ...Object.keys(RELATION_COLUMNS)]
  .filter(catalog => !WITHOUT_OID.has(catalog))
  .map(catalog => `SELECT '${catalog}'::regclass::oid, r.oid FROM ${catalog} r WHERE ${transientRow(catalog)}`)
  .concat(`SELECT 'pg_namespace'::regclass::oid, r.oid FROM pg_namespace r WHERE r.nspname ~ '^pg_(toast_)?temp_'`)
  .join(' UNION ALL ');
const transientObject = ([catalog, oid]: readonly [string, string]) =>
  `(r.${catalog}, r.${oid}) IN (${TRANSIENT_OBJECTS})`;

// The roles that RDS makes and keeps for itself.
const rdsRole = (column: string) => `${column} IN (SELECT g.oid FROM pg_roles g WHERE g.rolname ~ '^rds')`;

/** Rows that are left out: `sql` is true of them, where `r` is the row and the catalog one of `catalogs`. */
export const OMITTED_ROWS: readonly {
  catalogs: readonly string[];
  what: string;
  reason: string;
  sql: (catalog: string) => string;
}[] = [
  {
    catalogs: [...Object.keys(SCHEMA_COLUMNS), ...Object.keys(RELATION_COLUMNS)],
    what: 'TOAST tables with their indexes, and what belongs to a temporary schema',
    reason: 'VACUUM FULL and REFRESH make TOAST tables anew, under new oids; temporary objects belong to one session',
    sql: catalog => transientRow(catalog) ?? 'false',
  },
  {
    catalogs: Object.keys(OBJECT_COLUMNS),
    what: 'what speaks of such an object',
    reason: 'as the object itself',
    sql: catalog => (OBJECT_COLUMNS[catalog] ?? []).map(transientObject).join(' OR ') || 'false',
  },
  {
    catalogs: ['pg_namespace'],
    what: 'temporary schemas',
    reason: 'sessions make them when they need them',
    sql: () => `r.nspname ~ '^pg_(toast_)?temp_'`,
  },
  {
    catalogs: ['pg_shdepend'],
    what: 'what speaks of an object of another database',
    reason: 'it is compared where that database is',
    sql: () => 'r.dbid NOT IN (0, (SELECT d.oid FROM pg_database d WHERE d.datname = current_database()))',
  },
  {
    catalogs: ['pg_description', 'pg_seclabel', 'pg_init_privs'],
    what: 'what speaks of a large object',
    reason: 'as pg_largeobject_metadata',
    sql: () => `r.classoid = 'pg_largeobject'::regclass`,
  },
  {
    catalogs: ['pg_depend', 'pg_shdepend'],
    what: 'what speaks of a large object',
    reason: 'as pg_largeobject_metadata',
    sql: () => `r.classid = 'pg_largeobject'::regclass`,
  },
  {
    catalogs: ['pg_auth_members'],
    what: 'which roles the roles rds* themselves are members of',
    reason:
      'RDS keeps them, and may change them when it restores under a newer minor version; who is a member of rds* is compared',
    sql: () => rdsRole('r.member'),
  },
  {
    catalogs: ['pg_db_role_setting'],
    what: 'settings of the roles rds*',
    reason: 'RDS keeps them, and may change them when it restores under a newer minor version',
    sql: () => rdsRole('r.setrole'),
  },
  {
    catalogs: ['pg_tablespace'],
    what: 'tablespaces rds*',
    reason: 'rds_temp_tablespace is there on instance classes with local storage alone',
    sql: () => `r.spcname ~ '^rds'`,
  },
];

/** SQL that is true of the rows `r` of a catalog that are compared. */
export function comparedRows(catalog: string): string {
  const conditions = OMITTED_ROWS.filter(({ catalogs }) => catalogs.includes(catalog)).map(({ sql }) => sql(catalog));
  return conditions.length === 0 ? 'true' : `NOT (${conditions.map(sql => `(${sql})`).join(' OR ')})`;
}
