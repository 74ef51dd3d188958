import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COPY_LIMITS } from '../../../functions/platform/object-copy.ts';
import { RESTORE_LIMITS } from '../../../functions/restore-test/verify-objects.ts';
import { STEPS, stepName, WORKFLOWS, type Workflow, workflowName } from '../../../infra/access/role-names.ts';
import { type Account, createAccount, PART_BYTES } from './least-privilege/account.ts';
import { findException, TOLERATED, UNUSED, whyNotRefused } from './least-privilege/exceptions.ts';
import { type Refusal, Removals } from './least-privilege/removals.ts';
import { abandonRestoreTest, leaveSnapshots, runEverything } from './least-privilege/run-everything.ts';
import { runWorkflow, stepsOf } from './least-privilege/run-workflow.ts';

const MINUTES = 60_000;
const SCHEDULER = 'daybreak-scheduler';
const STEP_ROLES = STEPS.map(stepName);

let account: Account;
let removals: Removals;
let sourceKeyArns: readonly string[];
/** What the janitor's workflow needs, from its first step to its last. */
const JANITOR = [
  [
    'daybreak-remove-abandoned',
    'lambda:InvokeFunction on arn:aws:lambda:eu-west-2:111122223333:function:daybreak-restore-test-remove-abandoned',
  ],
  ['daybreak-restore-test-remove-abandoned', 'rds:DescribeDBInstances on '],
  ['daybreak-restore-test-remove-abandoned', 'rds:DeleteDBInstance on '],
  ['daybreak-evidence-append-entry', 's3:GetObject on arn:aws:s3:::daybreak-evidence-111122223333-eu-west-2/ledger/'],
  [
    'daybreak-remove-abandoned',
    'lambda:InvokeFunction on arn:aws:lambda:eu-west-2:111122223333:function:daybreak-evidence-append-entry',
  ],
] as const;
const SNAPSHOT_JANITOR = [
  [
    'daybreak-remove-abandoned',
    'lambda:InvokeFunction on arn:aws:lambda:eu-west-2:111122223333:function:daybreak-backup-remove-unproved',
  ],
  ['daybreak-backup-remove-unproved', 'rds:DescribeDBSnapshots on '],
  ['daybreak-backup-remove-unproved', 'kms:Verify on '],
  ['daybreak-backup-remove-unproved', 'rds:DeleteDBSnapshot on arn:aws:rds:eu-west-2:111122223333:snapshot:daybreak-i'],
] as const;
const ALL_JANITORS = [...JANITOR, ...SNAPSHOT_JANITOR];
const janitor: { status: string; text: string }[] = [];
/** Without each of the scheduler's allowances: the schedules that could not call what they call, with the reason. */
const scheduled: { allowance: string; failures: string[] }[] = [];
const limits = { copy: { ...COPY_LIMITS }, restore: { ...RESTORE_LIMITS } };

beforeAll(async () => {
  const inParts = { wholeUpToBytes: PART_BYTES, partSizeBytes: PART_BYTES };
  Object.assign(COPY_LIMITS, inParts);
  Object.assign(RESTORE_LIMITS, { ...inParts, readBackUpToBytes: PART_BYTES });
  account = await createAccount();
  sourceKeyArns = account.sourceKeyArns;
  removals = new Removals(account.cloud, [...STEP_ROLES, ...WORKFLOWS.map(workflowName), SCHEDULER]);
  await runEverything(account, removals);
  for (const allowance of removals.allowancesOf(SCHEDULER)) {
    scheduled.push(await withdrawn(SCHEDULER, allowance, () => fireSchedules(allowance)));
  }
  await abandonRestoreTest(account, removals);
  // What is left to the janitor is gone after the last of these, whose record it cannot write.
  for (const [role, allowance] of JANITOR) {
    const wanted = removals.allowancesOf(role).find(one => one.startsWith(allowance)) ?? allowance;
    janitor.push(await withdrawn(role, wanted, () => runWorkflow(account, 'remove-abandoned')));
  }
  await leaveSnapshots(account, removals);
  for (const [role, allowance] of SNAPSHOT_JANITOR) {
    const wanted = removals.allowancesOf(role).find(one => one.startsWith(allowance)) ?? allowance;
    janitor.push(await withdrawn(role, wanted, () => runWorkflow(account, 'remove-abandoned')));
  }
  removals.end();
  // The runs from here on are those of small files: what large ones need was found.
  await account.removeFilms();
}, 15 * MINUTES);

afterAll(async () => {
  Object.assign(COPY_LIMITS, limits.copy);
  Object.assign(RESTORE_LIMITS, limits.restore);
  await account?.close();
});

