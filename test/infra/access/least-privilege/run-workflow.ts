import { GetObjectCommand } from '@aws-sdk/client-s3';
import { idOfInstant } from '../../../../functions/contracts/identifiers.ts';
import { LedgerEntry } from '../../../../functions/contracts/ledger.ts';
import { SignedRecoveryPoint } from '../../../../functions/contracts/recovery-point.ts';
import { RestoreTestRecord } from '../../../../functions/contracts/restore-test-record.ts';
import { LEDGER_PREFIX, restoreTestRecordKey, rootManifestKey } from '../../../../functions/contracts/vault-layout.ts';
import { type Workflow, workflowName } from '../../../../infra/access/role-names.ts';
import type { Execution } from '../../../../infra/local/states/execution.ts';
import type { Account } from './account.ts';

/** How a run of a workflow ended. */
interface End {
  readonly scheduledAt: string;
  readonly status: string;
  /** Why: see `describeEnd`. */
  readonly text: string;
  /** The kind of the ledger entry that it left of itself. */
  readonly recorded: string | undefined;
}

/** What a workflow was started with. */
interface Input {
  readonly scheduledAt: string;
  readonly recoveryPointId?: string;
}

let runs = 0;
let lastInstantMs = 0;

/** An input for an instant of its own; of a restore test, with the newest good recovery point. */
async function newInput(account: Account, workflow: Workflow): Promise<Input> {
  const { clock } = account.cloud;
  lastInstantMs = Math.max(Math.floor(clock.now().getTime() / 1000) * 1000, lastInstantMs + 1000);
  await clock.advance(Math.max(0, lastInstantMs - clock.now().getTime()));
  const scheduledAt = new Date(lastInstantMs).toISOString();
  return workflow === 'restore-test' ? { scheduledAt, recoveryPointId: await newestGood(account) } : { scheduledAt };
}

/** Runs a workflow by hand, for an instant of its own. */
export async function runWorkflow(account: Account, workflow: Workflow): Promise<End> {
  const { environment } = account;
  const { evidenceBucket } = environment.deployment;
  const input = await newInput(account, workflow);
  const entriesBefore = keysOf(account, evidenceBucket, LEDGER_PREFIX).length;
  const execution = await environment.run(workflow, `run-${++runs}`, input);
  await account.cloud.invocations.settle();
  const kinds: string[] = [];
  for (const key of keysOf(account, evidenceBucket, LEDGER_PREFIX).slice(entriesBefore)) {
    kinds.push(LedgerEntry.parse(await readJson(account, evidenceBucket, key)).kind);
  }
  const recorded = kinds.find(kind => /^(?:backup|restore-test)\./.test(kind));
  const text = await describeEnd(account, workflow, execution, input.scheduledAt);
  return { scheduledAt: input.scheduledAt, status: execution.status, text, recorded };
}

/** An execution's error and cause, the reasons in the root manifest or record that it left, and every error on its way. */
export async function describeEnd(
  account: Account,
  workflow: Workflow,
  execution: Execution,
  scheduledAt: string,
): Promise<string> {
  const id = idOfInstant(scheduledAt);
  const { vaultBucket, evidenceBucket } = account.environment.deployment;
  const isBackup = workflow === 'daily-backup';
  const stored = isBackup
    ? await readJson(account, vaultBucket, rootManifestKey(id))
    : await readJson(account, evidenceBucket, restoreTestRecordKey(id));
  const parse = () => (isBackup ? SignedRecoveryPoint.parse(stored).document : RestoreTestRecord.parse(stored));
  const failures = account.cloud.states
    .listExecutions()
    .filter(({ rootArn }) => rootArn === execution.arn)
    .flatMap(({ history }) => history.events)
    .map(event => JSON.stringify(event))
    .filter(event => event.includes('"cause"'));
  const reasons = stored === undefined ? [] : parse().reasons;
  return [execution.error, execution.cause, ...reasons, ...failures].filter(Boolean).join('\n');
}

/** The functions that a workflow calls. */
export function stepsOf({ cloud }: Account, workflow: Workflow): string[] {
  const { definition } = cloud.states.describeStateMachine(workflowName(workflow));
  return [...new Set([...definition.matchAll(/:function:(daybreak-[a-z-]+)/g)].map(([, name = '']) => name))];
}

async function newestGood(account: Account): Promise<string> {
  const { evidenceBucket } = account.environment.deployment;
  for (const key of keysOf(account, evidenceBucket, LEDGER_PREFIX).reverse()) {
    const { kind, subject, body } = LedgerEntry.parse(await readJson(account, evidenceBucket, key));
    if (kind === 'backup.completed' && body.status === 'good') return subject;
  }
  throw new Error('the ledger knows no good recovery point');
}

/** The keys below a prefix that have a current object, in their order. */
function keysOf({ cloud }: Account, bucket: string, prefix: string): string[] {
  const found = cloud.s3.core.store.buckets.get(bucket)?.keys.values() ?? [];
  return [...found]
    .filter(({ key, versions }) => key.startsWith(prefix) && versions[0]?.kind === 'object')
    .map(({ key }) => key)
    .sort();
}

async function readJson(account: Account, Bucket: string, Key: string): Promise<unknown> {
  if (!keysOf(account, Bucket, Key).includes(Key)) return undefined;
  const { Body } = await account.client.send(new GetObjectCommand({ Bucket, Key }));
  return JSON.parse((await Body?.transformToString()) ?? '');
}
