import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeKeyCommand, KMSClient, ListAliasesCommand, ListResourceTagsCommand } from '@aws-sdk/client-kms';
import { DescribeDBInstancesCommand, DescribeDBSnapshotsCommand, RDSClient } from '@aws-sdk/client-rds';
import { GetObjectCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { z } from 'zod';
import { SignedRecoveryPoint } from '../../functions/contracts/recovery-point.ts';
import { RestoreTestRecord } from '../../functions/contracts/restore-test-record.ts';
import { restoreTestRecordKey, rootManifestKey, vaultSnapshotId } from '../../functions/contracts/vault-layout.ts';
import { LocalClock } from '../../infra/local/clock.ts';
import type { LocalCloud } from '../../infra/local/cloud.ts';
import { createEnvironment, type LocalEnvironment } from '../../infra/local/environment.ts';
import { removeDatabases } from '../../infra/local/start/state-directory.ts';

const MINUTES = 60_000;
/** A school whose id is no name: it would tell who it is. */
const PERSONAL = 'jo.bloggs@stmarys.example';
const FILES = {
  'supplier-uploads': [
    ...['schools/oak/a.txt', 'schools/oak/b.txt', 'schools/elm/a.txt', 'board/minutes.txt'],
    `schools/${PERSONAL}/a.txt`,
  ],
  // One database takes letters of either case for the same.
  'supplier-exports': [
    ...['oak/export.csv', 'ash/export.csv', 'OAK/export.csv', '_tmp/export.csv'],
    `${PERSONAL}/export.csv`,
    `${PERSONAL.toUpperCase()}/export.csv`,
  ],
};

let directory: string;
let environment: LocalEnvironment;
let cloud: LocalCloud | undefined;
/** Everything that any function wrote. */
const lines: string[] = [];

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'daybreak-several-sources-'));
  // PostgreSQL runs as another user where this one is root.
  await chmod(directory, 0o755);
  environment = await createEnvironment({
    clock: new LocalClock({ flow: 'flowing', startsAt: new Date('2026-11-17T11:00:00.000Z') }),
    directory,
    databases: [
      {
        ...{ id: 'wellbeing', databaseName: 'wellbeing', rootTable: 'school', rootColumn: 'id' },
        encrypted: true,
        fill: client => fill(client, 'school', 'pupil', 700, ['oak', 'elm', PERSONAL]),
      },
      {
        ...{ id: 'register', databaseName: 'register', rootTable: 'school', rootColumn: 'id' },
        besides: 'wellbeing',
        encrypted: true,
        fill: client => fill(client, 'school', 'teacher', 50, ['oak', 'elm']),
      },
      {
        ...{ id: 'billing', databaseName: 'accounts', rootTable: 'customer', rootColumn: 'id' },
        encrypted: false,
        fill: client => fill(client, 'customer', 'invoice', 300, ['OAK', 'elm', PERSONAL.toUpperCase()], 'citext'),
      },
    ],
    buckets: [
      { id: 'uploads', name: 'supplier-uploads', tenantPrefix: 'schools/{tenant}/' },
      { id: 'exports', name: 'supplier-exports', tenantPrefix: '{tenant}/' },
    ],
    fillBuckets: async created => {
      const client = new S3Client(created.clientConfiguration(created.root));
      for (const [Bucket, keys] of Object.entries(FILES)) {
        for (const Key of keys) await client.send(new PutObjectCommand({ Bucket, Key, Body: `${Bucket}/${Key}` }));
      }
    },
    restoreTest: { objectsPerTenant: 'all' },
    onCloud: created => {
      cloud = created;
      created.lambda.onLine((_name, line) => lines.push(line));
    },
  });
}, 3 * MINUTES);

afterAll(async () => {
  await cloud?.close();
  await removeDatabases(directory);
  await rm(directory, { recursive: true, force: true });
});

async function fill(
  client: Client,
  rootTable: string,
  table: string,
  rows: number,
  ids: readonly string[],
  type = 'text',
): Promise<void> {
  await client.query(`
    CREATE EXTENSION citext;
    CREATE TABLE ${rootTable} (id ${type} PRIMARY KEY);
    CREATE TABLE ${table} (id int PRIMARY KEY, ${rootTable}_id ${type} NOT NULL REFERENCES ${rootTable}, body text);
  `);
  await client.query(`INSERT INTO ${rootTable} SELECT unnest($1::text[])`, [ids]);
  await client.query(
    `INSERT INTO ${table} SELECT g, ($1::text[])[1 + g % cardinality($1::text[])], md5(g::text) FROM generate_series(1, $2) g`,
    [ids, rows],
  );
}

