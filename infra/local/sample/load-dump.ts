import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { PermanentError } from '../../../functions/platform/errors.ts';
import { DumpFormatError } from './dump-input.ts';
import { splitDump } from './split-dump.ts';

/** PostgreSQL refused a part of the dump. The message holds the line and what was refused, never a row. */
export class DumpRefusedError extends PermanentError {}

/** What was loaded, and what was done differently from what the dump says. */
export interface LoadedDump {
  statementCount: number;
  copiedTableCount: number;
  rowCount: number;
  /** Roles that the dump names and the server did not have: made without login. */
  createdRoles: string[];
  notes: string[];
}

const READ_BYTES = 1024 * 1024;

/**
 * Loads a plain-SQL dump, as `pg_dump` writes it (also gzipped), into the database that a superuser is connected to: a
 * file of any size, in bounded memory. The database should be empty. What was loaded before an error stays there.
 * @throws DumpFormatError when the file is no such dump, or not a whole one.
 * @throws DumpRefusedError
 */
export async function loadDump(client: pg.Client, file: string): Promise<LoadedDump> {
  const begin = await checkBegin(file);
  const loaded: LoadedDump = { statementCount: 0, copiedTableCount: 0, rowCount: 0, createdRoles: [], notes: [] };
  const missingExtensions: string[] = [];
  const raw = createReadStream(file, { highWaterMark: READ_BYTES });
  const trailer = new TrailerWatch();
  const bytes = trailer.pass(begin.gzipped ? raw.pipe(createGunzip({ chunkSize: READ_BYTES })) : raw, begin.skip);
  try {
    for await (const part of splitDump(bytes)) {
      if (missingExtensions.length > 0 && !/^(?:SET|SELECT|COMMENT|CREATE (?:EXTENSION|SCHEMA))\s/i.test(part.sql))
        break;
      const extension = await findMissingExtension(client, part.sql);
      if (extension !== undefined) missingExtensions.push(extension);
      if (missingExtensions.length > 0) continue;
      checkEncoding(part.sql, part.line);
      if (part.kind === 'copy') {
        loaded.rowCount += await copyRows(client, part);
        loaded.copiedTableCount++;
      } else {
        await runStatement(client, part, loaded);
        loaded.statementCount++;
      }
    }
  } finally {
    raw.destroy();
  }
  if (missingExtensions.length > 0) {
    throw new DumpRefusedError(
      `the dump needs extensions that the local PostgreSQL does not have: ${missingExtensions.sort().join(', ')}; load a dump without them (pg_dump --extension, --exclude-table)`,
    );
  }
  if (!trailer.seen) {
    throw new DumpFormatError('the dump does not end as pg_dump ends one ("database dump complete"): it is cut off');
  }
  await client.query('DISCARD ALL');
  return loaded;
}

/** Looks at the first bytes, by which other formats are known. */
async function checkBegin(file: string): Promise<{ gzipped: boolean; skip: number }> {
  const handle = await open(file);
  try {
    if ((await handle.stat()).isDirectory()) {
      throw new DumpFormatError(`${file} is a directory; dump with pg_dump --format=plain`);
    }
    const { buffer } = await handle.read(Buffer.alloc(5), 0, 5, 0);
    const text = buffer.toString('latin1');
    if (text === 'PGDMP') {
      throw new DumpFormatError(`${file} is a dump in the custom format; turn it into SQL: pg_restore --file=dump.sql`);
    }
    if (text.startsWith('\xff\xfe') || text.startsWith('\xfe\xff')) {
      throw new DumpFormatError(`${file} is UTF-16, as PowerShell's ">" writes; use pg_dump --file`);
    }
    return { gzipped: text.startsWith('\x1f\x8b'), skip: text.startsWith('\xef\xbb\xbf') ? 3 : 0 };
  } finally {
    await handle.close();
  }
}

const TRAILER = '-- PostgreSQL database dump complete';

/** Lets a dump's bytes pass, and sees whether it ends with the line by which pg_dump says that it is whole. */
class TrailerWatch {
  #tail = '';

  get seen(): boolean {
    return this.#tail.includes(TRAILER);
  }

  async *pass(source: AsyncIterable<Uint8Array>, skip: number): AsyncGenerator<Uint8Array> {
    let toSkip = skip;
    for await (const chunk of source) {
      this.#tail = (this.#tail + Buffer.from(chunk.subarray(-1024)).toString('latin1')).slice(-1024);
      yield chunk.subarray(toSkip);
      toSkip = 0;
    }
  }
}

async function findMissingExtension(client: pg.Client, sql: string): Promise<string | undefined> {
  const name = /^CREATE EXTENSION (?:IF NOT EXISTS )?(?:"([^"]+)"|(\w+))/i.exec(sql);
  const wanted = name?.[1] ?? name?.[2];
  if (wanted === undefined) return undefined;
  const { rowCount } = await client.query('SELECT FROM pg_available_extensions WHERE name = $1', [wanted]);
  return rowCount === 0 ? wanted : undefined;
}

