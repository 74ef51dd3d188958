/**
 * How much runs at once where the configuration says nothing else (`concurrency`). Forty functions are few beside the 1,000
 * that an account of some standing may run, and KMS creates only 5 keys a second.
 */
export const AT_ONCE = { tenants: 40, databases: 4 } as const;

/**
 * Hours of the workflows from the execution's start. What is not done by its hour is named and
 * left; `closed` is when what is there must have been written down. Between two hours, and after the last, there is time
 * for what was begun just before: `test/infra/workflows/deadlines.test.ts` adds it up.
 */
export const DAILY_BACKUP = {
  /** Every database was measured before the snapshots. All wait for it, so that the snapshots are of one moment. */
  measuredHours: 3,
  /** Every snapshot is available, so that objects can be listed. */
  snapshotHours: 8,
  /** Every database was measured again and copied, and every tenant's objects were backed up. */
  partHours: 14.25,
  /** Tenants in buckets without versions were listed once more, and what came meanwhile was backed up. */
  settledHours: 16,
  /** So often tenants are backed up that came later: each time may bring more. What comes after the last one is named. */
  settlingPasses: 5,
  /** What vanished was looked for in every manifest. */
  lookedForHours: 17.5,
  closedHours: 19,
  /** Why it could not be closed was written down. */
  recordedHours: 21,
  /** Before the next day's run begins. */
  timeoutHours: 22,
  /** So long an instance that is being backed up or modified, or a snapshot, may refuse. */
  refusedHours: 0.5,
  /**
   * So long a tenant waits for its key: KMS creates five a second in an account, so the first backup of many has to queue,
   * and where a run died while it created a key, its claim stands for 20 minutes.
   */
  keyHours: 2,
} as const;

/** The same of the restore test. */
export const RESTORE_TEST = {
  /** Half of the promised day: a database that is not back by then is a finding about the restore, not a reason to wait. */
  restoredHours: 12,
  /** Reading a copy through makes comparing faster, and is not needed for it: what is left then is left to that. */
  hydratedHours: 8,
  /** Every restored database was compared. */
  databaseHours: 13.5,
  /** Every tenant's objects were restored and compared. */
  objectHours: 17,
  /** Deleting an instance takes minutes; what is still there after this is left to the janitor, and the test says so. */
  tearDownHours: 2,
  tornDownHours: 18.5,
  closedHours: 20,
  recordedHours: 22,
  timeoutHours: 23,
} as const;

/** A step stops so long before its workflow gives it up, which is time for the call that is under way. */
export const GRACE_MINUTES = 20;
