import { createHash, randomBytes } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import { DescribeKeyCommand, DisableKeyCommand, EnableKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { DescribeDBInstancesCommand, DescribeDBSnapshotsCommand } from '@aws-sdk/client-rds';
import { DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { ObjectManifestLine } from '../../functions/contracts/object-manifest.ts';
import { manifestKey, tenantKeyAlias, vaultSnapshotId } from '../../functions/contracts/vault-layout.ts';
import type { AwsRequest } from '../../infra/local/service.ts';
import { DATABASE, TestEnvironment } from './environment.ts';
import { BUCKET, listSupplierFiles, TENANTS, type Tenant } from './supplier.ts';

const MINUTES = 60_000;
/** What was deleted within a minute of the snapshots' moment may have been there. */
const LONG_AGO_MS = 2 * MINUTES;

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await TestEnvironment.create({ encrypted: false });
}, 3 * MINUTES);
afterAll(() => environment?.remove());

type Backup = Awaited<ReturnType<TestEnvironment['backUp']>>;

const resultOf = async ({ recoveryPointId }: Backup, tenant: Tenant) => {
  const { document } = await environment.recoveryPoint(recoveryPointId);
  const found = document.tenants.find(result => result.tenant === tenant);
  if (found === undefined) throw new Error(`${recoveryPointId} has no result of ${tenant}`);
  return found;
};

async function manifestOf(backup: Backup, tenant: Tenant): Promise<ObjectManifestLine[]> {
  const { manifestSha256 } = await resultOf(backup, tenant);
  const stored = await environment.content('vault', manifestKey(tenant, manifestSha256 ?? ''));
  const lines = zstdDecompressSync(stored).toString().trimEnd().split('\n');
  return lines.map(line => ObjectManifestLine.parse(JSON.parse(line)));
}

async function expectIncomplete({ execution, recoveryPointId }: Backup, reasons: string[]): Promise<void> {
  expect(execution).toMatchObject({ status: 'FAILED', error: 'RecoveryPointIncompleteError' });
  const { document } = await environment.recoveryPoint(recoveryPointId);
  expect(document).toMatchObject({ status: 'incomplete', reasons });
  const { recoveryPoints } = await environment.ledgerState();
  expect(recoveryPoints[recoveryPointId]).toMatchObject({ status: 'incomplete' });
}

it(
  'ends with one copy under the vault key, and with nothing unencrypted, for an unencrypted source',
  async () => {
    const { recoveryPointId } = await environment.backUpWell();
    const { DBInstances } = await environment.databases.send(new DescribeDBInstancesCommand({}));
    expect(DBInstances).toMatchObject([{ DBInstanceIdentifier: `${DATABASE}-source`, StorageEncrypted: false }]);
    const { DBSnapshots } = await environment.databases.send(new DescribeDBSnapshotsCommand({}));
    expect(DBSnapshots).toMatchObject([
      {
        DBSnapshotIdentifier: vaultSnapshotId(recoveryPointId, DATABASE),
        Status: 'available',
        StorageEncryptionType: 'sse-kms',
        KmsKeyId: environment.deployment.vaultKeyArn,
      },
    ]);
    const { record } = await environment.testRestore();
    expect(record).toMatchObject({ verdict: 'passed', recoveryPointId });
  },
  3 * MINUTES,
);

it(
  'copies an object as it was at the snapshots’ moment, though it changes whenever it is copied',
  async () => {
    const key = `schools/${TENANTS[1]}/edited meanwhile`;
    await environment.put({ Key: key, Body: Buffer.from('first') });
    // The new content comes between HeadObject and CopyObject, when the request for the copy is on its way.
    const stop = replaceOnCopy(key, time => `content ${time}`, Number.POSITIVE_INFINITY);
    const backup = await environment.backUpWell();
    stop();
    expect(await resultOf(backup, TENANTS[1])).toMatchObject({ recopiedObjectCount: 0, copiedObjectCount: 1 });
    const line = (await manifestOf(backup, TENANTS[1])).find(object => object.key === key);
    expect(line).toMatchObject({ sizeBytes: 5, sha256: createHash('sha256').update('first').digest('hex') });
    const { record } = await environment.testRestore(backup.recoveryPointId);
    expect(record).toMatchObject({ verdict: 'passed', findings: [] });
    await environment.client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key: key }));
    await environment.clock.advance(LONG_AGO_MS);
  },
  3 * MINUTES,
);

