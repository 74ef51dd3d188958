import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { connect as dial } from 'node:net';
import { CreateDBParameterGroupCommand, ModifyDBParameterGroupCommand } from '@aws-sdk/client-rds';
import { Signer } from '@aws-sdk/rds-signer';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Principal } from '../../../../infra/local/service.ts';
import { ACCOUNT, makeLocalRds, type TestRds } from './local-rds.ts';

const principal: Principal = { kind: 'role', arn: `arn:aws:iam::${ACCOUNT}:role/reader` };
const credentials = { accessKeyId: 'ASIAREADER', secretAccessKey: 'the secret', sessionToken: 'the session' };

let local: TestRds;
let port: number;
let resourceId: string;
let ca: string;

beforeAll(async () => {
  local = await makeLocalRds({
    resolveCredentials: accessKeyId =>
      accessKeyId === credentials.accessKeyId ? { ...credentials, principal } : undefined,
  });
  const instance = await local.createInstance('prod');
  port = instance.Endpoint?.Port ?? 0;
  resourceId = instance.DbiResourceId ?? '';
  ca = readFileSync(local.rds.caFile, 'utf8');
  // As an administrator of RDS does it: the master user is no superuser.
  const master = await logIn({ user: 'postgres', password: 'master-password' });
  await master.query(`
    CREATE ROLE daybreak_reader LOGIN;
    GRANT rds_iam, pg_read_all_data TO daybreak_reader;
    CREATE ROLE app LOGIN PASSWORD 'app-password';
    CREATE TABLE note (body text);
    INSERT INTO note SELECT repeat('x', 1000) FROM generate_series(1, 20000)`);
  await master.end();
});

afterAll(async () => {
  await local.rds.close();
  await rm(local.directory, { recursive: true });
});

async function logIn(change: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client({ host: 'localhost', port, database: 'school', ssl: { ca }, ...change });
  client.on('error', () => {});
  await client.connect();
  return client;
}

const sign = (change: Partial<ConstructorParameters<typeof Signer>[0]> = {}) =>
  new Signer({
    hostname: 'localhost',
    port,
    username: 'daybreak_reader',
    region: 'eu-west-2',
    credentials,
    ...change,
  }).getAuthToken();

async function refusal(change: pg.ClientConfig): Promise<string> {
  try {
    const client = await logIn(change);
    await client.end();
    return 'logged in';
  } catch (error) {
    return (error as Error).message;
  }
}

