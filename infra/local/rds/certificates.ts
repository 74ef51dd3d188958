// The library's dependency injection needs it, before anything else.
import 'reflect-metadata';
import type { webcrypto } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext, type SecureContext } from 'node:tls';
import * as x509 from '@peculiar/x509';
import { ENDPOINT_HOST } from './records.ts';

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Where the certificate of the local certificate authority lies, in PEM. */
export function caFileIn(directory: string): string {
  return join(directory, 'rds-ca.pem');
}

/**
 * TLS 1.2 and above for `localhost` and 127.0.0.1, under a certificate authority that is made once below `directory`.
 * Certificates live in the machine's time, because TLS clients check them in it.
 */
export async function openSecureContext(directory: string): Promise<SecureContext> {
  const authority = await findOrMakeAuthority(directory);
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${ENDPOINT_HOST}`,
    issuer: authority.certificate.subject,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + 365 * DAY_MS),
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension([
        { type: 'dns', value: ENDPOINT_HOST },
        { type: 'ip', value: '127.0.0.1' },
      ]),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  });
  return createSecureContext({
    key: await privateKeyPem(keys.privateKey),
    cert: certificate.toString('pem'),
    minVersion: 'TLSv1.2',
  });
}

async function findOrMakeAuthority(
  directory: string,
): Promise<{ certificate: x509.X509Certificate; privateKey: webcrypto.CryptoKey }> {
  const keyFile = join(directory, 'rds-ca.key');
  try {
    const [certificate, key] = await Promise.all([readFile(caFileIn(directory), 'utf8'), readFile(keyFile, 'utf8')]);
    const der = x509.PemConverter.decodeFirst(key);
    return {
      certificate: new x509.X509Certificate(certificate),
      privateKey: await crypto.subtle.importKey('pkcs8', der, ALGORITHM, false, ['sign']),
    };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  const keys = await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: 'CN=Daybreak local RDS',
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + 3650 * DAY_MS),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  await mkdir(directory, { recursive: true });
  // The certificate last: it is whole only together with its key.
  await writeFile(keyFile, await privateKeyPem(keys.privateKey), { mode: 0o600 });
  await writeFile(`${caFileIn(directory)}.draft`, certificate.toString('pem'));
  await rename(`${caFileIn(directory)}.draft`, caFileIn(directory));
  return { certificate, privateKey: keys.privateKey };
}

async function privateKeyPem(key: webcrypto.CryptoKey): Promise<string> {
  return x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', key), 'PRIVATE KEY');
}
