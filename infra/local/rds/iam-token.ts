import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import type { Principal } from '../service.ts';

/** What stands behind an access key id. */
export interface ResolvedCredentials {
  readonly secretAccessKey: string;
  readonly sessionToken?: string | undefined;
  readonly principal: Principal;
}

/** Finds the credentials that an access key id belongs to. */
export type ResolveCredentials = (accessKeyId: string) => ResolvedCredentials | undefined;

const LONGEST_LIFE_S = 900;
const CLOCK_SKEW_MS = 5 * 60 * 1000;

/**
 * Checks an authentication token of RDS: a SigV4-presigned `connect` URL without its scheme, good for 15 minutes, for
 * this endpoint and this user. `now` is the machine's time, in which signers sign.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.html
 * @returns who signed it, or why it does not hold.
 */
export function verifyIamToken(
  token: string,
  expected: { host: string; port: number; user: string; now: Date },
  resolveCredentials: ResolveCredentials,
): { principal: Principal } | { refusal: string } {
  let url: URL;
  try {
    url = new URL(`https://${token}`);
  } catch {
    return { refusal: 'the password is not an authentication token' };
  }
  const query = url.searchParams;
  if (new Set(query.keys()).size !== [...query].length) return { refusal: 'the token repeats a parameter' };
  if (
    query.get('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256' ||
    query.get('Action') !== 'connect' ||
    url.pathname !== '/'
  ) {
    return { refusal: 'the password is not an authentication token' };
  }
  if (url.host !== `${expected.host}:${expected.port}`) return { refusal: `the token is for ${url.host}` };
  if (query.get('DBUser') !== expected.user) return { refusal: 'the token is for another user' };

  const signedAt = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/.exec(query.get('X-Amz-Date') ?? '');
  const lifeS = Number(query.get('X-Amz-Expires') ?? Number.NaN);
  if (signedAt === null || !(lifeS >= 1 && lifeS <= LONGEST_LIFE_S)) return { refusal: 'the token has no valid time' };
  const [, year, month, day, hour, minute, second] = signedAt.map(Number);
  const signedAtMs = Date.UTC(year ?? 0, (month ?? 0) - 1, day, hour, minute, second);
  if (expected.now.getTime() > signedAtMs + lifeS * 1000) return { refusal: 'the token has expired' };
  if (expected.now.getTime() < signedAtMs - CLOCK_SKEW_MS) return { refusal: 'the token is from the future' };

  const [accessKeyId, date, region, service, terminator, ...rest] = (query.get('X-Amz-Credential') ?? '').split('/');
  if (
    date !== signedAt[0].slice(0, 8) ||
    region !== 'eu-west-2' ||
    service !== 'rds-db' ||
    terminator !== 'aws4_request' ||
    rest.length > 0 ||
    query.get('X-Amz-SignedHeaders') !== 'host'
  ) {
    return { refusal: 'the token is not signed for rds-db in eu-west-2' };
  }
  const credentials = resolveCredentials(accessKeyId ?? '');
  if (credentials === undefined) return { refusal: 'the token is signed with an unknown access key' };
  if ((query.get('X-Amz-Security-Token') ?? undefined) !== credentials.sessionToken) {
    return { refusal: 'the token is signed in another session' };
  }
  const signature = Buffer.from(query.get('X-Amz-Signature') ?? '', 'hex');
  const scope = [date, region, service, terminator];
  const wanted = sign(url, signedAt[0], scope, credentials.secretAccessKey);
  if (signature.length !== wanted.length || !timingSafeEqual(signature, wanted)) {
    return { refusal: 'the signature of the token does not match' };
  }
  return { principal: credentials.principal };
}

function sign(url: URL, time: string, scope: string[], secretAccessKey: string): Buffer {
  const parameters = [...url.searchParams]
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => `${percentEncode(name)}=${percentEncode(value)}`)
    .sort();
  const canonicalRequest = ['GET', '/', parameters.join('&'), `host:${url.host}`, '', 'host', sha256('')].join('\n');
  const text = ['AWS4-HMAC-SHA256', time, scope.join('/'), sha256(canonicalRequest)].join('\n');
  const key = scope.reduce<string | Buffer>((secret, part) => hmac(secret, part), `AWS4${secretAccessKey}`);
  return hmac(key, text);
}

function percentEncode(text: string): string {
  return encodeURIComponent(text).replaceAll(/[!'()*]/g, char => `%${char.charCodeAt(0).toString(16).toUpperCase()}`);
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
