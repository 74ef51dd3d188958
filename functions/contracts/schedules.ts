/** What EventBridge Scheduler calls by itself. */
export const SCHEDULES = ['daily-backup', 'restore-test', 'remove-abandoned', 'pulse'] as const;
export type ScheduleId = (typeof SCHEDULES)[number];

/** The name of a schedule in the default group. */
export const scheduleName = (schedule: ScheduleId): string => `daybreak-${schedule}`;
