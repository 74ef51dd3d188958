import { randomBytes } from 'node:crypto';
import type { AwsResponse } from '../service.ts';
import { authorize } from './authorization.ts';
import { openBody } from './body.ts';
import type { Bucket, MultipartUpload, UploadedPart } from './bucket.ts';
import {
  type ChecksumAlgorithm,
  checksumElement,
  checksumHeader,
  multipartChecksumType,
  readAlgorithm,
} from './checksums.ts';
import { findCopySource, openCopySource, sourceVersionHeader } from './copy-object.ts';
import { readDescription, writeActions } from './description.ts';
import { checkCustomerKey, encryptionForWrite, encryptionHeaders, unwrapDataKey } from './encryption.ts';
import { invalidArgument, invalidRequest, noSuchUpload, S3Error } from './errors.ts';
import { bucketOf, type Exchange, header, isoDate, query, wholeSeconds } from './exchange.ts';
import { listResponse } from './listing.ts';
import { eTagOf, hasLock, missingProtection } from './put-object.ts';
import { RunningContent } from './running-content.ts';
import { readSegments, storeSegment } from './sealed-content.ts';
import { writeXml } from './xml.ts';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateMultipartUpload.html */
export async function createMultipartUpload(exchange: Exchange): Promise<AwsResponse> {
  const { core, key, now } = exchange;
  const bucket = bucketOf(exchange);
  authorizePart(exchange, bucket);
  const description = readDescription(exchange, bucket);
  const requested = header(exchange, 'x-amz-checksum-algorithm');
  const type = header(exchange, 'x-amz-checksum-type');
  if (type !== undefined && requested === undefined) {
    throw invalidRequest('The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.');
  }
  const checksumAlgorithm = readAlgorithm(requested ?? 'CRC64NVME');
  const checksumType = multipartChecksumType(checksumAlgorithm, type);
  const { encryption } = encryptionForWrite(exchange, bucket);
  const upload: MultipartUpload = {
    uploadId: randomBytes(48).toString('base64url'),
    key,
    initiatedMs: wholeSeconds(now),
    encryption,
    checksumAlgorithm,
    checksumType,
    checksumRequested: requested !== undefined,
    ...description,
  };
  core.store.commit({ type: 'upload', bucket: bucket.name, upload });
  const response = listResponse([
    'InitiateMultipartUploadResult',
    [
      ['Bucket', bucket.name],
      ['Key', key],
      ['UploadId', upload.uploadId],
    ],
  ]);
  const checksum = { 'x-amz-checksum-algorithm': checksumAlgorithm, 'x-amz-checksum-type': checksumType };
  return {
    ...response,
    headers: {
      ...response.headers,
      ...encryptionHeaders(encryption),
      ...(requested === undefined ? {} : checksum),
    },
  };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPart.html */
export async function uploadPart(exchange: Exchange): Promise<AwsResponse> {
  const { core } = exchange;
  const bucket = bucketOf(exchange);
  authorizePart(exchange, bucket);
  const partNumber = readPartNumber(exchange);
  const { upload } = findUpload(exchange, bucket);
  // S3 keeps CRC64NVME where the upload names no algorithm, whatever protected the part on its way.
  const body = openBody(exchange, upload.checksumAlgorithm);
  refuseOtherAlgorithm(upload, body.claimed);
  if (hasLock(upload.lock) && !body.isProtected) throw missingProtection();
  const dataKey = uploadDataKey(exchange, bucket, upload);
  const segment = await storeSegment(core.store.contents, body.chunks, dataKey);
  const { md5, checksum } = body.digests();
  const part = finishPart(exchange, bucket, upload, {
    partNumber,
    lastModifiedMs: wholeSeconds(exchange.now),
    eTag: eTagOf(upload.encryption.algorithm === 'AES256', md5),
    checksum,
    segment,
  });
  return {
    status: 200,
    headers: {
      etag: `"${part.eTag}"`,
      ...encryptionHeaders(upload.encryption),
      [checksumHeader(upload.checksumAlgorithm)]: part.checksum,
    },
  };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_UploadPartCopy.html */
export async function uploadPartCopy(exchange: Exchange): Promise<AwsResponse> {
  const { core } = exchange;
  const bucket = bucketOf(exchange);
  authorizePart(exchange, bucket);
  const partNumber = readPartNumber(exchange);
  const { upload } = findUpload(exchange, bucket);
  const found = findCopySource(exchange);
  const [from, to] = readCopyRange(exchange, found.version.sizeBytes);
  if (to - from > core.limits.maximumCopyBytes) {
    throw invalidRequest(
      `The specified copy source is larger than the maximum allowable size for a copy source: ${core.limits.maximumCopyBytes}`,
    );
  }
  const source = openCopySource(exchange, found);
  const dataKey = uploadDataKey(exchange, bucket, upload);
  const running = new RunningContent(upload.checksumAlgorithm);
  const content = readSegments(core.store.contents, found.version.segments, source.dataKey, from, to);
  const segment = await storeSegment(core.store.contents, running.through(content), dataKey);
  const part = finishPart(exchange, bucket, upload, {
    partNumber,
    lastModifiedMs: wholeSeconds(exchange.now),
    eTag: eTagOf(upload.encryption.algorithm === 'AES256', running.md5()),
    checksum: running.checksum(),
    segment,
  });
  return {
    status: 200,
    headers: {
      'content-type': 'application/xml',
      ...sourceVersionHeader(found),
      ...encryptionHeaders(upload.encryption),
    },
    body: writeXml([
      'CopyPartResult',
      [
        ['LastModified', isoDate(part.lastModifiedMs)],
        ['ETag', `"${part.eTag}"`],
        [checksumElement(upload.checksumAlgorithm), part.checksum],
      ],
    ]),
  };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html */
export async function abortMultipartUpload(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:AbortMultipartUpload', { bucket, key: exchange.key });
  const { upload } = findUpload(exchange, bucket);
  exchange.core.store.commit({ type: 'upload-removed', bucket: bucket.name, uploadId: upload.uploadId });
  return { status: 204, headers: {} };
}

/** The upload that the request names. @throws S3Error `NoSuchUpload` */
export function findUpload(
  exchange: Exchange,
  bucket: Bucket,
): { upload: MultipartUpload; parts: ReadonlyMap<number, UploadedPart> } {
  const uploadId = query(exchange, 'uploadId') ?? '';
  const found = bucket.uploads.get(uploadId);
  if (found === undefined || found.upload.key !== exchange.key) throw noSuchUpload(uploadId);
  return found;
}

function authorizePart(exchange: Exchange, bucket: Bucket): void {
  for (const { action, context } of writeActions(exchange)) {
    authorize(exchange, action, { bucket, key: exchange.key }, { ...context, 's3:ObjectCreationOperation': 'false' });
  }
}

function uploadDataKey(exchange: Exchange, bucket: Bucket, { encryption }: MultipartUpload): Buffer | undefined {
  const customerKey = checkCustomerKey(exchange, encryption);
  if (encryption.algorithm !== 'aws:kms') return customerKey;
  const place = { bucket: bucket.name, key: exchange.key };
  return unwrapDataKey(exchange.core, exchange.request.principal, place, encryption);
}

function finishPart(exchange: Exchange, bucket: Bucket, upload: MultipartUpload, part: UploadedPart): UploadedPart {
  const { store } = exchange.core;
  if (!bucket.uploads.has(upload.uploadId)) {
    // Completed or aborted while this part was on its way.
    store.contents.remove(part.segment.content);
    throw noSuchUpload(upload.uploadId);
  }
  store.commit({ type: 'part', bucket: bucket.name, uploadId: upload.uploadId, part });
  return part;
}

// A composite checksum needs that of each part; of a full-object one S3 computes what is missing.
function refuseOtherAlgorithm(upload: MultipartUpload, claimed: ChecksumAlgorithm | undefined): void {
  if (!upload.checksumRequested || claimed === upload.checksumAlgorithm) return;
  if (upload.checksumType === 'FULL_OBJECT' && claimed === undefined) return;
  throw invalidRequest(
    `Checksum Type mismatch occurred, expected checksum Type: ${upload.checksumAlgorithm.toLowerCase()}, actual checksum Type: ${claimed?.toLowerCase() ?? 'null'}`,
  );
}

function readPartNumber(exchange: Exchange): number {
  const text = query(exchange, 'partNumber') ?? '';
  const number = Number(text);
  if (!/^\d{1,5}$/.test(text) || number < 1 || number > 10_000) {
    throw invalidArgument('partNumber', text, 'Part number must be an integer between 1 and 10000, inclusive');
  }
  return number;
}

/** The bytes to copy, the end exclusive; the whole source where the request names no range. */
function readCopyRange(exchange: Exchange, sizeBytes: number): [from: number, to: number] {
  const range = header(exchange, 'x-amz-copy-source-range');
  if (range === undefined) return [0, sizeBytes];
  const [, first, last] = /^bytes=(\d{1,15})-(\d{1,15})$/.exec(range) ?? [];
  if (first === undefined || last === undefined || Number(first) > Number(last)) {
    throw invalidArgument(
      'x-amz-copy-source-range',
      range,
      'The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy',
    );
  }
  if (Number(last) >= sizeBytes) {
    throw new S3Error(400, 'InvalidArgument', `Range specified is not valid for source object of size: ${sizeBytes}`, {
      details: { ArgumentName: 'x-amz-copy-source-range', ArgumentValue: range },
    });
  }
  return [Number(first), Number(last) + 1];
}
