import type { AwsResponse } from '../service.ts';
import {
  createBucket,
  getBucketEncryption,
  getBucketLocation,
  getBucketPolicy,
  getBucketVersioning,
  getObjectLockConfiguration,
  headBucket,
  listBuckets,
} from './bucket-operations.ts';
import {
  deleteBucket,
  deleteBucketPolicy,
  getBucketTagging,
  putBucketPolicy,
  putBucketVersioning,
  putObjectLockConfiguration,
} from './bucket-settings.ts';
import { CHECKSUM_ALGORITHMS, checksumHeader } from './checksums.ts';
import { completeMultipartUpload } from './complete-upload.ts';
import { copyObject } from './copy-object.ts';
import { deleteObject, deleteObjects } from './delete-objects.ts';
import { notImplemented } from './errors.ts';
import type { Exchange } from './exchange.ts';
import { listMultipartUploads, listParts } from './list-uploads.ts';
import { listObjects, listObjectsV2, listObjectVersions } from './listing.ts';
import { getObjectLegalHold, getObjectRetention, putObjectLegalHold, putObjectRetention } from './locking.ts';
import { abortMultipartUpload, createMultipartUpload, uploadPart, uploadPartCopy } from './multipart.ts';
import { getObjectAttributes } from './object-attributes.ts';
import { putObject } from './put-object.ts';
import { getObject, headObject, RESPONSE_OVERRIDES } from './read-object.ts';
import { deleteObjectTagging, getObjectTagging, putObjectTagging } from './tagging.ts';

/** One operation: which requests are meant, what they may carry, and who answers them. */
interface Route {
  readonly name: string;
  readonly method: string;
  readonly scope: 'account' | 'bucket' | 'object';
  /** Query parameters that make this operation out; `list-type=2` also by its value. */
  readonly requires?: readonly string[];
  readonly requiresHeader?: string;
  /** Further query parameters. */
  readonly queries?: readonly string[];
  /** Headers beside those of every operation. A trailing `*` stands for any ending. */
  readonly headers?: readonly string[];
  readonly answer: (exchange: Exchange) => Promise<AwsResponse>;
}

const CUSTOMER_KEY = ['algorithm', 'key', 'key-md5'].map(part => `x-amz-server-side-encryption-customer-${part}`);
const SOURCE_CUSTOMER_KEY = CUSTOMER_KEY.map(name => name.replace('x-amz-', 'x-amz-copy-source-'));
const CONTENT_CHECKSUM = [
  'x-amz-sdk-checksum-algorithm',
  'x-amz-trailer',
  'x-amz-decoded-content-length',
  ...CHECKSUM_ALGORITHMS.map(checksumHeader),
];
const READ_CONDITIONS = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'];
const NEW_OBJECT = [
  'x-amz-acl',
  'x-amz-meta-*',
  'x-amz-tagging',
  'x-amz-storage-class',
  'x-amz-website-redirect-location',
  'x-amz-server-side-encryption',
  'x-amz-server-side-encryption-aws-kms-key-id',
  'x-amz-server-side-encryption-bucket-key-enabled',
  ...CUSTOMER_KEY,
  'x-amz-object-lock-mode',
  'x-amz-object-lock-retain-until-date',
  'x-amz-object-lock-legal-hold',
  'x-amz-object-lock-event-hold',
  'x-amz-object-lock-event-hold-duration-days',
  'x-amz-object-lock-event-hold-duration-years',
];
const COPY_SOURCE = [
  'x-amz-copy-source',
  'x-amz-copy-source-if-match',
  'x-amz-copy-source-if-none-match',
  'x-amz-copy-source-if-modified-since',
  'x-amz-copy-source-if-unmodified-since',
  'x-amz-source-expected-bucket-owner',
  ...SOURCE_CUSTOMER_KEY,
];
const BYPASS = 'x-amz-bypass-governance-retention';
const LISTING = ['prefix', 'delimiter', 'encoding-type', 'max-keys'];
const READING = {
  queries: ['versionId', 'partNumber', ...RESPONSE_OVERRIDES],
  // The SDK sends a checksum of the empty body when it is not to validate answers; S3 takes no notice of it.
  headers: ['range', 'x-amz-checksum-mode', ...READ_CONDITIONS, ...CUSTOMER_KEY, ...CONTENT_CHECKSUM],
};

