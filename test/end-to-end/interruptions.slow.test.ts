import { AsyncLocalStorage } from 'node:async_hooks';
import { KMSClient, paginateListKeys } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { idOfInstant } from '../../functions/contracts/identifiers.ts';
import { LEDGER_PROJECTION_KEY, vaultSnapshotId } from '../../functions/contracts/vault-layout.ts';
import { stepName } from '../../infra/access/role-names.ts';
import type { AwsRequest } from '../../infra/local/service.ts';
import { DATABASE, TestEnvironment } from './environment.ts';
import { listSupplierFiles, TENANTS } from './supplier.ts';

const MINUTES = 60_000;
/** So often a backup for one instant dies, before it runs to its end. */
const KILLS_OF_ONE_BACKUP = 4;

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await TestEnvironment.create({ objectsPerTenant: 1 });
}, 3 * MINUTES);
afterAll(() => environment?.remove());

/** `Runtime.ExitError` is what Lambda says of a function whose process ended, and what workflows try again. */
class KilledError extends Error {
  constructor(name: 'KilledError' | 'Runtime.ExitError') {
    super('killed');
    this.name = name;
  }
}

/** One run of a function. A dead one reaches nothing any more. */
interface Invocation {
  readonly functionName: string;
  dead: boolean;
  kill(): void;
}

/**
 * Kills a function that makes the next writing request of a kind that is not yet in `done`, before that request: at once,
 * with nothing cleaned up, as Lambda's environment may die. Of what a step keeps of its progress, the second time is a kind
 * of its own. Of one run, one function dies, or where `each`, each function once.
 * @returns what ends it, and says which requests these were. They are then in `done`.
 */
function killBeforeWrite(done: Set<string>, error: KilledError, { each }: { each: boolean }): () => string[] {
  const current = new AsyncLocalStorage<Invocation>();
  const counts = new Map<string, number>();
  /** The kinds, by the function that died. */
  const killed = new Map<string, string>();
  environment.cloud.lambda.intercept(({ functionName }, next) =>
    // What looks on from outside is not what is killed here.
    functionName === stepName('pulse/read-back')
      ? next()
      : new Promise((resolve, reject) => {
          const invocation: Invocation = {
            functionName,
            dead: false,
            kill: () => {
              invocation.dead = true;
              reject(error);
            },
          };
          current.run(invocation, next).then(resolve, reject);
        }),
  );
  const stop = environment.onRequest(request => {
    const invocation = current.getStore();
    if (invocation === undefined) return;
    const name = nameOfWrite(request);
    const mayDie = each ? !killed.has(invocation.functionName) : killed.size === 0;
    if (!invocation.dead && mayDie && name !== undefined) {
      const count = (counts.get(name) ?? 0) + 1;
      counts.set(name, count);
      const kind = count === 1 ? name : `${name}, the second time`;
      if (!done.has(kind) && (count === 1 || (count === 2 && / work\/work\/.*\.json\.zst$/.test(name)))) {
        killed.set(invocation.functionName, kind);
        done.add(kind);
        invocation.kill();
      }
    }
    if (invocation.dead) throw error;
  });
  return () => {
    environment.cloud.lambda.intercept(undefined);
    stop();
    return [...killed.values()];
  };
}

/** What a request would change, by service, operation and kind of place; undefined when it only reads. */
function nameOfWrite({ service, method, path, headers, body, query }: AwsRequest): string | undefined {
  if (service === 's3') {
    if (method === 'GET' || method === 'HEAD') return undefined;
    const [, bucket = '', ...key] = path.split('/');
    const operation = headers['x-amz-copy-source'] !== undefined ? 'copy' : 'delete' in query ? 'delete' : method;
    const { vaultBucket, evidenceBucket, workBucket } = environment.deployment;
    const names = new Map([
      [vaultBucket, 'vault'],
      [evidenceBucket, 'evidence'],
      [workBucket, 'work'],
    ]);
    const kind = key
      .map(part => (/^(?:[tn]|db)-|\d{8}t|^[0-9a-f]{64}|^0\d+/.test(part) ? '*' : part.replace(/[0-9a-f]{64}/, '*')))
      .join('/');
    return `s3 ${operation} ${names.get(bucket)}/${kind}`;
  }
  if (service === 'kms') {
    const operation = headers['x-amz-target']?.split('.').at(-1) ?? '';
    return /^(?:Create|Tag|Put|Schedule|Disable|Enable)/.test(operation) ? `kms ${operation}` : undefined;
  }
  if (service === 'rds' && body instanceof Uint8Array) {
    const action = new URLSearchParams(Buffer.from(body).toString()).get('Action') ?? '';
    return action.startsWith('Describe') || action.startsWith('List') ? undefined : `rds ${action}`;
  }
  return undefined;
}

