import {
  type IDENTITY_RULE,
  type TamperMode,
  type TamperRuleId,
  TRAIL_LOG_GROUP,
  TRAIL_NAME,
  trailBucketName,
  UNDELIVERED_QUEUE,
  UPGRADED_RULES,
} from '../../functions/contracts/tampering.ts';
import { LEDGER_PROJECTION_PREFIX, PULSE_PREFIX } from '../../functions/contracts/vault-layout.ts';
import { bootstrapNames } from '../access/bootstrap-names.ts';
import { roleArn, type Step, stepName } from '../access/role-names.ts';
import { bucketNames, REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { alarmName, TOPICS } from './alarms.ts';

/** A part of an event pattern: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html */
export interface Pattern {
  readonly [field: string]: Pattern | readonly unknown[];
}

/** What must be noticed when somebody does it who has no business to. */
export interface TamperRule {
  readonly id: Exclude<TamperRuleId, typeof IDENTITY_RULE>;
  /** What has happened when it fires, in one sentence. */
  readonly meaning: string;
  /** `rds.amazonaws.com`; EventBridge calls the source `aws.rds`. */
  readonly eventSource: string;
  /** The events by name, as CloudTrail has them; `changes`: every management event that is not read-only. */
  readonly eventNames: readonly string[] | 'changes';
  /** Any of these has to be in the event's detail; undefined: nothing more. */
  readonly touches?: readonly Pattern[];
  /** The steps that do it in their workflow. */
  readonly expected?: readonly Step[];
  /** An event of the service itself, which nobody asked for just then, has another type and no doer. */
  readonly serviceEvent?: true;
}

const request = (requestParameters: Pattern): Pattern => ({ requestParameters });
// RDS takes names in any case, and records them as they were written.
const begins = (text: string) => ({ prefix: { 'equals-ignore-case': text } });

/**
 * What is watched, as data; `keyArns` are those of the keys that templates make. Each API names what it changes in a field
 * of its own, with the first letter in lower case:
 * https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
 * Tenants' keys are made at run time, and no event tells a key's tags: so what destroys or opens a key is noticed for every
 * key of the account, the application's own too, without which a backup cannot be made either.
 */
export function tamperRules(configuration: SupplierConfiguration, keyArns: readonly string[]): readonly TamperRule[] {
  const { account } = configuration;
  const { vaultBucket, evidenceBucket, workBucket, registerBucket } = bucketNames(configuration);
  const arn = (service: string, resource: string) => `arn:aws:${service}:${REGION}:${account}:${resource}`;
  const snapshots = ['daybreak-', arn('rds', 'snapshot:daybreak-')].map(begins);
  const named = (field: string, ...prefixes: string[]) => request({ [field]: prefixes.map(begins) });
  const topics = Object.values(TOPICS).map(name => arn('sns', name));
  return [
    {
      id: 'snapshot-deleted',
      meaning: 'A snapshot of Daybreak was deleted.',
      eventSource: 'rds.amazonaws.com',
      eventNames: ['DeleteDBSnapshot'],
      touches: [request({ dBSnapshotIdentifier: snapshots })],
      // The first two replace one that failed. RDS has no lock, so pulse compares what is there with what was signed.
      expected: [
        'backup/create-snapshot',
        'backup/copy-snapshot',
        'backup/delete-intermediate',
        'backup/remove-unproved',
      ],
    },
    {
      id: 'snapshot-changed',
      meaning: 'A snapshot of Daybreak was shared or changed.',
      eventSource: 'rds.amazonaws.com',
      eventNames: ['ModifyDBSnapshotAttribute', 'ModifyDBSnapshot'],
      touches: [request({ dBSnapshotIdentifier: snapshots })],
    },
    {
      id: 'snapshot-taken',
      meaning: 'A snapshot of Daybreak was copied, exported or restored by somebody else.',
      eventSource: 'rds.amazonaws.com',
      eventNames: [
        'CopyDBSnapshot',
        'StartExportTask',
        'RestoreDBInstanceFromDBSnapshot',
        'RestoreDBClusterFromSnapshot',
      ],
      touches: [
        request({ sourceDBSnapshotIdentifier: snapshots }),
        request({ dBSnapshotIdentifier: snapshots }),
        request({ snapshotIdentifier: snapshots }),
        request({ sourceArn: snapshots }),
      ],
      expected: ['backup/copy-snapshot', 'restore-test/restore-database'],
    },
    {
      id: 'key-changed',
      meaning:
        'A KMS key of this account was disabled, scheduled for deletion, taken back from it, or its policy changed.',
      eventSource: 'kms.amazonaws.com',
      eventNames: [
        'DisableKey',
        'ScheduleKeyDeletion',
        'CancelKeyDeletion',
        'PutKeyPolicy',
        'DeleteImportedKeyMaterial',
        'DisableKeyRotation',
        'ReplicateKey',
        'UpdatePrimaryRegion',
      ],
    },
    {
      // https://docs.aws.amazon.com/kms/latest/developerguide/ct-delete-key.html
      id: 'key-destroyed',
      meaning: 'A KMS key of this account was destroyed: what lies under it is gone.',
      eventSource: 'kms.amazonaws.com',
      eventNames: ['DeleteKey'],
      serviceEvent: true,
    },
    {
      id: 'grants',
      meaning: 'A grant on a KMS key was made or taken away by somebody else than RDS.',
      eventSource: 'kms.amazonaws.com',
      eventNames: ['CreateGrant', 'RevokeGrant', 'RetireGrant'],
      // AWS services make grants on other keys all the time, in the names of those who call them (`invokedBy`).
      touches: [{ resources: { ARN: keyArns } }, { userIdentity: { invokedBy: [{ exists: false }] } }],
      expected: ['backup/copy-snapshot', 'restore-test/restore-database'],
    },
    {
      id: 'aliases',
      meaning: 'An alias of a key of Daybreak was made, moved or deleted.',
      eventSource: 'kms.amazonaws.com',
      eventNames: ['CreateAlias', 'UpdateAlias', 'DeleteAlias'],
      touches: [named('aliasName', 'alias/daybreak/')],
      expected: ['tenants/ensure-key'],
    },
    {
      id: 'buckets',
      meaning:
        'A setting of one of the buckets was changed: its policy, lock, versioning, encryption, lifecycle or another.',
      eventSource: 's3.amazonaws.com',
      eventNames: 'changes',
      touches: [
        request({
          bucketName: [vaultBucket, evidenceBucket, workBucket, registerBucket, trailBucketName(configuration.account)],
        }),
      ],
    },
    {
      // Data events, which the trail's selectors choose by these names.
      id: 'objects',
      meaning: 'An object of the vault or the evidence was deleted, or its lock or encryption changed.',
      eventSource: 's3.amazonaws.com',
      eventNames: OBJECT_EVENTS,
      touches: [request({ bucketName: [vaultBucket, evidenceBucket] })],
    },
    {
      // Data events as well. Who writes which kind of evidence is a matter of the bucket's policy; here nobody else does.
      id: 'evidence',
      meaning:
        'Something was put among the evidence, or in the place of the kept state of the ledger, by somebody else.',
      eventSource: 's3.amazonaws.com',
      eventNames: PUT_EVENTS,
      touches: [
        request({ bucketName: [evidenceBucket] }),
        request({ bucketName: [workBucket], key: [{ prefix: LEDGER_PROJECTION_PREFIX }] }),
      ],
      expected: ['evidence/append-entry', 'evidence/record-tampering', 'restore-test/conclude'],
    },
    {
      // What is forgotten there is found again only when its turn comes, and its alarm is silent until then. An event of
      // `DeleteObjects` names no keys, so that any counts but those by which restore tests clear up.
      // https://docs.aws.amazon.com/AmazonS3/latest/userguide/logging-with-S3.html
      id: 'findings',
      meaning: 'What pulse remembers of what it found wrong was written or deleted by somebody else.',
      eventSource: 's3.amazonaws.com',
      eventNames: [...PUT_EVENTS, 'DeleteObject', 'DeleteObjects'],
      touches: [[{ prefix: PULSE_PREFIX }], [{ exists: false }]].map(key => request({ bucketName: [workBucket], key })),
      expected: ['pulse/read-back', 'restore-test/verify-objects', 'restore-test/tear-down'],
    },
    {
      id: 'trail',
      meaning: 'The trail that all of this is read from was stopped, changed or deleted.',
      eventSource: 'cloudtrail.amazonaws.com',
      eventNames: ['StopLogging', 'DeleteTrail', 'UpdateTrail', 'PutEventSelectors', 'PutInsightSelectors'],
      touches: ['name', 'trailName'].map(field =>
        request({ [field]: [TRAIL_NAME, arn('cloudtrail', `trail/${TRAIL_NAME}`)] }),
      ),
    },
    {
      id: 'trail-log',
      meaning: "The trail's log, or a filter on it, was changed or deleted.",
      eventSource: 'logs.amazonaws.com',
      eventNames: [
        'DeleteLogGroup',
        'DeleteLogStream',
        'PutSubscriptionFilter',
        'DeleteSubscriptionFilter',
        'PutMetricFilter',
        'DeleteMetricFilter',
        'PutRetentionPolicy',
        'DeleteRetentionPolicy',
        'AssociateKmsKey',
        'DisassociateKmsKey',
      ],
      touches: [request({ logGroupName: [TRAIL_LOG_GROUP] })],
    },
    {
      // Events of Lambda's API have its version in their names: `UpdateFunctionCode20150331v2`.
      id: 'functions',
      meaning: 'The code, configuration or policy of a function of Daybreak was changed.',
      eventSource: 'lambda.amazonaws.com',
      eventNames: 'changes',
      touches: [
        named('functionName', 'daybreak-', arn('lambda', 'function:daybreak-'), `${account}:function:daybreak-`),
      ],
    },
    {
      id: 'workflows',
      meaning: 'The definition of a workflow of Daybreak was changed or deleted.',
      eventSource: 'states.amazonaws.com',
      eventNames: ['CreateStateMachine', 'UpdateStateMachine', 'DeleteStateMachine'],
      touches: [named('stateMachineArn', arn('states', 'stateMachine:daybreak-')), named('name', 'daybreak-')],
    },
    {
      id: 'schedules',
      meaning: 'A schedule of Daybreak was changed, disabled or deleted.',
      eventSource: 'scheduler.amazonaws.com',
      eventNames: ['CreateSchedule', 'UpdateSchedule', 'DeleteSchedule'],
      touches: [named('name', 'daybreak-')],
    },
    {
      id: 'alarms',
      meaning: 'An alarm or the dashboard of Daybreak was changed, silenced or deleted.',
      eventSource: 'monitoring.amazonaws.com',
      eventNames: [
        'PutMetricAlarm',
        'PutCompositeAlarm',
        'DeleteAlarms',
        'DisableAlarmActions',
        'SetAlarmState',
        'PutDashboard',
        'DeleteDashboards',
      ],
      touches: [
        named('alarmName', alarmName('')),
        named('alarmNames', alarmName('')),
        request({ dashboardName: ['daybreak'] }),
        request({ dashboardNames: ['daybreak'] }),
      ],
    },
    {
      id: 'event-rules',
      meaning: 'A rule that notices tampering or stopped runs was changed, disabled or deleted.',
      eventSource: 'events.amazonaws.com',
      eventNames: ['PutRule', 'DisableRule', 'DeleteRule', 'PutTargets', 'RemoveTargets'],
      touches: [named('name', 'daybreak-'), named('rule', 'daybreak-')],
    },
    {
      id: 'topics',
      meaning: 'A topic that notices go through, or who gets them, was changed.',
      eventSource: 'sns.amazonaws.com',
      eventNames: [
        'DeleteTopic',
        'SetTopicAttributes',
        'AddPermission',
        'RemovePermission',
        'Subscribe',
        'Unsubscribe',
        'SetSubscriptionAttributes',
      ],
      touches: [request({ topicArn: topics }), named('subscriptionArn', ...topics.map(topic => `${topic}:`))],
    },
    {
      id: 'queues',
      meaning: 'The queue of what could not be recorded was emptied, changed or deleted.',
      eventSource: 'sqs.amazonaws.com',
      eventNames: ['DeleteQueue', 'PurgeQueue', 'SetQueueAttributes', 'AddPermission', 'RemovePermission'],
      touches: [request({ queueUrl: [{ suffix: `/${account}/${UNDELIVERED_QUEUE}` }] })],
    },
  ];
}

/**
 * The data events of S3 that tampering with the vault needs. Reads and ordinary writes are not chosen: a daily backup makes
 * many, and each costs. https://docs.aws.amazon.com/AmazonS3/latest/userguide/cloudtrail-logging-s3-info.html
 */
export const OBJECT_EVENTS = [
  'DeleteObject',
  'DeleteObjects',
  'PutObjectAcl',
  'PutObjectLegalHold',
  'PutObjectRetention',
  'UpdateObjectEncryption',
];

/** Those by which content comes into a bucket: chosen for what is believed, into which a day puts a hundred at most. */
export const PUT_EVENTS = [
  'PutObject',
  'PostObject',
  'CopyObject',
  'CreateMultipartUpload',
  'UploadPart',
  'UploadPartCopy',
  'CompleteMultipartUpload',
];

/** The roles whose changes are upgrades of Daybreak: CloudFormation's execution role, unless the configuration says otherwise. */
export function deployerRoles({ account, deployerRoleArns }: SupplierConfiguration): readonly string[] {
  return deployerRoleArns ?? [bootstrapNames(account).executionRole];
}

/** Without a raised quota. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html */
const EVENT_PATTERN_LIMIT = 2048;
/** How a template's own ARN stands in a pattern before it is synthesized. */
const UNRESOLVED_ARN = /\$\{Token\[[^\]]*\]\}/g;
const SAMPLE_KEY_ARN = `arn:aws:kms:${REGION}:000000000000:key/00000000-0000-0000-0000-000000000000`;

