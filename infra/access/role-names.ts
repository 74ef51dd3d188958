import { SCHEDULES } from '../../functions/contracts/schedules.ts';
import { STEP_DEFINITIONS } from '../steps/definitions.ts';

/** A step, by its place under `functions/`. */
export type Step = keyof typeof STEP_DEFINITIONS;
export const STEPS = Object.keys(STEP_DEFINITIONS) as readonly Step[];

export const WORKFLOWS = ['daily-backup', 'restore-test', 'remove-abandoned', 'record-decision'] as const;
export type Workflow = (typeof WORKFLOWS)[number];
/** Those that a schedule starts. */
export const SCHEDULED_WORKFLOWS = WORKFLOWS.filter(workflow => (SCHEDULES as readonly string[]).includes(workflow));

/**
 * The name of a step's function and of its role: `daybreak-backup-plan`. Key policies name roles by these names, so they
 * stay what they are when a workflow stack is destroyed and deployed again.
 */
export const stepName = (step: Step): string => `daybreak-${step.replace('/', '-')}`;

/** The name of a workflow's state machine and of its role. */
export const workflowName = (workflow: Workflow): string => `daybreak-${workflow}`;

/** The roles of what is neither a step nor a workflow. */
export const SCHEDULER_ROLE = 'daybreak-scheduler';
export const TRAIL_DELIVERY_ROLE = 'daybreak-trail-delivery';
/** Every role of this release. */
export const ROLE_NAMES: readonly string[] = [
  ...STEPS.map(stepName),
  ...WORKFLOWS.map(workflowName),
  SCHEDULER_ROLE,
  TRAIL_DELIVERY_ROLE,
];

export const roleArn = (account: string, roleName: string): string => `arn:aws:iam::${account}:role/${roleName}`;
