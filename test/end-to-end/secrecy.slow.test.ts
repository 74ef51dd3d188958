import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { zstdDecompressSync } from 'node:zlib';
import { DescribeKeyCommand, KMSClient, ScheduleKeyDeletionCommand } from '@aws-sdk/client-kms';
import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  manifestKey,
  namingSecretKey,
  objectPrefix,
  tenantKeyAlias,
  tenantRoot,
} from '../../functions/contracts/vault-layout.ts';
import { swap } from '../../infra/local/s3/damage.ts';
import type { Segment } from '../../infra/local/s3/sealed-content.ts';
import { TestEnvironment } from './environment.ts';
import { BUCKET, PERSON, SECRETS, TENANTS, type Tenant } from './supplier.ts';

const MINUTES = 60_000;
const DAY_MS = 24 * 60 * MINUTES;
const DAYBREAK_BUCKETS = ['vault', 'work', 'evidence'] as const;

let environment: TestEnvironment;
/** Everything that any function wrote. */
const lines: string[] = [];
let first: Awaited<ReturnType<TestEnvironment['backUp']>>;

// A history in which functions had reason to speak of objects: some cannot be copied, some are altered, a tenant fails.
beforeAll(async () => {
  environment = await TestEnvironment.create();
  environment.cloud.lambda.onLine((_name, line) => lines.push(line));
  first = await environment.backUpWell();
  const customerKey = randomBytes(32);
  await environment.client.send(
    new PutObjectCommand({
      Bucket: BUCKET,
      Key: `schools/${TENANTS[0]}/${SECRETS[0]} under a key of its own`,
      Body: SECRETS[3],
      SSECustomerAlgorithm: 'AES256',
      SSECustomerKey: customerKey.toString('base64'),
      SSECustomerKeyMD5: createHash('md5').update(customerKey).digest('base64'),
    }),
  );
  await environment.put({ Key: `schools/${TENANTS[3]}/${SECRETS[0]} later`, Body: Buffer.from(SECRETS[3]) });
  expect((await environment.backUp()).execution).toMatchObject({ error: 'RecoveryPointIncompleteError' });
  const [a, b] = environment.keysIn('vault', objectPrefix(TENANTS[1])) as [string, string];
  const swapped = () => swap(environment.cloud.s3, environment.deployment.vaultBucket, a, b);
  await swapped();
  expect((await environment.testRestore()).record.verdict).toBe('failed');
  await swapped();
}, 3 * MINUTES);
afterAll(() => environment?.remove());

/** A word as it stands in UTF-8, and inside base64, whatever comes before it. */
function formsOf(word: string): string[] {
  const encoded = [0, 1, 2].map(before => {
    const text = Buffer.concat([Buffer.alloc(before), Buffer.from(word)]).toString('base64');
    // Only the characters that depend on the word alone.
    return text.slice(Math.ceil((before * 8) / 6), Math.floor(((before + word.length) * 8) / 6));
  });
  return [word, Buffer.from(word).toString('hex'), ...encoded];
}

/** Which of the words stand in something, in any form. */
function secretsIn(what: Buffer | string, words: readonly string[] = [...SECRETS, PERSON]): string[] {
  const bytes = typeof what === 'string' ? Buffer.from(what) : what;
  return words.filter(word => formsOf(word).some(form => bytes.includes(form)));
}

it('finds the words where they are, so that not finding them says something', async () => {
  expect(secretsIn(`{"key":"${Buffer.from(`a ${SECRETS[0]}`).toString('base64')}"}`)).toEqual([SECRETS[0]]);
  const source = environment.cloud.s3.core.store.buckets.get(BUCKET);
  expect(secretsIn(JSON.stringify([...(source?.keys.values() ?? [])]))).toEqual(SECRETS.slice(0, 3));
  // Daybreak has them: in the manifest, under the tenant's key.
  expect(await namesInManifest(TENANTS[2])).toContain(SECRETS[0]);
});

