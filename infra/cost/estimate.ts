import { PULSE_METRICS } from '../../functions/contracts/pulse.ts';
import type { SupplierConfiguration } from '../config/configuration.ts';
import { INSTANCE_PRICES, PRICES } from './prices.ts';

/** How much a supplier has, and how much of it changes. */
export interface SupplierSize {
  readonly name: string;
  readonly schools: number;
  /** Of all databases together, in GB. */
  readonly databaseGb: number;
  /** What a snapshot adds to the one before it, in GB. */
  readonly databaseChangeGbPerDay: number;
  readonly files: number;
  readonly filesGb: number;
  readonly changedFilesPerDay: number;
  /** Whether its buckets keep versions; in others everything is listed, and its manifests are read, once more. */
  readonly keepsVersions: boolean;
  readonly snapshotsKept: number;
  /** Of all databases, from the restore until they are torn down. */
  readonly restoreTestHours: number;
}

/** What is deployed and paid for by the month, whatever it does. */
export interface DeployedResources {
  readonly keys: number;
  readonly alarms: number;
  readonly compositeAlarms: number;
  readonly dashboards: number;
  /** Interface endpoints, counted in each Availability Zone. */
  readonly endpoints: number;
  readonly trails: number;
}

export interface CostLine {
  readonly what: string;
  readonly quantity: string;
  readonly usd: number;
}

/** There is no price for what the configuration names. */
export class UnknownPriceError extends Error {
  override readonly name = 'UnknownPriceError';
}

const HOURS_PER_MONTH = 730;
const DAYS_PER_MONTH = HOURS_PER_MONTH / 24;
const PULSES_PER_MONTH = HOURS_PER_MONTH * 4;
/** Logs are kept for 400 days. */
const LOG_MONTHS = 400 / DAYS_PER_MONTH;

// Counted in the local cloud, of a backup and a pulse of 40 schools.
const PULSE = { reads: 9, lists: 2, keyRequests: 18, signatures: 2, scheduled: 1 };
const BACKUP = { readsPerFile: 2, readsPerSchool: 3, writesPerSchool: 1, writes: 20, signatures: 4 };
const FILES_PER_LISTING = 1000;
/** Under the tenant's key in the vault and the vault's key in the scratch bucket, asked for its checksum, and read back. */
const KEY_REQUESTS_PER_RESTORED_FILE = 4;
// Assumed: compare them with the first bill.
const FUNCTION_SECONDS = { pulse: 10, perSchool: 10, perDatabaseGb: 20, perRun: 120 };
// RDS is asked about a snapshot and its copy in some fifty rounds, each with a child of six states for each instance.
const TRANSITIONS = { perSchool: 9, perDatabase: 320, perRun: 270, janitor: 14 };
/** A child execution has some 26 events, of half a kilobyte each, without inputs and outputs. */
const LOG_GB = { perMonth: 0.2, perChild: 13e-6 };
const EMAILS_PER_MONTH = 100;
const PAGES_PER_MONTH = 20;
/** Puts of evidence, and of what pulse remembers; two deletions for each school that a restore test clears up after. */
const DATA_EVENTS = { perMonth: 2000, perSchool: 2 };

/**
 * A month's cost by line, without free tiers, VAT and support, once as much is kept as is ever kept. The first backup comes
 * on top, once (`firstBackup`).
 * @throws UnknownPriceError for a class of restored instances without a price.
 */
