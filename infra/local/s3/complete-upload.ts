import { createHash } from 'node:crypto';
import type { AwsResponse } from '../service.ts';
import { authorize } from './authorization.ts';
import { readDocument } from './body.ts';
import type { ObjectVersion, UploadedPart } from './bucket.ts';
import { CHECKSUM_ALGORITHMS, checksumElement, checksumHeader, combineParts } from './checksums.ts';
import { guardWrite } from './conditions.ts';
import { encryptionHeaders } from './encryption.ts';
import { invalidRequest, malformedXml, S3Error } from './errors.ts';
import { bucketOf, type Exchange, header, query } from './exchange.ts';
import { findUpload } from './multipart.ts';
import { commitVersion, newVersionId, versionHeader } from './put-object.ts';
import { readFields, writeXml, type XmlElement } from './xml.ts';

interface NamedPart {
  readonly partNumber: number;
  readonly eTag: string;
  /** By element name. */
  readonly checksums: Partial<Record<string, string>>;
}

const CHECKSUM_ELEMENTS = CHECKSUM_ALGORITHMS.map(checksumElement);
const MAXIMUM_PARTS = 10_000;
const COMPLETED_KEPT = 1000;

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html */
export async function completeMultipartUpload(exchange: Exchange): Promise<AwsResponse> {
  const { core, key } = exchange;
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:PutObject', { bucket, key }, { 's3:ObjectCreationOperation': 'true' });
  const checkCondition = guardWrite(exchange, bucket);
  // The checksum headers of this request are the object's, not the document's.
  const document = await readDocument(withoutChecksums(exchange), 'CompleteMultipartUpload');
  const named = readParts(document);
  const uploadId = query(exchange, 'uploadId') ?? '';
  const request = JSON.stringify(named);
  const earlier = bucket.completed.get(uploadId);
  if (earlier?.key === key && earlier.request === request) return earlier.response;
  const { upload, parts } = findUpload(exchange, bucket);
  const chosen = named.map(part => choosePart(part, parts, upload.checksumAlgorithm, requiresChecksums(upload)));
  for (const part of chosen.slice(0, -1)) {
    if (part.segment.sizeBytes < core.limits.minimumPartBytes) {
      throw new S3Error(400, 'EntityTooSmall', 'Your proposed upload is smaller than the minimum allowed size', {
        details: {
          ProposedSize: String(part.segment.sizeBytes),
          MinSizeAllowed: String(core.limits.minimumPartBytes),
          PartNumber: String(part.partNumber),
        },
      });
    }
  }
  const checksum = combineParts(
    upload.checksumAlgorithm,
    upload.checksumType,
    chosen.map(part => ({ checksum: part.checksum, sizeBytes: part.segment.sizeBytes })),
  );
  const sizeBytes = chosen.reduce((sum, part) => sum + part.segment.sizeBytes, 0);
  checkWholeObject(exchange, checksum, sizeBytes);
  const eTags = Buffer.concat(chosen.map(part => Buffer.from(part.eTag, 'hex')));
  const { headers, tags, storageClass, lock, encryption } = upload;
  const version: ObjectVersion = {
    kind: 'object',
    key,
    versionId: newVersionId(bucket),
    // The date of the initiation: https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingMetadata.html
    lastModifiedMs: upload.initiatedMs,
    sizeBytes,
    eTag: `${createHash('md5').update(eTags).digest('hex')}-${chosen.length}`,
    checksum,
    encryption,
    segments: chosen.map(part => part.segment),
    multipart: true,
    partChecksums: chosen.map(part => part.checksum),
    headers,
    tags,
    storageClass,
    lock,
  };
  commitVersion(core, bucket, version, checkCondition, upload.uploadId);
  const response = {
    status: 200,
    headers: {
      'content-type': 'application/xml',
      ...versionHeader(bucket, version.versionId),
      ...encryptionHeaders(encryption),
    },
    body: writeXml([
      'CompleteMultipartUploadResult',
      [
        ['Location', `https://s3.eu-west-2.amazonaws.com/${bucket.name}/${encodeURIComponent(key)}`],
        ['Bucket', bucket.name],
        ['Key', key],
        ['ETag', `"${version.eTag}"`],
        [checksumElement(checksum.algorithm), checksum.value],
        ['ChecksumType', checksum.type],
      ],
    ]),
  };
  bucket.completed.set(uploadId, { key, request, response });
  for (const oldest of [...bucket.completed.keys()].slice(0, -COMPLETED_KEPT)) bucket.completed.delete(oldest);
  return response;
}

