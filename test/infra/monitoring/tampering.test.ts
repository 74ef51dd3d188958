import { CloudTrailClient, StopLoggingCommand } from '@aws-sdk/client-cloudtrail';
import { DisableRuleCommand, EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STOPPABLE_WORKFLOWS, stoppedRunRuleName } from '../../../functions/contracts/stopped-runs.ts';
import {
  REFUSAL_RULES,
  TAMPER_RULES,
  type TamperRuleId,
  tamperRuleNames,
  UNDELIVERED_QUEUE,
  UPGRADED_RULES,
} from '../../../functions/contracts/tampering.ts';
import { roleArn, stepName } from '../../../infra/access/role-names.ts';
import { readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import type { Principal } from '../../../infra/local/service.ts';
import { type Deed, trailRecord } from '../../../infra/local/trail/record.ts';
import {
  deployerRoles,
  eventPattern,
  identityFilter,
  type TamperRule,
  tamperRules,
} from '../../../infra/monitoring/tamper-rules.ts';
import { AttackedAccount, account, administrator, step } from '../access/attacks-account.ts';

const configuration = readConfiguration(exampleConfiguration);
const deployer: Principal = { kind: 'role', arn: deployerRoles(configuration)[0] ?? '' };
const snapshot = 'daybreak-wellbeing-20261122t023000z';
const arn = (service: string, resource: string) => `arn:aws:${service}:eu-west-2:${account}:${resource}`;
const snapshotArn = arn('rds', `snapshot:${snapshot}`);
const bucket = (purpose: string) => `daybreak-${purpose}-${account}-eu-west-2`;
const otherKey = '0d990263-018e-4e65-a703-eff731de951e';
const keyEvent = (keyId: string) => ({
  requestParameters: { keyId },
  resources: [{ accountId: account, type: 'AWS::KMS::Key', ARN: arn('kms', `key/${keyId}`) }],
});

const tokens = (count: number) => Array.from({ length: count }, (_, index) => `\${Token[TOKEN.${index}]}`);

type Row = readonly [rule: TamperRuleId, eventName: string, deed: Partial<Deed>];
const parameters = (requestParameters: Record<string, unknown>): Partial<Deed> => ({ requestParameters });
const each = (rule: TamperRuleId, names: readonly string[], deed: Partial<Deed>): Row[] =>
  names.map(name => [rule, name, deed]);

/** One event for each name that a rule has, and for each field that names what is touched, as AWS documents them. */
const TAMPERING: readonly Row[] = [
  ['snapshot-deleted', 'DeleteDBSnapshot', parameters({ dBSnapshotIdentifier: snapshot })],
  ['snapshot-deleted', 'DeleteDBSnapshot', parameters({ dBSnapshotIdentifier: snapshot.toUpperCase() })],
  ...each(
    'snapshot-changed',
    ['ModifyDBSnapshotAttribute', 'ModifyDBSnapshot'],
    parameters({ dBSnapshotIdentifier: snapshot, attributeName: 'restore', valuesToAdd: ['all'] }),
  ),
  [
    'snapshot-taken',
    'CopyDBSnapshot',
    parameters({ sourceDBSnapshotIdentifier: snapshot, targetDBSnapshotIdentifier: 'mine' }),
  ],
  ['snapshot-taken', 'CopyDBSnapshot', parameters({ sourceDBSnapshotIdentifier: snapshotArn })],
  ['snapshot-taken', 'StartExportTask', parameters({ sourceArn: snapshotArn, s3BucketName: 'elsewhere' })],
  ['snapshot-taken', 'RestoreDBInstanceFromDBSnapshot', parameters({ dBSnapshotIdentifier: snapshot })],
  ['snapshot-taken', 'RestoreDBClusterFromSnapshot', parameters({ snapshotIdentifier: snapshotArn })],
  ...each(
    'key-changed',
    [
      'DisableKey',
      'ScheduleKeyDeletion',
      'CancelKeyDeletion',
      'PutKeyPolicy',
      'DeleteImportedKeyMaterial',
      'DisableKeyRotation',
      'ReplicateKey',
      'UpdatePrimaryRegion',
    ],
    keyEvent(otherKey),
  ),
  ...each('grants', ['CreateGrant', 'RevokeGrant', 'RetireGrant'], keyEvent(otherKey)),
  ...each(
    'aliases',
    ['CreateAlias', 'UpdateAlias', 'DeleteAlias'],
    parameters({ aliasName: 'alias/daybreak/tenant/oak', targetKeyId: otherKey }),
  ),
  ...['vault', 'evidence', 'work', 'register'].flatMap(purpose =>
    each(
      'buckets',
      [
        'PutBucketPolicy',
        'DeleteBucketPolicy',
        'PutBucketObjectLockConfiguration',
        'PutBucketVersioning',
        'PutBucketReplication',
        'DeleteBucketReplication',
        'PutBucketLifecycle',
        'DeleteBucketLifecycle',
        'PutBucketEncryption',
        'DeleteBucketEncryption',
        'PutBucketPublicAccessBlock',
        'DeleteBucketPublicAccessBlock',
        'PutBucketOwnershipControls',
        'DeleteBucketOwnershipControls',
        'PutBucketAcl',
        'DeleteBucket',
        // One that nobody has heard of yet.
        'PutBucketSomething',
      ],
      parameters({ bucketName: bucket(purpose) }),
    ),
  ),
  ...['vault', 'evidence'].flatMap(purpose =>
    each(
      'objects',
      ['DeleteObject', 'PutObjectAcl', 'PutObjectLegalHold', 'PutObjectRetention', 'UpdateObjectEncryption'],
      {
        requestParameters: { bucketName: bucket(purpose), key: 'recovery-points/20261122t023000z.json' },
        resources: [{ type: 'AWS::S3::Object', ARN: `arn:aws:s3:::${bucket(purpose)}/recovery-points/x` }],
        category: 'Data',
      },
    ),
  ),
  ...[
    [bucket('evidence'), 'ledger/000000000007.json'],
    [bucket('work'), 'ledger-projection/2.json.zst'],
  ].flatMap(([bucketName, key]) =>
    each(
      'evidence',
      [
        'PutObject',
        'PostObject',
        'CopyObject',
        'CreateMultipartUpload',
        'UploadPart',
        'UploadPartCopy',
        'CompleteMultipartUpload',
      ],
      {
        requestParameters: { bucketName, key },
        resources: [{ type: 'AWS::S3::Object', ARN: `arn:aws:s3:::${bucketName}/${key}` }],
        category: 'Data',
      },
    ),
  ),
  ...each(
    'findings',
    [
      'PutObject',
      'PostObject',
      'CopyObject',
      'CreateMultipartUpload',
      'UploadPart',
      'UploadPartCopy',
      'CompleteMultipartUpload',
      'DeleteObject',
    ],
    {
      requestParameters: { bucketName: bucket('work'), key: 'pulse/found-wrong.json' },
      resources: [{ type: 'AWS::S3::Object', ARN: `arn:aws:s3:::${bucket('work')}/pulse/found-wrong.json` }],
      category: 'Data',
    },
  ),
  ...(
    [
      ['objects', 'vault'],
      ['objects', 'evidence'],
      ['findings', 'work'],
    ] as const
  ).map(([rule, purpose]): [TamperRuleId, string, Partial<Deed>] => [
    rule,
    'DeleteObjects',
    {
      requestParameters: { bucketName: bucket(purpose), delete: '' },
      resources: [{ type: 'AWS::S3::Object', ARNPrefix: `arn:aws:s3:::${bucket(purpose)}/` }],
      category: 'Data',
    },
  ]),
  ...each('trail', ['StopLogging', 'DeleteTrail', 'UpdateTrail'], parameters({ name: 'daybreak' })),
  ['trail', 'StopLogging', parameters({ name: arn('cloudtrail', 'trail/daybreak') })],
  ...each('trail', ['PutEventSelectors', 'PutInsightSelectors'], parameters({ trailName: 'daybreak' })),
  ...each(
    'trail-log',
    [
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
    parameters({ logGroupName: '/daybreak/trail' }),
  ),
  ...each(
    'functions',
    [
      'CreateFunction20150331',
      'UpdateFunctionCode20150331v2',
      'UpdateFunctionConfiguration20150331v2',
      'DeleteFunction20150331',
      'AddPermission20150331v2',
      'PutFunctionConcurrency20171031',
    ],
    parameters({ functionName: 'daybreak-backup-plan' }),
  ),
  ...[arn('lambda', 'function:daybreak-backup-plan'), `${account}:function:daybreak-backup-plan`].map(
    functionName => ['functions', 'UpdateFunctionCode20150331v2', parameters({ functionName })] as const,
  ),
  ['workflows', 'CreateStateMachine', parameters({ name: 'daybreak-daily-backup' })],
  ...each(
    'workflows',
    ['UpdateStateMachine', 'DeleteStateMachine'],
    parameters({ stateMachineArn: arn('states', 'stateMachine:daybreak-daily-backup') }),
  ),
  ...each(
    'schedules',
    ['CreateSchedule', 'UpdateSchedule', 'DeleteSchedule'],
    parameters({ name: 'daybreak-pulse', groupName: 'default' }),
  ),
  ...each(
    'alarms',
    ['PutMetricAlarm', 'PutCompositeAlarm', 'SetAlarmState'],
    parameters({ alarmName: 'daybreak-pager' }),
  ),
  ...each('alarms', ['DeleteAlarms', 'DisableAlarmActions'], parameters({ alarmNames: ['mine', 'daybreak-pager'] })),
  ['alarms', 'PutDashboard', parameters({ dashboardName: 'daybreak' })],
  ['alarms', 'DeleteDashboards', parameters({ dashboardNames: ['daybreak'] })],
  ...each('event-rules', ['PutRule', 'DisableRule', 'DeleteRule'], parameters({ name: 'daybreak-tamper-event-rules' })),
  ...each('event-rules', ['PutTargets', 'RemoveTargets'], parameters({ rule: 'daybreak-tamper-objects' })),
  ['event-rules', 'DisableRule', parameters({ name: 'daybreak-stopped-daily-backup' })],
  ...['daybreak-alarms', 'daybreak-pagers'].flatMap(topic => [
    ...each(
      'topics',
      ['DeleteTopic', 'SetTopicAttributes', 'AddPermission', 'RemovePermission', 'Subscribe'],
      parameters({ topicArn: arn('sns', topic) }),
    ),
    ...each(
      'topics',
      ['Unsubscribe', 'SetSubscriptionAttributes'],
      parameters({ subscriptionArn: arn('sns', `${topic}:${otherKey}`) }),
    ),
  ]),
  ...each(
    'queues',
    ['DeleteQueue', 'PurgeQueue', 'SetQueueAttributes', 'AddPermission', 'RemovePermission'],
    parameters({ queueUrl: `https://sqs.eu-west-2.amazonaws.com/${account}/${UNDELIVERED_QUEUE}` }),
  ),
  ...each(
    'identity',
    [
      'CreateRole',
      'DeleteRole',
      'UpdateAssumeRolePolicy',
      'AttachRolePolicy',
      'DetachRolePolicy',
      'PutRolePolicy',
      'DeleteRolePolicy',
      'PutRolePermissionsBoundary',
      'DeleteRolePermissionsBoundary',
    ],
    { requestParameters: { roleName: 'daybreak-erasure-mine' }, awsRegion: 'us-east-1' },
  ),
  ...each('identity', ['CreatePolicyVersion', 'SetDefaultPolicyVersion', 'DeletePolicy'], {
    requestParameters: { policyArn: `arn:aws:iam::${account}:policy/daybreak-guardrails` },
    awsRegion: 'us-east-1',
  }),
];
/** The same events on what is not Daybreak's. */
const ELSEWHERE: readonly Row[] = [
  ['snapshot-deleted', 'DeleteDBSnapshot', parameters({ dBSnapshotIdentifier: 'nightly-daybreak' })],
  ['snapshot-changed', 'ModifyDBSnapshotAttribute', parameters({ dBSnapshotIdentifier: 'nightly' })],
  ['snapshot-taken', 'CopyDBSnapshot', parameters({ sourceDBSnapshotIdentifier: 'nightly' })],
  ['snapshot-taken', 'StartExportTask', parameters({ sourceArn: arn('rds', 'snapshot:nightly') })],
  ['grants', 'CreateGrant', { ...keyEvent(otherKey), invokedBy: 'rds.amazonaws.com' }],
  ['aliases', 'CreateAlias', parameters({ aliasName: 'alias/app' })],
  ['key-changed', 'EnableKey', keyEvent(otherKey)],
  ['buckets', 'PutBucketPolicy', parameters({ bucketName: 'example-wellbeing-uploads' })],
  ['buckets', 'GetBucketPolicy', parameters({ bucketName: bucket('vault') })],
  ['objects', 'PutObject', { ...parameters({ bucketName: bucket('vault') }), category: 'Data' }],
  [
    'evidence',
    'PutObject',
    {
      requestParameters: { bucketName: bucket('work'), key: 'work/20261122t023000z/backup-items.jsonl' },
      resources: [
        { type: 'AWS::S3::Object', ARN: `arn:aws:s3:::${bucket('work')}/work/20261122t023000z/backup-items.jsonl` },
      ],
      category: 'Data',
    },
  ],
  ...['DeleteObject', 'PutObjectAcl'].map(
    (name): Row => [
      'objects',
      name,
      {
        ...parameters({ bucketName: bucket('work'), key: 'work/a' }),
        resources: [{ type: 'AWS::S3::Object', ARN: `arn:aws:s3:::${bucket('work')}/work/a` }],
        category: 'Data',
      },
    ],
  ),
  ['trail', 'StopLogging', parameters({ name: 'organization' })],
  ['trail-log', 'DeleteLogGroup', parameters({ logGroupName: '/app' })],
  ['trail-log', 'CreateLogStream', parameters({ logGroupName: '/daybreak/trail' })],
  ['functions', 'UpdateFunctionCode20150331v2', parameters({ functionName: 'app' })],
  ['workflows', 'StartExecution', parameters({ stateMachineArn: arn('states', 'stateMachine:daybreak-daily-backup') })],
  ['schedules', 'UpdateSchedule', parameters({ name: 'app' })],
  ['alarms', 'PutMetricAlarm', parameters({ alarmName: 'app' })],
  ['event-rules', 'DisableRule', parameters({ name: 'app' })],
  ['topics', 'Subscribe', parameters({ topicArn: arn('sns', 'app') })],
  ['queues', 'PurgeQueue', parameters({ queueUrl: `https://sqs.eu-west-2.amazonaws.com/${account}/app` })],
  ['identity', 'PutRolePolicy', { requestParameters: { roleName: 'app' }, awsRegion: 'us-east-1' }],
];

const SOURCES: Record<string, string> = Object.fromEntries(
  tamperRules(configuration, ['-']).map(({ id, eventSource }) => [id, eventSource]),
);
const deedOf = ([rule, eventName, deed]: Row) => ({
  requestParameters: null,
  ...deed,
  eventSource: SOURCES[rule] ?? 'iam.amazonaws.com',
  eventName,
});

let attacked: AttackedAccount;
beforeAll(async () => {
  attacked = await AttackedAccount.create();
});
afterAll(() => attacked?.cloud.close());

const noticed = (row: Row, principal: Principal, more: Partial<Deed> = {}) =>
  attacked.noticed(() => attacked.does(principal, { ...deedOf(row), ...more }));

describe('a tamper rule', () => {
  it('has an event for each of its names here', () => {
    for (const { id, eventNames, serviceEvent } of tamperRules(configuration, ['-'])) {
      if (serviceEvent) continue;
      const names = TAMPERING.filter(([rule]) => rule === id).map(([, name]) => name);
      expect([id, new Set(names).size > 0]).toEqual([id, true]);
      if (eventNames !== 'changes') expect(new Set(names)).toEqual(new Set(eventNames));
    }
  });

  it.each(TAMPERING)('%s fires at %s', async (...row) => {
    const [rule] = row;
    expect(await noticed(row, administrator)).toEqual([rule]);
    expect(await noticed(row, attacked.cloud.root)).toEqual([rule]);
  });

  it.each(ELSEWHERE)('%s does not fire at %s elsewhere', async (...row) => {
    expect(await noticed(row, administrator)).toEqual([]);
  });

  it('fires for a user, who has no role', async () => {
    for (const row of TAMPERING) {
      const record = trailRecord({ principal: administrator, at: attacked.cloud.clock.now(), ...deedOf(row) });
      const userIdentity = { type: 'IAMUser', principalId: 'AIDACKCEVSQ6C2EXAMPLE', userName: 'jo.bloggs' };
      expect(await attacked.noticed(() => attacked.cloud.trail.deliver({ ...record, userIdentity }))).toEqual([row[0]]);
    }
  });

  it('takes a change by the deployment for an upgrade, but of keys, snapshots, locks and the trail', async () => {
    for (const row of TAMPERING) {
      const [rule] = row;
      const expected = UPGRADED_RULES.includes(rule) ? `${rule} (upgrade)` : rule;
      expect(await noticed(row, deployer)).toEqual([expected]);
    }
    expect(
      UPGRADED_RULES.filter(rule => /snapshot|key|grants|alias|bucket|object|evidence|^trail$/.test(rule)),
    ).toEqual([]);
  });

  it('tells a refused attempt from what was done', async () => {
    for (const row of TAMPERING) {
      const [rule] = row;
      const expected = REFUSAL_RULES.includes(rule) ? [`${rule} (refused)`] : [];
      expect(await noticed(row, administrator, { errorCode: 'AccessDenied' })).toEqual(expected);
    }
  });

  it.each<[TamperRuleId, string, Partial<Deed>, Parameters<typeof step>[0]]>([
    ['snapshot-deleted', 'DeleteDBSnapshot', parameters({ dBSnapshotIdentifier: snapshot }), 'backup/copy-snapshot'],
    [
      'snapshot-deleted',
      'DeleteDBSnapshot',
      parameters({ dBSnapshotIdentifier: 'daybreak-intermediate-wellbeing-20261122t023000z' }),
      'backup/delete-intermediate',
    ],
    ['snapshot-taken', 'CopyDBSnapshot', parameters({ sourceDBSnapshotIdentifier: snapshot }), 'backup/copy-snapshot'],
    [
      'snapshot-taken',
      'RestoreDBInstanceFromDBSnapshot',
      parameters({ dBSnapshotIdentifier: snapshot }),
      'restore-test/restore-database',
    ],
    ['grants', 'CreateGrant', keyEvent(otherKey), 'backup/copy-snapshot'],
    ['aliases', 'CreateAlias', parameters({ aliasName: 'alias/daybreak/tenant/oak' }), 'tenants/ensure-key'],
    ...(['evidence/append-entry', 'evidence/record-tampering', 'restore-test/conclude'] as const).map(
      (writer): [TamperRuleId, string, Partial<Deed>, typeof writer] => [
        'evidence',
        'PutObject',
        {
          ...parameters({ bucketName: bucket('evidence'), key: 'ledger/000000000007.json' }),
          resources: [{ type: 'AWS::S3::Object', ARN: `arn:aws:s3:::${bucket('evidence')}/ledger/000000000007.json` }],
          category: 'Data',
        },
        writer,
      ],
    ),
    ...(
      [
        ['PutObject', 'pulse/read-back'],
        ['DeleteObjects', 'restore-test/verify-objects'],
        ['DeleteObjects', 'restore-test/tear-down'],
      ] as const
    ).map(([name, doer]): [TamperRuleId, string, Partial<Deed>, typeof doer] => {
      const key = name === 'PutObject' ? 'pulse/found-wrong.json' : undefined;
      const [place, ARN] = [key && { key }, `arn:aws:s3:::${bucket('work')}/${key ?? ''}`];
      return [
        'findings',
        name,
        {
          requestParameters: { bucketName: bucket('work'), ...place },
          resources: [{ type: 'AWS::S3::Object', [key ? 'ARN' : 'ARNPrefix']: ARN }],
          category: 'Data',
        },
        doer,
      ];
    }),
  ])('%s leaves %s to whom it belongs', async (rule, name, deed, expected) => {
    const row: Row = [rule, name, deed];
    expect(await noticed(row, step(expected))).toEqual([]);
    expect(await noticed(row, step('backup/list-tenants'))).toEqual([rule]);
  });

  it("grants fires for Daybreak's own keys whoever asks RDS, and not for RDS itself", async () => {
    const { vaultKeyArn } = attacked.deployment;
    const row: Row = [
      'grants',
      'CreateGrant',
      { ...keyEvent(vaultKeyArn.split('/')[1] ?? ''), invokedBy: 'rds.amazonaws.com' },
    ];
    expect(await noticed(row, administrator)).toEqual(['grants']);
    const record = trailRecord({ principal: administrator, at: attacked.cloud.clock.now(), ...deedOf(row) });
    const service = { ...record, userIdentity: { type: 'AWSService', invokedBy: 'rds.amazonaws.com' } };
    expect(await attacked.noticed(() => attacked.cloud.trail.deliver(service))).toEqual([]);
  });

  it('key-destroyed fires when KMS destroys a key', async () => {
    const record = trailRecord({
      principal: administrator,
      at: attacked.cloud.clock.now(),
      eventSource: 'kms.amazonaws.com',
      eventName: 'DeleteKey',
      requestParameters: null,
      resources: keyEvent(otherKey).resources,
    });
    const destroyed = {
      ...record,
      eventType: 'AwsServiceEvent',
      userIdentity: { accountId: account, invokedBy: 'AWS Internal' },
    };
    expect(await attacked.noticed(() => attacked.cloud.trail.deliver(destroyed))).toEqual(['key-destroyed']);
    expect(
      await attacked.noticed(() => attacked.cloud.trail.deliver({ ...destroyed, eventName: 'RotateKey' })),
    ).toEqual([]);
  });

  it('hears of copies to another Region, and not of what else is done there', async () => {
    const copy = {
      ...deedOf(['snapshot-taken', 'CopyDBSnapshot', parameters({ sourceDBSnapshotIdentifier: snapshotArn })]),
    };
    const abroad = (deed: typeof copy) =>
      attacked.noticed(() => attacked.does(administrator, { ...deed, awsRegion: 'eu-west-1' }));
    expect(await abroad(copy)).toEqual(['identity']);
    expect(await abroad({ ...copy, requestParameters: { sourceDBSnapshotIdentifier: 'nightly' } })).toEqual([]);
  });

  it('has no more deployment roles than its filter has room for', () => {
    const roles = Array.from({ length: 12 }, (_, index) =>
      roleArn(account, `a-long-name-for-a-deployment-role-${index}`),
    );
    expect(() => identityFilter('tampering', { ...configuration, deployerRoleArns: roles })).toThrow(
      /^deployerRoleArns: a filter on the trail's log has 1024 characters at most, and these roles take \d{4}: name fewer$/,
    );
  });

  it.each(['tampering', 'refused', 'upgrade'] as const)('fits into what EventBridge takes: %s', mode => {
    const keyArns = Array.from({ length: 5 }, () => arn('kms', `key/${otherKey}`));
    const lengths = tamperRules(configuration, keyArns).map(
      rule => JSON.stringify(eventPattern(rule, mode, configuration)).length,
    );
    expect(lengths.filter(length => length > 2048)).toEqual([]);
  });

  it('has no more deployment roles than its pattern has room for', () => {
    const deployerRoleArns = Array.from({ length: 60 }, (_, index) => roleArn(account, `deployment-${index}`));
    const many = { ...configuration, deployerRoleArns };
    const [rule] = tamperRules(many, []).filter(({ id }) => id === 'functions');
    expect(() => rule && eventPattern(rule, 'tampering', many)).toThrow(
      /^the rule functions: EventBridge takes a pattern of 2048 characters, and this one has \d{4}: name fewer deployerRoleArns$/,
    );
  });

  it('counts the ARNs that stand in it as tokens as long as they become', () => {
    const rule = { ...tamperRules(configuration, [])[0], touches: [{ resources: { ARN: tokens(30) } }] };
    expect(() => eventPattern(rule as TamperRule, 'tampering', configuration)).toThrow(/characters, and this one has/);
    expect(JSON.stringify(tokens(30)).length).toBeLessThan(1000);
  });

  it('is one of those that pulse looks for', () => {
    expect(tamperRuleNames()).toHaveLength(TAMPER_RULES.length + REFUSAL_RULES.length + UPGRADED_RULES.length - 1);
    const ofStoppedRuns = STOPPABLE_WORKFLOWS.map(stoppedRunRuleName);
    expect(attacked.cloud.events.ruleNames().sort()).toEqual([...tamperRuleNames(), ...ofStoppedRuns].sort());
  });
});

describe('what a rule notices', () => {
  const recorder = stepName('evidence/record-tampering');
  const queueArn = arn('sqs', UNDELIVERED_QUEUE);
  const row: Row = ['snapshot-deleted', 'DeleteDBSnapshot', parameters({ dBSnapshotIdentifier: snapshot })];
  let own: AttackedAccount;
  const minutes = async (count: number) => {
    for (let minute = 0; minute < count; minute++) {
      await own.cloud.invocations.settle();
      await own.cloud.clock.advance(60_000);
    }
    await own.cloud.invocations.settle();
  };
  const does = (principal: Principal, of: Row = row, more: Partial<Deed> = {}) =>
    own.does(principal, { ...deedOf(of), ...more });
  const started = async () => {
    own = await AttackedAccount.create();
    return own.cloud;
  };

  it('is in the ledger at once, without a person, and alarms within a minute, for a quarter of an hour', async () => {
    const cloud = await started();
    const { eventID } = does(administrator);
    await cloud.invocations.settle();
    const [entry, ...others] = await own.ledger();
    expect(others).toEqual([]);
    expect(entry).toMatchObject({
      eventId: `tampering/${String(eventID)}`,
      kind: 'tampering.seen',
      actor: expect.stringMatching(/^principal\/AROA[0-9A-F]{17}$/),
      subject: snapshot,
      recordedAt: '2026-11-22T02:00:00.000Z',
      body: {
        rule: 'snapshot-deleted',
        cloudTrailEventId: eventID,
        eventTime: '2026-11-22T02:00:00Z',
        eventSource: 'rds.amazonaws.com',
        eventName: 'DeleteDBSnapshot',
        region: 'eu-west-2',
        errorCode: null,
      },
    });
    expect(JSON.stringify([entry, cloud.lambda.linesOf(recorder)])).not.toMatch(/bloggs|192\.0\.2\.1|aws-cli/);
    const dimensions = { service: 'daybreak', Workflow: 'tampering' };
    expect(cloud.metrics.getMetric('Daybreak', 'TamperingSeen', dimensions).map(({ value }) => value)).toEqual([1]);
    expect(own.sounding()).toEqual([]);
    await minutes(1);
    expect(own.sounding()).toEqual(['tamper-snapshot-deleted']);
    expect(cloud.alarms.stateOf('daybreak-pager')).toBe('ALARM');
    await minutes(17);
    expect(own.sounding()).toEqual([]);
    await cloud.close();
  });

  it('is a role behind a path that reads like a role of Daybreak', async () => {
    const create = (path: string): Row => [
      'identity',
      'CreateRole',
      { requestParameters: { path, roleName: 'reader' }, awsRegion: 'us-east-1' },
    ];
    expect(await attacked.noticed(() => attacked.does(administrator, deedOf(create('/daybreak-backup-x/'))))).toEqual([
      'identity',
    ]);
    expect(await attacked.noticed(() => attacked.does(administrator, deedOf(create('/team/'))))).toEqual([]);
  });

  it('of IAM and of other Regions too, from the log of the trail', async () => {
    const cloud = await started();
    const attach: Row = [
      'identity',
      'AttachRolePolicy',
      { requestParameters: { roleName: 'daybreak-backup-plan' }, awsRegion: 'us-east-1' },
    ];
    does(administrator, attach);
    await minutes(1);
    expect(own.sounding()).toEqual(['tamper-identity']);
    does(deployer, attach);
    await cloud.invocations.settle();
    expect((await own.ledger()).map(({ kind, actor, subject }) => [kind, actor.split('/')[0], subject])).toEqual([
      ['tampering.seen', 'principal', 'daybreak-backup-plan'],
      ['upgrade.seen', 'deployment', 'daybreak-backup-plan'],
    ]);
    await cloud.close();
  });

  it('is a role that this release does not have, also where the deployment makes it', async () => {
    const cloud = await started();
    const deed = (eventName: string, requestParameters: object): Row => [
      'identity',
      eventName,
      { requestParameters: { ...requestParameters }, awsRegion: 'us-east-1' },
    ];
    // A deployment of this release, and the end of what an earlier one had.
    for (const name of ['CreateRole', 'PutRolePolicy', 'UpdateAssumeRolePolicy', 'AttachRolePolicy', 'DeleteRole']) {
      for (const role of ['daybreak-backup-plan', 'daybreak-daily-backup', 'daybreak-scheduler']) {
        does(deployer, deed(name, { roleName: role }));
      }
    }
    for (const name of ['DetachRolePolicy', 'DeleteRolePolicy', 'DeleteRole']) {
      does(deployer, deed(name, { roleName: 'daybreak-backup-of-old' }));
    }
    does(deployer, deed('CreatePolicyVersion', { policyArn: `arn:aws:iam::${account}:policy/daybreak-guardrails` }));
    await minutes(2);
    expect(own.sounding()).toEqual([]);
    expect(new Set((await own.ledger()).map(({ kind }) => kind))).toEqual(new Set(['upgrade.seen']));
    const from = (await own.ledger()).length;
    for (const name of ['CreateRole', 'UpdateAssumeRolePolicy', 'AttachRolePolicy', 'PutRolePolicy']) {
      does(deployer, deed(name, { roleName: 'daybreak-export-mine' }));
    }
    does(deployer, deed('CreateRole', { roleName: 'reader', path: '/daybreak-backup-x/' }));
    await minutes(2);
    expect(own.sounding()).toEqual(['tamper-foreign-role']);
    expect(cloud.alarms.stateOf('daybreak-pager')).toBe('ALARM');
    const seen = (await own.ledger()).slice(from);
    // Each is recorded by a call of its own, in any order.
    expect(seen.map(({ kind, body }) => `${kind} ${body.eventName}`).toSorted()).toEqual([
      'tampering.seen AttachRolePolicy',
      'tampering.seen CreateRole',
      'tampering.seen CreateRole',
      'tampering.seen PutRolePolicy',
      'tampering.seen UpdateAssumeRolePolicy',
    ]);
    expect(seen.find(({ body }) => body.eventName === 'UpdateAssumeRolePolicy')).toMatchObject({
      subject: 'daybreak-export-mine',
      actor: expect.stringMatching(/^principal\//),
    });
    await minutes(17);
    does(administrator, deed('CreateRole', { roleName: 'daybreak-export-mine' }));
    await minutes(2);
    expect(own.sounding()).toEqual(['tamper-identity', 'tamper-foreign-role']);
    await cloud.close();
  });

  it('is recorded once, however often it is delivered', async () => {
    const cloud = await started();
    const record = does(administrator);
    await cloud.invocations.settle();
    cloud.trail.deliver(record);
    cloud.trail.deliver(record);
    await cloud.invocations.settle();
    expect(await own.ledger()).toHaveLength(1);
    await cloud.close();
  });

  it('is recorded once by a function that is killed half-way and run again', async () => {
    const cloud = await started();
    let runs = 0;
    cloud.lambda.intercept(async (_invocation, next) => {
      const answer = await next();
      if (++runs === 1) throw new Error('killed before it could answer');
      return answer;
    });
    does(administrator);
    await minutes(1);
    await cloud.invocations.settle();
    expect(runs).toBe(2);
    expect(await own.ledger()).toHaveLength(1);
    await minutes(1);
    expect(own.sounding()).toEqual(['tamper-snapshot-deleted', 'tampering-recorder-failing']);
    expect(cloud.queues.receiveAll(queueArn)).toEqual([]);
    await cloud.close();
  });

  it('alarms also while the function is dead, waits in the queue, and is recorded from there', async () => {
    const cloud = await started();
    cloud.lambda.intercept(() => Promise.reject(new Error('dead')));
    does(administrator);
    await minutes(1);
    expect(own.sounding()).toEqual(['tamper-snapshot-deleted', 'tampering-recorder-failing']);
    await minutes(3);
    expect(own.sounding()).toEqual(['tamper-snapshot-deleted', 'tampering-recorder-failing', 'tampering-not-recorded']);
    expect(await own.ledger()).toEqual([]);

    cloud.lambda.intercept(undefined);
    const [left, ...others] = cloud.queues.receiveAll(queueArn) as { requestPayload: unknown }[];
    expect(others).toEqual([]);
    const outcome = await cloud.lambda.invoke(recorder, left?.requestPayload, cloud.root);
    expect(outcome).toMatchObject({ payload: { sequences: [1] } });
    expect(await own.ledger()).toHaveLength(1);
    await cloud.close();
  });

  it('stands once for all refused attempts of the same hour by the same principal, and wakes nobody', async () => {
    const cloud = await started();
    const bucketPolicy: Row = ['buckets', 'PutBucketPolicy', parameters({ bucketName: bucket('vault') })];
    const refused = { errorCode: 'AccessDenied' };
    for (let attempt = 0; attempt < 20; attempt++) does(administrator, bucketPolicy, refused);
    does(step('backup/plan'), bucketPolicy, refused);
    await minutes(1);
    expect(own.sounding()).toEqual(['tampering-refused']);
    await minutes(60);
    does(administrator, bucketPolicy, refused);
    await cloud.invocations.settle();
    const entries = (await own.ledger()).filter(({ kind }) => kind.startsWith('tampering'));
    expect(entries.map(({ kind, body }) => [kind, body.errorCode])).toEqual(
      Array(3).fill(['tampering.refused', 'AccessDenied']),
    );
    expect(entries.map(({ actor }) => actor).sort()).toEqual([
      expect.stringMatching(/^principal\//),
      expect.stringMatching(/^principal\//),
      'role/daybreak-backup-plan',
    ]);
    await cloud.close();
  });

  it('is no more when somebody switches it off, and pulse tells', async () => {
    const cloud = await started();
    const lastOf = () =>
      cloud.metrics
        .listMetrics()
        .find(({ name }) => name === 'TamperWatchStopped')
        ?.values.at(-1)?.value;
    await minutes(16);
    expect([lastOf(), cloud.alarms.stateOf('daybreak-tamper-watch-stopped')]).toEqual([0, 'OK']);
    const clients = cloud.clientConfiguration(cloud.root);
    const disable = new DisableRuleCommand({ Name: 'daybreak-tamper-event-rules' });
    await new EventBridgeClient(clients).send(disable);
    // A rule cannot tell of its own end.
    await minutes(15);
    expect([lastOf(), cloud.alarms.stateOf('daybreak-tamper-watch-stopped')]).toEqual([1, 'ALARM']);
    await new CloudTrailClient(clients).send(new StopLoggingCommand({ Name: 'daybreak' }));
    does(administrator);
    await minutes(15);
    expect(lastOf()).toBe(2);
    expect((await own.ledger()).map(({ kind }) => kind)).toEqual(['backup.failed']);
    await cloud.close();
  });
});