it(
  'is incomplete, and never chosen for a test, while objects cannot be copied',
  async () => {
    const good = await environment.backUpWell();
    const customerKey = Buffer.alloc(32, 7);
    const [sseC, archived] = [`schools/${TENANTS[0]}/sse-c`, `schools/${TENANTS[2]}/archived`];
    await environment.client.send(
      new PutObjectCommand({
        Bucket: BUCKET,
        Key: sseC,
        Body: 'secret',
        SSECustomerAlgorithm: 'AES256',
        SSECustomerKey: customerKey.toString('base64'),
        SSECustomerKeyMD5: createHash('md5').update(customerKey).digest('base64'),
      }),
    );
    await environment.client.send(
      new PutObjectCommand({ Bucket: BUCKET, Key: archived, Body: 'cold', StorageClass: 'GLACIER' }),
    );

    const backup = await environment.backUp();
    await expectIncomplete(backup, [
      `tenant ${TENANTS[0]} in bucket uploads: 1 object not covered: encrypted-with-customer-key`,
      `tenant ${TENANTS[2]} in bucket uploads: 1 object not covered: archived`,
    ]);
    // Everything else of these tenants is in it.
    expect((await resultOf(backup, TENANTS[2])).objectCount).toBe(listSupplierFiles().filter(isOf(TENANTS[2])).length);
    expect((await environment.testRestore()).record).toMatchObject({
      verdict: 'passed',
      recoveryPointId: good.recoveryPointId,
    });
    // With every good one tested, it starts none rather than this one.
    const { execution, record } = await environment.testRestore();
    expect(execution).toMatchObject({ status: 'FAILED', error: 'RestoreTestCouldNotStart' });
    expect(record).toMatchObject({ verdict: 'could-not-start', recoveryPointId: null });

    for (const Key of [sseC, archived]) await environment.client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }));
    await environment.clock.advance(LONG_AGO_MS);
    await environment.backUpWell();
  },
  3 * MINUTES,
);

it(
  'backs up the other tenants where one tenant’s key cannot be used',
  async () => {
    const kms = new KMSClient(environment.cloud.clientConfiguration(environment.cloud.root));
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: tenantKeyAlias(TENANTS[1]) }));
    const KeyId = KeyMetadata?.KeyId;
    await kms.send(new DisableKeyCommand({ KeyId }));
    for (const tenant of TENANTS) {
      await environment.put({ Key: `schools/${tenant}/of today`, Body: Buffer.from(tenant) });
    }
    const backup = await environment.backUp();
    await kms.send(new EnableKeyCommand({ KeyId }));

    await expectIncomplete(backup, [`tenant ${TENANTS[1]} in bucket uploads: TenantKeyUnusableError`]);
    for (const tenant of TENANTS) {
      expect(await resultOf(backup, tenant)).toMatchObject(
        tenant === TENANTS[1]
          ? { failure: 'TenantKeyUnusableError', manifestSha256: null, copiedObjectCount: 0 }
          : { failure: null, copiedObjectCount: 1 },
      );
    }
    expect(await resultOf(await environment.backUpWell(), TENANTS[1])).toMatchObject({ copiedObjectCount: 1 });
  },
  3 * MINUTES,
);

it(
  'costs an unchanged tenant one listing for each 1,000 objects, three reads at most, and no write',
  async () => {
    const many = TENANTS[3];
    cloneObjects(`schools/${many}/of today`, 1000, number => `schools/${many}/many/${number}`);
    await environment.backUpWell();
    const calls: { tenant: Tenant; call: string; method: string }[] = [];
    const stop = environment.onRequest(({ service, principal, method, path, query }) => {
      if (service !== 's3' || !/daybreak-(?:backup-back-up-tenant|tenants-ensure-key)$/.test(principal.arn)) return;
      const place = `${decodeURIComponent(path)} ${String(query.prefix ?? '')}`;
      const tenant = TENANTS.find(id => place.includes(`/${id}/`));
      const isListing = 'list-type' in query || 'versions' in query;
      if (tenant !== undefined) calls.push({ tenant, method, call: isListing ? 'list' : method });
    });
    const { document } = await environment.backUpWell();
    stop();

    expect(document.tenants.map(({ copiedObjectCount }) => copiedObjectCount)).toEqual([0, 0, 0, 0, 0]);
    for (const tenant of TENANTS) {
      const own = calls.filter(call => call.tenant === tenant);
      const count = (await resultOf({ recoveryPointId: document.recoveryPointId } as Backup, tenant)).objectCount;
      expect(own.filter(({ call }) => call === 'list')).toHaveLength(Math.ceil(count / 1000));
      expect(own.filter(({ call }) => call !== 'list').length).toBeLessThanOrEqual(3);
      expect(own.filter(({ method }) => method !== 'GET' && method !== 'HEAD')).toEqual([]);
    }
    expect(calls.filter(({ tenant, call }) => tenant === many && call === 'list')).toHaveLength(2);
  },
  3 * MINUTES,
);

