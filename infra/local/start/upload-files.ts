import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  PutObjectCommand,
  paginateListObjectsV2,
  type S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { SampleFile } from '../sample/school-files.ts';
import type { LeftOut } from './list-folder.ts';
import type { OpenedFile } from './open-file.ts';

/** A file to put into the source bucket. */
export interface SourceFile extends Omit<SampleFile, 'content' | 'contentType'> {
  contentType?: string;
  /** undefined: it is not there any more. */
  open: () => Promise<OpenedFile | undefined>;
}

const PART_BYTES = 5 * 1024 * 1024;
const UPLOADS_AT_ONCE = 16;
/** How often a file is read that changes meanwhile. */
const ATTEMPTS = 3;

export function fromSample(file: SampleFile): SourceFile {
  return { ...file, open: async () => openBytes(file.content()) };
}

/** Bytes in memory, as an opened file. */
export function openBytes(bytes: Buffer): OpenedFile {
  return {
    sizeBytes: bytes.length,
    read: async (start, length) => bytes.subarray(start, start + length),
    isUnchanged: async () => true,
    close: async () => undefined,
  };
}

/**
 * Uploads files as an application would: in one piece up to 5 MB, in parts above. Each object holds one state of its file:
 * a file that changes while it is read is read again.
 * @returns the files that are objects now, with the sizes that were read, and those that are not.
 */
export async function uploadFiles(
  client: S3Client,
  bucket: string,
  files: readonly SourceFile[],
  onProgress: (share: number) => void,
): Promise<{ uploaded: SourceFile[]; leftOut: LeftOut[] }> {
  const uploaded: SourceFile[] = [];
  const leftOut: LeftOut[] = [];
  let next = 0;
  let done = 0;
  const worker = async () => {
    for (let file = files[next++]; file !== undefined; file = files[next++]) {
      const result = await uploadUnchanged(client, bucket, file);
      if ('sizeBytes' in result) uploaded.push({ ...file, sizeBytes: result.sizeBytes });
      else leftOut.push({ kind: result.leftOut, path: file.key });
      onProgress(++done / files.length);
    }
  };
  await Promise.all(Array.from({ length: UPLOADS_AT_ONCE }, worker));
  return { uploaded, leftOut };
}

async function uploadUnchanged(
  client: S3Client,
  bucket: string,
  file: SourceFile,
): Promise<{ sizeBytes: number } | { leftOut: LeftOut['kind'] }> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const opened = await file.open();
    if (opened === undefined) return { leftOut: 'gone before it was read' };
    try {
      if (await upload(client, bucket, file, opened)) return { sizeBytes: opened.sizeBytes };
    } finally {
      await opened.close();
    }
  }
  return { leftOut: 'changed whenever it was read' };
}

/** @returns false, and leaves no object, where the file changed meanwhile. */
async function upload(client: S3Client, Bucket: string, file: SourceFile, opened: OpenedFile): Promise<boolean> {
  const { sizeBytes } = opened;
  const described = {
    Bucket,
    Key: file.key,
    ...(file.contentType ? { ContentType: file.contentType } : {}),
    ...(file.metadata ? { Metadata: file.metadata } : {}),
    ...(file.tags ? { Tagging: new URLSearchParams(file.tags).toString() } : {}),
  };
  if (sizeBytes <= PART_BYTES) {
    const Body = await opened.read(0, sizeBytes);
    if (Body.length !== sizeBytes || !(await opened.isUnchanged())) return false;
    await client.send(new PutObjectCommand({ ...described, Body }));
    return true;
  }
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(described));
  const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
  for (let start = 0, PartNumber = 1; start < sizeBytes; start += PART_BYTES, PartNumber++) {
    const length = Math.min(PART_BYTES, sizeBytes - start);
    const Body = await opened.read(start, length);
    if (Body.length !== length) break;
    const { ETag } = await client.send(new UploadPartCommand({ Bucket, Key: file.key, UploadId, PartNumber, Body }));
    Parts.push({ PartNumber, ETag });
  }
  if (Parts.length < Math.ceil(sizeBytes / PART_BYTES) || !(await opened.isUnchanged())) {
    await client.send(new AbortMultipartUploadCommand({ Bucket, Key: file.key, UploadId }));
    return false;
  }
  await client.send(
    new CompleteMultipartUploadCommand({ Bucket, Key: file.key, UploadId, MultipartUpload: { Parts } }),
  );
  return true;
}

/** How many objects a bucket holds. */
export async function countObjects(client: S3Client, Bucket: string): Promise<number> {
  let count = 0;
  for await (const { KeyCount } of paginateListObjectsV2({ client }, { Bucket })) count += KeyCount ?? 0;
  return count;
}
