import { createHash } from 'node:crypto';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import type { Deployment } from '../../../functions/contracts/configuration.ts';
import { type LedgerDraft, NO_ENTRY_SHA256 } from '../../../functions/contracts/ledger.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { ledgerEntryKey, rootManifestKey } from '../../../functions/contracts/vault-layout.ts';
import { append } from '../../../functions/evidence/append.ts';
import { handler } from '../../../functions/evidence/append-entry.ts';
import { verifyLedger } from '../../../functions/evidence/verify-ledger.ts';
import { canonicalJson, sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { signDocument } from '../../../functions/platform/kms.ts';
import { type Runtime, withRuntime } from '../../../functions/platform/runtime.ts';
import { writeBytes } from '../../../functions/platform/s3.ts';
import { LocalClock } from '../../../infra/local/clock.ts';
import { localClientConfiguration } from '../../../infra/local/endpoint/request-handler.ts';
import { LocalKms } from '../../../infra/local/kms/service.ts';
import { LocalS3 } from '../../../infra/local/s3/service.ts';
import type { AwsRequest, AwsResponse, Service } from '../../../infra/local/service.ts';

const accountId = '111122223333';
const principal = { kind: 'root', arn: `arn:aws:iam::${accountId}:root` } as const;
const authorizer = { authorize: () => undefined };

/** Sees a request before S3 does; what it returns is the answer. Call `next` to let S3 answer. */
export type Interception = (request: AwsRequest, next: () => Promise<AwsResponse>) => Promise<AwsResponse>;

/** An empty ledger in a local S3 and KMS of its own. */
export async function openLedger(options: { directory?: string } = {}) {
  const clock = new LocalClock({ flow: 'manual', startsAt: new Date('2026-11-22T03:00:00.000Z') });
  const directory = (name: string) =>
    options.directory === undefined ? {} : { directory: `${options.directory}/${name}` };
  const kms = new LocalKms({ clock, authorizer, accountId, ...directory('kms') });
  const s3 = new LocalS3({ clock, authorizer, keys: kms, accountId, ...directory('s3') });
  const retention = { mode: 'GOVERNANCE', period: { days: 365 } } as const;
  s3.createBucket({ name: 'evidence', versioning: 'Enabled', objectLock: { defaultRetention: retention } });
  s3.createBucket({ name: 'vault', versioning: 'Enabled' });
  s3.createBucket({ name: 'work' });

  const requests: string[] = [];
  let interception: Interception = (_request, next) => next();
  const intercepted: Service = {
    handle: request => interception(request, () => s3.handle(request)),
  };
  const clientConfiguration = localClientConfiguration({ s3: intercepted, kms }, principal, {
    onRequest: ({ service, method, path }) => requests.push(`${service} ${method} ${path}`),
  });
  const keyClient = new KMSClient(clientConfiguration);
  const signingKey = { KeyUsage: 'SIGN_VERIFY', KeySpec: 'ECC_NIST_P256' } as const;
  const { KeyMetadata: vaultKey } = await keyClient.send(new CreateKeyCommand({}));
  const newSigningKey = async () => (await keyClient.send(new CreateKeyCommand(signingKey))).KeyMetadata?.Arn ?? '';
  const deployment: Deployment = {
    accountId,
    region: 'eu-west-2',
    vaultBucket: 'vault',
    evidenceBucket: 'evidence',
    workBucket: 'work',
    registerBucket: 'register',
    vaultKeyArn: vaultKey?.Arn ?? '',
    signingKeyArn: await newSigningKey(),
    ledgerKeyArn: await newSigningKey(),
    entryKeyArn: await newSigningKey(),
    tenantIdKeyArn: '',
    registerKeyArn: '',
  };
  const restoreTest = { subnetGroupName: 'isolated', securityGroupId: 'sg-1' };
  const lines: string[] = [];
  const newRuntime = (): Runtime => ({
    environment: {
      DAYBREAK_DEPLOYMENT: JSON.stringify(deployment),
      DAYBREAK_CONFIGURATION: JSON.stringify({ databases: [], buckets: [], restoreTest }),
    },
    clock,
    clientConfiguration,
    writeLine: line => lines.push(line),
    instances: new Map(),
  });
  /** Each invocation runs like a cold start: nothing that an earlier one kept in memory helps it. */
  const run = <T>(work: () => Promise<T>): Promise<T> => withRuntime(newRuntime(), work);

  return {
    s3,
    kms,
    clock,
    deployment,
    keyClient,
    lines,
    requests,
    run,
    intercept: (by: Interception) => {
      interception = by;
    },
    append: (part: LedgerDraft) => run(() => append(part, clock.now(), deployment)),
    appendEntry: (part: LedgerDraft) =>
      run(() => handler({ draft: part }, { getRemainingTimeInMillis: () => 300_000 })) as Promise<{
        sequence: number;
        entrySha256: string;
      }>,
    verify: () => run(() => verifyLedger(deployment, clock.now())),
    put: (key: string, content: string | Buffer) => run(() => writeBytes('evidence', key, Buffer.from(content))),
    /** Puts a recovery point's signed root manifest into the vault. Returns its hash. */
    putManifest: (part: Partial<RecoveryPoint>, keyArn = deployment.signingKeyArn) =>
      run(async () => {
        const bytes = Buffer.from(canonicalJson(await signDocument({ ...MANIFEST, ...part }, keyArn)));
        await writeBytes('vault', rootManifestKey(part.recoveryPointId ?? MANIFEST.recoveryPointId), bytes);
        return sha256Hex(bytes);
      }),
    /** Stores entries 1 to `count`, and then those of `last`, as they would have been appended, without heads and segments. */
    seed: async (count: number, last: readonly LedgerDraft[] = []) => {
      const entries = chainOf(count, last);
      for (const [index, body] of entries.entries()) {
        const path = `/evidence/${ledgerEntryKey(index + 1)}`;
        const md5 = createHash('md5').update(body).digest('base64');
        const headers = { 'content-length': String(body.length), 'content-md5': md5 };
        const request = {
          service: 's3',
          method: 'PUT',
          path,
          query: {},
          headers,
          body,
          principal,
          secure: true,
        } as const;
        const { status } = await s3.handle(request);
        if (status !== 200) throw new Error(`seeding ${path}: ${status}`);
      }
      return entries;
    },
  };
}

export type LocalLedger = Awaited<ReturnType<typeof openLedger>>;

const MANIFEST: RecoveryPoint = {
  version: 1,
  recoveryPointId: '20261122t023000z',
  scheduledAt: '2026-11-22T02:30:00.000Z',
  completedAt: '2026-11-22T02:40:00.000Z',
  status: 'good',
  databases: [],
  tenants: [],
  reasons: [],
};

/** A draft of the event `id`. */
export function draft(id: string, part: Partial<LedgerDraft> = {}): LedgerDraft {
  return {
    eventId: id,
    kind: 'backup.failed',
    actor: 'workflow/daily-backup',
    subject: `school-${id}`,
    body: {},
    ...part,
  };
}

/** The stored bytes of a sound chain of entries, as earlier releases left them: nobody signed them. */
export function chainOf(count: number, last: readonly LedgerDraft[] = []): Buffer[] {
  const drafts = [...Array.from({ length: count }, (_, index) => draft(`seeded/${index + 1}`)), ...last];
  const entries: Buffer[] = [];
  let previousSha256 = NO_ENTRY_SHA256;
  for (const [index, one] of drafts.entries()) {
    const recordedAt = '2026-11-22T02:59:00.000Z';
    const entry = { ...one, version: 1, sequence: index + 1, recordedAt, previousSha256 };
    const bytes = Buffer.from(canonicalJson(entry));
    previousSha256 = sha256Hex(bytes);
    entries.push(bytes);
  }
  return entries;
}