it(
  'backs up and tests a restore a month after any function was last called',
  async () => {
    const { clock, scheduler, states } = environment.cloud;
    for (const { name } of scheduler.listSchedules()) scheduler.deleteSchedule(name);
    await clock.advance(30 * 24 * 60 * MINUTES);
    const woken = new Set<string>();
    const stop = states.onEvent(({ kind, stateMachineName, state, error }) => {
      const isTest = stateMachineName.startsWith('daybreak-restore-test');
      if (isTest && kind === 'state-retried') woken.add(`${state}: ${error}`);
    });
    const { recoveryPointId } = await environment.backUpWell();
    const { record } = await environment.testRestore(recoveryPointId);
    stop();
    expect(record).toMatchObject({ verdict: 'passed', recoveryPointId, findings: [] });
    const [inside, outside] = ['ResourceNotReadyException', 'CodeArtifactUserPendingException'];
    expect([...woken].sort()).toEqual([
      `Choose: Lambda.${outside}`,
      `Conclude: Lambda.${outside}`,
      `DescribeInstance: Lambda.${outside}`,
      `Hydrate: Lambda.${inside}`,
      `PlanObjects: Lambda.${outside}`,
      `RestoreDatabase: Lambda.${outside}`,
      `TearDown: Lambda.${outside}`,
      `VerifyDatabase: Lambda.${inside}`,
      `VerifyObjects: Lambda.${outside}`,
    ]);
  },
  3 * MINUTES,
);

const isOf =
  (tenant: Tenant) =>
  ({ Key }: { Key: string }) =>
    Key.startsWith(`schools/${tenant}/`);

/** Puts new content under a key each time (`times` times) that a copy of it is asked for, before S3 sees that request. */
function replaceOnCopy(key: string, content: (time: number) => string, times: number): () => void {
  let time = 0;
  const stop = environment.onRequest((request: AwsRequest) => {
    const source = request.headers['x-amz-copy-source'];
    if (source === undefined || !decodeURIComponent(source).includes(`/${key}`) || time === times) return;
    replace(key, content(++time));
  });
  return () => {
    stop();
    if (time === 0) throw new Error(`no copy of ${key} was asked for`);
  };
}

/** In one synchronous step, as nobody can through the API: the request that is under way finds it done. */
function replace(key: string, content: string): void {
  const { store } = environment.cloud.s3.core;
  const version = store.buckets.get(BUCKET)?.keys.get(key)?.versions[0];
  if (version?.kind !== 'object') throw new Error(`there is no ${key}`);
  const bytes = Buffer.from(content);
  store.commit({
    type: 'version',
    bucket: BUCKET,
    version: {
      ...version,
      versionId: randomBytes(24).toString('base64url'),
      lastModifiedMs: version.lastModifiedMs + 1000,
      sizeBytes: bytes.length,
      eTag: createHash('md5').update(bytes).digest('hex'),
      checksum: {
        algorithm: 'SHA256',
        type: 'FULL_OBJECT',
        value: createHash('sha256').update(bytes).digest('base64'),
      },
      segments: [{ content: { kind: 'memory', bytes }, sizeBytes: bytes.length }],
    },
  });
}

/** Makes objects that are like `key` in all but their key: thousands a second. */
function cloneObjects(key: string, count: number, keyOf: (number: number) => string): void {
  const { store } = environment.cloud.s3.core;
  const version = store.buckets.get(BUCKET)?.keys.get(key)?.versions[0];
  if (version === undefined) throw new Error(`there is no ${key}`);
  for (let number = 0; number < count; number++) {
    store.commit({ type: 'version', bucket: BUCKET, version: { ...version, key: keyOf(number) } });
  }
}
