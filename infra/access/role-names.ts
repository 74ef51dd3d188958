/** Every step, by its place under `functions/`. */
export const STEPS = [
  'backup/plan',
  'backup/fingerprint',
  'backup/create-snapshot',
  'backup/describe-snapshot',
  'backup/copy-snapshot',
  'backup/delete-intermediate',
  'backup/list-tenants',
  'backup/back-up-tenant',
  'backup/settle-tenants',
  'backup/complete',
  'backup/remove-unproved',
  'tenants/ensure-key',
  'evidence/append-entry',
  'evidence/record-tampering',
  'restore-test/choose',
  'restore-test/restore-database',
  'restore-test/describe-instance',
  'restore-test/hydrate',
  'restore-test/verify-database',
  'restore-test/plan-objects',
  'restore-test/verify-objects',
  'restore-test/tear-down',
  'restore-test/conclude',
  'restore-test/remove-abandoned',
  'workflows/start-execution',
  'pulse/read-back',
] as const;
export type Step = (typeof STEPS)[number];

export const WORKFLOWS = ['daily-backup', 'restore-test', 'remove-abandoned'] as const;
export type Workflow = (typeof WORKFLOWS)[number];

/**
 * The name of a step's function and of its role: `daybreak-backup-plan`. Key policies name roles by these names, so they
 * stay what they are when a workflow stack is destroyed and deployed again.
 */
export const stepName = (step: Step): string => `daybreak-${step.replace('/', '-')}`;

/** The name of a workflow's state machine and of its role. */
export const workflowName = (workflow: Workflow): string => `daybreak-${workflow}`;

export const roleArn = (account: string, roleName: string): string => `arn:aws:iam::${account}:role/${roleName}`;
