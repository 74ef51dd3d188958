import { GetObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import { z } from 'zod';
import * as dailyBackup from '../../../functions/contracts/daily-backup.ts';
import { CheckDecisionInput, CheckDecisionOutput } from '../../../functions/contracts/decisions.ts';
import * as restoreTest from '../../../functions/contracts/restore-test.ts';
import { type Step, stepName } from '../../../infra/access/role-names.ts';
import { AT_ONCE } from '../../../infra/workflows/hours.ts';
import type { Json } from '../../../infra/workflows/language/json.ts';
import type { WorkflowDefinition, WorkflowReferences } from '../../../infra/workflows/states-language.ts';
import { localStates } from '../local/states/local-states.ts';

/** The contract of each step: what a workflow hands to it, and what it hands back. */
const CONTRACTS: Record<
  Exclude<Step, 'evidence/record-tampering' | 'workflows/start-execution' | 'pulse/read-back'>,
  [z.ZodType, z.ZodType]
> = {
  'backup/plan': [dailyBackup.PlanInput, dailyBackup.PlanOutput],
  'backup/fingerprint': [dailyBackup.FingerprintInput, dailyBackup.FingerprintOutput],
  'backup/create-snapshot': [dailyBackup.SnapshotInput, dailyBackup.SnapshotOutput],
  'backup/describe-snapshot': [dailyBackup.DescribeSnapshotInput, dailyBackup.DescribeSnapshotOutput],
  'backup/copy-snapshot': [dailyBackup.SnapshotInput, dailyBackup.SnapshotOutput],
  'backup/delete-intermediate': [dailyBackup.DeleteIntermediateInput, dailyBackup.DeleteIntermediateOutput],
  'backup/list-tenants': [dailyBackup.ListTenantsInput, dailyBackup.ListTenantsOutput],
  'backup/back-up-tenant': [dailyBackup.BackUpTenantInput, dailyBackup.BackUpTenantOutput],
  'backup/settle-tenants': [dailyBackup.SettleTenantsInput, dailyBackup.SettleTenantsOutput],
  'backup/complete': [dailyBackup.CompleteInput, dailyBackup.CompleteOutput],
  'backup/remove-unproved': [dailyBackup.RemoveUnprovedInput, dailyBackup.RemoveUnprovedOutput],
  'tenants/ensure-key': [dailyBackup.EnsureKeyInput, dailyBackup.EnsureKeyOutput],
  'evidence/append-entry': [dailyBackup.AppendEntryInput, dailyBackup.AppendEntryOutput],
  'evidence/check-decision': [CheckDecisionInput, CheckDecisionOutput],
  'restore-test/choose': [restoreTest.ChooseInput, restoreTest.ChooseOutput],
  'restore-test/restore-database': [restoreTest.RestoreDatabaseInput, restoreTest.RestoreDatabaseOutput],
  'restore-test/describe-instance': [restoreTest.DescribeInstanceInput, restoreTest.DescribeInstanceOutput],
  'restore-test/hydrate': [restoreTest.HydrateInput, restoreTest.HydrateOutput],
  'restore-test/verify-database': [restoreTest.VerifyDatabaseInput, restoreTest.VerifyDatabaseOutput],
  'restore-test/plan-objects': [restoreTest.PlanObjectsInput, restoreTest.PlanObjectsOutput],
  'restore-test/verify-objects': [restoreTest.VerifyObjectsInput, restoreTest.VerifyObjectsOutput],
  'restore-test/tear-down': [restoreTest.TearDownInput, restoreTest.TearDownOutput],
  'restore-test/conclude': [restoreTest.ConcludeInput, restoreTest.ConcludeOutput],
  'restore-test/remove-abandoned': [restoreTest.RemoveAbandonedInput, restoreTest.RemoveAbandonedOutput],
};
export type ContractedStep = keyof typeof CONTRACTS;

// biome-ignore lint/suspicious/noExplicitAny: each step has an input of its own, which its contract has checked.
export type ScriptedStep = (input: any, call: number, takeTime: (durationMs: number) => Promise<void>) => unknown;

/** When every scripted execution starts. */
export const STARTED_AT = '2026-01-01T00:00:00.000Z';

/**
 * Runs a workflow's definition with scripted steps. Each input and output is checked against the step's contract, so
 * that the definition and the functions cannot drift apart.
 * @param options.items the lines of the distributed map's file in the work bucket; `files`: those of other files there;
 * `onStart` is given the execution's clock; `idleMs`: so long no function was called before.
 */
export async function runWorkflow(
  workflow: (references: WorkflowReferences) => WorkflowDefinition,
  steps: Partial<Record<ContractedStep, ScriptedStep>>,
  options: {
    input: Json;
    itemsKey: string;
    items: readonly Json[];
    files?: Readonly<Record<string, readonly Json[]>>;
    onStart?: (elapsedMs: () => number) => void;
    idleMs?: number;
    atOnce?: WorkflowReferences['atOnce'];
  },
) {
  const calls: { step: ContractedStep; input: Json; atMs: number }[] = [];
  const broken: string[] = [];
  const counts = new Map<string, number>();
  const functions = Object.fromEntries(
    Object.entries(CONTRACTS).map(([step, [inputSchema, outputSchema]]) => [
      stepName(step as ContractedStep),
      async (payload: Json) => {
        const parsed = inputSchema.safeParse(payload);
        if (!parsed.success) broken.push(`${step}: ${z.prettifyError(parsed.error)}`);
        calls.push({ step: step as ContractedStep, input: payload, atMs: local.elapsedMs() });
        const count = (counts.get(step) ?? 0) + 1;
        counts.set(step, count);
        const script = steps[step as ContractedStep];
        if (script === undefined) throw new Error(`the test has no script for ${step}`);
        return outputSchema.parse(await script(payload, count, durationMs => local.clock.sleep(durationMs)));
      },
    ]),
  );
  const local = localStates(functions, options.idleMs === undefined ? {} : { idleMs: options.idleMs });
  options.onStart?.(local.elapsedMs);
  for (const [Key, lines] of Object.entries({ [options.itemsKey]: options.items, ...options.files })) {
    const Body = lines.map(line => JSON.stringify(line)).join('\n');
    await local.s3.send(new PutObjectCommand({ Bucket: 'work', Key, Body }));
  }
  const definition = workflow({
    functionArn: step => `arn:aws:lambda:eu-west-2:111122223333:function:${stepName(step as Step)}`,
    workBucket: 'work',
    atOnce: options.atOnce ?? AT_ONCE,
  });
  const execution = await local.run(JSON.parse(JSON.stringify(definition)), options.input);
  expect(broken).toEqual([]);
  const read = async (key: string): Promise<string> => {
    const { Body } = await local.s3.send(new GetObjectCommand({ Bucket: 'work', Key: key }));
    return (await Body?.transformToString()) ?? '';
  };
  return {
    execution,
    calls,
    /** How many events the history of each execution has, its children's too. */
    histories: () => local.states.listExecutions().map(({ history }) => history.events.length),
    inputsOf: (step: ContractedStep) => calls.filter(call => call.step === step).map(({ input }) => input),
    /** The outputs of a distributed map's children that succeeded, by the manifest of its result writer. */
    async mapResults(manifestKey: string): Promise<Json[]> {
      const { ResultFiles } = JSON.parse(await read(manifestKey)) as { ResultFiles: { SUCCEEDED: { Key: string }[] } };
      const files = await Promise.all(ResultFiles.SUCCEEDED.map(({ Key }) => read(Key)));
      return files.flatMap(file => file.split('\n').filter(line => line !== '')).map(line => JSON.parse(line) as Json);
    },
  };
}

/** An error as a step throws it. */
export function failure(name: string): never {
  throw Object.assign(new Error(`${name} of a test`), { name });
}
