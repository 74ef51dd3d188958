import { describe, expect, it } from 'vitest';
import { operationName } from '../../../../infra/local/endpoint/operation-name.ts';
import type { AwsRequest } from '../../../../infra/local/service.ts';

const request = (given: Partial<AwsRequest>): AwsRequest => ({
  service: 's3',
  method: 'GET',
  path: '/',
  query: {},
  headers: {},
  body: undefined,
  principal: { kind: 'root', arn: 'arn:aws:iam::111122223333:root' },
  secure: true,
  ...given,
});
const copy = { 'x-amz-copy-source': 'b/k' };

describe('operationName', () => {
  it.each<[string, Partial<AwsRequest>]>([
    ['ListBuckets', {}],
    ['GetSchedule', { service: 'scheduler', path: '/schedules/daily' }],
    ['ListSchedules', { service: 'scheduler', path: '/schedules' }],
    ['CreateSchedule', { service: 'scheduler', path: '/schedules/daily', method: 'POST' }],
    ['DeleteSchedule', { service: 'scheduler', path: '/schedules/daily', method: 'DELETE' }],
    ['ListObjectsV2', { path: '/b', query: { 'list-type': '2' } }],
    ['ListObjects', { path: '/b/' }],
    ['ListObjectVersions', { path: '/b', query: { versions: '' } }],
    ['HeadBucket', { path: '/b', method: 'HEAD' }],
    ['CreateBucket', { path: '/b', method: 'PUT' }],
    ['GetBucketPolicy', { path: '/b', query: { policy: '' } }],
    ['GetBucketVersioning', { path: '/b', query: { versioning: '' } }],
    ['GetObjectLockConfiguration', { path: '/b', query: { 'object-lock': '' } }],
    ['DeleteObjects', { path: '/b', method: 'POST', query: { delete: '' } }],
    ['ListMultipartUploads', { path: '/b', query: { uploads: '' } }],
    ['GetObject', { path: '/b/k' }],
    ['HeadObject', { path: '/b/k', method: 'HEAD' }],
    ['PutObject', { path: '/b/k', method: 'PUT' }],
    ['CopyObject', { path: '/b/k', method: 'PUT', headers: copy }],
    ['DeleteObject', { path: '/b/k/', method: 'DELETE' }],
    ['GetObjectTagging', { path: '/b/k', query: { tagging: '' } }],
    ['PutObjectRetention', { path: '/b/k', method: 'PUT', query: { retention: '' } }],
    ['PutObjectLegalHold', { path: '/b/k', method: 'PUT', query: { 'legal-hold': '' } }],
    ['CreateMultipartUpload', { path: '/b/k', method: 'POST', query: { uploads: '' } }],
    ['UploadPart', { path: '/b/k', method: 'PUT', query: { uploadId: 'u', partNumber: '1' } }],
    ['UploadPartCopy', { path: '/b/k', method: 'PUT', query: { uploadId: 'u', partNumber: '1' }, headers: copy }],
    ['CompleteMultipartUpload', { path: '/b/k', method: 'POST', query: { uploadId: 'u' } }],
    ['AbortMultipartUpload', { path: '/b/k', method: 'DELETE', query: { uploadId: 'u' } }],
    ['ListParts', { path: '/b/k', query: { uploadId: 'u' } }],
    ['GenerateDataKey', { service: 'kms', headers: { 'x-amz-target': 'TrentService.GenerateDataKey' } }],
    ['CopyDBSnapshot', { service: 'rds', body: Buffer.from('Action=CopyDBSnapshot&Version=2014-10-31') }],
    ['Invoke', { service: 'lambda', path: '/2015-03-31/functions/f/invocations' }],
    ['unknown', { service: 'lambda', path: '/2015-03-31/functions' }],
    ['unknown', { service: 'rds' }],
  ])('%s', (expected, given) => {
    expect(operationName(request(given))).toBe(expected);
  });
});
