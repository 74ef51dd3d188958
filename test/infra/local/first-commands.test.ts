import { CloudTrailClient, LookupEventsCommand } from '@aws-sdk/client-cloudtrail';
import { CloudWatchClient, DescribeAlarmsCommand, paginateDescribeAlarms } from '@aws-sdk/client-cloudwatch';
import { CreateKeyCommand, DisableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { PutBucketVersioningCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { DeleteScheduleCommand, SchedulerClient, UpdateScheduleCommand } from '@aws-sdk/client-scheduler';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LocalClock } from '../../../infra/local/clock.ts';
import { LocalCloud } from '../../../infra/local/cloud.ts';
import { compileSearch } from '../../../infra/local/logs/filter-pattern.ts';
import { callAws } from '../../../infra/local/rehearsal/call-aws.ts';
import type { Principal } from '../../../infra/local/service.ts';

const READER = { kind: 'role', arn: 'arn:aws:iam::111122223333:role/reader' } as const;
let cloud: LocalCloud;
beforeEach(() => {
  cloud = new LocalCloud({
    clock: new LocalClock({ startsAt: new Date('2026-11-22T12:00:00Z'), flow: 'manual' }),
  });
});
afterEach(() => cloud.close());

const allow = (...actions: string[]) =>
  cloud.iam.putRole({
    arn: READER.arn,
    policies: [
      { Version: '2012-10-17', Statement: actions.map(Action => ({ Effect: 'Allow', Action, Resource: '*' })) },
    ],
  });
const root = () => cloud.clientConfiguration(cloud.root);

function putAlarms(count: number): void {
  for (let index = 0; index < count; index++) {
    cloud.alarms.putMetricAlarm({
      AlarmName: `daybreak-${String(index).padStart(2, '0')}`,
      AlarmDescription: 'something is wrong',
      Namespace: 'Daybreak',
      MetricName: `m${index}`,
      Statistic: 'Maximum',
      Period: 60,
      EvaluationPeriods: 1,
      Threshold: 0,
      ComparisonOperator: 'GreaterThanThreshold',
      TreatMissingData: index === 3 ? 'breaching' : 'notBreaching',
      AlarmActions: ['arn:aws:sns:eu-west-2:111122223333:pagers'],
    });
  }
  cloud.alarms.putCompositeAlarm({ AlarmName: 'daybreak-pager', AlarmRule: 'ALARM("daybreak-03")' });
}

describe('DescribeAlarms', () => {
  it('finds metric alarms by state and prefix, and composite ones where they are asked for', async () => {
    putAlarms(5);
    await cloud.clock.advance(60_000);
    const client = new CloudWatchClient(root());
    const asked = { StateValue: 'ALARM', AlarmNamePrefix: 'daybreak-' } as const;
    const { MetricAlarms, CompositeAlarms } = await client.send(new DescribeAlarmsCommand(asked));
    expect(CompositeAlarms).toEqual([]);
    expect(MetricAlarms).toMatchObject([
      {
        AlarmName: 'daybreak-03',
        AlarmArn: 'arn:aws:cloudwatch:eu-west-2:111122223333:alarm:daybreak-03',
        AlarmDescription: 'something is wrong',
        StateValue: 'ALARM',
        StateUpdatedTimestamp: new Date('2026-11-22T12:01:00.000Z'),
        AlarmActions: ['arn:aws:sns:eu-west-2:111122223333:pagers'],
        MetricName: 'm3',
        Period: 60,
        TreatMissingData: 'breaching',
      },
    ]);
    const composite = await client.send(new DescribeAlarmsCommand({ AlarmTypes: ['CompositeAlarm'] }));
    expect(composite.MetricAlarms).toEqual([]);
    expect(composite.CompositeAlarms).toMatchObject([
      { AlarmName: 'daybreak-pager', AlarmRule: 'ALARM("daybreak-03")', StateValue: 'ALARM' },
    ]);
    const named = await client.send(new DescribeAlarmsCommand({ AlarmNames: ['daybreak-01', 'none'] }));
    expect(named.MetricAlarms?.map(({ AlarmName }) => AlarmName)).toEqual(['daybreak-01']);
  });

  it('comes in pages of fifty, over HTTP too', async () => {
    putAlarms(60);
    const { url } = await cloud.listen({ plain: true });
    const client = new CloudWatchClient({
      endpoint: url,
      region: 'eu-west-2',
      credentials: cloud.issueCredentials(cloud.root),
    });
    const pages = await Array.fromAsync(paginateDescribeAlarms({ client }, {}));
    expect(pages.map(({ MetricAlarms }) => MetricAlarms?.length)).toEqual([50, 10]);
  });

  it('needs the permission, and refuses by name what it does not know', async () => {
    const client = new CloudWatchClient(cloud.clientConfiguration(READER));
    allow('cloudwatch:GetMetricData');
    await expect(client.send(new DescribeAlarmsCommand({}))).rejects.toThrow('cloudwatch:DescribeAlarms');
    allow('cloudwatch:DescribeAlarms');
    await expect(client.send(new DescribeAlarmsCommand({}))).resolves.toMatchObject({ MetricAlarms: [] });
    await expect(client.send(new DescribeAlarmsCommand({ ActionPrefix: 'arn' }))).rejects.toThrow('ActionPrefix');
    await expect(client.send(new DescribeAlarmsCommand({ AlarmTypes: ['LogAlarm' as 'MetricAlarm'] }))).rejects.toThrow(
      'alarms of the type LogAlarm',
    );
  });
});

describe('FilterLogEvents', () => {
  const aws = (text: string, principal: typeof cloud.root = cloud.root) =>
    callAws(text.split(' '), cloud.clientConfiguration(principal), new Map());
  const find = async (since: number, pattern: string) => {
    const words = ['logs', 'filter-log-events', '--log-group-name', 'g', '--start-time', String(since)];
    const text = await callAws([...words, '--filter-pattern', pattern], root(), new Map());
    return (JSON.parse(text) as { events: { message: string }[] }).events.map(({ message }) => message);
  };

  it('finds lines by their words and events by their fields, since a time', async () => {
    const lines = [
      '{"level":"error","message":"a key is gone"}',
      '{"level":"info","message":"all is well"}',
      'no JSON',
    ];
    for (const line of lines) cloud.logs.keep('g', line);
    const since = cloud.clock.now().getTime();
    expect(await find(since, '"error"')).toEqual([lines[0]]);
    expect(await find(since, '"is" "well"')).toEqual([lines[1]]);
    expect(await find(since, '{ $.level = "inf*" }')).toEqual([lines[1]]);
    expect(await find(since + 1, '"error"')).toEqual([]);
    await expect(find(since, '?error')).rejects.toThrow('the local cloud does not implement the filter pattern ?error');
    expect(compileSearch('')('anything')).toBe(true);
  });

  it('goes on over pages of a megabyte', async () => {
    const line = 'x'.repeat(200_000);
    for (let index = 0; index < 12; index++) cloud.logs.keep('g', line);
    expect(await find(0, '"x"')).toHaveLength(12);
  });

  it('fails by name where it would search what is not kept any more', async () => {
    for (let index = 0; index < 10_001; index++) cloud.logs.keep('g', 'x');
    await expect(find(0, '"x"')).rejects.toThrow('a search beyond the newest 10000 events of g');
    await cloud.clock.advance(1000);
    expect(await find(cloud.clock.now().getTime(), '"x"')).toEqual([]);
  });

  it('needs the permission, and a group', async () => {
    const command = 'logs filter-log-events --log-group-name g --start-time 0 --filter-pattern "x"';
    await expect(aws(command)).rejects.toThrow('ResourceNotFoundException');
    allow('logs:GetLogEvents');
    await expect(aws(command, READER as typeof cloud.root)).rejects.toThrow('logs:FilterLogEvents');
  });

  it('finds what a function wrote, in the group that its configuration names', async () => {
    const entry = 'test/fixtures/functions/behaviours.ts';
    const definition = { entry, roleArn: READER.arn, environment: {}, timeoutMs: 10_000 };
    cloud.lambda.registerFunction({ ...definition, name: 'noisy', logGroup: 'Stack-NoisyLog' });
    const words =
      'lambda get-function-configuration --function-name noisy --query LoggingConfig.LogGroup --output text';
    expect(await aws(words)).toBe('Stack-NoisyLog');
    await expect(aws(words.replace('noisy', 'none'))).rejects.toThrow('ResourceNotFoundException');
    allow('lambda:InvokeFunction');
    await expect(aws(words, READER as typeof cloud.root)).rejects.toThrow('lambda:GetFunctionConfiguration');
  });
});

describe('LookupEvents', () => {
  it('finds what changed something by its name or resource, the newest first, without a trail', async () => {
    const kms = new KMSClient(root());
    const { KeyMetadata: { Arn: KeyId = '' } = {} } = await kms.send(new CreateKeyCommand({}));
    await cloud.clock.advance(1000);
    await kms.send(new DisableKeyCommand({ KeyId }));
    await cloud.clock.advance(1000);
    await kms.send(new DisableKeyCommand({ KeyId: 'alias/none' })).catch(() => undefined);
    const trail = new CloudTrailClient(root());
    const look = async (AttributeKey: 'EventName' | 'ResourceName' | 'Username', AttributeValue: string) =>
      (await trail.send(new LookupEventsCommand({ LookupAttributes: [{ AttributeKey, AttributeValue }] }))).Events ??
      [];
    const byName = await look('EventName', 'DisableKey');
    expect(byName.map(({ EventTime }) => EventTime?.toISOString())).toEqual([
      '2026-11-22T12:00:02.000Z',
      '2026-11-22T12:00:01.000Z',
    ]);
    const [byKey, ...others] = await look('ResourceName', KeyId);
    expect(others).toEqual([]);
    expect(byKey).toMatchObject({ EventName: 'DisableKey', EventSource: 'kms.amazonaws.com', Username: 'root' });
    expect(JSON.parse(byKey?.CloudTrailEvent ?? '')).toMatchObject({ requestParameters: { keyId: KeyId } });
    await expect(look('Username', 'root')).rejects.toThrow('the lookup attribute Username');
    await expect(
      new CloudTrailClient(cloud.clientConfiguration(READER)).send(new LookupEventsCommand({})),
    ).rejects.toThrow('cloudtrail:LookupEvents');
  });

  it('holds nothing that is done to objects, and no call of a function', async () => {
    cloud.s3.createBucket({ name: 'open' });
    const s3 = new S3Client(root());
    await s3.send(new PutObjectCommand({ Bucket: 'open', Key: 'a/b', Body: 'x' }));
    await s3.send(new PutBucketVersioningCommand({ Bucket: 'open', VersioningConfiguration: { Status: 'Enabled' } }));
    await callAws(['lambda', 'invoke', '--function-name', 'none', 'out.json'], root(), new Map()).catch(
      () => undefined,
    );
    const { Events = [] } = await new CloudTrailClient(root()).send(new LookupEventsCommand({}));
    expect(Events.map(({ EventName, Resources }) => [EventName, Resources?.[0]?.ResourceName])).toEqual([
      ['PutBucketVersioning', 'open'],
    ]);
  });

  it('comes in pages of fifty, and forgets after ninety days', async () => {
    for (let index = 0; index < 60; index++) {
      const deed = { eventSource: 'kms.amazonaws.com', eventName: 'DisableKey', requestParameters: null };
      cloud.trail.record({ principal: cloud.root, ...deed });
    }
    const trail = new CloudTrailClient(root());
    const first = await trail.send(new LookupEventsCommand({}));
    const second = await trail.send(new LookupEventsCommand({ NextToken: first.NextToken }));
    expect([first.Events?.length, second.Events?.length, second.NextToken]).toEqual([50, 10, undefined]);
    await cloud.clock.advance(91 * 24 * 60 * 60 * 1000);
    expect((await trail.send(new LookupEventsCommand({}))).Events).toEqual([]);
  });

  it('answers the AWS CLI, which names the operation with a namespace', async () => {
    const answer = await cloud.trail.handle({
      service: 'cloudtrail',
      method: 'POST',
      path: '/',
      query: {},
      headers: { 'x-amz-target': 'com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents' },
      body: Buffer.from('{}'),
      principal: cloud.root,
      secure: true,
    });
    expect(answer).toMatchObject({ status: 200, body: '{"Events":[]}' });
  });

  it('hears who changes and deletes a schedule, by its name', async () => {
    const FlexibleTimeWindow = { Mode: 'OFF' } as const;
    const Target = {
      Arn: 'arn:aws:lambda:eu-west-2:111122223333:function:f',
      RoleArn: 'arn:aws:iam::111122223333:role/scheduler',
    };
    const schedule = { Name: 'daybreak-pulse', ScheduleExpression: 'rate(15 minutes)', FlexibleTimeWindow, Target };
    cloud.scheduler.createSchedule(schedule);
    const scheduler = new SchedulerClient(root());
    await scheduler.send(new UpdateScheduleCommand({ ...schedule, State: 'DISABLED' }));
    await scheduler.send(new DeleteScheduleCommand({ Name: 'daybreak-pulse' }));
    const { Events = [] } = await new CloudTrailClient(root()).send(new LookupEventsCommand({}));
    const records = Events.map(({ CloudTrailEvent }) => JSON.parse(CloudTrailEvent ?? ''));
    expect(records).toMatchObject([
      { eventName: 'DeleteSchedule', requestParameters: { name: 'daybreak-pulse', groupName: 'default' } },
      {
        eventName: 'UpdateSchedule',
        eventSource: 'scheduler.amazonaws.com',
        requestParameters: { name: 'daybreak-pulse', groupName: 'default', state: 'DISABLED' },
      },
    ]);
  });
});

describe('what the pages call beside', () => {
  const aws = (text: string, principal: Principal = cloud.root) =>
    callAws(text.split(' '), cloud.clientConfiguration(principal), new Map());
  const QUEUE = 'arn:aws:sqs:eu-west-2:111122223333:left';
  const URL = 'https://sqs.eu-west-2.amazonaws.com/111122223333/left';

  it('SQS hands a message out, hides it for a while, and deletes it by its handle', async () => {
    cloud.queues.createQueue(QUEUE);
    cloud.queues.send(QUEUE, { a: 1 });
    expect(await aws('sqs get-queue-url --queue-name left --output text')).toBe(URL);
    const receive = async () =>
      JSON.parse(
        await aws(`sqs receive-message --queue-url ${URL} --visibility-timeout 5 --max-number-of-messages 10`),
      );
    const { Messages } = await receive();
    expect(Messages).toMatchObject([{ Body: '{"a":1}' }]);
    expect(await receive()).toEqual({});
    await cloud.clock.advance(5000);
    const { Messages: again } = await receive();
    expect(again).toHaveLength(1);
    const remove = (handle: string) => aws(`sqs delete-message --queue-url ${URL} --receipt-handle ${handle}`);
    await expect(remove(Messages[0].ReceiptHandle)).rejects.toThrow('ReceiptHandleIsInvalid');
    await remove(again[0].ReceiptHandle);
    expect(cloud.queues.receiveAll(QUEUE)).toEqual([]);
    await expect(aws('sqs get-queue-url --queue-name none')).rejects.toThrow('QueueDoesNotExist');
    allow('sqs:GetQueueUrl');
    await expect(aws(`sqs receive-message --queue-url ${URL}`, READER)).rejects.toThrow('sqs:ReceiveMessage');
  });

  it('the tagging API finds keys by their tags', async () => {
    const tags = [{ TagKey: 'school', TagValue: 'oak' }];
    const { KeyMetadata } = await new KMSClient(root()).send(new CreateKeyCommand({ Tags: tags }));
    await new KMSClient(root()).send(new CreateKeyCommand({}));
    const find = async (filter: string, principal?: Principal) =>
      JSON.parse(
        await aws(
          `resourcegroupstaggingapi get-resources --resource-type-filters kms:key --tag-filters ${filter}`,
          principal,
        ),
      ).ResourceTagMappingList;
    expect(await find('Key=school,Values=oak')).toEqual([
      { ResourceARN: KeyMetadata?.Arn, Tags: [{ Key: 'school', Value: 'oak' }] },
    ]);
    expect(await find('Key=school,Values=elm')).toEqual([]);
    await expect(aws('resourcegroupstaggingapi get-resources')).rejects.toThrow('GetResources of every type');
    allow('kms:ListKeys');
    await expect(find('Key=school,Values=oak', READER)).rejects.toThrow('tag:GetResources');
  });

  it('STS says who asks; IAM puts a policy on a role, and takes it away', async () => {
    expect(JSON.parse(await aws('sts get-caller-identity', READER))).toMatchObject({
      Account: '111122223333',
      Arn: 'arn:aws:sts::111122223333:assumed-role/reader/local',
    });
    allow('sqs:GetQueueUrl');
    cloud.queues.createQueue(QUEUE);
    const ask = () => aws('sqs get-queue-url --queue-name left', READER);
    await ask();
    const document = '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}';
    const put = `iam put-role-policy --role-name reader --policy-name stop --policy-document ${document}`;
    await expect(aws(put, READER)).rejects.toThrow('iam:PutRolePolicy');
    await aws(put);
    await aws(put);
    await expect(ask()).rejects.toThrow('explicit deny');
    const remove = 'iam delete-role-policy --role-name reader --policy-name stop';
    await aws(remove);
    await ask();
    await expect(aws(remove)).rejects.toThrow('NoSuchEntity');
    await expect(aws(put.replace('reader', 'none'))).rejects.toThrow('NoSuchEntity');
    const { Events = [] } = await new CloudTrailClient(root()).send(new LookupEventsCommand({}));
    expect(Events.map(({ EventName }) => EventName)).toContain('PutRolePolicy');
  });
});
