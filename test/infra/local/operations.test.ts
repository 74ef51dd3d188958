import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as cloudtrail from '@aws-sdk/client-cloudtrail';
import * as cloudwatch from '@aws-sdk/client-cloudwatch';
import * as eventbridge from '@aws-sdk/client-eventbridge';
import * as kms from '@aws-sdk/client-kms';
import * as rds from '@aws-sdk/client-rds';
import * as s3 from '@aws-sdk/client-s3';
import * as scheduler from '@aws-sdk/client-scheduler';
import * as sfn from '@aws-sdk/client-sfn';
import { afterAll, describe, expect, it } from 'vitest';
import { LocalClock } from '../../../infra/local/clock.ts';
import { LocalCloud } from '../../../infra/local/cloud.ts';

const directory = mkdtempSync(join(tmpdir(), 'daybreak-operations-'));
let requests = 0;
const onRequest = () => requests++;
const cloud = new LocalCloud({ clock: new LocalClock({ flow: 'manual' }), directory, onRequest });
afterAll(async () => {
  await cloud.close();
  rmSync(directory, { recursive: true });
});

const SERVICES: Readonly<Record<string, [sdk: object, client: new (configuration: never) => object]>> = {
  S3: [s3, s3.S3Client],
  KMS: [kms, kms.KMSClient],
  RDS: [rds, rds.RDSClient],
  'Step Functions': [sfn, sfn.SFNClient],
  'EventBridge Scheduler': [scheduler, scheduler.SchedulerClient],
  EventBridge: [eventbridge, eventbridge.EventBridgeClient],
  CloudTrail: [cloudtrail, cloudtrail.CloudTrailClient],
  CloudWatch: [cloudwatch, cloudwatch.CloudWatchClient],
};
/** What the SDK wants for a path or a header before it sends anything. */
const LABELS = {
  Bucket: 'bucket',
  Key: 'key',
  UploadId: 'upload',
  PartNumber: 1,
  CopySource: 'bucket/key',
  Body: '',
  Name: 'name',
  ResourceArn: 'arn',
};

/** The operations of a service that are answered, with whatever answer, when each of the SDK's is sent. */
async function served([sdk, Client]: (typeof SERVICES)[string]): Promise<string[]> {
  const client = new Client(cloud.clientConfiguration(cloud.root) as never) as {
    send(command: object): Promise<unknown>;
  };
  const labelled = sdk === s3 || sdk === scheduler;
  const found: string[] = [];
  for (const [name, Command] of Object.entries(sdk)) {
    if (!name.endsWith('Command') || name.startsWith('$')) continue;
    const operation = name.slice(0, -'Command'.length);
    const before = requests;
    try {
      await client.send(new (Command as new (input: object) => object)(labelled ? LABELS : {}));
      found.push(operation);
    } catch (error) {
      const { name: code, message } = error as Error;
      // What the SDK sends to another service, or not at all, comes to none of these.
      const refused = code === 'NotImplementedLocally' || code === 'NotImplemented' || requests === before;
      if (!refused || message.startsWith(`the local cloud does not implement S3 ${operation} with`)) {
        found.push(operation);
      }
    }
  }
  return found.sort();
}

const page = readFileSync(join(import.meta.dirname, '../../../infra/local/README.md'), 'utf8');
const rows = Object.fromEntries(
  [...page.matchAll(/^\| ([A-Z][\w ]+) \| ((?:`\w+` ?)*)\|$/gm)].map(([, service = '', operations = '']) => [
    service,
    operations.match(/\w+/g) ?? [],
  ]),
);

describe('the page names, and nothing else is answered,', () => {
  it.each(Object.entries(SERVICES))('what is served of %s', async (name, service) => {
    expect(rows[name]).toEqual(await served(service));
  });

  // https://docs.aws.amazon.com/lambda/latest/api/API_Operations.html
  it('what is served of Lambda', async () => {
    const send = async (method: string, path: string) => {
      const common = {
        service: 'lambda',
        query: {},
        headers: {},
        body: undefined,
        principal: cloud.root,
        secure: true,
      } as const;
      const { headers } = await cloud.lambda.handle({ ...common, method, path });
      return headers['x-amzn-errortype'];
    };
    expect(rows.Lambda).toEqual(['GetFunctionConfiguration', 'Invoke']);
    expect(await send('GET', '/2015-03-31/functions/f/configuration')).toBe('ResourceNotFoundException');
    expect(await send('POST', '/2015-03-31/functions/f/invocations')).toBe('ResourceNotFoundException');
    expect(await send('POST', '/2014-11-13/functions/f/invoke-async')).toBe('NotImplementedLocally');
    expect(await send('GET', '/2015-03-31/functions/f')).toBe('NotImplementedLocally');
  });

  // https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_Operations.html
  it('what is served of CloudWatch Logs', async () => {
    const send = async (operation: string) => {
      const headers = { 'x-amz-target': `Logs_20140328.${operation}`, 'content-type': 'application/x-amz-json-1.1' };
      const common = { service: 'logs', method: 'POST', path: '/', query: {}, secure: true } as const;
      const { body } = await cloud.logs.handle({ ...common, headers, body: Buffer.from('{}'), principal: cloud.root });
      return JSON.parse(String(body)).__type;
    };
    expect(rows['CloudWatch Logs']).toEqual(['FilterLogEvents']);
    expect(await send('FilterLogEvents')).not.toMatch(/NotImplementedLocally/);
    for (const operation of ['DescribeLogGroups', 'GetLogEvents', 'PutLogEvents', 'StartQuery']) {
      expect(await send(operation)).toMatch(/NotImplementedLocally/);
    }
  });

  it.each([
    ['SQS', 'sqs', 'AmazonSQS.', ['DeleteQueue', 'ListQueues', 'PurgeQueue', 'SendMessage']],
    ['Tagging', 'tagging', 'ResourceGroupsTaggingAPI_20170126.', ['GetTagKeys', 'TagResources']],
    ['IAM', 'iam', undefined, ['AttachRolePolicy', 'CreateRole', 'GetRolePolicy', 'ListRolePolicies']],
    ['STS', 'sts', undefined, ['AssumeRole', 'GetSessionToken']],
  ])('what is served of %s', async (row, service, prefix, others) => {
    const { requestHandler } = cloud.clientConfiguration(cloud.root) as unknown as {
      requestHandler: { handle(request: object): Promise<{ response: { body: Uint8Array } }> };
    };
    const send = async (operation: string) => {
      const headers = {
        authorization: `AWS4-HMAC-SHA256 Credential=LOCAL/20260101/eu-west-2/${service}/aws4_request, SignedHeaders=host, Signature=0`,
        'content-type': prefix === undefined ? 'application/x-www-form-urlencoded' : 'application/x-amz-json-1.0',
        ...(prefix !== undefined && { 'x-amz-target': prefix + operation }),
      };
      const body = prefix === undefined ? `Action=${operation}&Version=x` : '{}';
      const { response } = await requestHandler.handle({ method: 'POST', path: '/', headers, body });
      return Buffer.from(response.body).toString();
    };
    for (const operation of rows[row] ?? ['no row']) {
      expect(await send(operation)).not.toMatch(/does not implement (?:the operation|iam:|sts:)/);
    }
    for (const operation of others) expect(await send(operation)).toContain('NotImplementedLocally');
  });

  it('of every service that has a row', () => {
    const others = ['CloudWatch Logs', 'Lambda', 'SQS', 'Tagging', 'IAM', 'STS'];
    expect(Object.keys(rows)).toEqual([...Object.keys(SERVICES), ...others]);
  });
});
