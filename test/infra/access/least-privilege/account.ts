import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import type { Client } from 'pg';
import { LocalClock } from '../../../../infra/local/clock.ts';
import type { LocalCloud } from '../../../../infra/local/cloud.ts';
import { createEnvironment, type LocalEnvironment } from '../../../../infra/local/environment.ts';
import type { AwsRequest } from '../../../../infra/local/service.ts';
import { removeDatabases } from '../../../../infra/local/start/state-directory.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
export const BUCKET = 'supplier-uploads';
/** Smaller objects stand for those above 5 GB. */
export const PART_BYTES = 5 * 1024 ** 2;
const FILMS = ['schools/oak/film.mp4', 'board/film.mp4'];

/** A small supplier's account: one database under a key, a bucket under another, each with something of every kind. */
export interface Account {
  readonly environment: LocalEnvironment;
  readonly cloud: LocalCloud;
  /** The keys of the database and of the bucket. */
  readonly sourceKeyArns: readonly string[];
  /** The account's own hand in S3. */
  readonly client: S3Client;
  /** Calls `observe` with each request, before it is answered; what it throws breaks the connection. */
  onRequest(observe: ((request: AwsRequest) => void) | undefined): void;
  /** Removes the files that are copied in parts. */
  removeFilms(): Promise<void>;
  close(): Promise<void>;
}

export async function createAccount(): Promise<Account> {
  const directory = await mkdtemp(join(tmpdir(), 'daybreak-least-privilege-'));
  // PostgreSQL runs as another user where this one is root.
  await chmod(directory, 0o755);
  // In the morning, so that no workflow's schedule comes due meanwhile.
  const day = new Date(Date.now() - 5 * DAY_MS).toISOString().slice(0, 10);
  const kmsKeyArns: string[] = [];
  let observer: ((request: AwsRequest) => void) | undefined;
  let cloud: LocalCloud | undefined;
  const close = async () => {
    await cloud?.close();
    await removeDatabases(directory);
    await rm(directory, { recursive: true, force: true });
  };
  try {
    const environment = await createEnvironment({
      clock: new LocalClock({ flow: 'flowing', startsAt: new Date(`${day}T08:20:00.000Z`) }),
      directory,
      databases: [
        { id: 'school', databaseName: 'school', rootTable: 'school', rootColumn: 'id', encrypted: true, fill },
      ],
      buckets: [{ id: 'uploads', name: BUCKET, tenantPrefix: 'schools/{tenant}/', kmsKeyArns }],
      fillBuckets: created => uploadFiles(created, kmsKeyArns[0] ?? ''),
      restoreTest: { objectsPerTenant: 'all' },
      onCloud: created => {
        cloud = created;
        kmsKeyArns.push(created.kms.createKeyFromTemplate({ description: "the uploads' key" }).keyArn);
      },
      onRequest: request => observer?.(request),
    });
    const client = new S3Client(environment.cloud.clientConfiguration(environment.cloud.root));
    return {
      environment,
      cloud: environment.cloud,
      sourceKeyArns: [...kmsKeyArns, ...(await databaseKeyArns(environment.cloud))],
      client,
      onRequest: observe => {
        observer = observe;
      },
      removeFilms: async () => {
        for (const Key of FILMS) await client.send(new DeleteObjectCommand({ Bucket: BUCKET, Key }));
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function databaseKeyArns(cloud: LocalCloud): Promise<string[]> {
  const client = new RDSClient(cloud.clientConfiguration(cloud.root));
  const { DBInstances = [] } = await client.send(new DescribeDBInstancesCommand({}));
  return DBInstances.flatMap(({ KmsKeyId }) => KmsKeyId ?? []);
}

async function fill(client: Client): Promise<void> {
  await client.query(`
    CREATE TABLE school (id text PRIMARY KEY);
    CREATE TABLE pupil (id int PRIMARY KEY, school_id text NOT NULL REFERENCES school, name text);
    -- The last one's id is no name, so that it is given one.
    INSERT INTO school VALUES ('oak'), ('elm'), ('St Ash');
    INSERT INTO pupil SELECT g, CASE g % 2 WHEN 0 THEN 'oak' ELSE 'elm' END, 'pupil ' || g FROM generate_series(1, 500) g;
  `);
}

async function uploadFiles(created: LocalCloud, kmsKeyArn: string): Promise<void> {
  const client = new S3Client(created.clientConfiguration(created.root));
  const encryption = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: kmsKeyArn } as const;
  const put = (Key: string, more = {}) =>
    client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: `content of ${Key}`, ...encryption, ...more }));
  await put('schools/oak/tagged.txt', { Tagging: 'class=7b', Metadata: { author: 'u-1' } });
  await put('schools/elm/plain.txt');
  await put('board/minutes.txt');
  const bodies = [Buffer.alloc(PART_BYTES, 'film'), Buffer.from('the end of the film')];
  for (const Key of FILMS) {
    const target = { Bucket: BUCKET, Key };
    const { UploadId } = await client.send(new CreateMultipartUploadCommand({ ...target, ...encryption }));
    const Parts: { PartNumber: number; ETag: string | undefined }[] = [];
    for (const [index, Body] of bodies.entries()) {
      const PartNumber = index + 1;
      const { ETag } = await client.send(new UploadPartCommand({ ...target, UploadId, PartNumber, Body }));
      Parts.push({ PartNumber, ETag });
    }
    await client.send(new CompleteMultipartUploadCommand({ ...target, UploadId, MultipartUpload: { Parts } }));
  }
}
