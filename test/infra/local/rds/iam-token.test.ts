import { Signer } from '@aws-sdk/rds-signer';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyIamToken } from '../../../../infra/local/rds/iam-token.ts';

const HOST = 'localhost';
const PORT = 40123;
const USER = 'daybreak_reader';
const principal = { kind: 'role', arn: 'arn:aws:iam::111122223333:role/daybreak-backup-fingerprint' } as const;
const credentials = { accessKeyId: 'ASIAREADER', secretAccessKey: 'the secret', sessionToken: 'session/+=' };
const resolve = (accessKeyId: string) =>
  accessKeyId === credentials.accessKeyId ? { ...credentials, principal } : undefined;

function makeToken(change: Partial<ConstructorParameters<typeof Signer>[0]> = {}): Promise<string> {
  return new Signer({
    hostname: HOST,
    port: PORT,
    username: USER,
    region: 'eu-west-2',
    credentials,
    ...change,
  }).getAuthToken();
}

let token: string;
let signedAtMs: number;
beforeAll(async () => {
  token = await makeToken();
  signedAtMs = Math.floor(Date.now() / 1000) * 1000;
});

const verify = (text: string, change: { host?: string; port?: number; user?: string; now?: Date } = {}) =>
  verifyIamToken(text, { host: HOST, port: PORT, user: USER, now: new Date(), ...change }, resolve);

describe('verifyIamToken', () => {
  it('knows the principal behind a token of the SDK', () => {
    expect(verify(token)).toEqual({ principal });
  });

  it('knows it without a session token, and with a user of any letters', async () => {
    const plain = { accessKeyId: 'AKIAPLAIN', secretAccessKey: 'another' };
    const signed = await makeToken({ credentials: plain, username: "o'reader (ö) *&=%!" });
    const verified = verifyIamToken(
      signed,
      { host: HOST, port: PORT, user: "o'reader (ö) *&=%!", now: new Date() },
      () => ({ ...plain, principal }),
    );
    expect(verified).toEqual({ principal });
  });

  it('holds for 15 minutes', () => {
    expect(verify(token, { now: new Date(signedAtMs + 899_000) })).toEqual({ principal });
    expect(verify(token, { now: new Date(signedAtMs + 902_000) })).toEqual({ refusal: 'the token has expired' });
    expect(verify(token, { now: new Date(signedAtMs - 400_000) })).toEqual({ refusal: 'the token is from the future' });
  });

  it.each<[string, () => string | Promise<string>, RegExp]>([
    ['another host', () => makeToken({ hostname: 'other.example' }), /^the token is for other\.example:40123$/],
    ['another port', () => makeToken({ port: 5432 }), /^the token is for localhost:5432$/],
    ['another user', () => makeToken({ username: 'postgres' }), /^the token is for another user$/],
    ['another Region', () => makeToken({ region: 'eu-west-1' }), /^the token is not signed for rds-db in eu-west-2$/],
    ['another secret', () => makeToken({ credentials: { ...credentials, secretAccessKey: 'x' } }), /^the signature/],
    [
      'an unknown key',
      () => makeToken({ credentials: { ...credentials, accessKeyId: 'ASIAOTHER' } }),
      /unknown access key/,
    ],
    ['another session', () => makeToken({ credentials: { ...credentials, sessionToken: 'old' } }), /another session/],
    ['a changed user', () => token.replace(USER, 'postgres'), /^the token is for another user$/],
    ['a longer life', () => token.replace('X-Amz-Expires=900', 'X-Amz-Expires=9000'), /^the token has no valid time$/],
    [
      'another life',
      () => token.replace('X-Amz-Expires=900', 'X-Amz-Expires=800'),
      /^the signature of the token does not match$/,
    ],
    ['a repeated parameter', () => `${token}&DBUser=postgres`, /^the token repeats a parameter$/],
    ['no signature', () => token.replace(/X-Amz-Signature=[0-9a-f]+/, 'X-Amz-Signature='), /^the signature/],
    ['a password', () => 'correct horse battery staple', /^the password is not an authentication token$/],
    ['nothing', () => '', /^the password is not an authentication token$/],
  ])('refuses a token with %s', async (_what, make, refusal) => {
    expect(verify(await make())).toEqual({ refusal: expect.stringMatching(refusal) });
  });
});
