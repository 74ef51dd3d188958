import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checksumOf } from '../../../../infra/local/s3/checksums.ts';
import { decodeChunks } from '../../../../infra/local/s3/chunked-body.ts';
import { errorOf, startS3 } from './local-s3.ts';

async function* inPieces(text: string, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text, 'latin1');
  let at = 0;
  for (const size of sizes) {
    yield bytes.subarray(at, at + size);
    at += size;
  }
  yield bytes.subarray(at);
}

async function decode(text: string, options: { signed?: boolean; sizes?: readonly number[] } = {}) {
  const trailers: Record<string, string> = {};
  const chunks: Uint8Array[] = [];
  const body = decodeChunks(inPieces(text, options.sizes ?? []), options.signed ?? false, (name, value) => {
    trailers[name] = value;
  });
  for await (const chunk of body) chunks.push(chunk);
  return { content: Buffer.concat(chunks).toString('latin1'), trailers };
}

describe('decodeChunks', () => {
  it('decodes however the body arrives', async () => {
    const text = '5\r\nhello\r\nA\r\n world\r\n!!\r\n0\r\nX-Amz-Checksum-CRC32: AAAAAA==\r\n\r\n';
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(20)), async sizes => {
        expect(await decode(text, { sizes })).toEqual({
          content: 'hello world\r\n!!',
          trailers: { 'x-amz-checksum-crc32': 'AAAAAA==' },
        });
      }),
    );
  });

  it('wants signatures where the body is signed', async () => {
    const signature = `chunk-signature=${'0'.repeat(64)}`;
    const text = `2;${signature}\r\nhi\r\n0;${signature}\r\n\r\n`;
    expect((await decode(text, { signed: true })).content).toBe('hi');
    await expect(decode('2\r\nhi\r\n0\r\n\r\n', { signed: true })).rejects.toThrow('does not begin with its size');
    await expect(decode(text)).rejects.toThrow('does not begin with its size');
  });

  it.each([
    ['5\r\nhello\r\n', 'the last chunk is missing'],
    ['', 'the last chunk is missing'],
    ['5\r\nhel', 'shorter than its size'],
    ['2\r\nhello\r\n0\r\n\r\n', 'longer than its size'],
    ['zz\r\nhello\r\n0\r\n\r\n', 'does not begin with its size'],
    ['-5\r\nhello\r\n0\r\n\r\n', 'does not begin with its size'],
    ['5\nhello\n0\n\n', 'does not end with CRLF'],
    ['0\r\nno separator\r\n\r\n', 'a trailing header is not valid'],
    ['0\r\n\r\nmore', 'something follows'],
    ['f'.repeat(9000), 'a line is too long'],
  ])('refuses %j', async (text, message) => {
    await expect(decode(text.slice(0, 9000))).rejects.toThrow(message);
  });
});

describe('a body in aws-chunked framing', () => {
  const put = (body: string, headers: Record<string, string>) =>
    startS3().send({
      method: 'PUT',
      path: '/plain/k',
      body: Buffer.from(body),
      headers: { 'x-amz-content-sha256': 'STREAMING-UNSIGNED-PAYLOAD-TRAILER', ...headers },
    });
  const crc = checksumOf('CRC32', Buffer.from('hello'));

  it('is stored when its trailer fits', async () => {
    const response = await put(`5\r\nhello\r\n0\r\nx-amz-checksum-crc32:${crc}\r\n\r\n`, {
      'x-amz-decoded-content-length': '5',
      'x-amz-trailer': 'x-amz-checksum-crc32',
    });
    expect([response.status, response.headers['x-amz-checksum-crc32']]).toEqual([200, crc]);
  });

  it.each([
    ['6', 'x-amz-checksum-crc32', `x-amz-checksum-crc32:${crc}`, 'IncompleteBody'],
    ['4', 'x-amz-checksum-crc32', `x-amz-checksum-crc32:${crc}`, 'IncompleteBody'],
    ['5', 'x-amz-checksum-crc32', 'x-amz-checksum-crc32:AAAAAA==', 'BadDigest'],
    ['5', 'x-amz-checksum-crc32', 'x-amz-checksum-crc32:AAAA', 'InvalidRequest'],
    ['5', 'x-amz-checksum-crc32', 'x-amz-checksum-sha1:AAAA', 'InvalidRequest'],
    ['5', 'x-amz-meta-late', 'x-amz-meta-late:1', 'NotImplemented'],
  ])('of length %s with trailer %s %s is refused', async (length, announced, trailer, code) => {
    const response = await put(`5\r\nhello\r\n0\r\n${trailer}\r\n\r\n`, {
      'x-amz-decoded-content-length': length,
      'x-amz-trailer': announced,
    });
    expect(errorOf(response).code).toBe(code);
  });

  it('without its decoded length is refused', async () => {
    expect(errorOf(await put('0\r\n\r\n', {})).code).toBe('MissingContentLength');
  });
});
