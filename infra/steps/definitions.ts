import type { Permission } from '../access/permission.ts';
import { BACKUP_STEPS } from './backup.ts';
import { EVIDENCE_STEPS } from './evidence.ts';
import { PULSE_STEPS } from './pulse.ts';
import { RESTORE_TEST_STEPS } from './restore-test.ts';
import { type Reach, sharedPermissions } from './shared-permissions.ts';
import { TENANT_STEPS } from './tenants.ts';
import { WORKFLOW_STEPS } from './workflows.ts';

/** Every step: a file here for each capability, and what is said of each step in one place. */
export const STEP_DEFINITIONS = {
  ...BACKUP_STEPS,
  ...TENANT_STEPS,
  ...EVIDENCE_STEPS,
  ...RESTORE_TEST_STEPS,
  ...WORKFLOW_STEPS,
  ...PULSE_STEPS,
};

/** What each step may do in a deployment. */
export function permissionsOf(reach: Reach): Readonly<Record<keyof typeof STEP_DEFINITIONS, readonly Permission[]>> {
  const within = { ...reach, ...sharedPermissions(reach) };
  const entries = Object.entries(STEP_DEFINITIONS).map(([step, { permissions }]) => [step, permissions(within)]);
  return Object.fromEntries(entries);
}
