import { readFileSync } from 'node:fs';
import { Signer } from '@aws-sdk/rds-signer';
import pg from 'pg';
import type { DatabaseConfiguration } from '../contracts/configuration.ts';
import { PermanentError, RetryableError } from './errors.ts';
import { rdsRootCertificates } from './rds-roots.ts';
import { currentRuntime } from './runtime.ts';

/** The database does not answer, or its connection broke: worth another try. */
export class DatabaseUnavailableError extends RetryableError {}
/** The login was refused. */
export class DatabaseAccessDeniedError extends PermanentError {}
/** The server's certificate is not one of RDS, or is for another host. */
export class DatabaseCertificateError extends PermanentError {}
/** The server does not speak TLS, or no version that is safe. */
export class DatabaseTlsError extends PermanentError {}
/** A statement failed. Of PostgreSQL's own words only the SQLSTATE is kept: messages and details can hold rows. */
export class DatabaseQueryError extends PermanentError {
  /** https://www.postgresql.org/docs/current/errcodes-appendix.html */
  readonly sqlState: string;

  constructor(message: string, sqlState: string) {
    super(message);
    this.sqlState = sqlState;
  }
}

/** Runs one statement and returns its rows. `bigint` and `numeric` come as text. */
export type Query = <Row = Record<string, unknown>>(statement: string, values?: readonly unknown[]) => Promise<Row[]>;

const CONNECT_TIMEOUT_MS = 15_000;

/**
 * Everything that shapes how a value is printed, or which object a name means, is pinned: the same row gives the same
 * text in every session, on the source and on its restored copy.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  search_path: 'pg_catalog, pg_temp',
  row_security: 'off',
  default_transaction_read_only: 'on',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, YMD',
  IntervalStyle: 'postgres',
  TimeZone: 'UTC',
  extra_float_digits: '1',
  bytea_output: 'hex',
  xmlbinary: 'base64',
  xmloption: 'content',
  lc_monetary: 'C',
  lc_numeric: 'C',
  quote_all_identifiers: 'off',
  plan_cache_mode: 'force_custom_plan',
  jit: 'off',
  lock_timeout: '10s',
  statement_timeout: '15min',
  idle_in_transaction_session_timeout: '5min',
  // The server notices within 10 s that a function which waits for it is gone (PostgreSQL 14 and newer).
  client_connection_check_interval: '10s',
};

/**
 * One database, reached through one connection, which is opened at first use and again after it broke. A transaction
 * never spans two connections.
 */
export class Database {
  readonly #open: () => Promise<pg.Client>;
  readonly #name: string;
  #client: pg.Client | undefined;

  /**
   * @param open connects a client, e.g. `connectAsReader`.
   * @param name names the database in messages.
   */
  constructor(open: () => Promise<pg.Client>, name: string) {
    this.#open = open;
    this.#name = name;
  }

  /** @throws DatabaseUnavailableError, DatabaseAccessDeniedError, DatabaseCertificateError, DatabaseTlsError, DatabaseQueryError */
  query: Query = async (statement, values) => this.#run(await this.#connected(), statement, values);

  /** Runs `work` in a read-only transaction. In `REPEATABLE READ` all of its statements see one snapshot. */
  async transaction<T>(
    isolation: 'REPEATABLE READ' | 'READ COMMITTED',
    work: (query: Query) => Promise<T>,
  ): Promise<T> {
    const client = await this.#connected();
    const query: Query = (statement, values) => this.#run(client, statement, values);
    await query(`BEGIN ISOLATION LEVEL ${isolation} READ ONLY`);
    try {
      const result = await work(query);
      await query('COMMIT');
      return result;
    } catch (error) {
      if (this.#client === client) await query('ROLLBACK').catch(() => this.close());
      throw error;
    }
  }

  /**
   * Runs `work`, and cancels the statement that it waits for as soon as `timeIsShort`: it then fails with SQLSTATE 57014.
   */
  async cancelWhen<T>(timeIsShort: () => boolean, work: () => Promise<T>): Promise<T> {
    let cancelling: Promise<void> | undefined;
    const timer = setInterval(() => {
      if (timeIsShort()) cancelling ??= this.#cancel();
    }, 500);
    try {
      return await work();
    } finally {
      clearInterval(timer);
      await cancelling;
    }
  }

  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    await client?.end().catch(() => {});
  }

