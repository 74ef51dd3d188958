import { once } from 'node:events';
import { createServer, connect as dial, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { type SecureContext, TLSSocket } from 'node:tls';
import { AccessDenied, type Authorizer } from '../service.ts';
import { type ResolveCredentials, verifyIamToken } from './iam-token.ts';
import { ENDPOINT_HOST } from './records.ts';
import { type PostgresServer, SUPERUSER } from './server.ts';

// https://www.postgresql.org/docs/17/protocol-message-formats.html
const SSL_REQUEST = 80877103;
const GSS_REQUEST = 80877104;
const CANCEL_REQUEST = 80877102;
const LONGEST_STARTUP = 10_000;
const LONGEST_PASSWORD = 65_535;
const LONGEST_NAME = 63;
const LOGIN_TIMEOUT_MS = 60_000;

/** An open endpoint. */
export interface Endpoint {
  readonly port: number;
  close(): Promise<void>;
}

/** The client sent what no PostgreSQL client sends, or may not log in: it is told, and the connection ends. */
class LoginRefused extends Error {
  readonly sqlState: string;
  constructor(sqlState: string, message: string) {
    super(message);
    this.sqlState = sqlState;
  }
}

/**
 * What an RDS endpoint does in front of a PostgreSQL server: TLS, IAM authentication for members of
 * `rds_iam`, and PostgreSQL's own password exchange for others, relayed as it is. Nobody logs in as the superuser.
 * @param options.port the wanted TCP port on 127.0.0.1; another one where that is taken.
 */
export async function openEndpoint(options: {
  server: PostgresServer;
  secureContext: SecureContext;
  authorizer: Authorizer;
  resolveCredentials: ResolveCredentials;
  /** `arn:aws:rds-db:…:dbuser:<DbiResourceId>/<user>` */
  userArn: (user: string) => string;
  iamEnabled: () => boolean;
  /** Whether clients without TLS are refused. @default always */
  tlsForced?: () => boolean;
  /** The machine's time. */
  machineTime?: () => Date;
  port?: number | undefined;
}): Promise<Endpoint> {
  const { server, machineTime = () => new Date() } = options;
  const sockets = new Set<Socket>();
  let port = 0;

  const logIn = async (reader: SocketReader, secure: boolean, startup: Map<string, string>) => {
    const user = startup.get('user') ?? '';
    const refused = `for host "127.0.0.1", user "${user}", database "${startup.get('database') ?? user}"`;
    // Longer names would be cut by the server, to another role's perhaps.
    if (Buffer.byteLength(user) > LONGEST_NAME || user === SUPERUSER || user === '') {
      throw new LoginRefused('28000', `pg_hba.conf rejects connection ${refused}`);
    }
    const withoutTls = new LoginRefused('28000', `no pg_hba.conf entry ${refused}, no encryption`);
    if (!secure && (options.tlsForced?.() ?? true)) throw withoutTls;
    if (!(await usesIam(server, user))) return;
    if (!secure) throw withoutTls;
    const token = await askPassword(reader);
    const verified = verifyIamToken(
      token,
      { host: ENDPOINT_HOST, port, user, now: machineTime() },
      options.resolveCredentials,
    );
    const failed = `PAM authentication failed for user "${user}"`;
    if (!options.iamEnabled()) throw new LoginRefused('28000', `${failed}: IAM authentication is not enabled`);
    if ('refusal' in verified) throw new LoginRefused('28000', `${failed}: ${verified.refusal}`);
    try {
      const { principal } = verified;
      options.authorizer.authorize({
        principal,
        action: 'rds-db:connect',
        resource: options.userArn(user),
        context: {},
      });
    } catch (error) {
      if (!(error instanceof AccessDenied)) throw error;
      throw new LoginRefused('28000', `${failed}: ${error.message}`);
    }
  };

  const serve = async (plain: Socket) => {
    let reader = new SocketReader(plain);
    let secure = false;
    for (;;) {
      const packet = await reader.packet(LONGEST_STARTUP);
      const code = packet.readUInt32BE(4);
      if (code === SSL_REQUEST && !secure) {
        if (reader.hasMore) throw new LoginRefused('08P01', 'received unencrypted data after SSL request');
        plain.write('S');
        const tls = new TLSSocket(reader.release(), { isServer: true, secureContext: options.secureContext });
        sockets.add(tls);
        tls.once('close', () => sockets.delete(tls));
        reader = new SocketReader(tls);
        secure = true;
      } else if (code === GSS_REQUEST) {
        reader.socket.write('N');
      } else if (code === CANCEL_REQUEST) {
        dial(socketPath(server))
          .on('error', () => {})
          .end(packet);
        reader.socket.end();
        return;
      } else {
        const startup = parseStartup(packet);
        try {
          await logIn(reader, secure, startup);
        } catch (error) {
          if (!(error instanceof LoginRefused)) throw error;
          reader.socket.end(fatal(error.sqlState, error.message));
          return;
        }
        // The packet is written anew, so that the server reads the user that was judged here.
        relay(reader, server, writeStartup(code, startup));
        return;
      }
    }
  };

  const listener = createServer(socket => {
    sockets.add(socket);
    socket.setNoDelay(true);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
    serve(socket).catch(() => socket.destroy());
  });
  port = await listen(listener, options.port);
  return {
    port,
    close: async () => {
      const closed = once(listener, 'close');
      listener.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function listen(listener: Server, wanted: number | undefined): Promise<number> {
  try {
    listener.listen(wanted ?? 0, '127.0.0.1');
    await once(listener, 'listening');
  } catch (error) {
    if (wanted === undefined || (error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    return listen(listener, undefined);
  }
  const address = listener.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function socketPath(server: PostgresServer): string {
  return join(server.socketDirectory, `.s.PGSQL.${server.port}`);
}

// An administrator may grant rds_iam, and so counts as its member, but keeps the password.
async function usesIam(server: PostgresServer, user: string): Promise<boolean> {
  const client = await server.connect();
  try {
    const { rows } = await client.query<{ iam: boolean }>(
      `WITH RECURSIVE held AS (
         SELECT oid FROM pg_roles WHERE rolname = $1
         UNION SELECT roleid FROM pg_auth_members JOIN held ON member = held.oid)
       SELECT bool_or(rolname = 'rds_iam') AND NOT bool_or(rolname = 'rds_superuser') AS iam FROM held JOIN pg_roles USING (oid)`,
      [user],
    );
    return rows[0]?.iam === true;
  } finally {
    await client.end();
  }
}

async function askPassword(reader: SocketReader): Promise<string> {
  reader.socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3]));
  const message = await reader.message(LONGEST_PASSWORD);
  if (message[0] !== 0x70) throw new LoginRefused('08P01', 'expected password response');
  return message.subarray(5, -1).toString('utf8');
}

function relay(reader: SocketReader, server: PostgresServer, startup: Buffer): void {
  const client = reader.release();
  const backend = dial(socketPath(server));
  client.setTimeout(0);
  backend.on('error', () => client.destroy());
  client.on('error', () => backend.destroy());
  client.once('close', () => backend.destroy());
  backend.once('close', () => client.end());
  backend.write(startup);
  backend.pipe(client);
  client.pipe(backend);
}

function parseStartup(packet: Buffer): Map<string, string> {
  if (packet.readUInt16BE(4) !== 3) throw new LoginRefused('0A000', 'unsupported frontend protocol');
  const words = packet.subarray(8).toString('latin1').split('\0');
  const startup = new Map<string, string>();
  for (let at = 0; at + 1 < words.length && words[at] !== ''; at += 2) {
    startup.set(utf8(words[at]), utf8(words[at + 1]));
  }
  return startup;
}

const utf8 = (latin1: string | undefined) => Buffer.from(latin1 ?? '', 'latin1').toString('utf8');

function writeStartup(code: number, startup: Map<string, string>): Buffer {
  const words = Buffer.from(`${[...startup].map(([name, value]) => `${name}\0${value}\0`).join('')}\0`);
  const head = Buffer.alloc(8);
  head.writeUInt32BE(8 + words.length, 0);
  head.writeUInt32BE(code, 4);
  return Buffer.concat([head, words]);
}

function fatal(sqlState: string, message: string): Buffer {
  const fields = Buffer.from(`SFATAL\0VFATAL\0C${sqlState}\0M${message}\0\0`);
  const head = Buffer.alloc(5);
  head.write('E', 0);
  head.writeUInt32BE(4 + fields.length, 1);
  return Buffer.concat([head, fields]);
}

/** Reads a connection's first messages whole, and hands the socket over afterwards with what is left. */
class SocketReader {
  readonly socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  #wake: (() => void) | undefined;
  #ended = false;
  readonly #onData = (chunk: Buffer) => {
    this.#buffer = Buffer.concat([this.#buffer, chunk]);
    this.#wake?.();
  };
  readonly #onEnd = () => {
    this.#ended = true;
    this.#wake?.();
  };

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setTimeout(LOGIN_TIMEOUT_MS, () => socket.destroy());
    socket.on('data', this.#onData);
    socket.once('end', this.#onEnd);
    socket.once('close', this.#onEnd);
    socket.on('error', () => socket.destroy());
  }

  get hasMore(): boolean {
    return this.#buffer.length > 0;
  }

  /** A packet without a type: length, content. */
  packet(longest: number): Promise<Buffer> {
    return this.#read(0, longest);
  }

  /** A message: type, length, content. */
  message(longest: number): Promise<Buffer> {
    return this.#read(1, longest);
  }

  /** Gives the socket up, paused; what came already is put back. */
  release(): Socket {
    this.socket.off('data', this.#onData);
    this.socket.pause();
    if (this.#buffer.length > 0) this.socket.unshift(this.#buffer);
    return this.socket;
  }

  async #read(lengthAt: number, longest: number): Promise<Buffer> {
    await this.#until(lengthAt + 4);
    const length = lengthAt + this.#buffer.readUInt32BE(lengthAt);
    if (length < lengthAt + 4 + (lengthAt === 0 ? 4 : 0) || length > longest)
      throw new Error('not a PostgreSQL client');
    await this.#until(length);
    const message = this.#buffer.subarray(0, length);
    this.#buffer = this.#buffer.subarray(length);
    return message;
  }

  async #until(length: number): Promise<void> {
    while (this.#buffer.length < length) {
      if (this.#ended) throw new Error('the client went away');
      await new Promise<void>(resolve => {
        this.#wake = resolve;
      });
    }
  }
}