/** The first route that fits is meant, so those that ask for more stand first. */
const ROUTES: readonly Route[] = [
  { name: 'ListBuckets', method: 'GET', scope: 'account', queries: ['prefix'], answer: listBuckets },

  { name: 'HeadBucket', method: 'HEAD', scope: 'bucket', answer: headBucket },
  {
    name: 'PutBucketPolicy',
    method: 'PUT',
    scope: 'bucket',
    requires: ['policy'],
    headers: CONTENT_CHECKSUM,
    answer: putBucketPolicy,
  },
  {
    name: 'PutBucketVersioning',
    method: 'PUT',
    scope: 'bucket',
    requires: ['versioning'],
    headers: CONTENT_CHECKSUM,
    answer: putBucketVersioning,
  },
  {
    name: 'PutObjectLockConfiguration',
    method: 'PUT',
    scope: 'bucket',
    requires: ['object-lock'],
    headers: CONTENT_CHECKSUM,
    answer: putObjectLockConfiguration,
  },
  { name: 'DeleteBucketPolicy', method: 'DELETE', scope: 'bucket', requires: ['policy'], answer: deleteBucketPolicy },
  { name: 'DeleteBucket', method: 'DELETE', scope: 'bucket', answer: deleteBucket },
  { name: 'GetBucketTagging', method: 'GET', scope: 'bucket', requires: ['tagging'], answer: getBucketTagging },
  {
    name: 'CreateBucket',
    method: 'PUT',
    scope: 'bucket',
    headers: ['x-amz-bucket-object-lock-enabled', ...CONTENT_CHECKSUM],
    answer: createBucket,
  },
  { name: 'GetBucketLocation', method: 'GET', scope: 'bucket', requires: ['location'], answer: getBucketLocation },
  {
    name: 'GetBucketVersioning',
    method: 'GET',
    scope: 'bucket',
    requires: ['versioning'],
    answer: getBucketVersioning,
  },
  {
    name: 'GetBucketEncryption',
    method: 'GET',
    scope: 'bucket',
    requires: ['encryption'],
    answer: getBucketEncryption,
  },
  { name: 'GetBucketPolicy', method: 'GET', scope: 'bucket', requires: ['policy'], answer: getBucketPolicy },
  {
    name: 'GetObjectLockConfiguration',
    method: 'GET',
    scope: 'bucket',
    requires: ['object-lock'],
    answer: getObjectLockConfiguration,
  },
  {
    name: 'ListObjectVersions',
    method: 'GET',
    scope: 'bucket',
    requires: ['versions'],
    queries: [...LISTING, 'key-marker', 'version-id-marker'],
    answer: listObjectVersions,
  },
  {
    name: 'ListObjectsV2',
    method: 'GET',
    scope: 'bucket',
    requires: ['list-type=2'],
    queries: [...LISTING, 'continuation-token', 'start-after', 'fetch-owner'],
    answer: listObjectsV2,
  },
  {
    name: 'ListMultipartUploads',
    method: 'GET',
    scope: 'bucket',
    requires: ['uploads'],
    queries: ['prefix', 'delimiter', 'encoding-type', 'max-uploads', 'key-marker', 'upload-id-marker'],
    answer: listMultipartUploads,
  },
  { name: 'ListObjects', method: 'GET', scope: 'bucket', queries: [...LISTING, 'marker'], answer: listObjects },
  {
    name: 'DeleteObjects',
    method: 'POST',
    scope: 'bucket',
    requires: ['delete'],
    headers: [BYPASS, ...CONTENT_CHECKSUM],
    answer: deleteObjects,
  },

  {
    name: 'GetObjectAttributes',
    method: 'GET',
    scope: 'object',
    requires: ['attributes'],
    queries: ['versionId'],
    headers: ['x-amz-object-attributes', 'x-amz-part-number-marker', ...CUSTOMER_KEY],
    answer: getObjectAttributes,
  },
  {
    name: 'GetObjectTagging',
    method: 'GET',
    scope: 'object',
    requires: ['tagging'],
    queries: ['versionId'],
    answer: getObjectTagging,
  },
  {
    name: 'PutObjectTagging',
    method: 'PUT',
    scope: 'object',
    requires: ['tagging'],
    queries: ['versionId'],
    headers: CONTENT_CHECKSUM,
    answer: putObjectTagging,
  },
  {
    name: 'DeleteObjectTagging',
    method: 'DELETE',
    scope: 'object',
    requires: ['tagging'],
    queries: ['versionId'],
    answer: deleteObjectTagging,
  },
  {
    name: 'GetObjectRetention',
    method: 'GET',
    scope: 'object',
    requires: ['retention'],
    queries: ['versionId'],
    answer: getObjectRetention,
  },
  {
    name: 'PutObjectRetention',
    method: 'PUT',
    scope: 'object',
    requires: ['retention'],
    queries: ['versionId'],
    headers: [BYPASS, ...CONTENT_CHECKSUM],
    answer: putObjectRetention,
  },
  {
    name: 'GetObjectLegalHold',
    method: 'GET',
    scope: 'object',
    requires: ['legal-hold'],
    queries: ['versionId'],
    answer: getObjectLegalHold,
  },
  {
    name: 'PutObjectLegalHold',
    method: 'PUT',
    scope: 'object',
    requires: ['legal-hold'],
    queries: ['versionId'],
    headers: CONTENT_CHECKSUM,
    answer: putObjectLegalHold,
  },
  {
    name: 'CreateMultipartUpload',
    method: 'POST',
    scope: 'object',
    requires: ['uploads'],
    headers: [...NEW_OBJECT, 'x-amz-checksum-algorithm', 'x-amz-checksum-type'],
    answer: createMultipartUpload,
  },
  {
    name: 'UploadPartCopy',
    method: 'PUT',
    scope: 'object',
    requires: ['uploadId', 'partNumber'],
    requiresHeader: 'x-amz-copy-source',
    headers: [...COPY_SOURCE, ...CUSTOMER_KEY, 'x-amz-copy-source-range'],
    answer: uploadPartCopy,
  },
  {
    name: 'UploadPart',
    method: 'PUT',
    scope: 'object',
    requires: ['uploadId', 'partNumber'],
    headers: [...CONTENT_CHECKSUM, ...CUSTOMER_KEY],
    answer: uploadPart,
  },
  {
    name: 'CompleteMultipartUpload',
    method: 'POST',
    scope: 'object',
    requires: ['uploadId'],
    headers: [
      ...CHECKSUM_ALGORITHMS.map(checksumHeader),
      ...CUSTOMER_KEY,
      'if-match',
      'if-none-match',
      'x-amz-checksum-type',
      'x-amz-mp-object-size',
    ],
    answer: completeMultipartUpload,
  },
  {
    name: 'AbortMultipartUpload',
    method: 'DELETE',
    scope: 'object',
    requires: ['uploadId'],
    answer: abortMultipartUpload,
  },
  {
    name: 'ListParts',
    method: 'GET',
    scope: 'object',
    requires: ['uploadId'],
    queries: ['max-parts', 'part-number-marker'],
    answer: listParts,
  },
  {
    name: 'CopyObject',
    method: 'PUT',
    scope: 'object',
    requiresHeader: 'x-amz-copy-source',
    headers: [
      ...NEW_OBJECT,
      ...COPY_SOURCE,
      'if-match',
      'if-none-match',
      'x-amz-checksum-algorithm',
      'x-amz-metadata-directive',
      'x-amz-tagging-directive',
      'x-amz-object-annotation-directive',
    ],
    answer: copyObject,
  },
  {
    name: 'PutObject',
    method: 'PUT',
    scope: 'object',
    headers: [...NEW_OBJECT, ...CONTENT_CHECKSUM, 'if-match', 'if-none-match'],
    answer: putObject,
  },
  { name: 'GetObject', method: 'GET', scope: 'object', ...READING, answer: getObject },
  { name: 'HeadObject', method: 'HEAD', scope: 'object', ...READING, answer: headObject },
  {
    name: 'DeleteObject',
    method: 'DELETE',
    scope: 'object',
    queries: ['versionId'],
    headers: [BYPASS, 'if-match'],
    answer: deleteObject,
  },
];

