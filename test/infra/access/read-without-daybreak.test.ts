import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Deployment } from '../../../functions/contracts/configuration.ts';
import { verifyLedger } from '../../../functions/evidence/verify-ledger.ts';
import { systemClock } from '../../../functions/platform/clock.ts';
import { withRuntime } from '../../../functions/platform/runtime.ts';
import { operatorPolicy } from '../../../infra/access/operator-policy.ts';
import { roleArn } from '../../../infra/access/role-names.ts';
import { createApp } from '../../../infra/app.ts';
import { readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { LocalClock } from '../../../infra/local/clock.ts';
import { LocalCloud } from '../../../infra/local/cloud.ts';
import { deployAssembly } from '../../../infra/local/cloudformation/deploy.ts';
import { localConfiguration } from '../../../infra/local/cloudformation/local-configuration.ts';
import type { Principal } from '../../../infra/local/service.ts';
import { ALLOWED, attempt, EVERYTHING } from './attacks-account.ts';

const { account } = exampleConfiguration;
const VAULT = `daybreak-vault-${account}-eu-west-2`;
const directory = mkdtempSync(join(tmpdir(), 'daybreak-without-'));
const role = (name: string): Principal => ({ kind: 'role', arn: roleArn(account, name) });
const [administrator, operator, byHand] = [role('administrator'), role('operator'), role('daybreak-recovery-by-hand')];
/** What the page says that such a role needs. */
const READING = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['s3:GetObject', 's3:GetObjectVersion', 'kms:Decrypt'], Resource: '*' }],
};
let cloud: LocalCloud;

beforeAll(async () => {
  cloud = new LocalCloud({ clock: new LocalClock({ startsAt: new Date('2026-11-22T02:30:00Z'), flow: 'manual' }) });
  const configuration = localConfiguration({
    account,
    databases: [],
    buckets: [{ id: 'uploads', name: 'school-uploads', tenantPrefix: 'schools/{tenant}/' }],
    operatorRoleArns: [operator.arn],
  });
  createApp(configuration, { outdir: directory, bundle: false, check: false }).synth();
  await deployAssembly(cloud, directory);
  cloud.iam.putRole({ arn: administrator.arn, policies: [EVERYTHING] });
  cloud.iam.putRole({ arn: operator.arn, policies: [operatorPolicy(readConfiguration(configuration)).document] });
  cloud.iam.putRole({ arn: byHand.arn, policies: [READING] });
  cloud.s3.createBucket({ name: 'school-uploads' });
  await new S3Client(cloud.clientConfiguration(cloud.root)).send(
    new PutObjectCommand({ Bucket: 'school-uploads', Key: 'schools/oak/letter.txt', Body: 'Dear parents' }),
  );
  const stateMachine = `arn:aws:states:eu-west-2:${account}:stateMachine:daybreak-daily-backup`;
  cloud.states.startExecution({ stateMachine, name: 'one', input: { scheduledAt: '2026-11-22T02:30:00.000Z' } });
  await cloud.states.waitForExecution(`${stateMachine.replace(':stateMachine:', ':execution:')}:one`);
});
afterAll(async () => {
  await cloud?.close();
  rmSync(directory, { recursive: true });
});

async function read(principal: Principal, Key: string, VersionId?: string): Promise<Buffer> {
  const { Body } = await new S3Client(cloud.clientConfiguration(principal)).send(
    new GetObjectCommand({ Bucket: VAULT, Key, ...(VersionId !== undefined && { VersionId }) }),
  );
  return Buffer.from((await Body?.transformToByteArray()) ?? []);
}

/** What the page tells a person to do: root manifest, school's manifest, object, its hash. */
async function readBackup(ofPoint: Principal, ofSchool: Principal) {
  const { document } = JSON.parse((await read(ofPoint, 'recovery-points/20261122t023000z.json')).toString('utf8'));
  const { manifestSha256 } = document.tenants.find(({ tenant }: { tenant: string | null }) => tenant === 'oak');
  const manifest = zstdDecompressSync(await read(ofSchool, `tenants/oak/manifests/${manifestSha256}.jsonl.zst`));
  expect(createHash('sha256').update(manifest).digest('hex')).toBe(manifestSha256);
  const [line] = manifest.toString('utf8').trim().split('\n');
  const { key, vaultName, vaultVersionId, sha256 } = JSON.parse(line ?? '');
  const content = await read(ofSchool, `tenants/oak/objects/${vaultName}`, vaultVersionId);
  expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
  return [key, content.toString('utf8')];
}

it('a backup is read with S3 and KMS alone, by the root user or by the two roles that keys let in', async () => {
  expect(await readBackup(cloud.root, cloud.root)).toEqual(['schools/oak/letter.txt', 'Dear parents']);
  expect(await readBackup(operator, byHand)).toEqual(['schools/oak/letter.txt', 'Dear parents']);
});

it('the operator verifies the ledger, by the policy that is printed for him', async () => {
  const { DAYBREAK_DEPLOYMENT = '' } = cloud.lambda.environmentOf('daybreak-backup-plan');
  const runtime = {
    environment: {},
    clock: systemClock,
    clientConfiguration: cloud.clientConfiguration(operator),
    writeLine: () => undefined,
    instances: new Map(),
  };
  const deployment = Deployment.parse(JSON.parse(DAYBREAK_DEPLOYMENT));
  const report = await withRuntime(runtime, () => verifyLedger(deployment, new Date('2026-11-22T03:00:00.000Z')));
  expect([report.verified, report.problemCount]).toEqual([true, 0]);
});

it('no administrator reads a school’s file, or restores a snapshot, by his own rights', async () => {
  await expect(readBackup(administrator, administrator)).rejects.toThrow(/not authorized to perform: kms:Decrypt/);
  await expect(readBackup(operator, operator)).rejects.toThrow(/not authorized to perform: s3:GetObject/);
  const restore = (principal: Principal) =>
    attempt(() =>
      cloud.kms.describeForService({
        principal,
        viaService: 'rds.eu-west-2.amazonaws.com',
        keyId: 'alias/daybreak/vault',
        encryptionContext: {},
        grants: true,
      }),
    );
  expect(await restore(administrator)).toBe('no resource policy allows');
  expect(await restore(cloud.root)).toBe(ALLOWED);
  // Where the workflow stack is gone, a role of this name is let in again.
  cloud.iam.putRole({ arn: roleArn(account, 'daybreak-restore-test-restore-database'), policies: [EVERYTHING] });
  expect(await restore(role('daybreak-restore-test-restore-database'))).toBe(ALLOWED);
});
