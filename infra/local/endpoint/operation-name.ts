import type { AwsRequest } from '../service.ts';

/** S3's sub-resources, with what they are called in the names of operations. */
const S3_SUBRESOURCES: Readonly<Record<string, string>> = {
  acl: 'Acl',
  encryption: 'Encryption',
  'legal-hold': 'LegalHold',
  lifecycle: 'LifecycleConfiguration',
  location: 'Location',
  'object-lock': 'ObjectLockConfiguration',
  policy: 'Policy',
  retention: 'Retention',
  tagging: 'Tagging',
  versioning: 'Versioning',
};
const SCHEDULE_VERBS: Readonly<Record<string, string>> = {
  GET: 'Get',
  POST: 'Create',
  PUT: 'Update',
  DELETE: 'Delete',
};
const VERBS: Readonly<Record<string, string>> = {
  GET: 'Get',
  HEAD: 'Head',
  PUT: 'Put',
  POST: 'Post',
  DELETE: 'Delete',
};

/** The name of the operation that a request asks for, as AWS calls it, for counting: `PutObject`, `GenerateDataKey`. */
export function operationName(request: AwsRequest): string {
  if (request.service === 's3') return s3Operation(request);
  if (request.service === 'lambda') {
    if (request.path.endsWith('/invocations')) return 'Invoke';
    return request.method === 'GET' && request.path.endsWith('/configuration') ? 'GetFunctionConfiguration' : 'unknown';
  }
  if (request.service === 'scheduler') {
    if (request.path === '/schedules') return 'ListSchedules';
    return `${SCHEDULE_VERBS[request.method] ?? request.method}Schedule`;
  }
  const target = request.headers['x-amz-target'];
  if (target !== undefined) return target.slice(target.lastIndexOf('.') + 1);
  if (request.body instanceof Uint8Array) {
    const action = new URLSearchParams(Buffer.from(request.body).toString('utf8')).get('Action');
    if (action !== null) return action;
  }
  return 'unknown';
}

function s3Operation({ method, path, query, headers }: AwsRequest): string {
  const scope = path === '/' ? 'account' : /^\/[^/]+\/./.test(path) ? 'object' : 'bucket';
  const has = (name: string) => Object.hasOwn(query, name);
  const copies = headers['x-amz-copy-source'] !== undefined;
  const verb = VERBS[method] ?? method;
  if (scope === 'account') return 'ListBuckets';
  if (scope === 'object') {
    if (has('uploadId')) {
      if (method === 'PUT') return copies ? 'UploadPartCopy' : 'UploadPart';
      return { GET: 'ListParts', POST: 'CompleteMultipartUpload', DELETE: 'AbortMultipartUpload' }[method] ?? verb;
    }
    if (has('uploads')) return 'CreateMultipartUpload';
  } else {
    if (has('delete')) return 'DeleteObjects';
    if (has('versions')) return 'ListObjectVersions';
    if (has('uploads')) return 'ListMultipartUploads';
  }
  const name = Object.keys(S3_SUBRESOURCES).find(has);
  if (name !== undefined) {
    const lock = name === 'object-lock';
    return `${verb}${scope === 'object' || lock ? (lock ? '' : 'Object') : 'Bucket'}${S3_SUBRESOURCES[name]}`;
  }
  if (scope === 'object') return method === 'PUT' && copies ? 'CopyObject' : `${verb}Object`;
  if (method === 'GET') return query['list-type'] === '2' ? 'ListObjectsV2' : 'ListObjects';
  return method === 'PUT' ? 'CreateBucket' : `${verb}Bucket`;
}
