import type { AwsResponse } from '../service.ts';
import { authorize, existingTagContext, requestTagContext } from './authorization.ts';
import { type Bucket, findVersion, newestVersion, type ObjectDescription, type ObjectVersion } from './bucket.ts';
import { refuseEnforcedCopy } from './bucket-settings.ts';
import { checksumElement, readAlgorithm } from './checksums.ts';
import { checkCopySourceConditions, guardWrite } from './conditions.ts';
import { readContentHeaders, readDescription, WEBSITE_REDIRECT, writeActions } from './description.ts';
import { dataKeyForRead, encryptionForWrite, encryptionHeaders } from './encryption.ts';
import {
  accessDenied,
  invalidArgument,
  invalidRequest,
  noSuchBucket,
  noSuchKey,
  noSuchVersion,
  notImplemented,
} from './errors.ts';
import { bucketOf, type Exchange, header, isoDate, readVersionId, wholeSeconds } from './exchange.ts';
import { commitVersion, eTagOf, newVersionId, versionHeader } from './put-object.ts';
import { refuseArchived } from './read-object.ts';
import { RunningContent } from './running-content.ts';
import { readSegments, storeSegment } from './sealed-content.ts';
import { writeXml } from './xml.ts';

/** What a copy reads. */
export interface CopySource {
  readonly bucket: Bucket;
  readonly version: ObjectVersion;
  /** Undefined where the source is stored as it came. */
  readonly dataKey: Buffer | undefined;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html */
export async function copyObject(exchange: Exchange): Promise<AwsResponse> {
  const { core, key, now } = exchange;
  const bucket = bucketOf(exchange);
  const creation = { 's3:ObjectCreationOperation': 'true' };
  for (const { action, context } of writeActions(exchange)) {
    authorize(exchange, action, { bucket, key }, { ...context, ...creation });
  }
  refuseEnforcedCopy(exchange, creation);
  const found = findCopySource(exchange);
  const source = found.version;
  const description = describeCopy(exchange, bucket, found);
  if (source.sizeBytes > core.limits.maximumCopyBytes) {
    throw invalidRequest(
      `The specified copy source is larger than the maximum allowable size for a copy source: ${core.limits.maximumCopyBytes}`,
    );
  }
  refuseCopyOntoItself(exchange, bucket, found);
  const checkCondition = guardWrite(exchange, bucket);
  const { dataKey: sourceKey } = openCopySource(exchange, found);
  const { encryption, dataKey } = encryptionForWrite(exchange, bucket);
  const algorithm = readAlgorithm(header(exchange, 'x-amz-checksum-algorithm') ?? source.checksum.algorithm);
  const running = new RunningContent(algorithm);
  const content = readSegments(core.store.contents, source.segments, sourceKey, 0, source.sizeBytes);
  const segment = await storeSegment(core.store.contents, running.through(content), dataKey);
  const version: ObjectVersion = {
    kind: 'object',
    key,
    versionId: newVersionId(bucket),
    lastModifiedMs: wholeSeconds(now),
    sizeBytes: segment.sizeBytes,
    eTag: eTagOf(encryption.algorithm === 'AES256', running.md5()),
    checksum: { algorithm, type: 'FULL_OBJECT', value: running.checksum() },
    encryption,
    segments: [segment],
    multipart: false,
    ...description,
  };
  commitVersion(core, bucket, version, checkCondition);
  return {
    status: 200,
    headers: {
      'content-type': 'application/xml',
      ...versionHeader(bucket, version.versionId),
      ...sourceVersionHeader(found),
      ...encryptionHeaders(encryption),
    },
    body: writeXml([
      'CopyObjectResult',
      [
        ['LastModified', isoDate(version.lastModifiedMs)],
        ['ETag', `"${version.eTag}"`],
        ['ChecksumType', 'FULL_OBJECT'],
        [checksumElement(algorithm), version.checksum.value],
      ],
    ]),
  };
}

/**
 * The version that `x-amz-copy-source` names, after asking IAM for it and checking the conditions on it.
 * @throws S3Error also for an archived one, or where the conditions on it do not hold.
 */
export function findCopySource(exchange: Exchange): Omit<CopySource, 'dataKey'> {
  const { bucketName, key, versionId } = readCopySource(header(exchange, 'x-amz-copy-source') ?? '');
  const bucket = exchange.core.store.buckets.get(bucketName);
  if (bucket === undefined) throw noSuchBucket(bucketName);
  const expectedOwner = header(exchange, 'x-amz-source-expected-bucket-owner');
  if (expectedOwner !== undefined && expectedOwner !== exchange.core.accountId) throw accessDenied();
  const version = versionId === undefined ? newestVersion(bucket, key) : findVersion(bucket, key, versionId);
  const action = versionId === undefined ? 's3:GetObject' : 's3:GetObjectVersion';
  authorize(
    exchange,
    action,
    { bucket, key },
    {
      ...existingTagContext(version),
      ...(versionId === undefined ? {} : { 's3:VersionId': versionId }),
    },
  );
  if (version?.kind !== 'object') {
    authorize(exchange, 's3:ListBucket', { bucket });
    if (versionId === undefined) throw noSuchKey(key);
    if (version === undefined) throw noSuchVersion(key, versionId);
    throw invalidRequest('The source of a copy request may not specifically refer to a delete marker by version id.');
  }
  checkCopySourceConditions(exchange, version);
  refuseArchived(version);
  return { bucket, version };
}

/** Adds the key to read the source with. @throws S3Error what KMS refused, or 400 without the customer's key. */
export function openCopySource(exchange: Exchange, source: Omit<CopySource, 'dataKey'>): CopySource {
  const place = { bucket: source.bucket.name, key: source.version.key };
  return { ...source, dataKey: dataKeyForRead(exchange, place, source.version.encryption, 'copy-source') };
}

export function sourceVersionHeader({ bucket, version }: Omit<CopySource, 'dataKey'>): Record<string, string> {
  return bucket.versioning === 'Unversioned' ? {} : { 'x-amz-copy-source-version-id': version.versionId };
}

function readCopySource(source: string): { bucketName: string; key: string; versionId: string | undefined } {
  if (source.startsWith('arn:')) throw notImplemented('x-amz-copy-source as an ARN');
  const [path = '', parameters, ...rest] = source.split('?');
  const invalid = () => invalidArgument('x-amz-copy-source', source, 'Invalid copy source object key');
  try {
    const [, bucketName, key] = /^\/?([^/]+)\/(.+)$/s.exec(decodeURIComponent(path.replaceAll('+', ' '))) ?? [];
    const versionId = parameters === undefined ? undefined : /^versionId=([^&]+)$/.exec(parameters)?.[1];
    if (bucketName === undefined || key === undefined || rest.length > 0) throw invalid();
    if (parameters !== undefined && versionId === undefined) throw invalid();
    return { bucketName, key, versionId: readVersionId(versionId && decodeURIComponent(versionId)) };
  } catch (error) {
    throw error instanceof URIError ? invalid() : error;
  }
}

function describeCopy(exchange: Exchange, bucket: Bucket, source: Omit<CopySource, 'dataKey'>): ObjectDescription {
  const { version } = source;
  const written = readDescription(exchange, bucket);
  const copiesHeaders = readDirective(exchange, 'x-amz-metadata-directive') === 'COPY';
  const copiesTags = readDirective(exchange, 'x-amz-tagging-directive') === 'COPY';
  readDirective(exchange, 'x-amz-object-annotation-directive');
  if (copiesTags && header(exchange, 'x-amz-tagging') !== undefined) {
    throw invalidRequest('x-amz-tagging needs the tagging directive REPLACE');
  }
  if (copiesTags && Object.keys(version.tags).length > 0) {
    const isVersion = (header(exchange, 'x-amz-copy-source') ?? '').includes('?versionId=');
    const place = { bucket: source.bucket, key: version.key };
    authorize(
      exchange,
      isVersion ? 's3:GetObjectVersionTagging' : 's3:GetObjectTagging',
      place,
      existingTagContext(version),
    );
    authorize(exchange, 's3:PutObjectTagging', { bucket, key: exchange.key }, requestTagContext(version.tags));
  }
  // A redirect belongs to one object and is never copied.
  const { [WEBSITE_REDIRECT]: redirect } = written.headers;
  const { [WEBSITE_REDIRECT]: _sourceRedirect, ...sourceHeaders } = version.headers;
  return {
    ...written,
    headers: {
      ...(copiesHeaders ? sourceHeaders : readContentHeaders(exchange)),
      ...(redirect === undefined ? {} : { [WEBSITE_REDIRECT]: redirect }),
    },
    tags: copiesTags ? version.tags : written.tags,
  };
}

// `EXCLUDE` is what only annotations know; no object here has any, so copying and excluding them come to the same.
function readDirective(exchange: Exchange, name: string): string {
  const directive = header(exchange, name) ?? 'COPY';
  const allowed = name === 'x-amz-object-annotation-directive' ? ['COPY', 'EXCLUDE'] : ['COPY', 'REPLACE'];
  if (!allowed.includes(directive)) {
    throw invalidArgument(name, directive, `Unknown directive. Valid values are ${allowed.join(' and ')}.`);
  }
  return directive;
}

function refuseCopyOntoItself(exchange: Exchange, bucket: Bucket, source: Omit<CopySource, 'dataKey'>): void {
  const changes = [
    'x-amz-storage-class',
    'x-amz-server-side-encryption',
    'x-amz-server-side-encryption-customer-algorithm',
    WEBSITE_REDIRECT,
  ];
  const isNewest = newestVersion(bucket, exchange.key) === source.version;
  const replacesMetadata = header(exchange, 'x-amz-metadata-directive') === 'REPLACE';
  const isChange = replacesMetadata || changes.some(name => header(exchange, name) !== undefined);
  if (source.bucket === bucket && source.version.key === exchange.key && isNewest && !isChange) {
    throw invalidRequest(
      "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.",
    );
  }
}
