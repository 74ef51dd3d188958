import type { Step } from '../access/role-names.ts';

const MILLION = 1_000_000;
const KIB = 1024;
const MIB = 1024 ** 2;
const GIB = 1024 ** 3;
const TIB = 1024 ** 4;

/** What a step gets of Lambda, and what it is built for with that. */
export interface Budget {
  readonly timeoutMinutes: number;
  readonly memoryMib: number;
  /** Room in /tmp. Lambda gives the least of it, 512, to every function. */
  readonly spoolMib: number;
  /** The largest of what it meets at once; beyond, it may end out of time, memory or room. */
  readonly builtFor: {
    /** How many of what, for one call or, where it goes on from a cursor, for all calls of one item. */
    readonly items: number;
    readonly of: string;
    /** How much it reads or writes for that. */
    readonly bytes: number;
    /** Its input and output, in a workflow. Step Functions passes on 256 KiB at most. */
    readonly payloadBytes: number;
  };
}

type Load = Budget['builtFor'];
/** One call, one answer. */
const short = (builtFor: Load): Budget => ({ timeoutMinutes: 3, memoryMib: 512, spoolMib: 512, builtFor });
/** Steps that go on where they stopped get all the time that Lambda has. */
const long = (builtFor: Load, more: Partial<Budget> = {}): Budget => ({
  timeoutMinutes: 15,
  memoryMib: 1024,
  spoolMib: 512,
  ...more,
  builtFor,
});

/** The budget of each step: a step without one does not compile, and the bench measures each at what it is built for. */
export const BUDGETS: Readonly<Record<Step, Budget>> = {
  'backup/plan': short({ items: 40, of: 'databases', bytes: MIB, payloadBytes: 16 * KIB }),
  'backup/fingerprint': long({ items: 5000, of: 'tables', bytes: 2 * TIB, payloadBytes: KIB }),
  'backup/create-snapshot': short({ items: 1, of: 'instances', bytes: MIB, payloadBytes: KIB }),
  'backup/describe-snapshot': short({ items: 1, of: 'snapshots', bytes: MIB, payloadBytes: KIB }),
  'backup/copy-snapshot': short({ items: 1, of: 'snapshots', bytes: MIB, payloadBytes: KIB }),
  'backup/delete-intermediate': short({ items: 1, of: 'snapshots', bytes: MIB, payloadBytes: KIB }),
  'backup/list-tenants': long({ items: 10_000, of: 'tenants', bytes: 16 * MIB, payloadBytes: 4 * KIB }),
  // Two manifests at a time are spooled to disk, 20 million objects in three gigabytes each.
  'backup/back-up-tenant': long(
    { items: 20 * MILLION, of: 'objects of one tenant', bytes: 10 * TIB, payloadBytes: 32 * KIB },
    { spoolMib: 8192 },
  ),
  'backup/settle-tenants': long(
    { items: 10_000, of: 'tenants', bytes: 16 * MIB, payloadBytes: 2 * KIB },
    { memoryMib: 2048, spoolMib: 4096 },
  ),
  'backup/complete': long({ items: 10_000, of: 'tenants', bytes: GIB, payloadBytes: 64 * KIB }, { memoryMib: 2048 }),
  'backup/remove-unproved': short({ items: 1000, of: 'manual snapshots', bytes: 16 * MIB, payloadBytes: 64 * KIB }),
  'tenants/ensure-key': short({ items: 1, of: 'tenants', bytes: MIB, payloadBytes: 2 * KIB }),
  'evidence/append-entry': long({ items: 20_000, of: 'ledger entries', bytes: 32 * MIB, payloadBytes: 16 * KIB }),
  'evidence/record-tampering': long({ items: 1, of: 'events', bytes: 32 * MIB, payloadBytes: 256 * KIB }),
  'restore-test/choose': long({ items: 20_000, of: 'ledger entries', bytes: 32 * MIB, payloadBytes: 16 * KIB }),
  'restore-test/restore-database': short({ items: 1, of: 'instances', bytes: 16 * MIB, payloadBytes: KIB }),
  'restore-test/describe-instance': short({ items: 1, of: 'instances', bytes: MIB, payloadBytes: KIB }),
  'restore-test/hydrate': long({ items: 20_000, of: 'relations', bytes: 2 * TIB, payloadBytes: KIB }),
  'restore-test/verify-database': long(
    { items: 5000, of: 'tables', bytes: 2 * TIB, payloadBytes: 128 * KIB },
    { memoryMib: 2048 },
  ),
  'restore-test/plan-objects': long({ items: 10_000, of: 'tenants', bytes: 16 * MIB, payloadBytes: KIB }),
  'restore-test/verify-objects': long(
    { items: 20 * MILLION, of: 'objects of one tenant', bytes: 10 * TIB, payloadBytes: 64 * KIB },
    { spoolMib: 4096 },
  ),
  'restore-test/tear-down': long({ items: 10 * MILLION, of: 'scratch objects', bytes: 0, payloadBytes: KIB }),
  'restore-test/conclude': long(
    { items: 10_000, of: 'tenants', bytes: GIB, payloadBytes: 224 * KIB },
    { memoryMib: 2048 },
  ),
  'restore-test/remove-abandoned': short({ items: 40, of: 'instances', bytes: MIB, payloadBytes: 64 * KIB }),
  'workflows/start-execution': short({ items: 1, of: 'executions', bytes: MIB, payloadBytes: KIB }),
  // Over before the next one begins.
  'pulse/read-back': {
    timeoutMinutes: 10,
    memoryMib: 1024,
    spoolMib: 512,
    builtFor: { items: 365, of: 'recovery points', bytes: GIB, payloadBytes: KIB },
  },
};

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
  /** No function runs while RDS works, and all snapshots should be of one moment. */
  instancesAtOnce: 40,
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