export function estimateMonth(
  { databases, restoreTest, vault, contacts, pagers }: SupplierConfiguration,
  size: SupplierSize,
  resources: DeployedResources,
): CostLine[] {
  const instance = INSTANCE_PRICES[restoreTest.instanceClass];
  if (instance === undefined) {
    throw new UnknownPriceError(
      `no price of ${restoreTest.instanceClass}: look it up, and add it to infra/cost/prices.ts`,
    );
  }
  const { schools } = size;
  const changedFiles = size.changedFilesPerDay * DAYS_PER_MONTH;
  // Replaced files stay as long as a kept recovery point names them, and under their lock after that.
  const replacedGb = (size.filesGb / size.files) * size.changedFilesPerDay * (size.snapshotsKept + vault.eventHoldDays);
  const storedGb = size.filesGb + replacedGb;
  const snapshotGb = size.databaseGb + size.databaseChangeGbPerDay * size.snapshotsKept;
  const restoredFiles =
    restoreTest.objectsPerTenant === 'all' ? size.files : Math.min(size.files, restoreTest.objectsPerTenant * schools);
  const passes = size.keepsVersions ? 1 : 2;
  const listings = passes * (schools + size.files / FILES_PER_LISTING);
  const writes =
    changedFiles +
    (listings + schools * BACKUP.writesPerSchool + BACKUP.writes) * DAYS_PER_MONTH +
    PULSE.lists * PULSES_PER_MONTH +
    restoredFiles;
  const reads =
    changedFiles * BACKUP.readsPerFile +
    passes * schools * BACKUP.readsPerSchool * DAYS_PER_MONTH +
    PULSE.reads * PULSES_PER_MONTH +
    restoredFiles * 2;
  const keyRequests =
    changedFiles * 2 +
    schools * (passes * BACKUP.readsPerSchool + BACKUP.writesPerSchool) * DAYS_PER_MONTH +
    PULSE.keyRequests * PULSES_PER_MONTH +
    restoredFiles * KEY_REQUESTS_PER_RESTORED_FILE;
  const signatures = PULSE.signatures * PULSES_PER_MONTH + BACKUP.signatures * DAYS_PER_MONTH;
  const runs = DAYS_PER_MONTH + 1;
  const secondsPerRun =
    passes * schools * FUNCTION_SECONDS.perSchool +
    size.databaseGb * FUNCTION_SECONDS.perDatabaseGb +
    FUNCTION_SECONDS.perRun;
  const functionSeconds = FUNCTION_SECONDS.pulse * PULSES_PER_MONTH + secondsPerRun * runs;
  const transitions =
    (passes * schools * TRANSITIONS.perSchool + databases.length * TRANSITIONS.perDatabase + TRANSITIONS.perRun) *
      runs +
    TRANSITIONS.janitor * HOURS_PER_MONTH;
  const logGb = LOG_GB.perMonth + passes * schools * runs * LOG_GB.perChild;
  const keys = resources.keys + schools;
  // Those that are published all the time; the others cost by the hour in which they are.
  const metrics = Object.keys(PULSE_METRICS).length + 1;
  const restoredGbMonths = (size.databaseGb * size.restoreTestHours) / HOURS_PER_MONTH;
  const dataEvents = DATA_EVENTS.perMonth + schools * DATA_EVENTS.perSchool;
  const invocations = PULSES_PER_MONTH + HOURS_PER_MONTH + runs;
  const line = (what: string, quantity: string, ...amounts: number[]): CostLine => ({
    what,
    quantity,
    usd: amounts.reduce((sum, amount) => sum + amount, 0),
  });
  return [
    line('KMS keys', `${resources.keys} of Daybreak, ${schools} of schools`, keys * PRICES.key.usd),
    line(
      'KMS requests',
      `${thousands(keyRequests + signatures)} thousand`,
      keyRequests * PRICES.keyRequest.usd,
      signatures * PRICES.signatureRequest.usd,
    ),
    line('RDS snapshots', `${whole(snapshotGb)} GB`, snapshotGb * PRICES.snapshotStorage.usd),
    line(
      'Restored instance',
      `${size.restoreTestHours} h of ${restoreTest.instanceClass} with ${whole(size.databaseGb)} GB`,
      size.restoreTestHours * databases.length * instance.usd,
      restoredGbMonths * PRICES.databaseStorage.usd,
    ),
    line(
      'S3 storage',
      `${whole(storedGb)} GB, ${whole(replacedGb)} of them replaced`,
      storedGb * PRICES.objectStorage.usd,
    ),
    line('S3 writes and listings', `${thousands(writes)} thousand`, writes * PRICES.writeRequest.usd),
    line('S3 reads', `${thousands(reads)} thousand`, reads * PRICES.readRequest.usd),
    line('Lambda', `${thousands(functionSeconds)} thousand GB-seconds`, functionSeconds * PRICES.functionTime.usd),
    line('Step Functions', `${thousands(transitions)} thousand transitions`, transitions * PRICES.transition.usd),
    line(
      'VPC endpoint for KMS',
      `${resources.endpoints} Availability Zones`,
      resources.endpoints * HOURS_PER_MONTH * PRICES.endpoint.usd,
    ),
    line(
      'CloudWatch alarms',
      `${resources.alarms}, and ${resources.compositeAlarms} over them`,
      resources.alarms * PRICES.alarm.usd,
      resources.compositeAlarms * PRICES.compositeAlarm.usd,
    ),
    line('CloudWatch metrics', `${metrics}`, metrics * PRICES.metric.usd),
    line('CloudWatch dashboard', `${resources.dashboards}`, resources.dashboards * PRICES.dashboard.usd),
    line(
      'CloudWatch logs',
      `${logGb.toFixed(1)} GB, kept for 400 days`,
      logGb * PRICES.logIngestion.usd,
      logGb * LOG_MONTHS * PRICES.logStorage.usd,
    ),
    line(
      'SNS',
      `${EMAILS_PER_MONTH} e-mails to ${contacts.length}, ${PAGES_PER_MONTH} pages to ${pagers.length}`,
      EMAILS_PER_MONTH * contacts.length * PRICES.email.usd,
      // Webhooks and e-mails to pagers cost next to nothing.
      PAGES_PER_MONTH * pagers.filter(pager => 'sms' in pager).length * PRICES.textMessage.usd,
    ),
    line('EventBridge Scheduler', `${thousands(invocations)} thousand`, invocations * PRICES.scheduledInvocation.usd),
    ...(resources.trails === 0
      ? []
      : [
          line(
            'CloudTrail',
            `the first copy of changes is free; ${thousands(dataEvents)} thousand data events`,
            dataEvents * PRICES.dataEvent.usd,
          ),
        ]),
  ];
}

/** What every month costs more than the one before, in USD, as long as no snapshot and no replaced file is deleted. */
export function growth({ databaseChangeGbPerDay, files, filesGb, changedFilesPerDay }: SupplierSize): number {
  const replacedGbPerDay = (filesGb / files) * changedFilesPerDay;
  return (
    (databaseChangeGbPerDay * PRICES.snapshotStorage.usd + replacedGbPerDay * PRICES.objectStorage.usd) * DAYS_PER_MONTH
  );
}

/** What the first backup costs once: each file is copied, and encrypted under its school's key. */
export function firstBackup({ files }: SupplierSize): number {
  return files * (PRICES.writeRequest.usd + BACKUP.readsPerFile * PRICES.readRequest.usd + 2 * PRICES.keyRequest.usd);
}

const whole = (value: number): string => Math.round(value).toString();
const thousands = (value: number): string => Math.max(1, Math.round(value / 1000)).toString();