it(
  'passes a restore test in one run wherever a function was killed, and called again',
  async () => {
    const done = new Set<string>();
    const { recoveryPointId } = await environment.backUpWell();
    for (let places = ['none yet']; places.length > 0; ) {
      const stop = killBeforeWrite(done, new KilledError('Runtime.ExitError'), { each: true });
      const { execution, record } = await environment.testRestore(recoveryPointId);
      places = stop();
      expect([places, execution.status, record.verdict, record.reasons]).toEqual([places, 'SUCCEEDED', 'passed', []]);
      expect((await environment.databaseResources()).instances).toEqual([`${DATABASE}-source`]);
      expect(environment.keysIn('work', 'scratch/')).toEqual([]);
    }
    expect([...done].sort()).toEqual([
      'rds DeleteDBInstance',
      'rds RestoreDBInstanceFromDBSnapshot',
      's3 PUT evidence/heads/*',
      's3 PUT evidence/ledger/*',
      's3 PUT evidence/restore-tests/*',
      `s3 PUT work/${LEDGER_PROJECTION_KEY}`,
      's3 PUT work/work/*/databases/school/*/hydration.json.zst',
      's3 PUT work/work/*/databases/school/*/hydration.json.zst, the second time',
      's3 PUT work/work/*/databases/school/*/verification.json.zst',
      's3 PUT work/work/*/restore-test-items.jsonl',
      's3 copy work/scratch/*/*/*',
      's3 delete work/',
    ]);
  },
  20 * MINUTES,
);

it(
  'finishes the same recovery point wherever a function was killed, and the backup run again',
  async () => {
    const done = new Set<string>();
    const keyCount = await countKeys();
    const { snapshots: earlier } = await environment.databaseResources();
    // Until a whole backup has nothing left that was not killed yet.
    for (let number = 1, isWhole = false; !isWhole; number++) {
      // A new school with its first file: a key is created, a secret made, an object copied.
      await environment.put({ Key: `schools/n-${number}/first file`, Body: Buffer.from(`${number}`) });
      const scheduledAt = environment.nextInstant();
      const recoveryPointId = idOfInstant(scheduledAt);
      const places: string[] = [];
      for (let run = 1; run <= KILLS_OF_ONE_BACKUP; run++) {
        const stop = killBeforeWrite(done, new KilledError('KilledError'), { each: false });
        await environment.backUp(scheduledAt);
        const killed = stop();
        places.push(...killed);
        isWhole = run === 1 && killed.length === 0;
        if (killed.length === 0) break;
      }
      const again = await environment.backUp(scheduledAt);
      expect([places, again.execution.status]).toEqual([places, 'SUCCEEDED']);
      const { document } = await environment.recoveryPoint(recoveryPointId);
      expect(document).toMatchObject({ status: 'good', reasons: [] });
      expect(document.tenants).toHaveLength(1 + TENANTS.length + number);
      const { snapshots } = await environment.databaseResources();
      expect(snapshots.filter(id => id.includes(recoveryPointId))).toEqual([
        vaultSnapshotId(recoveryPointId, DATABASE),
      ]);
      expect(snapshots).toHaveLength(earlier.length + number);
      const entries = (await environment.ledger()).filter(({ subject }) => subject === recoveryPointId);
      expect(entries.filter(({ body }) => body.status === 'good')).toHaveLength(1);
      expect((await environment.ledgerState()).recoveryPoints[recoveryPointId]?.status).toBe('good');
      const copies = environment.versionsIn('vault').filter(({ key }) => key.includes('/objects/'));
      expect(copies).toHaveLength(listSupplierFiles().length + number);
      // No key was made that nothing names.
      expect(await countKeys()).toBe(keyCount + number);
    }
    expect([...done].sort()).toEqual([
      'kms CreateAlias',
      'kms CreateKey',
      'rds AddTagsToResource',
      'rds CopyDBSnapshot',
      'rds CreateDBSnapshot',
      'rds DeleteDBSnapshot',
      's3 PUT evidence/heads/*',
      's3 PUT evidence/ledger/*',
      's3 PUT vault/fingerprints/*/school/after.json.zst',
      's3 PUT vault/fingerprints/*/school/after/*',
      's3 PUT vault/fingerprints/*/school/after/catalogs-*.zst',
      's3 PUT vault/fingerprints/*/school/before.json.zst',
      's3 PUT vault/fingerprints/*/school/before/*',
      's3 PUT vault/fingerprints/*/school/before/catalogs-*.zst',
      's3 PUT vault/recovery-points/*',
      's3 PUT vault/tenants/*/manifests/*',
      's3 PUT vault/tenants/*/naming-secret',
      `s3 PUT work/${LEDGER_PROJECTION_KEY}`,
      's3 PUT work/work/*/backup-items.jsonl',
      's3 PUT work/work/*/fingerprints/school/after.json.zst',
      's3 PUT work/work/*/fingerprints/school/after.json.zst, the second time',
      's3 PUT work/work/*/fingerprints/school/before.json.zst',
      's3 PUT work/work/*/fingerprints/school/before.json.zst, the second time',
      's3 PUT work/work/*/folders/*',
      's3 PUT work/work/*/lost-objects/*',
      's3 PUT work/work/*/settling.jsonl',
      's3 PUT work/work/*/tenants.jsonl',
      's3 PUT work/work/tenant-keys/*',
      's3 copy vault/tenants/*/objects/*',
    ]);
  },
  20 * MINUTES,
);

/** Keys of any state, among them those that nothing names. */
async function countKeys(): Promise<number> {
  const client = new KMSClient(environment.cloud.clientConfiguration(environment.cloud.root));
  let count = 0;
  for await (const { Keys = [] } of paginateListKeys({ client }, {})) count += Keys.length;
  return count;
}
