import type { AwsResponse } from '../service.ts';
import { authorize, existingTagContext } from './authorization.ts';
import type { ObjectVersion } from './bucket.ts';
import { checksumElement } from './checksums.ts';
import { checkCustomerKey } from './encryption.ts';
import { invalidArgument } from './errors.ts';
import { bucketOf, type Exchange, header, httpDate, query } from './exchange.ts';
import { versionHeader } from './put-object.ts';
import { findReadable } from './read-object.ts';
import { writeXml, type XmlNode } from './xml.ts';

const ATTRIBUTES = ['ETag', 'Checksum', 'ObjectParts', 'StorageClass', 'ObjectSize'];
const PARTS_A_PAGE = 1000;

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributes.html */
export async function getObjectAttributes(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  const version = findReadable(exchange, bucket);
  const isVersion = query(exchange, 'versionId') !== undefined;
  authorize(
    exchange,
    isVersion ? 's3:GetObjectVersionAttributes' : 's3:GetObjectAttributes',
    { bucket, key: exchange.key },
    existingTagContext(version),
  );
  checkCustomerKey(exchange, version.encryption);
  const wanted = (header(exchange, 'x-amz-object-attributes') ?? '').split(',').map(name => name.trim());
  const unknown = wanted.find(name => !ATTRIBUTES.includes(name));
  if (unknown !== undefined) {
    throw invalidArgument('x-amz-object-attributes', unknown, 'Invalid attribute name specified.');
  }
  const { algorithm, type, value } = version.checksum;
  const nodes: Record<string, () => XmlNode[]> = {
    ETag: () => [['ETag', version.eTag]],
    Checksum: () => [
      [
        'Checksum',
        [
          [checksumElement(algorithm), value],
          ['ChecksumType', type],
        ],
      ],
    ],
    ObjectParts: () => (version.multipart ? [partsNode(exchange, version)] : []),
    StorageClass: () => [['StorageClass', version.storageClass]],
    ObjectSize: () => [['ObjectSize', version.sizeBytes]],
  };
  return {
    status: 200,
    headers: {
      'content-type': 'application/xml',
      'last-modified': httpDate(version.lastModifiedMs),
      ...versionHeader(bucket, version.versionId),
    },
    body: writeXml([
      'GetObjectAttributesResponse',
      ATTRIBUTES.flatMap(name => (wanted.includes(name) ? (nodes[name]?.() ?? []) : [])),
    ]),
  };
}

// Single parts are only listed for an object whose checksum is composed of theirs.
function partsNode(exchange: Exchange, { segments, partChecksums, checksum }: ObjectVersion): XmlNode {
  const marker = Number(header(exchange, 'x-amz-part-number-marker') ?? 0);
  if (!Number.isInteger(marker) || marker < 0) {
    throw invalidArgument('x-amz-part-number-marker', String(marker), 'The part number marker is not a part number');
  }
  const parts = checksum.type === 'COMPOSITE' ? (partChecksums ?? []) : [];
  const page = parts.slice(marker, marker + PARTS_A_PAGE);
  return [
    'ObjectParts',
    [
      ['PartsCount', segments.length],
      ['PartNumberMarker', marker],
      ['NextPartNumberMarker', marker + page.length],
      ['MaxParts', PARTS_A_PAGE],
      ['IsTruncated', marker + page.length < parts.length],
      ...page.map(
        (value, index): XmlNode => [
          'Part',
          [
            ['PartNumber', marker + index + 1],
            ['Size', segments[marker + index]?.sizeBytes ?? 0],
            [checksumElement(checksum.algorithm), value],
          ],
        ],
      ),
    ],
  ];
}
