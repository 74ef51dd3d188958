import type { AwsResponse } from '../service.ts';
import { authorize, existingTagContext } from './authorization.ts';
import { readDocument } from './body.ts';
import { type Bucket, currentObject, findVersion } from './bucket.ts';
import { matches } from './conditions.ts';
import {
  invalidArgument,
  malformedXml,
  notImplemented,
  preconditionFailed,
  protectedByLock,
  S3Error,
} from './errors.ts';
import { bucketOf, type Exchange, flag, header, query, readVersionId, wholeSeconds } from './exchange.ts';
import { isLocked } from './object-lock.ts';
import { newVersionId, versionHeader } from './put-object.ts';
import { readFields, writeXml, type XmlElement, type XmlNode } from './xml.ts';

const BYPASS = 'x-amz-bypass-governance-retention';
const MAXIMUM_KEYS = 1000;

interface Deletion {
  readonly key: string;
  readonly versionId?: string;
  readonly eTag?: string;
}

/** What a deletion did: removed a version (perhaps a marker), or put a marker on top. */
interface Deleted {
  readonly removedMarker: boolean;
  readonly newMarkerVersionId?: string;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html */
export async function deleteObject(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  const versionId = readVersionId(query(exchange, 'versionId'));
  const eTag = header(exchange, 'if-match');
  const deletion: Deletion = {
    key: exchange.key,
    ...(versionId === undefined ? {} : { versionId }),
    ...(eTag === undefined ? {} : { eTag }),
  };
  const { removedMarker, newMarkerVersionId } = deleteOne(exchange, bucket, deletion, readBypass(exchange, bucket));
  return {
    status: 204,
    headers: {
      ...(removedMarker || newMarkerVersionId !== undefined ? { 'x-amz-delete-marker': 'true' } : {}),
      ...(newMarkerVersionId === undefined ? {} : { 'x-amz-version-id': newMarkerVersionId }),
      ...(versionId === undefined ? {} : versionHeader(bucket, versionId)),
    },
  };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html: each key succeeds or fails by itself. */
export async function deleteObjects(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  const bypass = readBypass(exchange, bucket);
  const document = await readDocument(exchange, 'Delete', true);
  const { quiet, deletions } = readDeletions(document);
  const results = deletions.flatMap((deletion): XmlNode[] => {
    const named: XmlNode[] = [
      ['Key', deletion.key],
      ...(deletion.versionId === undefined ? [] : [['VersionId', deletion.versionId] as const]),
    ];
    try {
      readVersionId(deletion.versionId);
      const { removedMarker, newMarkerVersionId } = deleteOne(exchange, bucket, deletion, bypass);
      const markerId = newMarkerVersionId ?? (removedMarker ? deletion.versionId : undefined);
      const marker: XmlNode[] =
        markerId === undefined
          ? []
          : [
              ['DeleteMarker', true],
              ['DeleteMarkerVersionId', markerId],
            ];
      return quiet ? [] : [['Deleted', [...named, ...marker]]];
    } catch (error) {
      if (!(error instanceof S3Error)) throw error;
      return [['Error', [...named, ['Code', error.code], ['Message', error.message]]]];
    }
  });
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: writeXml(['DeleteResult', results]) };
}

function deleteOne(exchange: Exchange, bucket: Bucket, deletion: Deletion, bypass: boolean): Deleted {
  const { core, now } = exchange;
  const { key, versionId, eTag } = deletion;
  const place = { bucket, key };
  if (bypass) authorize(exchange, 's3:BypassGovernanceRetention', place);
  const current = currentObject(bucket, key);
  const version = versionId === undefined ? current : findVersion(bucket, key, versionId);
  authorize(exchange, versionId === undefined ? 's3:DeleteObject' : 's3:DeleteObjectVersion', place, {
    ...existingTagContext(version),
    ...(versionId === undefined ? {} : { 's3:VersionId': versionId }),
  });
  // "conditional deletes with a specific ETag value require both s3:DeleteObject and s3:GetObject permissions"
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-delete-enforce.html
  if (eTag?.trim() === '*') throw notImplemented('If-Match: * of a delete');
  if (eTag !== undefined) authorize(exchange, 's3:GetObject', place);
  if (eTag !== undefined && (version?.kind !== 'object' || !matches(eTag, version.eTag))) {
    throw preconditionFailed('If-Match');
  }
  if (versionId === undefined && bucket.versioning !== 'Unversioned') {
    const marker = {
      kind: 'delete-marker',
      key,
      versionId: newVersionId(bucket),
      lastModifiedMs: wholeSeconds(now),
    } as const;
    core.store.commit({ type: 'version', bucket: bucket.name, version: marker });
    return { removedMarker: false, newMarkerVersionId: marker.versionId };
  }
  if (version === undefined) return { removedMarker: false };
  if (version.kind === 'object' && isLocked(version.lock, now, bypass)) throw protectedByLock();
  core.store.commit({ type: 'version-removed', bucket: bucket.name, key, versionId: version.versionId });
  return { removedMarker: version.kind === 'delete-marker' };
}

function readBypass(exchange: Exchange, bucket: Bucket): boolean {
  const bypass = flag(exchange, BYPASS);
  if (header(exchange, BYPASS) !== undefined && bucket.definition.objectLock === undefined) {
    throw invalidArgument(BYPASS, String(bypass), `${BYPASS} is only applicable to Object Lock enabled buckets.`);
  }
  return bypass;
}

function readDeletions(document: XmlElement): { quiet: boolean; deletions: Deletion[] } {
  let quiet = false;
  const deletions: Deletion[] = [];
  for (const child of document.children) {
    if (child.name === 'Quiet') {
      quiet = child.text.trim() === 'true';
      continue;
    }
    // Directory buckets alone know these conditions.
    const unknown = child.children.find(({ name }) => name === 'LastModifiedTime' || name === 'Size');
    if (unknown !== undefined) throw notImplemented(`DeleteObjects with ${unknown.name}`);
    const { Key, VersionId, ETag } = readFields(child, ['Key', 'VersionId', 'ETag']);
    if (child.name !== 'Object' || Key === undefined || Key === '') throw malformedXml();
    deletions.push({
      key: Key,
      ...(VersionId === undefined ? {} : { versionId: VersionId }),
      ...(ETag === undefined ? {} : { eTag: ETag }),
    });
  }
  if (deletions.length === 0 || deletions.length > MAXIMUM_KEYS) throw malformedXml();
  return { quiet, deletions };
}
