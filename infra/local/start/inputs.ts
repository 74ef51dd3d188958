import { type Client, DatabaseError } from 'pg';
import { readerGrants } from '../../../functions/platform/database-grants.ts';
import { PermanentError } from '../../../functions/platform/errors.ts';
import { listTenants, TenantRootError } from '../../../functions/platform/fingerprint/tenants.ts';
import { Database } from '../../../functions/platform/postgres.ts';
import { UsageError } from '../../command-line/failure.ts';
import type { LocalBucket } from '../cloudformation/local-configuration.ts';
import type { SourceDatabase } from '../environment.ts';
import { inspectDump } from '../sample/inspect-dump.ts';
import { loadDump } from '../sample/load-dump.ts';
import { fillSchoolDatabase } from '../sample/school-database.ts';
import { listSchoolFiles } from '../sample/school-files.ts';
import type { StartArguments } from './arguments.ts';
import type { Display } from './display.ts';
import { groupLeftOut, type LeftOut, listFolder } from './list-folder.ts';
import { fromSample, openBytes, type SourceFile } from './upload-files.ts';
import {
  type ChangeCounts,
  changeSample,
  startOwnWriteLoad,
  startSampleWriteLoad,
  type WriteLoad,
} from './write-load.ts';

const READER = 'daybreak_reader';
const PATHS_SHOWN = 5;

/** What is backed up: the sample, or the operator's own. */
export interface Inputs {
  source: 'sample' | 'own';
  database: SourceDatabase;
  bucket: LocalBucket;
  files: SourceFile[];
  /** What was found beside `files`, and is no object. */
  leftOut: LeftOut[];
  /** The tenants that the database knows; set once it is filled. */
  tenants: () => readonly string[];
  /** The rows of its tables and materialized views, counted once it is filled. */
  rowCount: () => number;
  /** Changes rows of the sample between the two backups; the operator's own stay as they are. */
  change: ((client: Client) => Promise<ChangeCounts>) | undefined;
  changedFiles: SourceFile[];
  startWriteLoad: (client: Client) => WriteLoad;
}

/** @throws UsageError for input that cannot be backed up. */
export async function prepareInputs(parameters: StartArguments, display: Display): Promise<Inputs> {
  return parameters.own === undefined ? sampleInputs(parameters.seed) : ownInputs(parameters.own, display);
}

function sampleInputs(seed: number): Inputs {
  const samples = listSchoolFiles(seed);
  const uploads = samples.flatMap(({ key, tenant, sizeBytes }) =>
    tenant === null ? [] : [{ key, tenant, sizeBytes }],
  );
  const root = { rootTable: 'school', rootColumn: 'id' };
  const filled = countFilled(root, client => fillSchoolDatabase(client, seed, uploads));
  const changed = listSchoolFiles(seed + 1).slice(0, 120);
  return {
    source: 'sample',
    database: { id: 'wellbeing', databaseName: 'wellbeing', ...root, encrypted: true, fill: filled.fill },
    bucket: { id: 'uploads', name: 'sample-wellbeing-uploads', tenantPrefix: 'schools/{tenant}/', kmsKeyArns: [] },
    files: samples.map(fromSample),
    leftOut: [],
    tenants: filled.tenants,
    rowCount: filled.rowCount,
    change: changeSample,
    changedFiles: changed.map(fromSample),
    startWriteLoad: startSampleWriteLoad,
  };
}

async function ownInputs(own: NonNullable<StartArguments['own']>, display: Display): Promise<Inputs> {
  const { files, leftOut } =
    own.filesDirectory === undefined ? { files: [], leftOut: [] } : await listFolder(own.filesDirectory);
  for (const { kind, count, paths } of groupLeftOut(leftOut)) {
    display.line(`  ! left out, ${kind}: ${count}, ${paths.slice(0, PATHS_SHOWN).join(', ')}`);
  }
  const { rootTable, rootColumn } = own;
  const dump = await inspectDump(own.sqlFile).catch((error: unknown) => {
    throw error instanceof PermanentError ? new UsageError(`--sql: ${error.message}`) : error;
  });
  const filled = countFilled({ rootTable, rootColumn }, async client => {
    const { createdRoles, notes } = await loadDump(client, dump);
    if (createdRoles.length > 0) {
      display.line(`  roles that the dump names, made here without login: ${createdRoles.join(', ')}`);
      display.line(
        '  while it was loaded they had a superuser’s permissions: a dump does not say what its roles may do',
      );
    }
    for (const note of notes) display.line(`  ${note}`);
    await client.query('ANALYZE');
    if (createdRoles.includes(READER)) await requireMereReader(client);
  });
  const tenant = files.find(file => file.tenant !== null)?.tenant;
  const note = Buffer.from('put here between two backups by a local run of Daybreak\n');
  return {
    source: 'own',
    database: { id: 'own', databaseName: 'own', rootTable, rootColumn, encrypted: true, fill: filled.fill },
    bucket: { id: 'files', name: 'own-files', tenantPrefix: '{tenant}/', kmsKeyArns: [] },
    files,
    leftOut,
    tenants: filled.tenants,
    rowCount: filled.rowCount,
    change: undefined,
    changedFiles: tenant
      ? [{ key: `${tenant}/daybreak-local-run.txt`, tenant, sizeBytes: note.length, open: async () => openBytes(note) }]
      : [],
    startWriteLoad: client => startOwnWriteLoad(client, filled.rowCount()),
  };
}

/** The dump of a database that is backed up already names its reader. */
async function requireMereReader(client: Client): Promise<void> {
  try {
    await client.query(`SET event_triggers = off;\n${readerGrants(READER)}`);
  } catch (error) {
    if (!(error instanceof DatabaseError && error.code === 'P0001')) throw error;
    throw new UsageError(
      `--sql: the dump lets the role ${READER} do more than read, and it is to read for the backup; dump with pg_dump --no-owner --no-privileges`,
    );
  }
}

function countFilled(root: { rootTable: string; rootColumn: string }, fill: (client: Client) => Promise<void>) {
  let tenants: readonly string[] = [];
  let rowCount = 0;
  return {
    tenants: () => tenants,
    rowCount: () => rowCount,
    fill: async (client: Client) => {
      try {
        await fill(client);
        const known = await listTenants(new Database(async () => client, 'the dump').query, root);
        tenants = known.tenants.map(({ id }) => id);
      } catch (error) {
        if (error instanceof TenantRootError)
          throw new UsageError(`--root ${root.rootTable}.${root.rootColumn}: ${error.message}`);
        if (error instanceof PermanentError) throw new UsageError(`--sql: ${error.message}`);
        throw error;
      }
      rowCount = await countRows(client);
    },
  };
}

async function countRows(client: Client): Promise<number> {
  const { rows: relations } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', nspname, relname) AS name
       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
      WHERE (relkind = 'r' OR relkind = 'm' AND relispopulated)
        AND nspname NOT IN ('pg_catalog', 'information_schema')`,
  );
  let count = 0;
  for (const { name } of relations) {
    const { rows } = await client.query<{ count: string }>(`SELECT count(*) FROM ONLY ${name}`);
    count += Number(rows[0]?.count);
  }
  return count;
}
