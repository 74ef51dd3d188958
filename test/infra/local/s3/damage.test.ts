import { createHash } from 'node:crypto';
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import { localClientConfiguration } from '../../../../infra/local/endpoint/request-handler.ts';
import { lose, swap, tamper } from '../../../../infra/local/s3/damage.ts';
import { failure, keyArn, ROOT, startS3 } from './local-s3.ts';

const sha256 = (text: string) => createHash('sha256').update(text).digest('base64');

async function startDamaged() {
  const started = startS3();
  started.s3.createBucket({
    name: 'vault',
    objectLock: { defaultRetention: { mode: 'COMPLIANCE', period: { days: 7 }, eventHold: { days: 7 } } },
    encryption: { algorithm: 'aws:kms', keyId: keyArn('one') },
  });
  for (const Key of ['a', 'b']) {
    await started.client.send(
      new PutObjectCommand({
        Bucket: 'vault',
        Key,
        Body: `content of ${Key}`,
        ChecksumSHA256: sha256(`content of ${Key}`),
      }),
    );
  }
  // Without the SDK's own validation, so that what S3 serves can be seen.
  const trusting = new S3Client({
    ...localClientConfiguration({ s3: started.s3 }, ROOT),
    responseChecksumValidation: 'WHEN_REQUIRED',
  });
  const read = async (Key: string) => {
    const got = await trusting.send(new GetObjectCommand({ Bucket: 'vault', Key }));
    return got.Body?.transformToString();
  };
  const recorded = async (Key: string) =>
    (await trusting.send(new HeadObjectCommand({ Bucket: 'vault', Key, ChecksumMode: 'ENABLED' }))).ChecksumSHA256;
  return { ...started, read, recorded };
}

describe('damage below the API', () => {
  it('truncates locked, encrypted content, with a record that fits', async () => {
    const { s3, read, recorded } = await startDamaged();
    await tamper(s3, 'vault', 'a', content => content.subarray(0, 4));
    expect([await read('a'), await recorded('a')]).toEqual(['cont', sha256('cont')]);
  });

  it('or with the record of what was there, which a validating reader notices', async () => {
    const { s3, client, read, recorded } = await startDamaged();
    await tamper(s3, 'vault', 'a', () => Buffer.from('other'), { keepRecord: true });
    expect([await read('a'), await recorded('a')]).toEqual(['other', sha256('content of a')]);
    const validated = client
      .send(new GetObjectCommand({ Bucket: 'vault', Key: 'a', ChecksumMode: 'ENABLED' }))
      .then(({ Body }) => Body?.transformToString());
    await expect(validated).rejects.toThrow(/[Cc]hecksum/);
  });

  it('swaps two contents', async () => {
    const { s3, read, recorded } = await startDamaged();
    await swap(s3, 'vault', 'a', 'b');
    expect([await read('a'), await read('b')]).toEqual(['content of b', 'content of a']);
    expect(await recorded('a')).toBe(sha256('content of b'));
  });

  it('loses an object', async () => {
    const { s3, read } = await startDamaged();
    lose(s3, 'vault', 'a');
    expect(await failure(read('a'))).toBe('NoSuchKey 404');
    await expect(tamper(s3, 'vault', 'a', content => content)).rejects.toThrow('does not exist');
  });
});