async function withdrawn<T>(role: string, allowance: string, work: () => Promise<T>): Promise<T> {
  const giveBack = removals.withdraw(role, allowance);
  try {
    return await work();
  } finally {
    giveBack();
  }
}

/** Fires the schedules that call what an allowance names. */
async function fireSchedules(allowance: string): Promise<{ allowance: string; failures: string[] }> {
  const { scheduler, clock } = account.cloud;
  const called = scheduler
    .listSchedules()
    .filter(({ target }) => target.kind === 'function' && allowance.endsWith(target.arn));
  const failures: string[] = [];
  for (const { name } of called) failures.push(`${(await scheduler.fire(name, clock.now())).failure}`);
  return { allowance, failures };
}

/** What takes the longest of a workflow. What it answers in a run that goes through it is made to answer in others. */
const LONG_STEPS = (['backup/fingerprint', 'restore-test/hydrate', 'restore-test/verify-database'] as const).map(
  stepName,
);
const answers = new Map<string, unknown>();

/** The allowances that the steps of a workflow ask for in a run that goes through, in that order. */
async function allowancesAskedFor(workflow: Workflow): Promise<Map<string, string[]>> {
  const asked = new Map<string, string[]>();
  account.cloud.iam.intercept(({ principal }, allowances, judge) => {
    const role = principal.arn.split('/').at(-1) ?? '';
    asked.set(role, [...(asked.get(role) ?? []), ...allowances]);
    judge();
  });
  account.cloud.lambda.intercept(async ({ functionName }, next) => {
    const answer = await next();
    answers.set(functionName, answer);
    return answer;
  });
  try {
    expect(await runWorkflow(account, workflow)).toMatchObject({ status: 'SUCCEEDED' });
  } finally {
    account.cloud.iam.intercept(undefined);
    account.cloud.lambda.intercept(undefined);
  }
  return asked;
}

/** Runs a workflow whose long steps do nothing and answer as they once did, but for the step that is looked at. */
async function runShort(workflow: Workflow, wholeStep?: string): ReturnType<typeof runWorkflow> {
  account.cloud.lambda.intercept(async ({ functionName }, next) =>
    LONG_STEPS.includes(functionName) && functionName !== wholeStep ? answers.get(functionName) : next(),
  );
  try {
    return await runWorkflow(account, workflow);
  } finally {
    account.cloud.lambda.intercept(undefined);
  }
}

/** An allowance with names for the keys that it holds. */
function named(allowance: string): string {
  const { vaultKeyArn, signingKeyArn, ledgerKeyArn, entryKeyArn, tenantIdKeyArn } = account.environment.deployment;
  let text = allowance
    .replaceAll(vaultKeyArn, 'VAULT_KEY')
    .replaceAll(signingKeyArn, 'SIGNING_KEY')
    .replaceAll(ledgerKeyArn, 'LEDGER_KEY')
    .replaceAll(entryKeyArn, 'ENTRY_KEY')
    .replaceAll(tenantIdKeyArn, 'TENANT_ID_KEY');
  for (const arn of sourceKeyArns) text = text.replaceAll(arn, 'SOURCE_KEY');
  return text;
}

const refusalsOf = (role: string): Refusal[] => removals.refusals.filter(refusal => refusal.role === role);

/** Those of a role's allowances that no request needed, with why one alone could not be missed. */
function neverRefused(role: string): string[] {
  const refused = new Set(refusalsOf(role).map(({ allowance }) => allowance));
  return removals
    .allowancesOf(role)
    .filter(allowance => !refused.has(allowance))
    .map(allowance => {
      const others = removals.sharedWith(role, allowance);
      return named(allowance) + others.map(other => `, which ${named(other)} covers too`).join('');
    });
}

describe.each(STEP_ROLES)('%s', role => {
  it('is allowed nothing that nothing needs', () => {
    const unused = neverRefused(role);
    expect(unused.filter(allowance => findException(UNUSED, role, allowance) === undefined)).toEqual([]);
    expect(refusalsOf(role)).not.toEqual([]);
  });

  it('fails without any one allowance, naming itself and the action', () => {
    const others = refusalsOf(role).filter(
      ({ allowance }) => findException(TOLERATED, role, named(allowance)) === undefined,
    );
    const complaints = others.flatMap(refusal => {
      const instead = whyNotRefused(refusal);
      return instead === undefined ? [] : [`without ${named(refusal.allowance)}: ${instead}`];
    });
    expect(complaints).toEqual([]);
  });

  it('tells of a refusal where its work goes on without', () => {
    const untold = refusalsOf(role).flatMap(({ allowance, outcome, lines }) => {
      const exception = findException(TOLERATED, role, named(allowance));
      if (exception === undefined) return [];
      if (outcome.kind === 'failed') return [`without ${named(allowance)}: it failed after all: ${outcome.error}`];
      return exception.isTold(outcome.payload, lines)
        ? []
        : [`without ${named(allowance)}: it answered ${JSON.stringify(outcome.payload)}`];
    });
    expect(untold).toEqual([]);
  });
});

