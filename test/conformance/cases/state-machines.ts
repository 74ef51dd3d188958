import { DEFINITIONS } from '../../../infra/workflows/definitions.ts';
import { AT_ONCE } from '../../../infra/workflows/hours.ts';
import type { WorkflowDefinition } from '../../../infra/workflows/states-language.ts';

/** A state as the definition's JSON has it. */
export type StateDefinition = Readonly<Record<string, unknown>>;

const references = {
  functionArn: (step: string) => `arn:aws:lambda:eu-west-2:111122223333:function:daybreak-${step.replace('/', '-')}`,
  workBucket: 'daybreak-work',
  atOnce: AT_ONCE,
};

/** Every workflow, as it is deployed but for the names of functions and bucket. */
export const WORKFLOWS: Readonly<Record<string, WorkflowDefinition>> = Object.fromEntries(
  Object.entries(DEFINITIONS).map(([name, define]) => [name, define(references)]),
);

/** The states of a workflow, those inside its maps and branches too, by name. */
export function statesOf(workflow: WorkflowDefinition): ReadonlyMap<string, StateDefinition> {
  const found = new Map<string, StateDefinition>();
  const visit = (states: Readonly<Record<string, unknown>>) => {
    for (const [name, state] of Object.entries(states) as [string, StateDefinition][]) {
      found.set(name, state);
      for (const inner of [state.ItemProcessor, ...((state.Branches as unknown[] | undefined) ?? [])]) {
        const { States } = (inner ?? {}) as { States?: Record<string, unknown> };
        if (States !== undefined) visit(States);
      }
    }
  };
  visit(workflow.States);
  return found;
}

const INSTANT = '2026-11-22T02:30:00.000Z';
const DATABASE = {
  recoveryPointId: '20261122t023000z',
  databaseId: 'wellbeing',
  endpoint: { host: 'db.example', port: 5432 },
};
/** What both workflows call a snapshot has the members of both. */
const SNAPSHOT = {
  snapshotId: 'daybreak-wellbeing-20261122t023000z',
  instanceId: 'wellbeing-production',
  measuredAt: INSTANT,
  takenAt: INSTANT,
  failure: null,
  databases: [DATABASE],
};
const INSTANCE = {
  recoveryPointId: '20261122t023000z',
  instanceId: 'wellbeing-production',
  databases: [DATABASE],
};