describe('an endpoint', () => {
  it('lets a member of rds_iam in by a token, over verified TLS, and asks IAM', async () => {
    local.asked.length = 0;
    const reader = await logIn({ user: 'daybreak_reader', password: await sign() });
    const { rows } = await reader.query('SELECT current_user AS me, session_user AS session, count(*)::int FROM note');
    await reader.end();
    expect(rows).toEqual([{ me: 'daybreak_reader', session: 'daybreak_reader', count: 20000 }]);
    expect(local.asked).toEqual([
      {
        principal,
        action: 'rds-db:connect',
        resource: `arn:aws:rds-db:eu-west-2:${ACCOUNT}:dbuser:${resourceId}/daybreak_reader`,
        context: {},
      },
    ]);
  });

  it('lets others in by their password, which only PostgreSQL checks', async () => {
    for (const login of [
      { user: 'postgres', password: 'master-password' },
      { user: 'app', password: 'app-password' },
    ]) {
      const client = await logIn(login);
      expect((await client.query('SELECT current_user AS me')).rows).toEqual([{ me: login.user }]);
      await client.end();
    }
    expect(await refusal({ user: 'app', password: 'wrong' })).toBe('password authentication failed for user "app"');
    expect(await refusal({ user: 'nobody', password: 'wrong' })).toBe(
      'password authentication failed for user "nobody"',
    );
  });

  it('lets a password in without TLS, never a token, where its parameter group does not force TLS', async () => {
    const group = { DBParameterGroupName: 'lax' };
    await local.client.send(
      new CreateDBParameterGroupCommand({ ...group, DBParameterGroupFamily: 'postgres17', Description: 'lax' }),
    );
    const { Endpoint } = await local.createInstance('lax', group);
    const plain = { port: Endpoint?.Port, ssl: false };
    const master = { user: 'postgres', password: 'master-password' };
    expect(await refusal({ ...plain, ...master })).toMatch(/no encryption/);
    const Parameters = [{ ParameterName: 'rds.force_ssl', ParameterValue: '0', ApplyMethod: 'immediate' as const }];
    await local.client.send(new ModifyDBParameterGroupCommand({ ...group, Parameters }));
    expect(await refusal({ ...plain, ...master })).toBe('logged in');
    const administrator = await logIn({ ...plain, ...master, ssl: { ca } });
    await administrator.query('CREATE ROLE daybreak_reader LOGIN; GRANT rds_iam TO daybreak_reader');
    await administrator.end();
    expect(await refusal({ ...plain, user: 'daybreak_reader', password: 'x' })).toMatch(/no encryption/);
  });

  it.each<[string, () => Promise<pg.ClientConfig>, RegExp]>([
    [
      'without TLS',
      async () => ({ user: 'app', password: 'app-password', ssl: false }),
      /no pg_hba\.conf entry .* no encryption/,
    ],
    [
      'without TLS, by IAM',
      async () => ({ user: 'daybreak_reader', password: await sign(), ssl: false }),
      /no encryption/,
    ],
    [
      'under another authority',
      async () => ({ user: 'app', password: 'app-password', ssl: { ca: [] } }),
      /certificate/,
    ],
    ['as the superuser', async () => ({ user: 'rdsadmin', password: 'x' }), /pg_hba\.conf rejects connection/],
    [
      'with a password instead of a token',
      async () => ({ user: 'daybreak_reader', password: 'x' }),
      /PAM authentication failed/,
    ],
    [
      'with a token for another user',
      async () => ({ user: 'daybreak_reader', password: await sign({ username: 'app' }) }),
      /another user/,
    ],
    [
      'with a token as a password',
      async () => ({ user: 'app', password: await sign({ username: 'app' }) }),
      /^password authentication failed/,
    ],
    [
      'with a token for another host',
      async () => ({ user: 'daybreak_reader', password: await sign({ hostname: 'other' }) }),
      /the token is for other/,
    ],
    [
      'with a token of unknown credentials',
      async () => ({
        user: 'daybreak_reader',
        password: await sign({ credentials: { ...credentials, accessKeyId: 'X' } }),
      }),
      /unknown access key/,
    ],
    [
      'with a wrong signature',
      async () => ({
        user: 'daybreak_reader',
        password: await sign({ credentials: { ...credentials, secretAccessKey: 'X' } }),
      }),
      /signature/,
    ],
    ['as a user with too long a name', async () => ({ user: 'x'.repeat(64), password: 'x' }), /rejects connection/],
  ])('refuses a login %s', async (_what, make, message) => {
    expect(await refusal(await make())).toMatch(message);
  });

  it('refuses whom IAM denies, and everyone where IAM authentication is off', async () => {
    local.denied.add(`rds-db:connect arn:aws:rds-db:eu-west-2:${ACCOUNT}:dbuser:${resourceId}/daybreak_reader`);
    expect(await refusal({ user: 'daybreak_reader', password: await sign() })).toMatch(
      /PAM authentication failed .* not authorized/,
    );
    local.denied.clear();
    const other = await local.createInstance('off', { EnableIAMDatabaseAuthentication: false });
    const master = await logIn({ user: 'postgres', password: 'master-password', port: other.Endpoint?.Port ?? 0 });
    await master.query('CREATE ROLE daybreak_reader LOGIN; GRANT rds_iam TO daybreak_reader');
    await master.end();
    const password = await sign({ port: other.Endpoint?.Port ?? 0 });
    expect(await refusal({ user: 'daybreak_reader', password, port: other.Endpoint?.Port ?? 0 })).toMatch(
      /is not enabled/,
    );
  });

  it('cancels a query', async () => {
    const app = await logIn({ user: 'postgres', password: 'master-password' });
    const sleeping = app.query('SELECT pg_sleep(60)');
    const { processID, secretKey } = app as unknown as { processID: number; secretKey: number };
    const request = Buffer.alloc(16);
    request.writeUInt32BE(16, 0);
    request.writeUInt32BE(80877102, 4);
    request.writeInt32BE(processID, 8);
    request.writeInt32BE(secretKey, 12);
    const socket = dial(port, '127.0.0.1').end(request);
    socket.resume();
    await expect(sleeping).rejects.toThrow('canceling statement due to user request');
    await app.end();
  });

  it('carries much data both ways', async () => {
    const app = await logIn({ user: 'postgres', password: 'master-password' });
    const { rows } = await app.query<{ body: string }>('SELECT body FROM note');
    expect(rows.reduce((sum, { body }) => sum + body.length, 0)).toBe(20_000_000);
    const long = 'y'.repeat(5_000_000);
    expect((await app.query('SELECT length($1) AS length', [long])).rows).toEqual([{ length: 5_000_000 }]);
    await app.end();
  });

  it('ends the session on the server when the client vanishes', async () => {
    const doomed = await logIn({ user: 'postgres', password: 'master-password', application_name: 'doomed' });
    (doomed as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    const watcher = await local.rds.connect('prod');
    await expect
      .poll(
        async () => (await watcher.query(`SELECT FROM pg_stat_activity WHERE application_name = 'doomed'`)).rowCount,
      )
      .toBe(0);
    await watcher.end();
  });

  it.each([
    ['HTTP', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a length of nothing', Buffer.alloc(8)],
    ['a length of much', Buffer.from([0x7f, 0xff, 0xff, 0xff, 0, 3, 0, 0])],
    ['an old protocol', Buffer.from([0, 0, 0, 9, 0, 2, 0, 0, 0])],
    ['a statement behind the request for TLS', Buffer.from([0, 0, 0, 8, 4, 0xd2, 0x16, 0x2f, 0x51, 0, 0, 0, 5, 0])],
  ])('hangs up on %s, and goes on', async (_what, bytes) => {
    const socket = dial(port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.write(bytes);
    await once(socket, 'close');
    expect(await refusal({ user: 'app', password: 'app-password' })).toBe('logged in');
  });
});