it.each(DAYBREAK_BUCKETS)('has no word in a key, header, metadata or tag of the %s bucket', bucket => {
  const versions = environment.versionsIn(bucket);
  expect(versions.length).toBeGreaterThan(4);
  for (const { key, ...version } of versions) {
    const { headers = {}, tags = {} } = version.kind === 'object' ? version : {};
    expect(secretsIn(JSON.stringify([key, decodeURIComponent(key), headers, tags]))).toEqual([]);
  }
});

it.each(DAYBREAK_BUCKETS)('has no word in the stored bytes of the %s bucket', async bucket => {
  for (const version of environment.versionsIn(bucket)) {
    if (version.kind !== 'object') continue;
    for (const segment of version.segments) expect(secretsIn(storedBytes(segment))).toEqual([]);
  }
});

it('has no word on disk, but in the source’s own records and in the database servers’ files', () => {
  const s3 = join(environment.directory, 's3');
  const journal = readFileSync(join(s3, 'journal.jsonl'), 'utf8')
    .split('\n')
    .filter(line => line !== '');
  const recorded = journal.map(line => {
    const { bucket, version } = JSON.parse(line) as { bucket?: string; version?: { key: string } };
    return { line, bucket, key: version?.key ?? '' };
  });
  const foreign = recorded.filter(({ bucket }) => bucket !== BUCKET).map(({ line }) => line);
  expect(recorded.some(({ key }) => key.startsWith('scratch/'))).toBe(true);
  expect(environment.keysIn('work', 'scratch/')).toEqual([]);
  expect(foreign.length).toBeGreaterThan(100);
  expect(secretsIn(foreign.join('\n'))).toEqual([]);
  const own = recorded
    .filter(({ bucket }) => bucket === BUCKET)
    .map(({ line }) => line)
    .join();
  expect(secretsIn(own)).toEqual([...SECRETS]);
  const contents = readdirSync(join(s3, 'content')).filter(id => !own.includes(id));
  expect(contents.length).toBeGreaterThan(0);
  for (const id of contents) expect(secretsIn(readFileSync(join(s3, 'content', id)))).toEqual([]);
  // The snapshots hold whole databases.
  const snapshots = join(environment.directory, 'rds', 'snapshots');
  expect(readdirSync(snapshots).length).toBe(2);
  for (const file of readdirSync(snapshots)) expect(secretsIn(readFileSync(join(snapshots, file)))).toEqual([]);
});

it('has no word in logs, histories of executions, or the ledger and its records', async () => {
  expect(lines.some(line => line.includes('an object is not covered'))).toBe(true);
  expect(secretsIn(lines.join('\n'))).toEqual([]);
  for (const { context, history, ...execution } of environment.cloud.states.listExecutions()) {
    const { name, input, output, error, cause } = execution;
    expect(secretsIn(JSON.stringify([context, history.events, name, input, output, error, cause]))).toEqual([]);
  }
  expect((await environment.ledger()).map(({ kind }) => kind)).toEqual([
    ...Array(4).fill('tenant-key.created'),
    'backup.completed',
    'backup.completed',
    'restore-test.completed',
  ]);
  for (const key of environment.keysIn('evidence')) {
    expect(secretsIn(await environment.content('evidence', key))).toEqual([]);
  }
  for (const key of environment.keysIn('vault', 'recovery-points/')) {
    expect(secretsIn(await environment.content('vault', key))).toEqual([]);
  }
});

