import { createHash, randomUUID } from 'node:crypto';
import { operationName } from '../endpoint/operation-name.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import type { AwsRequest, AwsResponse, Principal } from '../service.ts';

/** A record as CloudTrail writes it. */
export interface TrailRecord {
  readonly eventSource: string;
  readonly eventName: string;
  readonly eventTime: string;
  readonly eventType: string;
  readonly awsRegion: string;
  readonly readOnly: boolean;
  readonly eventCategory: 'Management' | 'Data';
  readonly resources?: readonly { readonly ARN?: string }[];
  readonly [field: string]: unknown;
}

/** What is done by a request or by hand. */
export interface Deed {
  readonly principal: Principal;
  readonly at: Date;
  /** `rds.amazonaws.com` */
  readonly eventSource: string;
  readonly eventName: string;
  readonly requestParameters: Readonly<Record<string, unknown>> | null;
  readonly resources?: readonly Readonly<Record<string, string>>[];
  readonly errorCode?: string;
  /** @default eu-west-2 */
  readonly awsRegion?: string;
  /** The AWS service that acted in the principal's name. */
  readonly invokedBy?: string;
  readonly category?: 'Management' | 'Data';
}

const READS =
  /^(?:Get|List|Head|Describe|Decrypt|Encrypt|GenerateDataKey|GenerateMac|Verify|Sign|ReEncrypt|Lookup|Filter|Select)/;

/** https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html */
export function trailRecord(deed: Deed): TrailRecord {
  const { principal, at, eventSource, eventName, errorCode, invokedBy, category = 'Management' } = deed;
  const accountId = principal.arn.split(':', 5)[4] ?? '';
  return {
    eventVersion: '1.11',
    userIdentity: { ...identityOf(principal, accountId), ...(invokedBy && { invokedBy }) },
    eventTime: `${at.toISOString().slice(0, 19)}Z`,
    eventSource,
    eventName,
    awsRegion: deed.awsRegion ?? LOCAL_REGION,
    sourceIPAddress: invokedBy ?? '192.0.2.1',
    userAgent: invokedBy ?? 'aws-cli/2',
    ...(errorCode && { errorCode, errorMessage: 'refused' }),
    requestParameters: deed.requestParameters,
    responseElements: null,
    requestID: randomUUID(),
    eventID: randomUUID(),
    readOnly: READS.test(eventName),
    ...(deed.resources && { resources: deed.resources }),
    eventType: 'AwsApiCall',
    managementEvent: category === 'Management',
    recipientAccountId: accountId,
    eventCategory: category,
  };
}

// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
function identityOf({ kind, arn }: Principal, accountId: string): object {
  if (kind === 'root') return { type: 'Root', principalId: accountId, arn, accountId, accessKeyId: 'ASIAEXAMPLE' };
  const userName = arn.slice(arn.lastIndexOf('/') + 1);
  const principalId = `AROA${createHash('sha256').update(arn).digest('hex').slice(0, 17).toUpperCase()}`;
  return {
    type: 'AssumedRole',
    principalId: `${principalId}:jo.bloggs@example.com`,
    arn: `arn:aws:sts::${accountId}:assumed-role/${userName}/jo.bloggs@example.com`,
    accountId,
    accessKeyId: 'ASIAEXAMPLE',
    sessionContext: {
      sessionIssuer: { type: 'Role', principalId, arn, accountId, userName },
      attributes: { creationDate: '2026-01-01T00:00:00Z', mfaAuthenticated: 'true' },
    },
  };
}

/** Whether a request changes anything, by its operation's name; a wrong guess would only cost a record. */
export function changesSomething(request: AwsRequest): boolean {
  return !READS.test(operationName(request));
}

/**
 * Whether a request is a data event: what is done to an object or a message, or a call of a function. The event history holds none.
 * https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-data-events-with-cloudtrail.html
 */
export function isDataEvent(request: AwsRequest): boolean {
  if (request.service === 'lambda') return operationName(request) === 'Invoke';
  if (request.service === 'sqs') return /^(?:Receive|Delete|Send)Message/.test(operationName(request));
  return request.service === 's3' && (/^\/[^/]+\/./.test(request.path) || Object.hasOwn(request.query, 'delete'));
}

