import type { AwsResponse } from '../service.ts';
import { authorize } from './authorization.ts';
import type { MultipartUpload } from './bucket.ts';
import { checksumElement } from './checksums.ts';
import { invalidArgument } from './errors.ts';
import { bucketOf, type Exchange, isoDate, query } from './exchange.ts';
import { compareKeys, SortedKeys } from './key-order.ts';
import {
  commonPrefixNodes,
  listResponse,
  ownerNode,
  readMaximum,
  readSelection,
  selectionNodes,
  selectKeys,
} from './listing.ts';
import { findUpload } from './multipart.ts';
import type { XmlNode } from './xml.ts';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListParts.html */
export async function listParts(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:ListMultipartUploadParts', { bucket, key: exchange.key });
  const { upload, parts } = findUpload(exchange, bucket);
  const maximum = readMaximum(exchange, 'max-parts');
  const marker = query(exchange, 'part-number-marker') || '0';
  if (!/^\d{1,5}$/.test(marker)) {
    throw invalidArgument('part-number-marker', marker, 'The part number marker is not a part number');
  }
  const rest = [...parts.values()]
    .filter(part => part.partNumber > Number(marker))
    .sort((a, b) => a.partNumber - b.partNumber);
  const page = rest.slice(0, maximum);
  const isTruncated = maximum > 0 && rest.length > page.length;
  return listResponse([
    'ListPartsResult',
    [
      ['Bucket', bucket.name],
      ['Key', upload.key],
      ['UploadId', upload.uploadId],
      ownerNode(exchange, 'Initiator'),
      ownerNode(exchange),
      ['StorageClass', upload.storageClass],
      ['PartNumberMarker', marker],
      ['NextPartNumberMarker', page.at(-1)?.partNumber ?? 0],
      ['MaxParts', maximum],
      ['IsTruncated', isTruncated],
      ['ChecksumAlgorithm', upload.checksumAlgorithm],
      ['ChecksumType', upload.checksumType],
      ...page.map(
        (part): XmlNode => [
          'Part',
          [
            ['PartNumber', part.partNumber],
            ['LastModified', isoDate(part.lastModifiedMs)],
            ['ETag', `"${part.eTag}"`],
            ['Size', part.segment.sizeBytes],
            [checksumElement(upload.checksumAlgorithm), part.checksum],
          ],
        ],
      ),
    ],
  ]);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListMultipartUploads.html */
export async function listMultipartUploads(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:ListBucketMultipartUploads', { bucket });
  const selection = readSelection(exchange, 'max-uploads');
  const { encode, maximum } = selection;
  const keyMarker = query(exchange, 'key-marker') ?? '';
  const uploadIdMarker = keyMarker === '' ? '' : (query(exchange, 'upload-id-marker') ?? '');
  const found = [...uploadsInOrder([...bucket.uploads.values()], selection, keyMarker, uploadIdMarker)];
  const page = found.slice(0, maximum);
  const last = page.at(-1);
  const isTruncated = maximum > 0 && found.length > page.length;
  return listResponse([
    'ListMultipartUploadsResult',
    [
      ['Bucket', bucket.name],
      ['KeyMarker', encode(keyMarker)],
      ['UploadIdMarker', uploadIdMarker],
      isTruncated && last !== undefined
        ? ['NextKeyMarker', encode(typeof last === 'string' ? last : last.key)]
        : undefined,
      isTruncated && typeof last === 'object' ? ['NextUploadIdMarker', last.uploadId] : undefined,
      ['Prefix', encode(selection.prefix)],
      ...selectionNodes(selection, 'MaxUploads'),
      ['IsTruncated', isTruncated],
      ...page
        .filter(item => typeof item === 'object')
        .map(
          (upload): XmlNode => [
            'Upload',
            [
              ['Key', encode(upload.key)],
              ['UploadId', upload.uploadId],
              ownerNode(exchange, 'Initiator'),
              ownerNode(exchange),
              ['StorageClass', upload.storageClass],
              ['Initiated', isoDate(upload.initiatedMs)],
              ['ChecksumAlgorithm', upload.checksumAlgorithm],
              ['ChecksumType', upload.checksumType],
            ],
          ],
        ),
      ...commonPrefixNodes(
        selection,
        page.filter(item => typeof item === 'string'),
      ),
    ],
  ]);
}

/** By key, and by the time of initiation within a key; common prefixes as strings. */
function* uploadsInOrder(
  uploads: readonly { upload: MultipartUpload }[],
  selection: Parameters<typeof selectKeys>[1],
  keyMarker: string,
  uploadIdMarker: string,
): Generator<MultipartUpload | string> {
  const byKey = new SortedKeys<{ key: string; uploads: MultipartUpload[] }>();
  for (const { upload } of uploads) {
    if (byKey.get(upload.key) === undefined) byKey.add({ key: upload.key, uploads: [] });
    byKey.get(upload.key)?.uploads.push(upload);
  }
  const inOrder = (key: string) =>
    (byKey.get(key)?.uploads ?? []).sort(
      (a, b) => a.initiatedMs - b.initiatedMs || compareKeys(a.uploadId, b.uploadId),
    );
  if (uploadIdMarker !== '' && keyMarker.startsWith(selection.prefix)) {
    const rest = inOrder(keyMarker);
    const at = rest.findIndex(upload => upload.uploadId === uploadIdMarker);
    if (at !== -1) yield* rest.slice(at + 1);
  }
  for (const item of selectKeys(byKey, selection, keyMarker === '' ? undefined : keyMarker, true, () => true)) {
    if (typeof item === 'string') yield item;
    else yield* inOrder(item.key);
  }
}