/**
 * The event pattern of a rule in a mode. Whoever acts is known by the role behind the session. `anything-but` does not match
 * a field that is not there, and users, the root user and federated users have no such role: they have a part of their own.
 * AWS's own services (`AWSService`) act on nobody's behalf.
 * `$or` may stand on several levels: https://github.com/aws/event-ruler#and-and-or-with-ruler
 * https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html
 * @throws Error for more deployment roles than a pattern has room for.
 */
export function eventPattern(rule: TamperRule, mode: TamperMode, configuration: SupplierConfiguration): Pattern {
  const { id, eventSource, eventNames, touches = [{}], expected = [], serviceEvent } = rule;
  const issuer = (arn: readonly unknown[]): Pattern => ({ sessionContext: { sessionIssuer: { arn } } });
  const deployers = deployerRoles(configuration);
  const excused = [
    ...expected.map(step => roleArn(configuration.account, stepName(step))),
    ...(UPGRADED_RULES.includes(id) ? deployers : []),
  ];
  const doers =
    mode === 'upgrade'
      ? [issuer(deployers)]
      : [
          issuer(excused.length === 0 ? [{ exists: true }] : [{ 'anything-but': excused }]),
          { ...issuer([{ exists: false }]), type: [{ 'anything-but': ['AWSService'] }] },
        ];
  const pattern = {
    source: [`aws.${eventSource.replace('.amazonaws.com', '')}`],
    'detail-type': [serviceEvent ? 'AWS Service Event via CloudTrail' : 'AWS API Call via CloudTrail'],
    detail: {
      eventSource: [eventSource],
      ...(eventNames === 'changes' ? { eventCategory: ['Management'], readOnly: [false] } : { eventName: eventNames }),
      errorCode: [{ exists: mode === 'refused' }],
      ...either(touches),
      // Beside what is touched, not in each of its alternatives: a pattern has little room.
      ...(serviceEvent ? {} : { userIdentity: either(doers) }),
    },
  };
  const { length } = JSON.stringify(pattern).replaceAll(UNRESOLVED_ARN, SAMPLE_KEY_ARN);
  if (length > EVENT_PATTERN_LIMIT) {
    throw new Error(
      `the rule ${id}: EventBridge takes a pattern of ${EVENT_PATTERN_LIMIT} characters, and this one has ${length}: name fewer deployerRoleArns`,
    );
  }
  return pattern;
}

