import { KEY_ALIASES } from '../../functions/contracts/policies.ts';
import type { PulseMetric } from '../../functions/contracts/pulse.ts';
import { JANITOR_MS } from '../../functions/contracts/retention.ts';
import { scheduleName } from '../../functions/contracts/schedules.ts';
import { FOUND_WRONG_KEY } from '../../functions/contracts/vault-layout.ts';
import { type Step, stepName } from '../access/role-names.ts';
import { bucketNames, REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { QUOTA_USE_LIMIT_PERCENT } from '../config/find-conflicts.ts';

/** One alarm over one of pulse's metrics. What is missing breaches. */
export interface AlarmDefinition {
  /** The alarm is called `daybreak-<id>`. */
  readonly id: string;
  /** What is wrong when it sounds, in one sentence. */
  readonly meaning: string;
  readonly metric: PulseMetric;
  /** It breaches above this value; `least` breaches below it. */
  readonly limit: { readonly most: number } | { readonly least: number };
  /** A breach has to last this long. @default 15 minutes: one pulse */
  readonly lastingMinutes?: number;
  /** The first command to run. */
  readonly command: string;
  /** The page to read, below `runbooks/`. */
  readonly runbook: string;
  /** Whether it wakes somebody: the pager sounds with it. */
  readonly urgent: boolean;
}

const HOUR_MS = 60 * 60 * 1000;
const DAY_MS = 24 * HOUR_MS;
const MINUTES_PER_HOUR = 60;
/** The name of an alarm by its id. */
export const alarmName = (id: string): string => `daybreak-${id}`;
/** The alarm that sounds when any urgent one does. */
export const PAGER = 'pager';
/** The alarm without which all others of pulse mean nothing. */
export const SILENCE = 'pulse-silent';
/** The alarm that tells of one of pulse's, unless pulse is silent. */
export const noticeId = (id: string): string => `${id}-notice`;
/** The names of the topics: urgent alarms tell `pagers`, the others `contacts`. */
export const TOPICS = { contacts: alarmName('alarms'), pagers: alarmName('pagers') } as const;
/** How far back the first command of an alarm looks: what sounds at three is read at eight, or on Monday. */
export const LOOK_BACK_SECONDS = 24 * 60 * 60;

/** The command that shows what a step logged in the last day with these words. */
export function showLog(step: Step, words: string): string {
  return `aws lambda get-function-configuration --region ${REGION} --function-name ${stepName(step)} --query LoggingConfig.LogGroup --output text | xargs -I GROUP aws logs filter-log-events --region ${REGION} --log-group-name GROUP --start-time $(($(date +%s) - ${LOOK_BACK_SECONDS}))000 --filter-pattern '"${words}"'`;
}

/** The keys whose signatures the ledger bears, as `daybreak evidence verify` calls its options. */
const SIGNING_KEYS = ['ledger-key', 'entry-key', 'signing-key'] as const;

/** Every alarm. Each command works as it stands, in the account's Region, with the operator's role. */
export function alarmsOf(configuration: SupplierConfiguration): readonly AlarmDefinition[] {
  const { evidenceBucket, workBucket } = bucketNames(configuration);
  const showEvidence = (kind: string, since: string) =>
    `npm run daybreak -- evidence show --evidence-bucket ${evidenceBucket} --kind ${kind} --since ${since}`;
  // With the last good one before what went wrong.
  const showBackups = showEvidence('backup', '72h');
  const showTests = showEvidence('restore-test', '40d');
  const verifyEvidence = `npm run daybreak -- evidence verify --evidence-bucket ${evidenceBucket} ${SIGNING_KEYS.map(key => `--${key} $(aws kms describe-key --region ${REGION} --key-id ${KEY_ALIASES[key]} --query KeyMetadata.Arn --output text)`).join(' ')}`;
  const findings = (message: string) => showLog('pulse/read-back', message);
  const abandonedAfterMs = configuration.restoreTest.abandonedAfterMs;
  return [
    {
      id: SILENCE,
      meaning: 'Pulse does not report: nobody is looking, and every other alarm sounds for want of data.',
      metric: 'PulseCompleted',
      limit: { least: 1 },
      command: `aws scheduler get-schedule --region ${REGION} --name ${scheduleName('pulse')}`,
      runbook: 'pulse-silent.md',
      urgent: true,
    },
    {
      id: 'pulse-checks-failed',
      meaning: 'Pulse could not make some of its checks; the log names them.',
      metric: 'PulseChecksFailed',
      limit: { most: 0 },
      lastingMinutes: 30,
      command: findings('a check could not be made'),
      runbook: 'pulse-silent.md',
      urgent: false,
    },
    {
      id: 'no-good-recovery-point',
      meaning: 'There is no good recovery point of the last 26 hours.',
      metric: 'NewestGoodRecoveryPointAge',
      limit: { most: 26 * HOUR_MS },
      command: showBackups,
      runbook: 'backup-failed.md',
      urgent: true,
    },
    {
      id: 'backup-failed',
      meaning: 'A backup failed, or left an incomplete recovery point, and none was good since.',
      metric: 'FailedBackups',
      limit: { most: 0 },
      command: showBackups,
      runbook: 'backup-failed.md',
      urgent: false,
    },
    {
      id: 'no-passed-restore-test',
      meaning: 'No restore test passed in the last 31 days.',
      metric: 'NewestPassedRestoreTestAge',
      limit: { most: 31 * DAY_MS },
      // After a month of 31 days the next test begins just then, and needs its time.
      lastingMinutes: 12 * MINUTES_PER_HOUR,
      command: showTests,
      runbook: 'restore-test-inconclusive.md',
      urgent: false,
    },
    {
      id: 'restore-test-failed',
      meaning: 'A restore test failed, and none passed since: a backup may not be what was backed up.',
      metric: 'FailedRestoreTests',
      limit: { most: 0 },
      command: showTests,
      runbook: 'restore-test-failed.md',
      urgent: true,
    },
    {
      id: 'restore-test-inconclusive',
      meaning: 'A restore test compared too little, and none passed since.',
      metric: 'InconclusiveRestoreTests',
      limit: { most: 0 },
      command: showTests,
      runbook: 'restore-test-inconclusive.md',
      urgent: false,
    },
    {
      id: 'snapshot-missing',
      meaning: 'A snapshot that a recovery point names is gone.',
      metric: 'SnapshotsMissing',
      limit: { most: 0 },
      command: findings('a snapshot is not as it should be'),
      runbook: 'vault-altered.md',
      urgent: true,
    },
    {
      id: 'snapshot-altered',
      meaning: 'A snapshot is not available, not under the key that was signed for, or of another time.',
      metric: 'SnapshotsAltered',
      limit: { most: 0 },
      command: findings('a snapshot is not as it should be'),
      runbook: 'vault-altered.md',
      urgent: true,
    },
    {
      id: 'snapshot-shared',
      meaning: 'Another account may restore a snapshot.',
      metric: 'SnapshotsShared',
      limit: { most: 0 },
      command: findings('a snapshot is not as it should be'),
      runbook: 'snapshot-shared.md',
      urgent: true,
    },
    {
      id: 'root-manifest-altered',
      meaning: 'The root manifest of a recovery point is gone, or not what the ledger recorded.',
      metric: 'RootManifestsAltered',
      limit: { most: 0 },
      command: findings('a root manifest is not what was recorded'),
      runbook: 'vault-altered.md',
      urgent: true,
    },
    {
      id: 'object-not-locked',
      meaning: 'An object of the vault is gone, or no lock holds it.',
      metric: 'ObjectsNotLocked',
      limit: { most: 0 },
      command: `aws s3 cp --region ${REGION} s3://${workBucket}/${FOUND_WRONG_KEY} -`,
      runbook: 'vault-altered.md',
      urgent: true,
    },
    {
      id: 'key-unusable',
      meaning:
        "A key of Daybreak's or a school's is gone or not enabled, or an alias of Daybreak's stands for another key.",
      metric: 'KeysUnusable',
      limit: { most: 0 },
      command: findings('a key is not as it should be'),
      runbook: 'key-unusable.md',
      urgent: true,
    },
    {
      id: 'policy-behind',
      meaning: 'The policy of a key or bucket is not what this release needs: what is new may be refused.',
      metric: 'PoliciesBehind',
      limit: { most: 0 },
      // A deployment changes policies before the function that compares them, and rules tell of each change at once.
      lastingMinutes: 60,
      command: findings('a policy is not what this release needs'),
      runbook: 'policy-behind.md',
      urgent: false,
    },
    {
      id: 'register-altered',
      meaning: 'Something lies in the register that the ledger did not record, or what it recorded is gone.',
      metric: 'RegisterEntriesAltered',
      limit: { most: 0 },
      // A removal is recorded a moment before the words are hidden.
      lastingMinutes: 30,
      command: findings('an entry of the register does not lie as it was recorded'),
      runbook: 'register.md',
      urgent: false,
    },
    {
      id: 'contacts-not-confirmed',
      meaning: 'Nobody has confirmed a contact of the register for twelve months.',
      metric: 'ContactsNotConfirmed',
      limit: { most: 0 },
      command: `npm run daybreak -- register contact show --evidence-bucket ${evidenceBucket}`,
      runbook: 'register.md',
      urgent: false,
    },
    {
      id: 'tls-not-forced',
      meaning: 'A database lets somebody talk to it without TLS 1.2, or it is not certain that it does not.',
      metric: 'DatabasesWithoutTls',
      limit: { most: 0 },
      command: findings('a database does not force TLS'),
      runbook: 'tls-not-forced.md',
      urgent: false,
    },
    {
      id: 'schedule-stopped',
      meaning: 'A schedule is gone or not enabled: what it starts will not run.',
      metric: 'SchedulesStopped',
      limit: { most: 0 },
      command: `aws scheduler list-schedules --region ${REGION} --name-prefix daybreak- --query 'Schedules[].[Name,State]' --output text`,
      runbook: 'schedule-stopped.md',
      urgent: false,
    },
    {
      id: 'tamper-watch-stopped',
      meaning: 'The trail, or a rule that notices tampering or a stopped run, is gone or switched off: nobody watches.',
      metric: 'TamperWatchStopped',
      limit: { most: 0 },
      command: findings('a part of the tamper watch is gone or not enabled'),
      runbook: 'tampering.md',
      urgent: true,
    },
    {
      id: 'ledger-broken',
      meaning: 'The ledger is not an unbroken chain.',
      metric: 'LedgerBroken',
      limit: { most: 0 },
      command: verifyEvidence,
      runbook: 'ledger-broken.md',
      urgent: true,
    },
    {
      id: 'ledger-state-forged',
      meaning:
        "What is kept of the ledger's state was put there, or signed for, by somebody who does not fold its entries.",
      metric: 'LedgerStateForged',
      limit: { most: 0 },
      command: verifyEvidence,
      runbook: 'ledger-broken.md',
      urgent: true,
    },
    {
      id: 'ledger-unsigned',
      meaning: 'No head of the ledger was signed in the last 26 hours.',
      metric: 'LedgerHeadAge',
      limit: { most: 26 * HOUR_MS },
      command: verifyEvidence,
      runbook: 'ledger-broken.md',
      urgent: false,
    },
    {
      id: 'restored-instance-left',
      meaning: 'A database that a restore test made outlived it, and the janitor did not remove it.',
      metric: 'OldestRestoredInstanceAge',
      limit: { most: abandonedAfterMs + JANITOR_MS },
      command: `aws rds describe-db-instances --region ${REGION} --query "DBInstances[?starts_with(DBInstanceIdentifier, 'daybreak-test-')].[DBInstanceIdentifier,DBInstanceStatus,InstanceCreateTime]" --output text`,
      runbook: 'restored-instance-left.md',
      urgent: false,
    },
    {
      id: 'unproved-snapshot-left',
      meaning: 'A snapshot that no recovery point names is older than the janitor lets one become.',
      metric: 'OldestUnprovedSnapshotAge',
      // Those without a time of their own are removed last, five days after their instant, by a janitor that comes every hour.
      limit: { most: 5 * DAY_MS + 2 * HOUR_MS },
      command: findings('no recovery point names a snapshot'),
      runbook: 'unproved-snapshot-left.md',
      urgent: false,
    },
    {
      id: 'quota-nearly-used',
      meaning: `More than ${QUOTA_USE_LIMIT_PERCENT} % of a quota is used: manual snapshots, database instances or KMS keys.`,
      metric: 'HighestQuotaUse',
      limit: { most: QUOTA_USE_LIMIT_PERCENT },
      command: `aws rds describe-account-attributes --region ${REGION} --query "AccountQuotas[?Used > \\\`0\\\`].[AccountQuotaName,Used,Max]" --output text`,
      runbook: 'quota-nearly-used.md',
      urgent: false,
    },
  ];
}
