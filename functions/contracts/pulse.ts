import { z } from 'zod';
import { InstantText, TenantName } from './identifiers.ts';
import { LOSS_KINDS, type LossKind, LossName } from './losses.ts';

/** `pulse/read-back`: a schedule calls it with an empty object. */
export const ReadBackInput = z.looseObject({});
/** The names of the checks that could not be made; their metrics are missing this time. */
export const ReadBackOutput = z.strictObject({ failedChecks: z.array(z.string()) });

/** The form of what pulse remembers, as its key says: raised with every change of it, so that releases do not meet each other's. */
export const FOUND_WRONG_FORM = 2;

/** What pulses found wrong in their samples, which is looked at again each time until it is right, and what they find lost. */
export const FoundWrong = z.strictObject({
  tenants: z.array(TenantName),
  vaultKeys: z.array(z.string()),
  /** Whether the ledger's kept state was not what the entries come to. */
  ledgerState: z.boolean(),
  /** Tenants whose keys' policies are not what this release needs. */
  policiesBehind: z.array(TenantName),
  /** Snapshots that other accounts may restore. */
  sharedSnapshots: z.array(z.string()).default([]),
  /** Names of losses that nobody accepted: what a person may accept now. */
  lost: z.array(LossName),
  /** Names of losses that are accepted, and are lost still. */
  explained: z.array(LossName),
  /** Whatever is accepted in the ledger, lost still or not: what a person may withdraw. */
  acceptances: z.array(LossName),
  /** When a pulse looked last; null in what none has written. */
  lookedAt: InstantText.nullable(),
  /** Kinds of loss that it could not look for, at all or in full: what is named of them was found earlier. */
  notLookedFor: z.array(z.enum(Object.keys(LOSS_KINDS) as LossKind[])),
});
export type FoundWrong = z.infer<typeof FoundWrong>;

/**
 * The keys that pulse watches and no other function is told of, by their ARNs. It travels as JSON in `DAYBREAK_WATCHED_KEYS`.
 */
export const WatchedKeys = z.strictObject({ 'log-key': z.string(), 'trail-key': z.string() });
export type WatchedKeys = z.infer<typeof WatchedKeys>;

/** The value of the dimension `Workflow` that pulse's metrics have. */
export const PULSE = 'pulse';

/**
 * Every metric of pulse with its unit. Alarms read these alone. A value that could not be found out is not published:
 * missing data breaches.
 */
export const PULSE_METRICS = {
  /** 1, whatever was found. */
  PulseCompleted: 'Count',
  /** Checks that could not be made; the log names them. */
  PulseChecksFailed: 'Count',
  /** 1 when the ledger is not an unbroken chain, or speaks of a restore test whose record is gone or says something else. */
  LedgerBroken: 'Count',
  /**
   * 1 when what is kept of the ledger's state is not what a head was signed for, or, looked at once a day, not what the
   * entries come to. No reader believes the former.
   */
  LedgerStateForged: 'Count',
  /** Since the newest head of the ledger was signed. */
  LedgerHeadAge: 'Milliseconds',
  /** Since the instant for which the newest good recovery point was scheduled. Missing when there is none. */
  NewestGoodRecoveryPointAge: 'Milliseconds',
  /** Runs without a result, and incomplete recovery points, since the last good one. */
  FailedBackups: 'Count',
  /** Since the instant of the newest passed restore test. Missing when there is none. */
  NewestPassedRestoreTestAge: 'Milliseconds',
  /** Failed tests and runs without a result, since the last passed one. */
  FailedRestoreTests: 'Count',
  /** Since the last passed one. */
  InconclusiveRestoreTests: 'Count',
  /** Root manifests that are gone, or are not what the ledger recorded. */
  RootManifestsAltered: 'Count',
  SnapshotsMissing: 'Count',
  /** Not available, under another key than the signed one, or of another time. */
  SnapshotsAltered: 'Count',
  SnapshotsShared: 'Count',
  /**
   * Keys of Daybreak, and tenants' of the sample, that are gone, not enabled, or refused to pulse, and aliases of Daybreak's
   * that stand for another key.
   */
  KeysUnusable: 'Count',
  /** Policies of keys and buckets, tenants' of the sample among them, that are not what this release needs. */
  PoliciesBehind: 'Count',
  /** Entries of the register that do not lie as the ledger recorded them, and what lies there that it did not. */
  RegisterEntriesAltered: 'Count',
  /** Contacts of the register that nobody confirmed for twelve months. */
  ContactsNotConfirmed: 'Count',
  /** Objects of the sample that are gone, or that no lock holds. */
  ObjectsNotLocked: 'Count',
  /** Protected instances that do not force TLS 1.2 or newer, or of which it is not certain. */
  DatabasesWithoutTls: 'Count',
  SchedulesStopped: 'Count',
  /** Parts of the watch against tampering that are gone or not enabled: the trail, and each of its rules. */
  TamperWatchStopped: 'Count',
  /** Of the instances that restore tests made; 0 when there is none. */
  OldestRestoredInstanceAge: 'Milliseconds',
  /**
   * Of the snapshots that are named or tagged as Daybreak's and that no recovery point of the ledger names; 0 when there is
   * none. While a snapshot has no time of its own, since its recovery point's instant. Missing while nobody knows what some
   * recovery point named, because its root manifest is not as recorded and nobody accepted that.
   */
  OldestUnprovedSnapshotAge: 'Milliseconds',
  SnapshotQuotaUsed: 'Percent',
  InstanceQuotaUsed: 'Percent',
  KeyQuotaUsed: 'Percent',
  /** The highest of the three. */
  HighestQuotaUse: 'Percent',
} as const;
export type PulseMetric = keyof typeof PULSE_METRICS;
/** Some of pulse's metrics, with their values. */
export type PulseValues = Partial<Record<PulseMetric, number>>;
