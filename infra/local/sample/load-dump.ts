import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { DumpRefusedError, describeRefusal } from './describe-refusal.ts';
import { DumpFormatError } from './dump-input.ts';
import type { InspectedDump } from './inspect-dump.ts';
import { VISITOR } from './own-names.ts';
import { readDump } from './read-dump.ts';
import { type DumpPart, splitDump } from './split-dump.ts';

/** What was loaded, and what was done differently from what the dump says. */
export interface LoadedDump {
  statementCount: number;
  copiedTableCount: number;
  rowCount: number;
  /** Roles that the dump names and the server did not have: made without login. */
  createdRoles: string[];
  notes: string[];
}

/**
 * Loads a dump into the database that a superuser is connected to: a file of any size, in bounded memory. The database
 * should be empty. What was loaded before an error stays there.
 *
 * A dump does not say what its roles may do, and is loaded by who may everything. Roles that are made here get no more than
 * a name, but a superuser's permissions where the dump would otherwise be refused, until it is loaded; who owns what only a
 * superuser may own keeps them.
 * @throws DumpFormatError when the file is not what was inspected any more.
 * @throws DumpRefusedError
 */
export async function loadDump(client: pg.Client, dump: InspectedDump): Promise<LoadedDump> {
  await requireExtensions(client, dump.extensions);
  const load = new Load(client);
  for await (const part of splitDump(readDump(dump.file))) {
    if (part.kind === 'copy') await load.copy(part);
    else if (part.kind === 'statement') await load.run(part);
  }
  const { loaded } = load;
  if (loaded.statementCount + loaded.copiedTableCount !== dump.statementCount) {
    throw new DumpFormatError(`${dump.file} was changed while it was loaded`);
  }
  await load.finish();
  return loaded;
}

/** Tries each in a transaction that is rolled back: one that is listed may still lack a library. */
async function requireExtensions(client: pg.Client, extensions: readonly string[]): Promise<void> {
  const missing: string[] = [];
  for (const extension of extensions) {
    try {
      await client.query(`BEGIN; CREATE EXTENSION IF NOT EXISTS ${client.escapeIdentifier(extension)} CASCADE`);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      // PostgreSQL names languages so whose functions may do whatever the server may.
      missing.push(/^pl\w+u$/.test(extension) ? `${extension} (an untrusted language)` : extension);
    } finally {
      await client.query('ROLLBACK');
    }
  }
  if (missing.length > 0) {
    throw new DumpRefusedError(
      `the dump needs extensions that the local PostgreSQL does not have: ${missing.sort().join(', ')}; load a dump without them (pg_dump --exclude-extension, --exclude-table)`,
    );
  }
}

type Statement = Extract<DumpPart, { kind: 'statement' }>;
type Copy = Extract<DumpPart, { kind: 'copy' }>;

class Load {
  readonly loaded: LoadedDump = { statementCount: 0, copiedTableCount: 0, rowCount: 0, createdRoles: [], notes: [] };
  readonly #client: pg.Client;
  /** Whether the roles that were made here are superusers now. */
  #elevated = false;
  /** The statement by which the dump goes on in another role's name. */
  #authorization: string | undefined;

  constructor(client: pg.Client) {
    this.#client = client;
  }

