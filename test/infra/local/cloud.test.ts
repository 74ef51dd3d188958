import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterEach, expect, it } from 'vitest';
import { LocalClock } from '../../../infra/local/clock.ts';
import { LocalCloud } from '../../../infra/local/cloud.ts';
import { operationName } from '../../../infra/local/endpoint/operation-name.ts';

const open: LocalCloud[] = [];
const directories: string[] = [];
function start(
  options: { directory?: string; onRequest?: ConstructorParameters<typeof LocalCloud>[0]['onRequest'] } = {},
): LocalCloud {
  const clock = new LocalClock({ startsAt: new Date('2026-11-22T12:00:00Z'), flow: 'manual' });
  const { onRequest, ...more } = options;
  const cloud = new LocalCloud({ clock, ...more, ...(onRequest === undefined ? {} : { onRequest }) });
  open.push(cloud);
  return cloud;
}
function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'local-cloud-'));
  directories.push(directory);
  return directory;
}
afterEach(async () => {
  for (const cloud of open.splice(0)) await cloud.close();
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true });
});

const ROLE = 'arn:aws:iam::111122223333:role/reader';
const role = { kind: 'role', arn: ROLE } as const;

function makeEncryptedBucket(cloud: LocalCloud): string {
  const { keyArn } = cloud.kms.createKeyFromTemplate({ description: 'vault' });
  cloud.kms.createAliasFromTemplate('alias/vault', keyArn);
  cloud.s3.createBucket({ name: 'vault', encryption: { algorithm: 'aws:kms', keyId: keyArn } });
  return keyArn;
}

it('joins S3, KMS and IAM: a role needs the permission of each', async () => {
  const cloud = start();
  const keyArn = makeEncryptedBucket(cloud);
  await new S3Client(cloud.clientConfiguration(cloud.root)).send(
    new PutObjectCommand({ Bucket: 'vault', Key: 'k', Body: 'sealed' }),
  );
  const client = new S3Client(cloud.clientConfiguration(role));
  const read = () => client.send(new GetObjectCommand({ Bucket: 'vault', Key: 'k' }));
  const allow = (Action: string, Resource: string, more = {}) => ({ Effect: 'Allow', Action, Resource, ...more });
  const put = (...Statement: object[]) =>
    cloud.iam.putRole({ arn: ROLE, policies: [{ Version: '2012-10-17', Statement }] });

  const s3 = allow('s3:GetObject', 'arn:aws:s3:::vault/*');
  const via = (service: string) => ({
    Condition: { StringEquals: { 'kms:ViaService': `${service}.eu-west-2.amazonaws.com` } },
  });
  put(allow('kms:Decrypt', keyArn));
  await expect(read()).rejects.toMatchObject({
    name: 'AccessDenied',
    message: expect.stringContaining('s3:GetObject'),
  });
  put(s3);
  await expect(read()).rejects.toMatchObject({ name: 'AccessDenied', message: expect.stringContaining('kms:Decrypt') });
  put(s3, allow('kms:Decrypt', keyArn, via('rds')));
  await expect(read()).rejects.toMatchObject({ name: 'AccessDenied' });
  put(s3, allow('kms:Decrypt', keyArn, via('s3')));
  expect(await (await read()).Body?.transformToString()).toBe('sealed');
  expect(cloud.iam.usedActions(ROLE)).toEqual(['kms:Decrypt', 's3:GetObject']);
});

it('tells of each request before it is answered', async () => {
  const calls: string[] = [];
  const cloud = start({
    onRequest: request => calls.push(`${request.principal.arn} ${request.service}:${operationName(request)}`),
  });
  makeEncryptedBucket(cloud);
  const client = new S3Client(cloud.clientConfiguration(cloud.root));
  await client.send(new PutObjectCommand({ Bucket: 'vault', Key: 'k', Body: 'x' }));
  const front = await cloud.listen();
  const outside = { endpoint: front.url, region: 'eu-west-2', credentials: cloud.issueCredentials(cloud.root) };
  await new KMSClient(outside).send(new DescribeKeyCommand({ KeyId: 'alias/vault' }));
  expect(calls).toEqual([`${cloud.root.arn} s3:PutObject`, `${cloud.root.arn} kms:DescribeKey`]);
});

it('keeps one configuration and one access key for each principal', () => {
  const cloud = start();
  expect(cloud.clientConfiguration(role)).toBe(cloud.clientConfiguration({ ...role }));
  expect(cloud.clientConfiguration(role).credentials).toBe(cloud.issueCredentials(role));
  expect(cloud.issueCredentials(role).accessKeyId).toMatch(/^AKIA[A-Z2-7]{16}$/);
  expect(cloud.issueCredentials(cloud.root)).not.toEqual(cloud.issueCredentials(role));
});

it('has no RDS in memory', async () => {
  const cloud = start();
  expect(() => cloud.rds).toThrow('the local cloud does not implement RDS without a state directory');
  const client = new RDSClient(cloud.clientConfiguration(cloud.root));
  await expect(client.send(new DescribeDBInstancesCommand({}))).rejects.toMatchObject({
    name: 'NotImplementedLocally',
  });
});

it('keeps its state in a directory for a later process', async () => {
  const directory = temporaryDirectory();
  const earlier = start({ directory });
  makeEncryptedBucket(earlier);
  const client = new S3Client(earlier.clientConfiguration(earlier.root));
  await client.send(new PutObjectCommand({ Bucket: 'vault', Key: 'k', Body: 'kept' }));
  await earlier.close();
  const later = start({ directory });
  const { Body } = await new S3Client(later.clientConfiguration(later.root)).send(
    new GetObjectCommand({ Bucket: 'vault', Key: 'k' }),
  );
  expect(await Body?.transformToString()).toBe('kept');
  expect(readdirSync(directory).sort()).toEqual(['kms', 's3']);
});

it('serves over HTTPS, under a certificate that only its own authority makes good', async () => {
  const cloud = start({ directory: temporaryDirectory() });
  cloud.s3.createBucket({ name: 'tls-only' });
  const insecure = { Effect: 'Deny', Principal: '*', Action: 's3:*', Resource: 'arn:aws:s3:::tls-only/*' };
  const Condition = { Bool: { 'aws:SecureTransport': 'false' } };
  cloud.s3.putBucketPolicy('tls-only', { Version: '2012-10-17', Statement: [{ ...insecure, Condition }] });
  const credentials = cloud.issueCredentials(cloud.root);
  const shared = { region: 'eu-west-2', credentials, forcePathStyle: true, maxAttempts: 1 };
  const front = await cloud.listen();
  const plain = await cloud.listen({ plain: true });
  expect([front.url, plain.url, plain.caFile]).toEqual([
    expect.stringMatching(/^https:/),
    expect.stringMatching(/^http:/),
    undefined,
  ]);
  const ca = readFileSync(front.caFile ?? '', 'utf8');
  const put = new PutObjectCommand({ Bucket: 'tls-only', Key: 'k', Body: 'x' });
  const trusting = new S3Client({ ...shared, endpoint: front.url, requestHandler: { httpsAgent: { ca } } });
  expect((await trusting.send(put)).ETag).toBe('"9dd4e461268c8034f5c8564e155c67a6"');
  await expect(new S3Client({ ...shared, endpoint: front.url }).send(put)).rejects.toMatchObject({
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  });
  await expect(new S3Client({ ...shared, endpoint: plain.url }).send(put)).rejects.toMatchObject({
    name: 'AccessDenied',
  });
  trusting.destroy();
});
