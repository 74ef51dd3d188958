import { createHash, createHmac, timingSafeEqual } from 'node:crypto';

/** The credential scope of a SigV4 signature. */
export interface SignedCredential {
  readonly accessKeyId: string;
  /** `20261122` */
  readonly date: string;
  readonly region: string;
  readonly service: string;
}

/** What a request says about its signature, from its headers or, presigned, from its query. */
export interface ClaimedSignature {
  readonly credential: SignedCredential;
  /** In lower case. */
  readonly signedHeaders: readonly string[];
  /** In lower-case hexadecimal. */
  readonly signature: string;
  /** `20261122T120000Z` */
  readonly time: string;
  /** Presigned: for how long after `time` it is good. */
  readonly expiresInS: number | undefined;
  readonly sessionToken: string | undefined;
}

/** The parts of an HTTP request that a signature covers. */
export interface SignedRequest {
  readonly method: string;
  /** Path and query, as sent. */
  readonly target: string;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** SHA-256 of the body in hexadecimal, or what stands for it (`UNSIGNED-PAYLOAD`). */
  readonly payloadHash: string;
}

/**
 * The credential in an `Authorization` header of SigV4; undefined where there is none.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 */
export function credentialOf(authorization: string | undefined): SignedCredential | undefined {
  const start = authorization?.indexOf('Credential=') ?? -1;
  if (authorization === undefined || start < 0) return undefined;
  const end = authorization.indexOf(',', start);
  return parseCredential(authorization.slice(start + 11, end < 0 ? undefined : end).trim());
}

/** The signature that a request carries; undefined where it carries none, or none that can be read. */
export function readSignature(target: string, headers: SignedRequest['headers']): ClaimedSignature | undefined {
  const { authorization } = headers;
  if (authorization !== undefined) {
    const fields = /^AWS4-HMAC-SHA256\s+(.+)$/.exec(authorization)?.[1]?.split(/\s*,\s*/) ?? [];
    const field = (name: string) => fields.find(text => text.startsWith(`${name}=`))?.slice(name.length + 1);
    return claim({
      credential: field('Credential'),
      signedHeaders: field('SignedHeaders'),
      signature: field('Signature'),
      time: headers['x-amz-date'],
      expiresInS: undefined,
      sessionToken: headers['x-amz-security-token'],
    });
  }
  const query = new Map(queryPairs(target));
  if (query.get('X-Amz-Algorithm') !== 'AWS4-HMAC-SHA256') return undefined;
  return claim({
    credential: query.get('X-Amz-Credential'),
    signedHeaders: query.get('X-Amz-SignedHeaders'),
    signature: query.get('X-Amz-Signature'),
    time: query.get('X-Amz-Date'),
    expiresInS: Number(query.get('X-Amz-Expires') ?? Number.NaN),
    sessionToken: query.get('X-Amz-Security-Token'),
  });
}

/** Whether the claimed signature is the one that the secret key makes over this request. */
export function verifySignature(request: SignedRequest, claimed: ClaimedSignature, secretAccessKey: string): boolean {
  const { date, region, service } = claimed.credential;
  const stringToSign = [
    'AWS4-HMAC-SHA256',
    claimed.time,
    `${date}/${region}/${service}/aws4_request`,
    createHash('sha256').update(canonicalRequest(request, claimed)).digest('hex'),
  ].join('\n');
  const key = [date, region, service, 'aws4_request'].reduce<string | Buffer>(
    (secret, part) => createHmac('sha256', secret).update(part).digest(),
    `AWS4${secretAccessKey}`,
  );
  const expected = createHmac('sha256', key).update(stringToSign).digest();
  const given = Buffer.from(claimed.signature, 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** The instant of `20261122T120000Z` in milliseconds; NaN where it is none. */
export function signedAtMs(time: string): number {
  return Date.parse(time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'));
}

function canonicalRequest({ method, target, headers, payloadHash }: SignedRequest, claimed: ClaimedSignature): string {
  const path = target.split('?', 1)[0] ?? '/';
  // S3 signs the path as it is sent; the others encode what is encoded once more.
  const segments = path
    .split('/')
    .map(segment => encode(claimed.credential.service === 's3' ? decode(segment) : segment));
  const query = queryPairs(target)
    .filter(([name]) => name !== 'X-Amz-Signature')
    .map(([name, value]) => [encode(name), encode(value)] as const)
    .sort(([a, x], [b, y]) => compare(a, b) || compare(x, y));
  return [
    method,
    segments.join('/') || '/',
    query.map(([name, value]) => `${name}=${value}`).join('&'),
    ...claimed.signedHeaders.map(name => `${name}:${(headers[name] ?? '').trim().replaceAll(/ +/g, ' ')}`),
    '',
    claimed.signedHeaders.join(';'),
    payloadHash,
  ].join('\n');
}

function claim(found: {
  credential: string | undefined;
  signedHeaders: string | undefined;
  signature: string | undefined;
  time: string | undefined;
  expiresInS: number | undefined;
  sessionToken: string | undefined;
}): ClaimedSignature | undefined {
  const { signedHeaders, signature, time, expiresInS, sessionToken } = found;
  const credential = found.credential === undefined ? undefined : parseCredential(found.credential);
  if (credential === undefined || !signedHeaders || !signature || !time || Number.isNaN(signedAtMs(time))) {
    return undefined;
  }
  if (expiresInS !== undefined && !(expiresInS >= 1 && expiresInS <= 604_800)) return undefined;
  return { credential, signedHeaders: signedHeaders.split(';'), signature, time, expiresInS, sessionToken };
}

function parseCredential(credential: string): SignedCredential | undefined {
  const [accessKeyId, date, region, service, terminator, ...rest] = credential.split('/');
  if (terminator !== 'aws4_request' || rest.length > 0) return undefined;
  if (!accessKeyId || !date || !region || !service) return undefined;
  return { accessKeyId, date, region, service };
}

function queryPairs(target: string): [string, string][] {
  const start = target.indexOf('?');
  if (start < 0) return [];
  return target
    .slice(start + 1)
    .split('&')
    .filter(pair => pair !== '')
    .map(pair => {
      const equals = pair.indexOf('=');
      return equals < 0 ? [decode(pair), ''] : [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))];
    });
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** Percent-encodes everything but RFC 3986's unreserved characters. */
function encode(text: string): string {
  return encodeURIComponent(text).replaceAll(
    /[!'()*]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
