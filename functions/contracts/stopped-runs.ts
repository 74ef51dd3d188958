/** The workflows whose runs may end without a result. The hourly janitor's is made up for by its next run. */
export const STOPPABLE_WORKFLOWS = ['daily-backup', 'restore-test'] as const;

/** The name of the EventBridge rule that records a run which was stopped, or ran out of time; `*`: of any. */
export function stoppedRunRuleName(workflow: (typeof STOPPABLE_WORKFLOWS)[number] | '*'): string {
  return `daybreak-stopped-${workflow}`;
}
