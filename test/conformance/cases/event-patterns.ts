import { randomUUID } from 'node:crypto';
import { TestEventPatternCommand } from '@aws-sdk/client-eventbridge';
import { REFUSAL_RULES, type TamperRuleId, UNDELIVERED_QUEUE } from '../../../functions/contracts/tampering.ts';
import { bucketNames, readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { eventPattern, type TamperRule, tamperRules } from '../../../infra/monitoring/tamper-rules.ts';
import type { ConformanceCase } from '../case.ts';
import type { Scratch } from '../scratch.ts';
import { s3Api } from './pages.ts';

const DOCS = 'https://docs.aws.amazon.com';
const KEY_ID = '1234abcd-12ab-34cd-56ef-1234567890ab';

/** What an event says of what was done. */
interface Documented {
  /** The page that shows such an event, or else that of the call, whose parameters the event repeats. */
  readonly page: string;
  readonly eventName: string;
  readonly requestParameters: Readonly<Record<string, unknown>> | null;
  readonly more?: Readonly<Record<string, unknown>>;
  /** What is different in an event of something else. */
  readonly elsewhere: Readonly<Record<string, unknown>>;
}

/**
 * For each rule an event that AWS documents, of a resource of Daybreak. An event repeats the parameters of its call, their
 * first letters in lower case.
 * https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
 */
function documented(account: string): Record<TamperRule['id'], Documented> {
  const { vaultBucket, evidenceBucket, workBucket } = bucketNames({ account });
  const arn = (service: string, resource: string) => `arn:aws:${service}:eu-west-2:${account}:${resource}`;
  const of = (page: string, eventName: string, field: string, value: string, elsewhere: string): Documented => ({
    page: `${DOCS}/${page}.html`,
    eventName,
    requestParameters: { [field]: value },
    elsewhere: { requestParameters: { [field]: elsewhere } },
  });
  const rds = (name: string, field: string, value: string, elsewhere: string) =>
    of(`AmazonRDS/latest/APIReference/API_${name}`, name, field, value, elsewhere);
  const snapshot = 'daybreak-wellbeing-20261122t023000z';
  const key = { resources: [{ ARN: arn('kms', `key/${KEY_ID}`), accountId: account, type: 'AWS::KMS::Key' }] };
  const inObjects = (eventName: string, bucket: string, key = 'ledger/000000000007.json'): Documented => ({
    page: s3Api(eventName),
    eventName,
    requestParameters: { bucketName: bucket, key },
    more: { eventCategory: 'Data', managementEvent: false },
    elsewhere: { requestParameters: { bucketName: 'amzn-s3-demo-bucket1', key: 'a' } },
  });
  return {
    'snapshot-deleted': rds('DeleteDBSnapshot', 'dBSnapshotIdentifier', snapshot, 'nightly'),
    'snapshot-changed': rds('ModifyDBSnapshotAttribute', 'dBSnapshotIdentifier', snapshot, 'nightly'),
    'snapshot-taken': rds(
      'CopyDBSnapshot',
      'sourceDBSnapshotIdentifier',
      arn('rds', `snapshot:${snapshot}`),
      'nightly',
    ),
    'key-changed': {
      page: `${DOCS}/kms/latest/developerguide/ct-disablekey.html`,
      eventName: 'DisableKey',
      requestParameters: { keyId: KEY_ID },
      more: key,
      elsewhere: { eventName: 'EnableKey' },
    },
    'key-destroyed': {
      page: `${DOCS}/kms/latest/developerguide/ct-delete-key.html`,
      eventName: 'DeleteKey',
      requestParameters: null,
      more: {
        ...key,
        eventType: 'AwsServiceEvent',
        userIdentity: { accountId: account, invokedBy: 'AWS Internal' },
      },
      elsewhere: { eventName: 'RotateKey' },
    },
    grants: {
      page: `${DOCS}/kms/latest/developerguide/ct-creategrant.html`,
      eventName: 'CreateGrant',
      requestParameters: { keyId: KEY_ID, granteePrincipal: `arn:aws:iam::${account}:user/Alice` },
      more: key,
      elsewhere: {
        resources: [{ ARN: arn('kms', 'key/0987dcba-09fe-87dc-65ba-ab0987654321') }],
        userIdentity: { ...roleIdentity(account), invokedBy: 'rds.amazonaws.com' },
      },
    },
    aliases: of(
      'kms/latest/developerguide/ct-createalias',
      'CreateAlias',
      'aliasName',
      'alias/daybreak/vault',
      'alias/ExampleAlias',
    ),
    buckets: of(
      'AmazonS3/latest/API/API_PutBucketPolicy',
      'PutBucketPolicy',
      'bucketName',
      vaultBucket,
      'amzn-s3-demo-bucket1',
    ),
    objects: inObjects('DeleteObject', vaultBucket),
    evidence: inObjects('PutObject', evidenceBucket),
    findings: inObjects('DeleteObject', workBucket, 'pulse/found-wrong.json'),
    trail: of(
      'awscloudtrail/latest/APIReference/API_StopLogging',
      'StopLogging',
      'name',
      arn('cloudtrail', 'trail/daybreak'),
      arn('cloudtrail', 'trail/MyTrail'),
    ),
    'trail-log': of(
      'AmazonCloudWatchLogs/latest/APIReference/API_DeleteLogGroup',
      'DeleteLogGroup',
      'logGroupName',
      '/daybreak/trail',
      'my-log-group',
    ),
    functions: of(
      'lambda/latest/dg/logging-using-cloudtrail',
      'UpdateFunctionCode20150331v2',
      'functionName',
      'daybreak-backup-plan',
      'my-function',
    ),
    workflows: of(
      'step-functions/latest/apireference/API_DeleteStateMachine',
      'DeleteStateMachine',
      'stateMachineArn',
      arn('states', 'stateMachine:daybreak-daily-backup'),
      arn('states', 'stateMachine:HelloWorld'),
    ),
    schedules: of(
      'scheduler/latest/APIReference/API_UpdateSchedule',
      'UpdateSchedule',
      'name',
      'daybreak-pulse',
      'my-schedule',
    ),
    alarms: of(
      'AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm',
      'PutMetricAlarm',
      'alarmName',
      'daybreak-pager',
      'myAlarm',
    ),
    'event-rules': of(
      'eventbridge/latest/APIReference/API_DisableRule',
      'DisableRule',
      'name',
      'daybreak-tamper-objects',
      'my-rule',
    ),
    topics: of(
      'sns/latest/api/API_DeleteTopic',
      'DeleteTopic',
      'topicArn',
      arn('sns', 'daybreak-alarms'),
      arn('sns', 'MyTopic'),
    ),
    queues: of(
      'AWSSimpleQueueService/latest/APIReference/API_PurgeQueue',
      'PurgeQueue',
      'queueUrl',
      `https://sqs.eu-west-2.amazonaws.com/${account}/${UNDELIVERED_QUEUE}`,
      `https://sqs.eu-west-2.amazonaws.com/${account}/MyQueue`,
    ),
  };
}

// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
const userIdentity = (accountId: string) => ({
  type: 'IAMUser',
  principalId: 'EX_PRINCIPAL_ID',
  arn: `arn:aws:iam::${accountId}:user/Alice`,
  accountId,
  accessKeyId: 'EXAMPLE_KEY_ID',
  userName: 'Alice',
});
const roleIdentity = (accountId: string) => ({
  type: 'AssumedRole',
  principalId: 'AROAIDPPEZS35WEXAMPLE:AssumedRoleSessionName',
  arn: `arn:aws:sts::${accountId}:assumed-role/RoleToBeAssumed/MySessionName`,
  accountId,
  sessionContext: {
    sessionIssuer: {
      type: 'Role',
      principalId: 'AROAIDPPEZS35WEXAMPLE',
      arn: `arn:aws:iam::${accountId}:role/RoleToBeAssumed`,
      accountId,
      userName: 'RoleToBeAssumed',
    },
  },
});

interface Detail {
  readonly eventSource: string;
  readonly eventType: string;
  readonly [field: string]: unknown;
}

/** Whether EventBridge finds that a pattern matches an event. */
async function matches({ events }: Scratch, pattern: object, account: string, detail: Detail): Promise<boolean> {
  const Event = JSON.stringify({
    version: '0',
    id: randomUUID(),
    'detail-type':
      detail.eventType === 'AwsServiceEvent' ? 'AWS Service Event via CloudTrail' : 'AWS API Call via CloudTrail',
    source: `aws.${detail.eventSource.replace('.amazonaws.com', '')}`,
    account,
    time: '2026-11-22T02:30:00Z',
    region: 'eu-west-2',
    resources: [],
    detail,
  });
  const command = new TestEventPatternCommand({ Event, EventPattern: JSON.stringify(pattern) });
  return (await events.send(command)).Result ?? false;
}

const SAMPLE_ACCOUNT = '111122223333';
const configurationOf = (account: string) => readConfiguration({ ...exampleConfiguration, account });
const rulesOf = (account: string) =>
  tamperRules(configurationOf(account), [`arn:aws:kms:eu-west-2:${account}:key/${KEY_ID}`]);
const isRefusable = (id: TamperRuleId) => REFUSAL_RULES.includes(id);

/** Every rule that notices tampering, with an event that AWS documents. The call is free, and makes nothing. */
export const eventPatternCases: readonly ConformanceCase[] = rulesOf(SAMPLE_ACCOUNT).map(({ id, serviceEvent }) => ({
  service: 'EventBridge',
  name: `the tamper rule ${id} matches the event that is documented, and not that of something else`,
  restsOn: `infra/monitoring/tamper-rules.ts: ${id}`,
  page: documented(SAMPLE_ACCOUNT)[id].page,
  expected: {
    done: true,
    ...(serviceEvent ? {} : { doneByAUser: true }),
    refused: false,
    ...(isRefusable(id) ? { refusedForItsOwnRule: true } : {}),
    elsewhere: false,
  },
  observe: async scratch => {
    const account = await scratch.accountId();
    const rule = rulesOf(account).find(one => one.id === id) as TamperRule;
    const { eventName, requestParameters, more, elsewhere } = documented(account)[id];
    const done = {
      eventVersion: '1.09',
      userIdentity: roleIdentity(account),
      eventTime: '2026-11-22T02:30:00Z',
      eventSource: rule.eventSource,
      eventName,
      awsRegion: 'eu-west-2',
      sourceIPAddress: '192.0.2.0',
      userAgent: 'aws-cli/2',
      requestParameters,
      responseElements: null,
      requestID: randomUUID(),
      eventID: randomUUID(),
      readOnly: false,
      eventType: 'AwsApiCall',
      managementEvent: true,
      recipientAccountId: account,
      eventCategory: 'Management',
      ...more,
    };
    const pattern = (mode: 'tampering' | 'refused') => eventPattern(rule, mode, configurationOf(account));
    const test = (detail: Detail, mode: 'tampering' | 'refused' = 'tampering') =>
      matches(scratch, pattern(mode), account, detail);
    const refused = { ...done, errorCode: 'AccessDenied', errorMessage: 'not authorized' };
    return {
      done: await test(done),
      ...(serviceEvent ? {} : { doneByAUser: await test({ ...done, userIdentity: userIdentity(account) }) }),
      refused: await test(refused),
      ...(isRefusable(id) ? { refusedForItsOwnRule: await test(refused, 'refused') } : {}),
      elsewhere: await test({ ...done, ...elsewhere }),
    };
  },
}));