describe('the exceptions', () => {
  it.each(UNUSED)('$reason', ({ roles, allowance }) => {
    const all = [...STEP_ROLES, ...WORKFLOWS.map(workflowName)];
    const concerned = all.filter(role => findException([{ roles, allowance: /./, reason: '' }], role, 'any'));
    const fitting = concerned.flatMap(role => neverRefused(role).filter(one => allowance.test(one)));
    expect(fitting).not.toEqual([]);
  });

  it.each(TOLERATED)('$reason', exception => {
    const refused = removals.refusals.filter(({ role, allowance }) => {
      return findException([exception], role, named(allowance)) !== undefined;
    });
    expect(refused).not.toEqual([]);
  });
});

describe('daybreak-scheduler', () => {
  it('starts nothing that it is not allowed to', () => {
    expect(scheduled.map(({ failures }) => failures.length).sort()).toEqual([1, 3]);
    for (const { allowance, failures } of scheduled) {
      const [action, , resource] = allowance.split(' ');
      for (const failure of failures) {
        expect(failure).toBe(
          `AccessDenied: User: arn:aws:iam::${account.cloud.accountId}:role/daybreak-scheduler is not authorized to perform: ${action} on resource: ${resource} because no identity-based policy allows the ${action} action`,
        );
      }
    }
  });
});

describe('the workflow remove-abandoned', () => {
  it('is allowed nothing else', () => {
    const allowed = removals.allowancesOf('daybreak-remove-abandoned');
    const needed = allowed.filter(one => findException(UNUSED, 'daybreak-remove-abandoned', one) === undefined);
    expect(needed).toEqual(
      ALL_JANITORS.flatMap(([role, allowance]) => (role === 'daybreak-remove-abandoned' ? allowance : [])).sort(),
    );
  });

  it.each(ALL_JANITORS.map(([role, allowance], index) => ({ role, allowance, index })))(
    'fails, and says why, when $role lacks $allowance',
    ({ index }) => {
      expect(janitor[index]).toMatchObject({
        status: 'FAILED',
        text: expect.stringMatching(/AccessDenied|not authorized/),
      });
    },
  );
});

describe.each(['daily-backup', 'restore-test'] as const)('the workflow %s', workflow => {
  let asked: Map<string, string[]>;
  beforeAll(async () => {
    asked = await allowancesAskedFor(workflow);
  }, 5 * MINUTES);

  it('fails without any one allowance of its own role', { timeout: 10 * MINUTES }, async () => {
    const role = workflowName(workflow);
    const complaints: string[] = [];
    for (const allowance of removals.allowancesOf(role)) {
      if (findException(UNUSED, role, allowance) !== undefined) continue;
      const { status, text } = await withdrawn(role, allowance, () => runShort(workflow));
      const action = allowance.split(' ', 1)[0] ?? '';
      const isTold = text.includes(`role/${role} is not authorized to perform: ${action} `);
      if (status !== 'FAILED' || !isTold) complaints.push(`without ${named(allowance)}: ${status}: ${text}`);
    }
    expect(complaints).toEqual([]);
  });

  it('fails, and says why, when a step of it is refused', { timeout: 10 * MINUTES }, async () => {
    const complaints: string[] = [];
    for (const step of stepsOf(account, workflow)) {
      const wanted = asked.get(step)?.find(one => findException(TOLERATED, step, named(one)) === undefined);
      if (wanted === undefined) throw new Error(`${step} asks for nothing that it needs`);
      const { status, text, recorded } = await withdrawn(step, wanted, () => runShort(workflow, step));
      const what = `${step} without ${named(wanted)}: ${status}: ${text}`;
      if (status !== 'FAILED' || !/AccessDenied/.test(text)) complaints.push(what);
      // Who may not write the ledger cannot write into it that it failed.
      if (recorded === undefined && step !== stepName('evidence/append-entry'))
        complaints.push(`not recorded: ${what}`);
    }
    expect(complaints).toEqual([]);
  });
});
