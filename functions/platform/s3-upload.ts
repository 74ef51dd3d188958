import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import {
  AbortMultipartUploadCommand,
  type CompletedPart,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { callS3, writeBytes } from './s3.ts';

const PART_BYTES = 16 * 1024 ** 2;

/**
 * Writes a file to a key that has no current version, under a KMS key, with SHA-256: in one request up to 16 MiB, in
 * parts of 16 MiB above, so that memory stays bounded. An upload that a killed process left is aborted by the bucket's
 * lifecycle rule.
 * @throws PreconditionFailedError when the key has a current version.
 */
export async function writeFileIfAbsent(
  bucket: string,
  key: string,
  { file, sizeBytes }: { file: FileHandle; sizeBytes: number },
  options: { keyArn: string; contentType: string },
): Promise<void> {
  const what = `s3://${bucket}/${key}`;
  if (sizeBytes <= PART_BYTES) {
    await writeBytes(bucket, key, await readAt(file, 0, sizeBytes), { ...options, onlyIfAbsent: true });
    return;
  }
  const { UploadId } = await callS3(what, client =>
    client.send(
      new CreateMultipartUploadCommand({
        Bucket: bucket,
        Key: key,
        ContentType: options.contentType,
        ServerSideEncryption: 'aws:kms',
        SSEKMSKeyId: options.keyArn,
        BucketKeyEnabled: false,
        ChecksumAlgorithm: 'SHA256',
      }),
    ),
  );
  try {
    const parts: CompletedPart[] = [];
    for (let from = 0; from < sizeBytes; from += PART_BYTES) {
      const body = await readAt(file, from, Math.min(PART_BYTES, sizeBytes - from));
      const ChecksumSHA256 = createHash('sha256').update(body).digest('base64');
      const part = { Bucket: bucket, Key: key, UploadId, PartNumber: parts.length + 1, ChecksumSHA256 };
      const { ETag } = await callS3(what, client =>
        client.send(new UploadPartCommand({ ...part, Body: body, ContentLength: body.byteLength })),
      );
      parts.push({ PartNumber: part.PartNumber, ETag, ChecksumSHA256 });
    }
    await callS3(what, client =>
      client.send(
        new CompleteMultipartUploadCommand({
          Bucket: bucket,
          Key: key,
          UploadId,
          IfNoneMatch: '*',
          MultipartUpload: { Parts: parts },
        }),
      ),
    );
  } catch (error) {
    await callS3(what, client =>
      client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId })),
    ).catch(() => {});
    throw error;
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) throw new RangeError('the file is shorter than it was');
    filled += bytesRead;
  }
  return buffer;
}
