import { readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { estimateMonth, firstBackup, type SupplierSize } from '../../../infra/cost/estimate.ts';
import { PRICES } from '../../../infra/cost/prices.ts';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';
import { AT_ONCE, DAILY_BACKUP, RESTORE_TEST } from '../../../infra/workflows/hours.ts';
import { type Calls, functionMs, type MeasuredLoad, type Measurement } from './measurement.ts';

/** A supplier as large as Daybreak is built for. */
export const LARGE_SUPPLIER: SupplierSize & { readonly tables: number } = {
  name: 'a large supplier',
  schools: 1000,
  databaseGb: 2000,
  databaseChangeGbPerDay: 20,
  files: 10_000_000,
  filesGb: 3000,
  changedFilesPerDay: 100_000,
  keepsVersions: false,
  snapshotsKept: 35,
  restoreTestHours: 18,
  tables: 5000,
};

/** What nobody measured: AWS's answers. Each is a guess on the safe side, to be held against the first run. */
export const ASSUMPTIONS = {
  /** A page of 1,000 keys. */
  pageMs: 300,
  /** Any other request to S3 or KMS. */
  requestMs: 60,
  /** A child execution and the start of its functions. */
  childMs: 4000,
  /** Content that one function reads, in MB a second. */
  contentMbPerSecond: 50,
} as const;

/** KMS's symmetric requests a second in eu-west-2, for everything in the account together. https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html */
export const KEY_REQUESTS_PER_SECOND = 20_000;

/** What one object, or one table, adds to a load, and what the load takes without any. */
export interface Rate {
  readonly cpuMs: number;
  readonly calls: Calls;
}
export interface Rates {
  /** For each object that is there as it was the day before. */
  readonly unchanged: Rate;
  /** For each that is copied. */
  readonly copied: Rate;
  /** For each that is found in the vault by listing. */
  readonly found: Rate;
  /** For each that is restored and read back. */
  readonly restored: Rate;
}

const NAMES: Readonly<Record<keyof Rates, [step: MeasuredLoad['step'], what: string]>> = {
  unchanged: ['backup/back-up-tenant', 'unchanged objects'],
  copied: ['backup/back-up-tenant', 'new objects'],
  found: ['restore-test/verify-objects', 'objects listed, one restored'],
  restored: ['restore-test/verify-objects', 'objects restored'],
};

/** What each object adds, by the difference between a quarter and all. @throws Error where a load was not measured. */
export function ratesOf(loads: readonly MeasuredLoad[]): Rates {
  const rate = (name: keyof Rates): Rate => {
    const [step, what] = NAMES[name];
    const load = loads.find(candidate => candidate.step === step && candidate.what === what);
    if (load === undefined) throw new Error(`${step} (${what}) was not measured`);
    const { quarter, whole } = load;
    const each = (pick: (measurement: Measurement) => number) =>
      Math.max(0, (pick(whole) - pick(quarter)) / (whole.items - quarter.items));
    const names = Object.keys(whole.calls) as (keyof Calls)[];
    const calls = Object.fromEntries(names.map(key => [key, each(({ calls }) => calls[key])])) as unknown as Calls;
    return { cpuMs: each(({ cpuMs }) => cpuMs), calls };
  };
  return { unchanged: rate('unchanged'), copied: rate('copied'), found: rate('found'), restored: rate('restored') };
}

/** What one run over all files comes to. */
export interface Projected {
  readonly what: string;
  readonly hours: number;
  /** How long where one school has all files. */
  readonly hoursOfOne: number;
  /** When it is given up. */
  readonly hoursGiven: number;
  readonly calls: Pick<Calls, 'reads' | 'writes' | 'keyRequests'>;
  readonly keyRequestsPerSecond: number;
  /** Of requests and of functions. */
  readonly usd: number;
}

interface Work {
  readonly step: 'backup/back-up-tenant' | 'restore-test/verify-objects';
  /** How many objects at each rate. */
  readonly objects: Partial<Record<keyof Rates, number>>;
  /** How many of its requests, but for pages, are under way at a time. */
  readonly atOnce: number;
  readonly contentGb: number;
  /** Requests of a child beside those for its objects. */
  readonly requestsPerChild: number;
}

/** Copies under way at a time (`backup/back-up-tenant`), and restores (`restore-test/verify-objects`). */
const COPIES_AT_ONCE = 32;
const RESTORES_AT_ONCE = 16;

/** What the measured rates and the assumptions come to for a supplier of this size. Pure. */
export function project(rates: Rates, size: SupplierSize): Projected[] {
  const unchanged = size.files - size.changedFilesPerDay;
  const backup = { step: 'backup/back-up-tenant', atOnce: COPIES_AT_ONCE, requestsPerChild: 8 } as const;
  const test = { step: 'restore-test/verify-objects', atOnce: RESTORES_AT_ONCE, requestsPerChild: 4 } as const;
  const gbPerFile = size.filesGb / size.files;
  const sample = Math.min(size.files, 20 * size.schools);
  const [backupHours, testHours] = [DAILY_BACKUP.partHours, RESTORE_TEST.objectHours];
  const given = (hours: number, name: string, work: Work) => projectWork(name, hours, work, rates, size);
  return [
    given(backupHours, 'daily backup of the files', {
      ...backup,
      objects: { unchanged, copied: size.changedFilesPerDay },
      // S3 copies within itself.
      contentGb: 0,
    }),
    // Where the first pass takes until its hour.
    given(DAILY_BACKUP.settledHours - backupHours, 'the same once more, in buckets without versions', {
      ...backup,
      objects: { unchanged: size.files },
      contentGb: 0,
    }),
    given(backupHours, 'first backup of the files', { ...backup, objects: { copied: size.files }, contentGb: 0 }),
    given(testHours, 'restore test of 20 files a school', {
      ...test,
      objects: { found: size.files, restored: sample },
      contentGb: sample * gbPerFile,
    }),
    given(testHours, 'restore test of every file', {
      ...test,
      objects: { found: size.files, restored: size.files },
      contentGb: size.filesGb,
    }),
  ];
}

function projectWork(
  what: string,
  hoursGiven: number,
  { step, objects, atOnce, contentGb, requestsPerChild }: Work,
  rates: Rates,
  { schools }: SupplierSize,
): Projected {
  const parts = Object.entries(objects).map(([name, count]) => ({ rate: rates[name as keyof Rates], count }));
  const sum = (pick: (rate: Rate) => number) => parts.reduce((total, { rate, count }) => total + pick(rate) * count, 0);
  const { pageMs, requestMs, childMs, contentMbPerSecond } = ASSUMPTIONS;
  const computeMs = functionMs(
    step,
    sum(({ cpuMs }) => cpuMs),
  );
  const waitMs =
    sum(({ calls }) => calls.pages) * pageMs +
    (sum(({ calls }) => calls.reads + calls.writes - calls.pages) * requestMs) / atOnce;
  // A function that computes does not wait: its requests are under way meanwhile, but for pages.
  const contentMs = (contentGb * 1e6) / contentMbPerSecond;
  const workMs = Math.max(computeMs, contentMs) + waitMs;
  const allMs = (workMs + schools * childMs) / Math.min(AT_ONCE.tenants, schools);
  const calls = {
    reads: sum(({ calls }) => calls.reads) + schools * requestsPerChild,
    writes: sum(({ calls }) => calls.writes) + schools,
    keyRequests: sum(({ calls }) => calls.keyRequests) + schools * requestsPerChild,
  };
  const memoryGb = STEP_DEFINITIONS[step].limits.memoryMib / 1024;
  return {
    what,
    hours: allMs / HOUR_MS,
    hoursOfOne: (workMs + childMs) / HOUR_MS,
    hoursGiven,
    calls,
    keyRequestsPerSecond: calls.keyRequests / (allMs / 1000),
    usd:
      calls.reads * PRICES.readRequest.usd +
      calls.writes * PRICES.writeRequest.usd +
      calls.keyRequests * PRICES.keyRequest.usd +
      ((workMs + schools * childMs) / 1000) * memoryGb * PRICES.functionTime.usd,
  };
}

const HOUR_MS = 60 * 60 * 1000;

/** MB that have to be read in a second so that everything is measured, or compared, in the hours that there are. */
export function databaseRates({ databaseGb }: SupplierSize): { what: string; hours: number; mbPerSecond: number }[] {
  const line = (what: string, hours: number) => ({ what, hours, mbPerSecond: (databaseGb * 1000) / (hours * 3600) });
  return [
    line('measured before the snapshot', DAILY_BACKUP.measuredHours),
    line(
      'measured after it, where snapshots take until their hour',
      DAILY_BACKUP.partHours - DAILY_BACKUP.snapshotHours,
    ),
    line('compared on the copy, where the restore takes half a day', RESTORE_TEST.databaseHours / 2),
  ];
}

/** What is paid by the month whatever the size, which `npm run cost` shows. */
const NOTHING_DEPLOYED = { keys: 0, alarms: 0, compositeAlarms: 0, dashboards: 0, endpoints: 0, trails: 0 };

/** What grows with the size, in US dollars: a month's cost by line, and the first backup's. */
export function projectMonth(size: SupplierSize): { lines: { what: string; usd: number }[]; firstUsd: number } {
  const configuration = readConfiguration(exampleConfiguration);
  return { lines: estimateMonth(configuration, size, NOTHING_DEPLOYED), firstUsd: firstBackup(size) };
}