/** A value for every variable that a state of a workflow reads. */
export const VARIABLES = {
  plan: {
    recoveryPointId: '20261122t023000z',
    scheduledAt: INSTANT,
    instances: [INSTANCE],
  },
  measureEndsAt: '2026-11-22T05:30:00.000Z',
  snapshotEndsAt: '2026-11-22T10:30:00.000Z',
  partEndsAt: '2026-11-22T17:00:00.000Z',
  settleEndsAt: '2026-11-22T18:30:00.000Z',
  closeEndsAt: '2026-11-22T20:30:00.000Z',
  endsAt: '2026-11-22T18:00:00.000Z',
  deadlineAt: '2026-11-22T17:40:00.000Z',
  measured: [{ databaseId: 'wellbeing', measuredAt: INSTANT, failure: null }],
  snapshots: [{ instanceId: 'wellbeing-production', measuredAt: INSTANT, takenAt: INSTANT, failure: null }],
  asOf: INSTANT,
  files: {
    tenantsKey: 'work/20261122t023000z/tenants.jsonl',
    unlistedBucketIds: [],
    postponedTenantCount: 0,
    lostObjectsSha256: null,
    failure: null,
  },
  tenantResultsKey: 'work/20261122t023000z/results/manifest.json',
  settledResultsKey: null,
  settlingItemsKey: 'work/20261122t023000z/settling.jsonl',
  pass: { kind: 'first' },
  filesFailure: 'ObjectAccessDeniedError',
  filesFailureCause: '',
  instance: INSTANCE,
  snapshot: SNAPSHOT,
  instanceFailure: 'SnapshotTimedOutError',
  instancesFailure: 'States.DataLimitExceeded',
  measureFailure: 'States.DataLimitExceeded',
  copyFailure: 'CopyTimedOutError',
  databases: [{ databaseId: 'wellbeing', failure: null }],
  itemsKey: 'work/20261122t023000z/items.jsonl',
  unlistedBucketIds: [],
  postponedTenantCount: 0,
  lostObjectsSha256: null,
  status: 'good',
  failure: null,
  database: DATABASE,
  recordedKeyArn: null,
  measuredAt: INSTANT,
  snapshotId: 'daybreak-wellbeing-20261122t023000z',
  waitingSince: '2026-11-22T02:20:00.000Z',
  databaseFailure: 'SnapshotTimedOutError',
  item: { bucketId: 'uploads', tenant: 'oak', previousManifestSha256: null },
  cursor: null,
  keyArn: 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-000000000001',
  tenantFailure: 'TenantKeyUnusableError',
  restoreTestId: '20261122t023000z',
  startedAt: INSTANT,
  chosen: {
    recoveryPointId: '20261122t023000z',
    reason: null,
    allObjects: false,
    snapshots: [SNAPSHOT],
  },
  restoreEndsAt: '2026-11-22T14:30:00.000Z',
  hydrateEndsAt: '2026-11-22T10:30:00.000Z',
  databaseEndsAt: '2026-11-22T16:00:00.000Z',
  objectEndsAt: '2026-11-22T19:30:00.000Z',
  tearDownEndsAt: '2026-11-22T21:00:00.000Z',
  snapshotFailure: 'RestoreTimedOutError',
  restoreStartedAt: '2026-11-22T02:29:00.000Z',
  restorePhases: [{ phase: 'restore', startedAt: INSTANT, durationMs: 1000 }],
  objectFailure: 'ObjectAccessDeniedError',
  objectFailureCause: '',
  objectResultsKey: null,
  phases: [],
  phaseStartedAt: '2026-11-22T02:00:00.000Z',
  verdict: 'inconclusive',
  instanceId: 'daybreak-test-wellbeing',
  restored: true,
  endpoint: { host: 'db.example', port: 5432 },
  verification: { tables: 8 },
  databasePhases: [{ phase: 'restore', startedAt: INSTANT, durationMs: 1000 }],
  databasePhaseStartedAt: '2026-11-22T02:29:00.000Z',
};

/** What a step may hand on: one input for what is over, one for what goes on. */
export const INPUTS = [true, false].map(over => ({
  scheduledAt: INSTANT,
  recoveryPointId: '20261122t023000z',
  databaseId: 'wellbeing',
  done: over,
  available: over,
  measuredAt: INSTANT,
  takenAt: INSTANT,
  databases: [DATABASE],
  instanceId: 'wellbeing-production',
  item: { bucketId: 'uploads', tenant: 'oak', previousManifestSha256: null },
  deadlineAt: '2026-11-22T17:40:00.000Z',
  endsAt: '2026-11-22T18:00:00.000Z',
  result: over ? { tenant: 'oak', objects: 1 } : null,
  endpoint: { host: 'db.example', port: 5432 },
  verification: { tables: 8 },
  draft: { kind: 'backup.completed' },
}));

/** What a function answers, with every member that an Assign reads. */
export const PAYLOAD = {
  ...VARIABLES.plan,
  ...VARIABLES.chosen,
  itemsKey: VARIABLES.itemsKey,
  unlistedBucketIds: [],
  postponedTenantCount: 0,
  lostObjectsSha256: null,
  status: 'incomplete',
  snapshotId: VARIABLES.snapshotId,
  keyArn: VARIABLES.keyArn,
  cursor: 'next',
  instanceId: VARIABLES.instanceId,
  verdict: 'passed',
};

/** What two branches answer. */
export const BRANCHES = [
  { databaseId: 'wellbeing', failure: null, databases: VARIABLES.databases },
  { ...VARIABLES.files },
];

/** Step Functions writes no milliseconds where they are zero. */
export const CONTEXT = {
  Execution: { Id: 'execution', Input: {}, Name: 'daily-backup-20261122T023000Z', StartTime: '2026-11-22T02:30:00Z' },
  State: { EnteredTime: '2026-11-22T02:30:00Z', Name: 'StateUnderTest', RetryCount: 0 },
  StateMachine: { Id: 'machine', Name: 'daybreak' },
};
