import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ChecksumAlgorithm,
  checkChecksumValue,
  checksumOf,
  combineParts,
  multipartChecksumType,
  readAlgorithm,
  startChecksum,
} from '../../../../infra/local/s3/checksums.ts';

const hex = (algorithm: ChecksumAlgorithm, text: string) =>
  Buffer.from(checksumOf(algorithm, Buffer.from(text)), 'base64').toString('hex');

describe('checksums', () => {
  it.each([
    ['CRC32', 'cbf43926'],
    ['CRC32C', 'e3069283'],
    ['CRC64NVME', 'ae8b14860a799888'],
    ['SHA1', 'f7c3bc1d808e04732adf679965ccc34ca7ae3441'],
    ['SHA256', '15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225'],
    ['MD5', '25f9e794323b453885f5181f1b624d0b'],
  ] as const)('%s of 123456789 is the published check value', (algorithm, value) => {
    expect(hex(algorithm, '123456789')).toBe(value);
  });

  it.each(['CRC32', 'CRC32C', 'CRC64NVME'] as const)('%s of parts is that of the whole', algorithm => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ minLength: 0, maxLength: 300 }), { minLength: 1, maxLength: 6 }), parts => {
        const whole = checksumOf(algorithm, Buffer.concat(parts));
        const combined = combineParts(
          algorithm,
          'FULL_OBJECT',
          parts.map(part => ({ checksum: checksumOf(algorithm, part), sizeBytes: part.length })),
        );
        expect(combined.value).toBe(whole);
      }),
    );
  });

  it('do not depend on how the content is cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (content, cut) => {
        for (const algorithm of ['CRC32', 'CRC32C', 'CRC64NVME'] as const) {
          const running = startChecksum(algorithm);
          running.update(content.subarray(0, cut));
          running.update(content.subarray(cut));
          expect(running.digest().toString('base64')).toBe(checksumOf(algorithm, content));
        }
      }),
    );
  });

  it('compose to a digest of digests, with the number of parts', () => {
    const parts = ['a', 'b'].map(text => ({ checksum: checksumOf('SHA256', Buffer.from(text)), sizeBytes: 1 }));
    const digests = Buffer.concat(parts.map(part => Buffer.from(part.checksum, 'base64')));
    expect(combineParts('SHA256', 'COMPOSITE', parts).value).toBe(`${checksumOf('SHA256', digests)}-2`);
  });

  it('have the types that S3 gives them', () => {
    expect(multipartChecksumType('CRC64NVME', undefined)).toBe('FULL_OBJECT');
    expect(multipartChecksumType('CRC32', undefined)).toBe('COMPOSITE');
    expect(multipartChecksumType('CRC32', 'FULL_OBJECT')).toBe('FULL_OBJECT');
    expect(() => multipartChecksumType('SHA256', 'FULL_OBJECT')).toThrow('cannot be used');
    expect(() => multipartChecksumType('CRC64NVME', 'COMPOSITE')).toThrow('cannot be used');
    expect(() => multipartChecksumType('SHA256', 'full')).toThrow('cannot be used');
  });

  it('are refused where they are no digest, or of an algorithm that is not implemented', () => {
    expect(() => checkChecksumValue('SHA256', 'AAAA')).toThrow('x-amz-checksum-sha256 header is invalid');
    expect(() => checkChecksumValue('CRC32', 'not base64!')).toThrow('x-amz-checksum-crc32 header is invalid');
    expect(() => readAlgorithm('XXHASH64')).toThrow(
      'the local cloud does not implement S3 checksum algorithm XXHASH64',
    );
    expect(() => readAlgorithm('CRC16')).toThrow('unsupported');
  });
});