/** The deed that a request was, once it was answered. */
export function deedOf(request: AwsRequest, response: AwsResponse, at: Date): Deed {
  const { service, principal } = request;
  const accountId = principal.arn.split(':', 5)[4] ?? '';
  const errorCode = response.status >= 400 ? errorCodeOf(response) : undefined;
  const eventName = operationName(request);
  const common = { principal, at, eventName, ...(errorCode && { errorCode }) };
  const eventSource = `${service}.amazonaws.com`;
  if (service === 's3') return { ...common, ...ofS3(request, accountId), eventSource };
  if (service === 'rds') {
    // https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/logging-using-cloudtrail.html
    return { ...common, eventSource, requestParameters: errorCode ? null : fromForm(request) };
  }
  if (service === 'iam') {
    // Its events are written in one Region for all.
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html
    const requestParameters = errorCode ? null : fromForm(request);
    return { ...common, eventSource, requestParameters, awsRegion: 'us-east-1' };
  }
  if (service === 'scheduler') {
    // The name is in the path, whatever the body says.
    // https://docs.aws.amazon.com/scheduler/latest/UserGuide/logging-using-cloudtrail.html
    const name = decodeURIComponent(request.path.replace('/schedules/', ''));
    const called = { groupName: 'default', ...fromJson(request), name };
    return { ...common, eventSource, requestParameters: errorCode ? null : called };
  }
  const parameters = fromJson(request);
  if (service !== 'kms') {
    const category = isDataEvent(request) ? ('Data' as const) : ('Management' as const);
    return { ...common, eventSource, requestParameters: errorCode ? null : parameters, category };
  }
  const { keyId } = parameters;
  const ARN =
    typeof keyId === 'string' && /^[0-9a-f-]{36}$/.test(keyId)
      ? `arn:aws:kms:${LOCAL_REGION}:${accountId}:key/${keyId}`
      : keyId;
  const resources = typeof ARN === 'string' ? [{ accountId, type: 'AWS::KMS::Key', ARN }] : [];
  return { ...common, eventSource, requestParameters: errorCode ? null : parameters, resources };
}

// https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-understanding-s3-entries.html
function ofS3(request: AwsRequest, accountId: string) {
  const { path, query, headers } = request;
  const [, bucketName = '', ...rest] = decodeURIComponent(path).split('/');
  const key = rest.join('/');
  const bypass = headers['x-amz-bypass-governance-retention'];
  const bucket = { accountId, type: 'AWS::S3::Bucket', ARN: `arn:aws:s3:::${bucketName}` };
  const inObjects = isDataEvent(request);
  return {
    requestParameters: {
      bucketName,
      Host: `${bucketName}.s3.${LOCAL_REGION}.amazonaws.com`,
      ...Object.fromEntries(Object.entries(query).map(([name, value]) => [name, value ?? ''])),
      ...(key !== '' && { key }),
      ...(bypass !== undefined && { 'x-amz-bypass-governance-retention': bypass }),
    },
    resources: [
      ...(key !== '' ? [{ type: 'AWS::S3::Object', ARN: `arn:aws:s3:::${bucketName}/${key}` }] : []),
      ...(key === '' && inObjects ? [{ type: 'AWS::S3::Object', ARNPrefix: `arn:aws:s3:::${bucketName}/` }] : []),
      bucket,
    ],
    category: inObjects ? ('Data' as const) : ('Management' as const),
  };
}

function fromForm({ body }: AwsRequest): Record<string, unknown> {
  if (!(body instanceof Uint8Array)) return {};
  const parameters: Record<string, unknown> = {};
  for (const [name, value] of new URLSearchParams(Buffer.from(body).toString('utf8'))) {
    const [first = ''] = name.split('.', 1);
    if (first === 'Action' || first === 'Version') continue;
    const standing = parameters[lowerFirst(first)];
    parameters[lowerFirst(first)] = name === first ? value : [...(Array.isArray(standing) ? standing : []), value];
  }
  return parameters;
}

function fromJson({ body }: AwsRequest): Record<string, unknown> {
  if (!(body instanceof Uint8Array)) return {};
  try {
    const parsed: unknown = JSON.parse(Buffer.from(body).toString('utf8'));
    return Object.fromEntries(Object.entries(parsed as object).map(([name, value]) => [lowerFirst(name), value]));
  } catch {
    return {};
  }
}

const lowerFirst = (name: string): string => name.charAt(0).toLowerCase() + name.slice(1);

function errorCodeOf({ headers, body }: AwsResponse): string {
  const text = typeof body === 'string' ? body : body instanceof Uint8Array ? Buffer.from(body).toString('utf8') : '';
  const code = headers['x-amzn-errortype'] ?? /<Code>([^<]+)</.exec(text)?.[1] ?? /"__type":"([^"]+)"/.exec(text)?.[1];
  return code ?? 'UnknownError';
}
