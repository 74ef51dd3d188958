import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CopyObjectCommand, GetObjectCommand, ListBucketsCommand } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { UsageError } from '../../infra/command-line/failure.ts';
import type { LocalCloud } from '../../infra/local/cloud.ts';
import type { AwsRequest, AwsResponse, Service } from '../../infra/local/service.ts';
import { type ConformanceCase, UnreachableError } from './case.ts';
import { runConformance } from './conformance.ts';
import { type Connection, connectLocal, connectOutside } from './connect.ts';
import { forOthers, type Report } from './report.ts';
import { CASES, type Verdict } from './run-cases.ts';
import { ForeignBucketError, Scratch } from './scratch.ts';

const directory = mkdtempSync(join(tmpdir(), 'daybreak-conformance-test-'));
const open: Connection[] = [];
afterEach(async () => {
  for (const connection of open.splice(0)) await connection.close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function connect(onCloud?: (cloud: LocalCloud) => void): Promise<Connection> {
  const connection = await connectLocal(onCloud === undefined ? {} : { onCloud });
  open.push(connection);
  return connection;
}

/** Runs the suite, or the cases with `only` in their names, and reads its report. */
async function run(
  connection: Connection,
  options: { only?: string; cases?: readonly ConformanceCase[]; stopped?: () => boolean } = {},
): Promise<{ exitCode: number; lines: string[]; report: Report }> {
  const jsonFile = join(directory, 'report.json');
  const lines: string[] = [];
  const { only, ...rest } = options;
  const asked = { rds: false, roleArn: undefined, only, jsonFile };
  const exitCode = await runConformance(connection, asked, { print: line => lines.push(line), ...rest });
  return { exitCode, lines, report: JSON.parse(readFileSync(jsonFile, 'utf8')) as Report };
}

const named = ({ cases }: Report, verdict: Verdict) =>
  cases.filter(one => one.verdict === verdict).map(({ service, name }) => `${service}: ${name}`);

/** Changes what a service is asked, or what it answers, as an endpoint does that is not right. */
function plant(
  service: Service,
  change: { request?: (request: AwsRequest) => AwsRequest; answer?: (request: AwsRequest) => AwsResponse | undefined },
): void {
  const handle = service.handle.bind(service);
  service.handle = async request => change.answer?.(request) ?? handle(change.request?.(request) ?? request);
}

const without = (...names: string[]) => ({
  request: (request: AwsRequest): AwsRequest => ({
    ...request,
    headers: Object.fromEntries(Object.entries(request.headers).filter(([name]) => !names.includes(name))),
  }),
});
const target = ({ headers }: AwsRequest) => headers['x-amz-target']?.split('.').at(-1);

describe('against the local cloud, over HTTPS, with the permissions that it asks for', () => {
  let cloud: LocalCloud;
  let result: Awaited<ReturnType<typeof run>>;

  beforeAll(async () => {
    const connection = await connectLocal({
      onCloud: started => {
        cloud = started;
        cloud.s3.createBucket({ name: 'supplier-uploads' });
      },
    });
    result = await run(connection);
    open.push(connection);
  }, 120_000);

  it('nothing differs', () => {
    expect(named(result.report, 'different')).toEqual([]);
    expect(result.exitCode).toBe(0);
    expect(named(result.report, 'same')).toHaveLength(97);
  });

  it('what the local cloud does not implement is named, and nothing else is left out but RDS', () => {
    const untried = result.report.cases.filter(({ verdict, service }) => verdict !== 'same' && service !== 'RDS');
    expect(untried.map(({ reason }) => reason)).toEqual([
      'not implemented by the endpoint: the local cloud does not implement S3 x-amz-server-side-encryption-bucket-key-enabled: true',
      'not implemented by the endpoint: the local cloud does not implement S3 PutObject with the query parameter encryption',
      'not implemented by the endpoint: the local cloud does not implement S3 PutObject with the query parameter encryption',
      'not implemented by the endpoint: the local cloud does not implement the operation GraniteServiceVersion20100801.PutMetricAlarm of CloudWatch',
      'not implemented by the endpoint: the local cloud does not implement the service sns over HTTP',
    ]);
    const left = result.report.cases.filter(({ service }) => service === 'RDS');
    expect(new Set(left.map(({ reason }) => reason))).toEqual(new Set(['left out; ask for it with --rds']));
    expect(result.report.cases).toHaveLength(CASES.length);
  });

  it('everything that it made is removed, and KMS is left to delete the keys', () => {
    const { cleanUp } = result.report;
    expect([...cloud.s3.core.store.buckets.keys()]).toEqual(['supplier-uploads']);
    expect(cloud.states.listStateMachines()).toEqual([]);
    expect(cloud.scheduler.listSchedules()).toEqual([]);
    expect(cleanUp.left).toEqual([]);
    expect(cleanUp.unseen).toEqual([]);
    expect(cleanUp.pending).toHaveLength(12);
    expect(cleanUp.pending[0]).toMatch(/^key arn:aws:kms:.* is deleted by KMS on \d{4}-\d\d-\d\d; until then/);
  });

  it('its report names no account and nobody', () => {
    const text = JSON.stringify(result.report);
    expect(text).not.toContain(cloud.accountId);
    expect(text).toContain('key arn:aws:kms:eu-west-2:ACCOUNT:key/');
  });

  it('each case says what rests on it and which page of AWS decides, and has a name of its own', () => {
    for (const { restsOn, page } of CASES) {
      expect(restsOn).not.toBe('');
      expect(page).toMatch(/^https:\/\/docs\.aws\.amazon\.com\/\S+\.html$/);
    }
    expect(new Set(CASES.map(({ name }) => name)).size).toBe(CASES.length);
  });
});

describe('an endpoint that is not right', () => {
  it.each<[string, (cloud: LocalCloud) => void, string, string[]]>([
    [
      'ignores If-None-Match',
      cloud => plant(cloud.s3, without('if-none-match')),
      'If-None-Match',
      [
        'S3: PutObject with If-None-Match writes a new key and refuses one that is there',
        'S3: CompleteMultipartUpload with If-None-Match refuses a key that is there',
        'S3: CopyObject with If-None-Match refuses a target that is there',
        'S3: a bucket policy can demand If-None-Match of every PutObject',
      ],
    ],
    [
      'takes content under another checksum',
      cloud => plant(cloud.s3, without('x-amz-checksum-sha256', 'x-amz-sdk-checksum-algorithm')),
      'that is not the content',
      ['S3: PutObject with a SHA-256 that is not the content’s is refused, and nothing is written'],
    ],
    [
      'takes copies that are joined under another checksum',
      cloud =>
        plant(cloud.s3, {
          answer: ({ method, query }) =>
            method === 'POST' && 'uploadId' in query
              ? { status: 200, headers: {}, body: '<CompleteMultipartUploadResult/>' }
              : undefined,
        }),
      'refuses a part',
      ['S3: CompleteMultipartUpload refuses a part under another checksum, or without one'],
    ],
    [
      'lets everybody past a governance lock',
      cloud =>
        plant(cloud.s3, {
          request: request =>
            request.method === 'DELETE' && 'versionId' in request.query
              ? { ...request, headers: { ...request.headers, 'x-amz-bypass-governance-retention': 'true' } }
              : request,
        }),
      'without the bypass, and with it',
      [
        'S3: a version under governance retention is deleted by nobody without the bypass, and with it',
        'S3: a version under an event hold is deleted by nobody without the bypass, and with it',
      ],
    ],
    [
      'drops the bucket’s default lock',
      cloud =>
        plant(cloud.s3, {
          answer: ({ method, query }) =>
            method === 'PUT' && 'object-lock' in query ? { status: 200, headers: {} } : undefined,
        }),
      'default event hold',
      [
        'S3: a bucket takes a default event hold beside a default period of the same length, and gives both back',
        'S3: a put, a copy and an upload in parts without lock headers fall under the default event hold',
      ],
    ],
    [
      'keeps using a key that was disabled',
      cloud =>
        plant(cloud.kms, {
          answer: request =>
            target(request) === 'DisableKey'
              ? { status: 200, headers: { 'content-type': 'application/x-amz-json-1.1' }, body: '{}' }
              : undefined,
        }),
      'a disabled key',
      ['KMS: a disabled key is refused, by KMS and through S3, and works again when it is enabled'],
    ],
    [
      'decides a choice otherwise',
      cloud => {
        const { handle } = cloud.states;
        cloud.states.handle = async request => {
          const answered = await handle.call(cloud.states, request);
          return target(request) === 'TestState'
            ? { ...answered, body: String(answered.body).replace('"nextState":"Good"', '"nextState":"Incomplete"') }
            : answered;
        };
      },
      'every state of daily-backup',
      [
        'Step Functions: every state of daily-backup does what the local interpreter does: choices, assignments, retries, catches',
      ],
    ],
    [
      'leaves a condition of a bucket policy out',
      cloud =>
        plant(cloud.s3, {
          request: request =>
            request.method === 'PUT' && 'policy' in request.query
              ? { ...request, body: Buffer.from(String(request.body).replaceAll('s3:if-none-match', 's3:if-match')) }
              : request,
        }),
      'the synthesized policy of the evidence lets its writers',
      ['S3: the synthesized policy of the evidence lets its writers write as they do, and no otherwise'],
    ],
    [
      'takes every event for one that matches',
      cloud =>
        plant(cloud.events, {
          answer: () => ({
            status: 200,
            headers: { 'content-type': 'application/x-amz-json-1.1' },
            body: '{"Result":true}',
          }),
        }),
      'the tamper rule objects',
      ['EventBridge: the tamper rule objects matches the event that is documented, and not that of something else'],
    ],
  ])('that %s is found out', async (_title, spoil, only, expected) => {
    const { exitCode, report, lines } = await run(await connect(spoil), { only });
    expect(named(report, 'different')).toEqual(expected);
    expect(exitCode).toBe(1);
    expect(lines.filter(line => line.startsWith('DIFFERENT')).length).toBe(expected.length);
  });

  it('is shown with what differs alone, what rests on it and the page', async () => {
    const connection = await connect(cloud => plant(cloud.s3, without('if-none-match')));
    const { lines } = await run(connection, { only: 'CopyObject with If-None-Match' });
    expect(lines.find(line => line.startsWith('DIFFERENT'))?.split('\n')).toEqual([
      'DIFFERENT  S3: CopyObject with If-None-Match refuses a target that is there',
      '             taken: documented "412 PreconditionFailed", observed "done"',
      '             rests on it: functions/platform/object-copy.ts: a rerun adopts the copy that is there',
      '             decided by:  https://docs.aws.amazon.com/AmazonS3/latest/API/API_CopyObject.html',
    ]);
  });
});

describe('a run', () => {
  it('that lacks a permission says which, and finds no difference', async () => {
    const connection = await connect(cloud => {
      const Statement = [
        { Effect: 'Allow', Action: '*', Resource: '*' },
        { Effect: 'Deny', Action: 'kms:Sign', Resource: '*' },
      ];
      const arn = `arn:aws:iam::${cloud.accountId}:role/conformance`;
      cloud.iam.putRole({ arn, policies: [{ Version: '2012-10-17', Statement }] });
    });
    const { exitCode, report } = await run(connection, { only: 'KMSInvalidSignatureException' });
    expect(report.cases.map(({ verdict, reason }) => [verdict, reason])).toEqual([
      ['could not be tried', 'not permitted: kms:Sign'],
    ]);
    expect(exitCode).toBe(0);
  });

  it('that is interrupted ends after the present case, and cleans up', async () => {
    let cloud: LocalCloud | undefined;
    const connection = await connect(started => {
      cloud = started;
    });
    let asked = 0;
    const { exitCode, report } = await run(connection, { only: 'S3', stopped: () => ++asked > 3 });
    expect([exitCode, report.cases.length]).toEqual([130, 3]);
    expect(cloud?.s3.core.store.buckets.size).toBe(0);
  });

  it('whose credentials end in the middle says so, instead of naming differences', async () => {
    const failing: ConformanceCase = {
      service: 'S3',
      name: 'expired',
      restsOn: '-',
      page: '-',
      expected: true,
      observe: () => Promise.reject(Object.assign(new Error('the token has expired'), { name: 'ExpiredToken' })),
    };
    const connection = await connect();
    await expect(run(connection, { cases: [failing] })).rejects.toThrow(UnreachableError);
  });

  it('does not take no case for nothing that differs', async () => {
    const connection = await connect();
    await expect(run(connection, { only: 'nothing of that name' })).rejects.toThrow(UsageError);
  });

  it('touches no bucket that is not its own', async () => {
    const requests: string[] = [];
    const connection = await connect(cloud => {
      cloud.s3.createBucket({ name: 'supplier-uploads' });
      plant(cloud.s3, {
        request: request => {
          requests.push(request.path);
          return request;
        },
      });
    });
    const scratch = new Scratch(connection);
    const foreign = { Bucket: 'supplier-uploads', Key: 'a' };
    await expect(scratch.s3.send(new GetObjectCommand(foreign))).rejects.toThrow(ForeignBucketError);
    const own = await scratch.bucket('own');
    const copy = { Bucket: own, Key: 'a', CopySource: 'supplier-uploads/a' };
    await expect(scratch.s3.send(new CopyObjectCommand(copy))).rejects.toThrow(ForeignBucketError);
    await scratch.s3.send(new ListBucketsCommand({}));
    expect(requests.filter(path => path.includes('supplier'))).toEqual([]);
    scratch.close();
  });

  it.each(['AWS_REGION', 'AWS_DEFAULT_REGION'])('refuses another Region than eu-west-2 in %s', name => {
    const outside = { endpoint: undefined, profile: undefined, roleArn: undefined };
    expect(() => connectOutside({ ...outside, environment: { [name]: 'eu-west-1' } })).toThrow(
      `${name} is eu-west-1: Daybreak and this suite run in eu-west-2 alone; unset it`,
    );
    const connection = connectOutside({ ...outside, environment: { [name]: 'eu-west-2' } });
    expect(connection.configuration.region).toBe('eu-west-2');
  });

  it('tells others neither who asked nor where', () => {
    const message = 'User: arn:aws:sts::111122223333:assumed-role/Ops/jo@school.example is not authorized';
    const report: Report = {
      target: 'AWS, profile oak-school',
      run: '0123456789',
      startedAt: '2026-11-22T02:30:00.000Z',
      counts: { same: 0, different: 1, 'could not be tried': 0 },
      cases: [
        {
          ...{ service: 'S3', name: 'n', restsOn: 'r', page: 'p', verdict: 'different', reason: null, notes: [] },
          ...{ expected: 123456789012, observed: { a: [message] } },
        },
      ],
      cleanUp: {
        ...{ pending: [], left: [], unseen: [] },
        removed: ['arn:aws:kms:eu-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-123456789012'],
      },
    };
    expect(forOthers(report)).toEqual({
      ...report,
      target: 'AWS',
      cases: [{ ...report.cases[0], observed: { a: ['User: SOMEBODY is not authorized'] } }],
      cleanUp: {
        ...report.cleanUp,
        removed: ['arn:aws:kms:eu-west-2:ACCOUNT:key/1234abcd-12ab-34cd-56ef-123456789012'],
      },
    });
  });

  it('takes a profile by the variable that the SDK reads', () => {
    const environment: Record<string, string> = {};
    connectOutside({ endpoint: undefined, profile: 'school', roleArn: undefined, environment });
    expect(environment).toEqual({ AWS_PROFILE: 'school' });
  });
});