function checkEncoding(sql: string, line: number): void {
  const encoding = /^SET client_encoding\s*(?:=|TO)\s*'?([\w-]+)'?$/i.exec(sql)?.[1];
  if (encoding !== undefined && !/^(?:UTF-?8|SQL_ASCII)$/i.test(encoding)) {
    throw new DumpFormatError(`line ${line}: the dump is encoded in ${encoding}; dump with pg_dump --encoding=UTF8`);
  }
}

async function runStatement(
  client: pg.Client,
  { sql, line }: { sql: string; line: number },
  loaded: LoadedDump,
): Promise<void> {
  for (;;) {
    try {
      await client.query(sql);
      return;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      const role = /^role "(.+)" does not exist$/.exec(error.message)?.[1];
      if (role !== undefined && !loaded.createdRoles.includes(role)) {
        await client.query(`CREATE ROLE ${client.escapeIdentifier(role)} NOLOGIN`);
        loaded.createdRoles.push(role);
        continue;
      }
      const setting = /^unrecognized configuration parameter "([^"]+)"$/.exec(error.message)?.[1];
      if (setting !== undefined && /^SET\s/i.test(sql)) {
        loaded.notes.push(`line ${line}: the setting ${setting} is unknown to this server; skipped`);
        return;
      }
      if (error.code === '42P06' && /^CREATE SCHEMA public$/i.test(sql)) {
        loaded.notes.push(`line ${line}: the schema public is there already`);
        return;
      }
      const view = /^REFRESH MATERIALIZED VIEW (.+)$/i.exec(sql)?.[1];
      if (view !== undefined && error.code === '42501' && (await fillAsSuperuser(client, sql, view, loaded))) {
        loaded.notes.push(`line ${line}: the materialized view ${view} was filled with a superuser's permissions`);
        return;
      }
      throw refused(error, sql, line + newlinesBefore(sql, error.position));
    }
  }
}

// A materialized view is filled in its owner's name. A dump does not say that an owner was a superuser: a role that was
// made here becomes one for this statement.
async function fillAsSuperuser(client: pg.Client, sql: string, view: string, loaded: LoadedDump): Promise<boolean> {
  const { rows } = await client.query<{ owner: string }>(
    'SELECT rolname AS owner FROM pg_class JOIN pg_roles ON pg_roles.oid = relowner WHERE pg_class.oid = $1::regclass',
    [view],
  );
  const owner = rows[0]?.owner;
  if (owner === undefined || !loaded.createdRoles.includes(owner)) return false;
  await client.query(`ALTER ROLE ${client.escapeIdentifier(owner)} SUPERUSER`);
  try {
    await client.query(sql);
  } finally {
    await client.query(`ALTER ROLE ${client.escapeIdentifier(owner)} NOSUPERUSER`);
  }
  return true;
}

async function copyRows(
  client: pg.Client,
  { sql, line, dataLine, data }: { sql: string; line: number; dataLine: number; data: AsyncIterable<Buffer> },
): Promise<number> {
  const target = client.query(copyFrom(sql));
  try {
    await pipeline(Readable.from(data), target);
    return target.rowCount;
  } catch (error) {
    if (!(error instanceof pg.DatabaseError)) throw error;
    const row = /^COPY .*?, line (\d+)/.exec(error.where ?? '')?.[1];
    throw refused(error, sql, row === undefined ? line : dataLine + Number(row) - 1);
  }
}

function newlinesBefore(sql: string, position: string | undefined): number {
  return sql.slice(0, Math.max(0, Number(position ?? 1) - 1)).split('\n').length - 1;
}

// PostgreSQL quotes values in its messages. Only of statements that hold none, and of errors about names, syntax and
// permissions (class 42) or missing features (0A), is the message repeated; the cause would carry it along.
function refused(
  { code = '', message, schema, table, constraint, column }: pg.DatabaseError,
  sql: string,
  line: number,
) {
  const names = Object.entries({ schema, table, column, constraint }).filter(([, name]) => name !== undefined);
  const safe = /^(?:42|0A)/.test(code) && !/^(?:COPY|INSERT|UPDATE|DELETE|SELECT|WITH|DO)\b/i.test(sql);
  const verb = /^(?:COPY\s+\S+|[A-Z]+(?:\s+[A-Z]+)?)/.exec(sql)?.[0].replace(/\s+/, ' ') ?? 'the statement';
  const place = names.length > 0 ? ` (${names.map(([kind, name]) => `${kind} ${name}`).join(', ')})` : '';
  return new DumpRefusedError(
    `line ${line} of the dump: PostgreSQL refused ${verb} with SQLSTATE ${code}${place}${safe ? `: ${message}` : ''}`,
  );
}
