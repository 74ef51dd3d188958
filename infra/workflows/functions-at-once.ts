import type { Workflow } from '../access/role-names.ts';
import type { WorkflowReferences } from './states-language.ts';

/**
 * The most functions that a run of each workflow has under way at the same time, whatever it meets:
 * `test/infra/workflows/functions-at-once.test.ts` adds them up in the definitions. A backup measures databases again while it
 * asks about copies and backs files up; a restore test does one after the other.
 */
export function functionsAtOnce({ tenants, databases }: WorkflowReferences['atOnce']): Record<Workflow, number> {
  return {
    'daily-backup': tenants + 2 * databases,
    'restore-test': Math.max(tenants, databases),
    'remove-abandoned': 2,
    'record-decision': 1,
  };
}
