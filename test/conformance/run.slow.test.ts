import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { CreateKeyCommand, DescribeKeyCommand, KMSClient, ListKeysCommand } from '@aws-sdk/client-kms';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, expect, it } from 'vitest';
import { LocalClock } from '../../infra/local/clock.ts';
import { LocalCloud } from '../../infra/local/cloud.ts';

const SLOW_MS = 120_000;
const RUN = join(import.meta.dirname, 'run.ts');
const NO_CREDENTIALS = { PATH: process.env.PATH, HOME: '/nonexistent', AWS_EC2_METADATA_DISABLED: 'true' };

let cloud: LocalCloud | undefined;
afterEach(async () => {
  await cloud?.close();
  cloud = undefined;
});

/** Runs the command to its end. */
function command(parameters: string[], env: Record<string, string | undefined> = NO_CREDENTIALS) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [RUN, ...parameters], { env, encoding: 'utf8' });
  return { status, stdout, stderr };
}

it.each<[string, string[], Record<string, string>, number, string]>([
  ['another Region', ['--aws'], { AWS_REGION: 'us-east-1' }, 2, 'AWS_REGION is us-east-1: Daybreak and this suite run'],
  ['no credentials', ['--aws'], {}, 3, 'no AWS credentials: '],
  ['a profile that is not there', ['--profile', 'none'], {}, 3, 'no AWS credentials of the profile "none": '],
  [
    'an endpoint that nobody listens at',
    ['--endpoint', 'http://127.0.0.1:1'],
    { AWS_ACCESS_KEY_ID: 'AKIAEXAMPLE', AWS_SECRET_ACCESS_KEY: 'secret' },
    3,
    'nothing answers (ECONNREFUSED)',
  ],
])('%s is one line', (_title, parameters, more, status, text) => {
  const result = command(parameters, { ...NO_CREDENTIALS, ...more });
  expect(result.status).toBe(status);
  expect(result.stderr).toContain(`conformance: ${text}`);
  expect(result.stderr.trim().split('\n')).toHaveLength(1);
});

it('prints the policy that it needs', () => {
  const policy = command(['--print-policy', '--rds']);
  const { Statement } = JSON.parse(policy.stdout) as { Statement: { Action: string[]; Resource: string }[] };
  expect(Statement.find(({ Action }) => Action.includes('s3:DeleteObjectVersion'))?.Resource).toBe(
    'arn:aws:s3:::daybreak-conformance-*/*',
  );
  expect(Statement.some(({ Action }) => Action.includes('rds:CreateDBInstance'))).toBe(true);
});

it('makes, copies and restores snapshots of a database', { timeout: SLOW_MS }, () => {
  const result = command(['--rds', '--only', 'RDS']);
  const lines = result.stdout.split('\n');
  expect(lines.filter(line => line.startsWith('same '))).toHaveLength(5);
  expect(lines.filter(line => line.startsWith('DIFFERENT') || line.includes('STILL THERE'))).toEqual([]);
  expect(result.status).toBe(0);
});

it('after a kill in the middle, --clean-up finds and removes what was made, and nothing else', {
  timeout: SLOW_MS,
}, async () => {
  cloud = new LocalCloud({ clock: new LocalClock({ flow: 'flowing' }) });
  const { root } = cloud;
  const front = await cloud.listen();
  const { accessKeyId, secretAccessKey } = cloud.issueCredentials(root);
  const env = { ...NO_CREDENTIALS, AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const kms = new KMSClient(cloud.clientConfiguration(root));
  const s3 = new S3Client(cloud.clientConfiguration(root));
  const foreignKey = (await kms.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? '';
  cloud.s3.createBucket({ name: 'supplier-uploads' });
  const alike = 'daybreak-conformance-0123456789-plain';
  await s3.send(new CreateBucketCommand({ Bucket: alike }));
  const bucketNames = () => [...(cloud?.s3.core.store.buckets.keys() ?? [])].sort();

  const killed = spawn(process.execPath, [RUN, '--endpoint', front.url], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise<void>(resolve => {
    let seen = '';
    killed.stdout.on('data', chunk => {
      seen += String(chunk);
      // The first locked objects are there, and keys, policies and versions.
      if (seen.includes('default event hold')) killed.kill('SIGKILL');
    });
    killed.on('exit', () => resolve());
  });
  expect(killed.signalCode).toBe('SIGKILL');
  expect(bucketNames().length).toBeGreaterThan(5);

  const ended = await new Promise<{ code: number | null; output: string }>(resolve => {
    const child = spawn(process.execPath, [RUN, '--clean-up', '--endpoint', front.url], { env });
    let output = '';
    child.stdout.on('data', chunk => {
      output += String(chunk);
    });
    child.on('exit', code => resolve({ code, output }));
  });
  expect(bucketNames()).toEqual([alike, 'supplier-uploads']);
  expect(ended.code).toBe(1);
  expect(ended.output).toContain(`STILL THERE     bucket ${alike}: it does not carry the tag daybreak:conformance`);
  const { Keys = [] } = await kms.send(new ListKeysCommand({}));
  const states = await Promise.all(
    Keys.map(async ({ KeyArn = '' }) => {
      const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: KeyArn }));
      return `${KeyArn === foreignKey ? 'foreign' : 'ours'} ${KeyMetadata?.KeyState}`;
    }),
  );
  expect(new Set(states)).toEqual(new Set(['foreign Enabled', 'ours PendingDeletion']));
});