/** What signing and the SDKs add to any request. */
const COMMON_QUERIES = [
  'x-id',
  'X-Amz-Algorithm',
  'X-Amz-Content-Sha256',
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-Security-Token',
  'X-Amz-Signature',
  'X-Amz-SignedHeaders',
];
const COMMON_HEADERS = [
  'x-amz-content-sha256',
  'x-amz-date',
  'x-amz-expected-bucket-owner',
  'x-amz-security-token',
  'x-amz-user-agent',
];

/**
 * Finds who answers a request, and makes sure that everything in it is implemented.
 * @throws S3Error `NotImplemented`, naming the operation, header or query parameter
 */
export function findRoute(exchange: Exchange): Route {
  const { request, bucketName, key } = exchange;
  const scope = key !== '' ? 'object' : bucketName !== '' ? 'bucket' : 'account';
  const has = (required: string) => {
    const [name = '', value] = required.split('=');
    return name in request.query && (value === undefined || request.query[name] === value);
  };
  const route = ROUTES.find(
    candidate =>
      candidate.method === request.method &&
      candidate.scope === scope &&
      (candidate.requires ?? []).every(has) &&
      (candidate.requiresHeader === undefined || candidate.requiresHeader in request.headers),
  );
  const queries = Object.keys(request.query);
  if (route === undefined) {
    const parameters = queries.length === 0 ? '' : ` with the query parameters ${queries.join(', ')}`;
    throw notImplemented(`${request.method} on a resource of the kind ${scope}${parameters}`);
  }
  const allowedQueries = [...COMMON_QUERIES, ...(route.queries ?? []), ...(route.requires ?? [])];
  for (const name of queries) {
    if (!allowedQueries.some(allowed => allowed.replace(/=.*$/, '') === name)) {
      throw notImplemented(`${route.name} with the query parameter ${name}`);
    }
  }
  const allowedHeaders = [...COMMON_HEADERS, ...(route.headers ?? [])];
  for (const name of Object.keys(request.headers)) {
    const isJudged = name.startsWith('x-amz-') || READ_CONDITIONS.includes(name) || name === 'range';
    const isAllowed = (allowed: string) =>
      allowed.endsWith('*') ? name.startsWith(allowed.slice(0, -1)) : name === allowed;
    if (isJudged && !allowedHeaders.some(isAllowed)) throw notImplemented(`${route.name} with the header ${name}`);
  }
  return route;
}