it(
  'makes everything of a tenant unreadable with its key, and nothing of any other',
  async () => {
    const erased = TENANTS[2];
    const kms = new KMSClient(environment.cloud.clientConfiguration(environment.cloud.root));
    const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId: tenantKeyAlias(erased) }));
    const { KeyId = '' } = KeyMetadata ?? {};
    const before = readableKeys(await readEverything());
    for (const tenant of TENANTS) expect(before.some(key => key.startsWith(tenantRoot(tenant)))).toBe(true);

    await kms.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    const deletedAfter = environment.clock.now().getTime() + 7 * DAY_MS;
    // Backups in the days of waiting and after them name the tenant and keep the others. What schedules start besides is kept
    // out: it looks on.
    const { scheduler } = environment.cloud;
    for (const { name } of scheduler.listSchedules()) scheduler.deleteSchedule(name);
    for (const until of [0, deletedAfter]) {
      await environment.clock.advance(Math.max(0, until - environment.clock.now().getTime()));
      const { execution } = await environment.backUp();
      expect(execution).toMatchObject({ status: 'FAILED', error: 'RecoveryPointIncompleteError' });
    }
    await expect(kms.send(new DescribeKeyCommand({ KeyId }))).rejects.toMatchObject({ name: 'NotFoundException' });
    expect(existsSync(join(environment.directory, 'kms', `${KeyId}.json`))).toBe(false);

    const after = await readEverything();
    const own = after.filter(({ key }) => key.startsWith(tenantRoot(erased)));
    expect(own.map(({ key }) => key)).toEqual(
      expect.arrayContaining([
        namingSecretKey(erased),
        expect.stringContaining(`${tenantRoot(erased)}manifests/`),
        expect.stringContaining(objectPrefix(erased)),
      ]),
    );
    expect(own.filter(({ refusal }) => refusal === null)).toEqual([]);
    expect(new Set(own.map(({ refusal }) => refusal))).toEqual(new Set(['KMS.NotFoundException']));
    await expect(namesInManifest(erased)).rejects.toMatchObject({ name: 'KMS.NotFoundException' });
    // Of everything else, what was readable is.
    expect(readableKeys(after)).toEqual(
      expect.arrayContaining(before.filter(key => !key.startsWith(tenantRoot(erased)))),
    );
    expect(after.filter(({ key, refusal }) => refusal !== null && !key.startsWith(tenantRoot(erased)))).toEqual([]);

    // A restore of a point from before says that it could not read that tenant, and finds nothing wrong with the rest.
    const { record } = await environment.testRestore(first.recoveryPointId);
    expect(record).toMatchObject({ verdict: 'inconclusive', findings: [] });
    expect(record.reasons).toEqual(["1 tenants' objects were not compared"]);
  },
  6 * MINUTES,
);

interface Reading {
  readonly key: string;
  /** The error's name; null where it could be read. */
  readonly refusal: string | null;
}

/** Tries to read each version in Daybreak's buckets as the account itself, which no policy keeps from it. */
async function readEverything(): Promise<Reading[]> {
  const readings: Reading[] = [];
  for (const bucket of DAYBREAK_BUCKETS) {
    for (const { kind, key, versionId } of environment.versionsIn(bucket)) {
      if (kind !== 'object') continue;
      const Bucket = environment.deployment[`${bucket}Bucket`];
      try {
        const VersionId = versionId === 'null' ? undefined : versionId;
        const { Body } = await environment.client.send(new GetObjectCommand({ Bucket, Key: key, VersionId }));
        await Body?.transformToByteArray();
        readings.push({ key, refusal: null });
      } catch (error) {
        readings.push({ key, refusal: (error as Error).name });
      }
    }
  }
  return readings;
}

const readableKeys = (readings: readonly Reading[]): string[] =>
  readings.filter(({ refusal }) => refusal === null).map(({ key }) => key);

async function namesInManifest(tenant: Tenant): Promise<string> {
  const { document } = await environment.recoveryPoint(first.recoveryPointId);
  const { manifestSha256 } = document.tenants.find(result => result.tenant === tenant) ?? {};
  return zstdDecompressSync(await environment.content('vault', manifestKey(tenant, manifestSha256 ?? ''))).toString();
}

function storedBytes({ content }: Segment): Buffer {
  if (content.kind === 'memory') return content.bytes;
  return readFileSync(join(environment.directory, 's3', 'content', content.id));
}
