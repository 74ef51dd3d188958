import { NotImplementedLocally } from '../service.ts';
import type { TrailRecord } from './record.ts';

/** https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html */
const HISTORY_MS = 90 * 24 * 60 * 60 * 1000;
const PAGE = 50;

/**
 * `LookupEvents`: what changed something in the last 90 days, the newest first. What only reads is not recorded here.
 * @throws NotImplementedLocally for an attribute other than the event's name and a resource's.
 */
export function lookUp(history: readonly TrailRecord[], input: Readonly<Record<string, unknown>>, now: Date): object {
  const { LookupAttributes = [], StartTime, EndTime, MaxResults = PAGE, NextToken = '0' } = input;
  const from = StartTime === undefined ? now.getTime() - HISTORY_MS : Number(StartTime) * 1000;
  const to = EndTime === undefined ? Number.POSITIVE_INFINITY : Number(EndTime) * 1000;
  const asked = (LookupAttributes as { AttributeKey: string; AttributeValue: string }[]).map(
    ({ AttributeKey, AttributeValue }) => [valuesOf(AttributeKey), AttributeValue] as const,
  );
  if (asked.length > 1) return { error: 'InvalidLookupAttributesException', message: 'one attribute can be looked up' };
  const found = history
    .filter(({ eventTime }) => Date.parse(eventTime) >= from && Date.parse(eventTime) <= to)
    .filter(record => asked.every(([values, value]) => values(record).includes(value)))
    .toReversed();
  const end = Number(NextToken) + Number(MaxResults);
  return {
    Events: found.slice(Number(NextToken), end).map(describe),
    ...(end < found.length && { NextToken: String(end) }),
  };
}

function valuesOf(attribute: string): (record: TrailRecord) => readonly string[] {
  if (attribute === 'EventName') return ({ eventName }) => [eventName];
  if (attribute === 'ResourceName') return record => resourcesOf(record).map(({ ResourceName }) => ResourceName);
  throw new NotImplementedLocally(`the lookup attribute ${attribute}`);
}

/** Keys by their ARN, buckets and snapshots by their names; of other services none is named here. */
function resourcesOf({ resources = [], requestParameters }: TrailRecord) {
  const named = (requestParameters ?? {}) as Readonly<Record<string, unknown>>;
  return [
    ...resources.flatMap(({ ARN }) =>
      ARN?.startsWith('arn:aws:kms:') ? [{ ResourceType: 'AWS::KMS::Key', ResourceName: ARN }] : [],
    ),
    ...(
      [
        ['AWS::S3::Bucket', named.bucketName],
        ['AWS::RDS::DBSnapshot', named.dBSnapshotIdentifier],
      ] as const
    ).flatMap(([ResourceType, name]) => (typeof name === 'string' ? [{ ResourceType, ResourceName: name }] : [])),
  ];
}

function describe(record: TrailRecord): object {
  const { userIdentity } = record as { userIdentity?: { accessKeyId?: string; arn?: string } };
  return {
    EventId: record.eventID,
    EventName: record.eventName,
    ReadOnly: String(record.readOnly),
    ...(userIdentity?.accessKeyId && { AccessKeyId: userIdentity.accessKeyId }),
    EventTime: Date.parse(record.eventTime) / 1000,
    EventSource: record.eventSource,
    Username: userIdentity?.arn?.replace(/^.*[/:]/, ''),
    Resources: resourcesOf(record),
    CloudTrailEvent: JSON.stringify(record),
  };
}