  async copy({ sql, line, dataLine, data }: Copy): Promise<void> {
    // Rows cannot be sent again, once a function that checks them was refused something.
    await this.#elevate(true);
    const target = this.#client.query(copyFrom(sql));
    try {
      await pipeline(Readable.from(data), target);
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) throw error;
      const row = /^COPY .*?, line (\d+)/m.exec(error.where ?? '')?.[1];
      throw await describeRefusal(this.#client, error, {
        sql,
        line: row === undefined ? line : dataLine + Number(row) - 1,
      });
    }
    this.loaded.rowCount += target.rowCount;
    this.loaded.copiedTableCount++;
  }

  async run(statement: Statement): Promise<void> {
    const [, authorization] = /^(?:RE)?SET\s+SESSION\s+AUTHORIZATION\b\s*([\s\S]*)$/i.exec(statement.sql) ?? [];
    // What a superuser grants is granted in the owner's name.
    if (authorization !== undefined) await this.#elevate(false);
    await this.#runUntilDone(statement);
    if (authorization !== undefined) {
      this.#authorization = /^(?:|DEFAULT)$/i.test(authorization) ? undefined : statement.sql;
    }
    this.loaded.statementCount++;
  }

  /** Takes the permissions back that were lent, and all settings. */
  async finish(): Promise<void> {
    const { createdRoles, notes } = this.loaded;
    try {
      await this.#client.query('DISCARD ALL');
    } catch (error) {
      if (!(error instanceof pg.DatabaseError && error.code === '25001')) throw error;
      throw new DumpRefusedError('the dump ends inside a transaction, so that all since its BEGIN would be lost');
    }
    this.#authorization = undefined;
    await this.#elevate(false);
    const { rows } = await this.#client.query<{ role: string }>(
      `SELECT DISTINCT rolname::text AS role FROM pg_roles r WHERE rolname = ANY ($1) AND (
         EXISTS (SELECT FROM pg_event_trigger WHERE evtowner = r.oid)
         OR EXISTS (SELECT FROM pg_foreign_data_wrapper WHERE fdwowner = r.oid)
         OR EXISTS (SELECT FROM pg_publication p WHERE pubowner = r.oid AND (puballtables
              OR EXISTS (SELECT FROM pg_publication_namespace WHERE pnpubid = p.oid))))`,
      [createdRoles],
    );
    for (const { role } of rows) {
      await this.#client.query(`ALTER ROLE ${this.#client.escapeIdentifier(role)} SUPERUSER`);
      notes.push(`the role ${role} owns what only a superuser may own, and is one`);
    }
  }

  async #runUntilDone(statement: Statement): Promise<void> {
    for (;;) {
      try {
        await this.#client.query(statement.sql);
        return;
      } catch (error) {
        if (!(error instanceof pg.DatabaseError)) throw error;
        const remedy = await this.#remedy(statement, error);
        if (remedy === 'skip') return;
        if (remedy === 'retry') continue;
        throw await describeRefusal(this.#client, error, {
          sql: statement.sql,
          line: statement.line + newlinesBefore(statement.sql, error.position),
        });
      }
    }
  }

  async #remedy({ sql, line }: Statement, error: pg.DatabaseError): Promise<'retry' | 'skip' | 'none'> {
    const { createdRoles, notes } = this.loaded;
    const skip = (why: string) => {
      notes.push(`line ${line}: ${why}`);
      return 'skip' as const;
    };
    const role = /^role "(.+)" does not exist$/.exec(error.message)?.[1];
    if (role !== undefined && !createdRoles.includes(role)) return this.#createRole(role, line);
    if (error.code === '42501' && createdRoles.length > 0 && !this.#elevated) {
      await this.#elevate(true);
      return 'retry';
    }
    const setting = /^unrecognized configuration parameter "([^"]+)"$/.exec(error.message)?.[1];
    if (setting !== undefined && /^SET\s/i.test(sql)) {
      return skip(`the setting ${setting} is unknown to this server; skipped`);
    }
    if (error.code === '42P06' && /^CREATE SCHEMA public$/i.test(sql))
      return skip('the schema public is there already');
    const present = /^(?:language|extension) "[^"]+" already exists$/.test(error.message);
    if (error.code === '42710' && present)
      return skip(`the ${error.message.replaceAll('"', '').replace('already exists', 'is there already')}`);
    return 'none';
  }

  async #createRole(role: string, line: number): Promise<'retry' | 'none'> {
    if (role === VISITOR) {
      throw new DumpRefusedError(
        `line ${line} of the dump names the role ${VISITOR}, which a local run makes for itself; dump with pg_dump --no-privileges --no-owner`,
      );
    }
    const created = await this.#asSuperuser(
      `CREATE ROLE ${this.#client.escapeIdentifier(role)} NOLOGIN ${this.#elevated ? 'SUPERUSER' : ''}`,
    );
    if (!created) return 'none';
    this.loaded.createdRoles.push(role);
    return 'retry';
  }

  /** Makes the roles that were made here superusers, or takes that back. */
  async #elevate(elevated: boolean): Promise<void> {
    if (this.#elevated === elevated) return;
    for (const role of this.loaded.createdRoles) {
      await this.#asSuperuser(
        `ALTER ROLE ${this.#client.escapeIdentifier(role)} ${elevated ? 'SUPERUSER' : 'NOSUPERUSER'}`,
      );
    }
    this.#elevated = elevated;
  }

  /** @returns false inside a transaction that has failed, where nothing can be run. */
  async #asSuperuser(sql: string): Promise<boolean> {
    try {
      if (this.#authorization !== undefined) await this.#client.query('SET SESSION AUTHORIZATION DEFAULT');
      await this.#client.query(sql);
      if (this.#authorization !== undefined) await this.#client.query(this.#authorization);
      return true;
    } catch (error) {
      if (error instanceof pg.DatabaseError && error.code === '25P02') return false;
      throw error;
    }
  }
}

function newlinesBefore(sql: string, position: string | undefined): number {
  return sql.slice(0, Math.max(0, Number(position ?? 1) - 1)).split('\n').length - 1;
}
