import type { AwsResponse } from '../service.ts';
import { authorize, existingTagContext, requestTagContext } from './authorization.ts';
import { readDocument } from './body.ts';
import type { Bucket, ObjectVersion } from './bucket.ts';
import { type Exchange, query } from './exchange.ts';
import { listResponse } from './listing.ts';
import { findNamedObject } from './named-object.ts';
import { versionHeader } from './put-object.ts';
import { readTagDocument, type Tags, writeTagDocument } from './tags.ts';

type TaggingAction = 'GetObject' | 'PutObject' | 'DeleteObject';

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectTagging.html */
export async function getObjectTagging(exchange: Exchange): Promise<AwsResponse> {
  const { bucket, version } = findTagged(exchange, 'GetObject');
  const response = listResponse(writeTagDocument(version.tags));
  return { ...response, headers: { ...response.headers, ...versionHeader(bucket, version.versionId) } };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html */
export async function putObjectTagging(exchange: Exchange): Promise<AwsResponse> {
  const tags = readTagDocument(await readDocument(exchange, 'Tagging'));
  return replaceTags(exchange, 'PutObject', tags, 200);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjectTagging.html */
export async function deleteObjectTagging(exchange: Exchange): Promise<AwsResponse> {
  return replaceTags(exchange, 'DeleteObject', {}, 204);
}

function replaceTags(exchange: Exchange, action: TaggingAction, tags: Tags, status: number): AwsResponse {
  const { bucket, version } = findTagged(exchange, action, tags);
  const { key, versionId } = version;
  exchange.core.store.commit({ type: 'version-changed', bucket: bucket.name, key, versionId, change: { tags } });
  return { status, headers: versionHeader(bucket, versionId) };
}

function findTagged(
  exchange: Exchange,
  action: TaggingAction,
  tags: Tags = {},
): { bucket: Bucket; version: ObjectVersion } {
  const suffix = query(exchange, 'versionId') === undefined ? 'Tagging' : 'VersionTagging';
  return findNamedObject(exchange, (bucket, version) =>
    authorize(
      exchange,
      `s3:${action}${suffix}`,
      { bucket, key: exchange.key },
      {
        ...existingTagContext(version),
        ...requestTagContext(tags),
      },
    ),
  );
}
