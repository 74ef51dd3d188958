import type { Workflow } from '../access/role-names.ts';
import { dailyBackup } from './daily-backup.ts';
import { recordDecision } from './record-decision.ts';
import { removeAbandoned } from './remove-abandoned.ts';
import { restoreTest } from './restore-test.ts';
import type { WorkflowDefinition, WorkflowReferences } from './states-language.ts';

/** Every workflow's definition, by its name. */
export const DEFINITIONS: Readonly<Record<Workflow, (references: WorkflowReferences) => WorkflowDefinition>> = {
  'daily-backup': dailyBackup,
  'restore-test': restoreTest,
  'remove-abandoned': removeAbandoned,
  'record-decision': recordDecision,
};