/** A tenant as it is called in the test: what was drawn for the odd id is another one each time. */
const shown = (tenant: string | null) => (/^_[a-z2-7]{26}$/.test(tenant ?? '') ? 'drawn' : (tenant ?? 'nobody'));

async function readAsOperator<T extends z.ZodType>(schema: T, Bucket: string, Key: string): Promise<z.output<T>> {
  const client = new S3Client(environment.cloud.clientConfiguration(environment.operator));
  const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }));
  return schema.parse(JSON.parse((await Body?.transformToString()) ?? ''));
}

it(
  'backs up every database and every bucket, and restores and compares each',
  async () => {
    const { deployment, run } = environment;
    const rds = new RDSClient(environment.cloud.clientConfiguration(environment.cloud.root));
    const { DBInstances = [] } = await rds.send(new DescribeDBInstancesCommand({}));
    expect(new Set(DBInstances.map(({ Endpoint }) => Endpoint?.Port)).size).toBe(2);
    expect(
      DBInstances.map(({ DBInstanceIdentifier, StorageEncrypted }) => [DBInstanceIdentifier, StorageEncrypted]),
    ).toEqual(
      expect.arrayContaining([
        ['wellbeing-source', true],
        ['billing-source', false],
      ]),
    );

    const scheduledAt = '2026-11-17T08:30:00.000Z';
    expect(await run('daily-backup', 'several', { scheduledAt })).toMatchObject({ status: 'SUCCEEDED' });
    const recoveryPointId = '20261117t083000z';
    const { document } = await readAsOperator(
      SignedRecoveryPoint,
      deployment.vaultBucket,
      rootManifestKey(recoveryPointId),
    );
    expect(document).toMatchObject({ status: 'good', reasons: [] });
    expect(
      document.databases.map(({ databaseId, rowCount, snapshot }) => [
        databaseId,
        rowCount,
        snapshot?.id,
        snapshot?.kmsKeyArn,
      ]),
    ).toEqual(
      [
        // Of one instance, and so of one snapshot, which the first of them names.
        ['register', 52, 'register'],
        ['wellbeing', 703, 'register'],
        ['billing', 303, 'billing'],
      ].map(([id, rows, names]) => [id, rows, vaultSnapshotId(recoveryPointId, String(names)), deployment.vaultKeyArn]),
    );
    const takenAt = new Map(document.databases.map(({ databaseId, snapshot }) => [databaseId, snapshot?.takenAt]));
    expect(document.moments).toMatchObject({
      snapshots: [
        { instanceId: 'wellbeing-source', takenAt: takenAt.get('register') },
        { instanceId: 'billing-source', takenAt: takenAt.get('billing') },
      ],
      asOf: [...takenAt.values()].sort().at(-1),
    });
    expect(document.moments?.objects).toEqual({ from: document.moments?.asOf, to: document.moments?.asOf });
    expect(document.moments?.skewMs).toBe(
      Math.abs(Date.parse(takenAt.get('register') ?? '') - Date.parse(takenAt.get('billing') ?? '')),
    );
    const backedUp = document.tenants.map(
      ({ bucketId, tenant, objectCount }) => `${bucketId} ${shown(tenant)}: ${objectCount}`,
    );
    expect(backedUp.sort()).toEqual([
      'exports ash: 1',
      'exports drawn: 2',
      // A tenant that a database names is looked for in every bucket.
      'exports elm: 0',
      'exports nobody: 1',
      'exports oak: 2',
      'uploads drawn: 1',
      'uploads elm: 1',
      'uploads nobody: 1',
      'uploads oak: 2',
    ]);
    const { DBSnapshots = [] } = await rds.send(new DescribeDBSnapshotsCommand({}));
    expect(DBSnapshots.map(({ StorageEncryptionType }) => StorageEncryptionType)).toEqual(['sse-kms', 'sse-kms']);

    const test = { scheduledAt: '2026-11-17T10:30:00.000Z', recoveryPointId };
    expect(await run('restore-test', 'several', test)).toMatchObject({ status: 'SUCCEEDED' });
    const record = await readAsOperator(
      RestoreTestRecord,
      deployment.evidenceBucket,
      restoreTestRecordKey('20261117t103000z'),
    );
    expect(record).toMatchObject({ verdict: 'passed', recoveryPointId });
    expect(record.databases.map(({ databaseId }) => databaseId).sort()).toEqual(['billing', 'register', 'wellbeing']);
    expect(record.phases.filter(({ phase }) => phase === 'restore')).toHaveLength(2);
    const bytes = Object.entries(FILES).flatMap(([bucket, keys]) => keys.map(key => `${bucket}/${key}`.length));
    expect(record.objects).toEqual({
      tenantCount: 4,
      objectCount: 11,
      objectsRestored: 11,
      bytesRestored: bytes.reduce((sum, length) => sum + length, 0),
    });
  },
  6 * MINUTES,
);

