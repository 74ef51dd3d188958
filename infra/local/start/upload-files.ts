import { createReadStream } from 'node:fs';
import { access, constants, readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { TenantId } from '../../../functions/contracts/identifiers.ts';
import type { SampleFile } from '../sample/school-files.ts';
import { describeSystemError, UsageError } from './arguments.ts';

/** A file to put into the source bucket. */
export interface SourceFile extends Omit<SampleFile, 'content' | 'contentType'> {
  contentType?: string;
  /** Reads up to `length` bytes from `start`. */
  read: (start: number, length: number) => Promise<Buffer>;
}

const PART_BYTES = 5 * 1024 * 1024;
const UPLOADS_AT_ONCE = 16;
/** https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html */
const LONGEST_KEY_BYTES = 1024;

export function fromSample(file: SampleFile): SourceFile {
  return { ...file, read: async (start, length) => file.content().subarray(start, start + length) };
}

/**
 * The files of a folder, sorted: the first path segment is the tenant; a file outside one has none. Links and special files
 * are counted, not followed.
 * @throws UsageError when a segment cannot name a tenant (it could not stand in a key's alias or a tag), or a file cannot
 * be read or be an object.
 */
export async function listFolder(directory: string): Promise<{ files: SourceFile[]; leftOutCount: number }> {
  const files: SourceFile[] = [];
  let leftOutCount = 0;
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    throw new UsageError(`--files ${directory}: cannot be read: ${describeSystemError(error)}`);
  });
  for (const entry of entries) {
    if (entry.isDirectory()) continue;
    if (entry.isFile()) files.push(await describeFile(directory, join(entry.parentPath, entry.name)));
    else leftOutCount++;
  }
  return { files: files.sort((a, b) => (a.key < b.key ? -1 : 1)), leftOutCount };
}

async function describeFile(directory: string, path: string): Promise<SourceFile> {
  const segments = relative(directory, path).split(sep);
  const key = segments.join('/');
  const tenant = segments.length > 1 ? (segments[0] ?? null) : null;
  const refused = (what: string) => new UsageError(`--files ${directory}: ${what}`);
  if (tenant !== null && !TenantId.safeParse(tenant).success) {
    throw refused(
      `the folder ${JSON.stringify(tenant)} cannot name a tenant; it must match [A-Za-z0-9][A-Za-z0-9_-]{0,62}`,
    );
  }
  if (Buffer.byteLength(key) > LONGEST_KEY_BYTES) {
    throw refused(`a path of ${Buffer.byteLength(key)} bytes cannot be the key of an object; 1,024 are the most`);
  }
  try {
    await access(path, constants.R_OK);
    const { size } = await stat(path);
    return { key, tenant, sizeBytes: size, read: (start, length) => readRange(path, start, length) };
  } catch (error) {
    throw refused(`${JSON.stringify(key)} cannot be read: ${describeSystemError(error)}`);
  }
}

async function readRange(path: string, start: number, length: number): Promise<Buffer> {
  if (length === 0) return Buffer.alloc(0);
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(path, { start, end: start + length - 1 })) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Uploads files as an application would: in one piece up to 5 MB, in parts above. */
export async function uploadFiles(
  client: S3Client,
  bucket: string,
  files: readonly SourceFile[],
  onProgress: (share: number) => void,
): Promise<void> {
  let next = 0;
  let done = 0;
  const worker = async () => {
    for (let file = files[next++]; file !== undefined; file = files[next++]) {
      await upload(client, bucket, file);
      onProgress(++done / files.length);
    }
  };
  await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, worker));
}

async function upload(client: S3Client, Bucket: string, file: SourceFile): Promise<void> {
  const described = {
    Bucket,
    Key: file.key,
    ...(file.contentType ? { ContentType: file.contentType } : {}),
    ...(file.metadata ? { Metadata: file.metadata } : {}),
    ...(file.tags ? { Tagging: new URLSearchParams(file.tags).toString() } : {}),
  };
  if (file.sizeBytes <= PART_BYTES) {
    await client.send(new PutObjectCommand({ ...described, Body: await file.read(0, file.sizeBytes) }));
    return;
  }
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(described));
  const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
  for (let start = 0, PartNumber = 1; start < file.sizeBytes; start += PART_BYTES, PartNumber++) {
    const Body = await file.read(start, Math.min(PART_BYTES, file.sizeBytes - start));
    const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key: file.key, UploadId, PartNumber, Body }));
    Parts.push({ PartNumber, ETag });
  }
  await client.send(
    new CompleteMultipartUploadCommand({ Bucket, Key: file.key, UploadId, MultipartUpload: { Parts } }),
  );
}