function either(patterns: readonly Pattern[]): Pattern {
  const [only = {}, ...others] = patterns;
  return others.length === 0 ? only : { $or: patterns };
}

export const IDENTITY_MEANING =
  'A role or policy of Daybreak was changed, or a snapshot of it was copied to another Region.';
/** https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html */
const FILTER_PATTERN_LIMIT = 1024;

/**
 * What is noticed on the trail's log, because EventBridge in eu-west-2 does not hear of it: events of IAM, which is global,
 * reach EventBridge in us-east-1 alone, and a copy to another Region is asked for there. A trail of all Regions writes both
 * to its log in eu-west-2. Roles of Daybreak that do not exist yet count too: key policies name roles by their names, and
 * where those end in a `*`, a path that begins like one would fit as well.
 * https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-concepts.html#cloudtrail-concepts-global-service-events
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
 * @throws Error for more deployment roles than a filter has room for.
 */
export function identityFilter(mode: 'tampering' | 'upgrade', configuration: SupplierConfiguration): string {
  const { account } = configuration;
  const issuer = '$.userIdentity.sessionContext.sessionIssuer.arn';
  const deployers = deployerRoles(configuration);
  const changes =
    `($.eventSource = "iam.amazonaws.com") && (($.requestParameters.roleName = "daybreak-*")` +
    ` || ($.requestParameters.path = "/daybreak-*")` +
    ` || ($.requestParameters.policyArn = "arn:aws:iam::${account}:policy/daybreak-*"))`;
  const copies = `($.awsRegion != "${REGION}") && ($.requestParameters.sourceDBSnapshotIdentifier = "*:snapshot:daybreak-*")`;
  const others = deployers.map(arn => `(${issuer} != "${arn}")`).join(' && ');
  const filter =
    mode === 'upgrade'
      ? `{ ($.errorCode NOT EXISTS) && ${changes} && (${deployers.map(arn => `(${issuer} = "${arn}")`).join(' || ')}) }`
      : `{ ($.errorCode NOT EXISTS) && ((${copies}) || (${changes} && ((${issuer} NOT EXISTS) || (${others})))) }`;
  if (filter.length > FILTER_PATTERN_LIMIT) {
    throw new Error(
      `deployerRoleArns: a filter on the trail's log has ${FILTER_PATTERN_LIMIT} characters at most, and these roles take ${filter.length}: name fewer`,
    );
  }
  return filter;
}