  async #connected(): Promise<pg.Client> {
    if (this.#client) return this.#client;
    try {
      const client = await this.#open();
      const forget = () => {
        if (this.#client === client) this.#client = undefined;
      };
      client.on('error', forget);
      client.on('end', forget);
      this.#client = client;
      await client.query(
        `SELECT pg_catalog.set_config(s.name, w.value, false)
           FROM pg_catalog.jsonb_each_text($1::pg_catalog.jsonb) AS w (name, value)
           JOIN pg_catalog.pg_settings s ON s.name OPERATOR(pg_catalog.=) w.name`,
        [JSON.stringify(SETTINGS)],
      );
      return client;
    } catch (error) {
      await this.close();
      throw translate(this.#name, error);
    }
  }

  async #run<Row>(client: pg.Client, statement: string, values: readonly unknown[] = []): Promise<Row[]> {
    try {
      const { rows } = await client.query(statement, [...values]);
      return rows as Row[];
    } catch (error) {
      const translated = translate(this.#name, error);
      if (translated instanceof DatabaseUnavailableError && this.#client === client) await this.close();
      throw translated;
    }
  }

  async #cancel(): Promise<void> {
    const processId = (this.#client as { processID?: number } | undefined)?.processID;
    if (processId === undefined) return;
    // Where this fails, the statement's own timeout ends it.
    const other = await this.#open().catch(() => undefined);
    await other?.query('SELECT pg_catalog.pg_cancel_backend($1)', [processId]).catch(() => {});
    await other?.end().catch(() => {});
  }
}

/**
 * The database of `configuration` at `endpoint`, as its reader: with a token of IAM for a password, over TLS with the
 * server's certificate and name verified in full. The certificates come from `DAYBREAK_DATABASE_CA_FILE` where it is set,
 * else they are the pinned roots of RDS.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 */
export function openDatabase(endpoint: { host: string; port: number }, configuration: DatabaseConfiguration): Database {
  return new Database(async () => {
    const { clientConfiguration, environment } = currentRuntime();
    const signer = new Signer({
      hostname: endpoint.host,
      port: endpoint.port,
      username: configuration.readerUser,
      ...(clientConfiguration.region ? { region: clientConfiguration.region } : {}),
      ...(clientConfiguration.credentials ? { credentials: clientConfiguration.credentials } : {}),
    });
    const caFile = environment.DAYBREAK_DATABASE_CA_FILE;
    const client = new pg.Client({
      host: endpoint.host,
      port: endpoint.port,
      database: configuration.databaseName,
      user: configuration.readerUser,
      password: await signer.getAuthToken(),
      ssl: {
        ca: caFile ? readFileSync(caFile, 'utf8') : [...rdsRootCertificates],
        minVersion: 'TLSv1.2',
        // Without it an address that is an IP would be verified against the name "localhost".
        host: endpoint.host,
      },
      application_name: 'daybreak',
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
    });
    // Before `connect` resolves an error arrives there as well; without a listener it would end the process.
    client.on('error', () => {});
    await client.connect();
    return client;
  }, `database ${configuration.id}`);
}

/** The SQLSTATE of a statement's failure; undefined for any other error. */
export function sqlStateOf(error: unknown): string | undefined {
  return error instanceof DatabaseQueryError ? error.sqlState : undefined;
}

/** `identifier` as SQL wants it, whatever it contains. */
export function quoteIdentifier(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}

/** The name of a relation as SQL wants it. */
export function quoteName(schema: string, name: string): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

// Classes of SQLSTATE: connection exception, insufficient resources, operator intervention (but 57014, a cancelled
// statement, which the caller asked for), transaction rollback, a session ended by a timeout.
const PASSING = /^(08...|53...|57P0[1-5]|40...|25P0[34])$/;
const REFUSED = /^28...$/;
const CERTIFICATE = /^(ERR_TLS_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/;

/** What is wrong with a certificate, and what to do. */
function judgeCode(code: string): string {
  if (code === 'CERT_HAS_EXPIRED') {
    return `the server's certificate has expired (${code}); rotate it: aws rds modify-db-instance --certificate-rotation-restart`;
  }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `the server's certificate is for another name (${code}); connect to the endpoint that RDS names, and see who answers there`;
  }
  return `the server's certificate is not under a root of RDS in eu-west-2 (${code}); compare its CACertificateIdentifier with functions/platform/rds-roots.ts, and see who answers there`;
}

function translate(name: string, error: unknown): unknown {
  if (error instanceof RetryableError || error instanceof PermanentError || !(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (error instanceof pg.DatabaseError && code !== undefined) {
    if (PASSING.test(code)) return new DatabaseUnavailableError(`${name}: PostgreSQL is not ready (SQLSTATE ${code})`);
    if (REFUSED.test(code)) {
      return new DatabaseAccessDeniedError(
        `${name}: the login was refused (SQLSTATE ${code}); check that IAM authentication is on, that the role may rds-db:connect as the reader, and that the reader has rds_iam`,
      );
    }
    return new DatabaseQueryError(`${name}: a statement failed with SQLSTATE ${code}`, code);
  }
  if (code !== undefined && CERTIFICATE.test(code)) return new DatabaseCertificateError(`${name}: ${judgeCode(code)}`);
  // pg's own words, and OpenSSL's: neither has a code.
  if (error.message === 'The server does not support SSL connections') {
    return new DatabaseTlsError(
      `${name}: the server answers without TLS, and was told nothing; see who answers there, as RDS always offers TLS`,
    );
  }
  if (/unsupported protocol|protocol version/.test(error.message)) {
    return new DatabaseTlsError(
      `${name}: the server speaks no TLS 1.2 or newer; set ssl_max_protocol_version in its parameter group to TLSv1.3`,
    );
  }
  return new DatabaseUnavailableError(`${name}: no connection (${code ?? error.message})`);
}