function withoutChecksums(exchange: Exchange): Exchange {
  const checksumHeaders = CHECKSUM_ALGORITHMS.map(checksumHeader);
  const headers = Object.fromEntries(
    Object.entries(exchange.request.headers).filter(([name]) => !checksumHeaders.includes(name)),
  );
  return { ...exchange, request: { ...exchange.request, headers } };
}

function requiresChecksums(upload: { checksumRequested: boolean; checksumType: string }): boolean {
  return upload.checksumRequested && upload.checksumType === 'COMPOSITE';
}

function readParts(document: XmlElement): NamedPart[] {
  const named = document.children.map((child): NamedPart => {
    const fields = readFields(child, ['PartNumber', 'ETag', ...CHECKSUM_ELEMENTS]);
    const { PartNumber = '', ETag, ...checksums } = fields;
    if (child.name !== 'Part' || !/^\d{1,5}$/.test(PartNumber) || ETag === undefined) throw malformedXml();
    return { partNumber: Number(PartNumber), eTag: ETag.trim().replace(/^"(.*)"$/, '$1'), checksums };
  });
  if (named.length === 0 || named.length > MAXIMUM_PARTS) throw malformedXml();
  for (const [index, part] of named.entries()) {
    if (index > 0 && part.partNumber <= (named[index - 1]?.partNumber ?? 0)) {
      throw new S3Error(
        400,
        'InvalidPartOrder',
        'The list of parts was not in ascending order. Parts must be ordered by part number.',
      );
    }
  }
  return named;
}

function choosePart(
  named: NamedPart,
  uploaded: ReadonlyMap<number, UploadedPart>,
  algorithm: ObjectVersion['checksum']['algorithm'],
  isChecksumRequired: boolean,
): UploadedPart {
  const part = uploaded.get(named.partNumber);
  const element = checksumElement(algorithm);
  const claimed = named.checksums[element];
  if (part === undefined || part.eTag !== named.eTag || (claimed !== undefined && claimed !== part.checksum)) {
    throw new S3Error(
      400,
      'InvalidPart',
      "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
      { details: { PartNumber: String(named.partNumber), ETag: named.eTag } },
    );
  }
  if (claimed === undefined && isChecksumRequired) {
    throw invalidRequest(
      `The upload was created using a ${algorithm.toLowerCase()} checksum. The complete request must include the checksum for each part. It was missing for part ${named.partNumber} in the request.`,
    );
  }
  return part;
}

function checkWholeObject(exchange: Exchange, checksum: ObjectVersion['checksum'], sizeBytes: number): void {
  const size = header(exchange, 'x-amz-mp-object-size');
  if (size !== undefined && size !== String(sizeBytes)) {
    throw invalidRequest(
      `The provided 'x-amz-mp-object-size' header value ${size} does not match what was computed: ${sizeBytes}`,
    );
  }
  const type = header(exchange, 'x-amz-checksum-type');
  if (type !== undefined && type !== checksum.type) {
    throw invalidRequest(`The upload was created with the checksum type ${checksum.type}, not ${type}.`);
  }
  for (const algorithm of CHECKSUM_ALGORITHMS) {
    const claimed = header(exchange, checksumHeader(algorithm));
    if (claimed === undefined) continue;
    const computed = claimed.includes('-') ? checksum.value : checksum.value.replace(/-\d+$/, '');
    if (algorithm !== checksum.algorithm || claimed !== computed) {
      throw new S3Error(400, 'BadDigest', `The ${algorithm} you specified did not match the calculated checksum.`);
    }
  }
}