it(
  'names the one database of an instance that cannot be read, and proves the others of the same snapshot',
  async () => {
    const { deployment, run, connect } = environment;
    const connection = await connect('register');
    await connection.query('REVOKE CONNECT ON DATABASE register FROM daybreak_reader, PUBLIC');
    await connection.end();
    const scheduledAt = '2026-11-17T10:45:00.000Z';
    const execution = await run('daily-backup', 'unreadable', { scheduledAt });
    expect([execution.status, execution.error]).toEqual(['FAILED', 'RecoveryPointIncompleteError']);
    const recoveryPointId = '20261117t104500z';
    const { document } = await readAsOperator(
      SignedRecoveryPoint,
      deployment.vaultBucket,
      rootManifestKey(recoveryPointId),
    );
    expect(document.reasons).toEqual(['database register: DatabaseQueryError']);
    expect(
      document.databases.map(({ databaseId, snapshot, fingerprints }) => [
        databaseId,
        snapshot?.id,
        fingerprints !== null,
      ]),
    ).toEqual([
      ['register', vaultSnapshotId(recoveryPointId, 'register'), false],
      ['wellbeing', vaultSnapshotId(recoveryPointId, 'register'), true],
      ['billing', vaultSnapshotId(recoveryPointId, 'billing'), true],
    ]);
  },
  6 * MINUTES,
);

it(
  'says an odd id nowhere but in what only the vault’s key opens',
  async () => {
    const { states, s3, root } = environment.cloud;
    expect(findPersonal(`{"key":"${Buffer.from(`a ${PERSONAL}`).toString('base64')}"}`)).toBe(true);
    expect(findPersonal(lines.join('\n'))).toBe(false);
    expect(lines.join('\n')).toContain('tenant key created');
    const executions = states.listExecutions();
    expect(executions.length).toBeGreaterThan(8);
    for (const { context, history, ...execution } of executions) {
      const { name, input, output, error, cause } = execution;
      expect(findPersonal(JSON.stringify([context, history.events, name, input, output, error, cause]))).toBe(false);
    }
    const kms = new KMSClient(environment.cloud.clientConfiguration(root));
    const { Aliases = [] } = await kms.send(new ListAliasesCommand({}));
    const drawn = Aliases.filter(({ AliasName = '' }) => /^alias\/daybreak\/tenant\/_[a-z2-7]{26}$/.test(AliasName));
    expect(drawn).toHaveLength(1);
    for (const { AliasName, TargetKeyId: KeyId } of Aliases) {
      const { KeyMetadata } = await kms.send(new DescribeKeyCommand({ KeyId }));
      const { Tags } = await kms.send(new ListResourceTagsCommand({ KeyId }));
      expect(findPersonal(JSON.stringify([AliasName, KeyMetadata, Tags]))).toBe(false);
    }
    const { vaultBucket, workBucket, evidenceBucket } = environment.deployment;
    const owner = new S3Client(environment.cloud.clientConfiguration(root));
    for (const bucket of [vaultBucket, workBucket, evidenceBucket]) {
      const versions = [...(s3.core.store.buckets.get(bucket)?.keys.values() ?? [])].flatMap(
        ({ versions }) => versions,
      );
      expect(versions.length).toBeGreaterThan(3);
      for (const { key, ...version } of versions) {
        const { headers = {}, tags = {} } = version.kind === 'object' ? version : {};
        expect(findPersonal(JSON.stringify([key, headers, tags]))).toBe(false);
        // What is signed and kept for ever.
        if (bucket === evidenceBucket || key.startsWith('recovery-points/')) {
          const { Body } = await owner.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
          expect(findPersonal((await Body?.transformToString()) ?? '')).toBe(false);
        }
      }
    }
  },
  MINUTES,
);

/** Whether a text holds the id, as it is or encoded. */
function findPersonal(text: string): boolean {
  const words = ['stmarys', 'STMARYS'].flatMap(word => [
    word,
    Buffer.from(word).toString('hex'),
    ...[0, 1, 2].map(before =>
      Buffer.concat([Buffer.alloc(before), Buffer.from(word)])
        .toString('base64')
        .slice(Math.ceil((before * 8) / 6), Math.floor(((before + word.length) * 8) / 6)),
    ),
  ]);
  return words.some(word => text.includes(word));
}
