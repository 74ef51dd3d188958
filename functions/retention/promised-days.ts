import type { RetentionPolicy } from '../contracts/retention.ts';

/** A part of the way to a promised date. */
interface PromisePart {
  readonly what: string;
  readonly days: number;
}

/** After how many days something holds at the latest, and what they are made of. */
export interface PromisedDays {
  readonly days: number;
  readonly parts: readonly PromisePart[];
}

/**
 * From a date until the sweep has dealt with it: one for the daily sweep to come, and one more in which it is made up for
 * where it failed.
 */
const SWEEP_DAYS = 2;
/** RDS and S3 delete within a day or so of the date. https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html */
const AWS_DELETES_DAYS = 2;

/** Days that the promises are made of, beside those of the policy. */
export interface PromiseFigures {
  readonly snapshotDays: number;
  readonly eventHoldDays: number;
}

/**
 * What a school can be promised from its instruction on: when its data is beyond use, and when the last copy is gone. The
 * last snapshot that the school is in is made just before its live data goes; up to its own last day a restore test may restore it,
 * and hand on files of it. What that recovery point alone needs in the vault is let go with it, stays under its lock, and is
 * deleted by a sweep after that. Exports lie in the vault as well, and are let go when their own time has come.
 */
export function promisedDays(
  { promise, rules }: RetentionPolicy,
  { snapshotDays, eventHoldDays }: PromiseFigures,
): { readonly beyondUse: PromisedDays; readonly gone: PromisedDays } {
  const before: PromisePart[] = [
    { what: 'cooling-off', days: promise.coolingOffDays },
    { what: 'deleting the live data', days: promise.erasureDays },
  ];
  const sweep = { what: 'the sweep', days: SWEEP_DAYS };
  const aws = { what: 'AWS', days: AWS_DELETES_DAYS };
  const lastPoint = [{ what: 'the last mixed recovery point', days: snapshotDays }, sweep];
  const released = [{ what: 'the lock', days: eventHoldDays }, sweep];
  const ends: PromisePart[][] = [
    [...lastPoint, ...released],
    [...lastPoint, { what: 'what restore tests restored', days: rules.scratch.maximumDays }, aws],
    [...lastPoint, { what: 'work files', days: rules.workFiles.maximumDays }, aws],
    [{ what: 'exports', days: rules.exports.maximumDays }, sweep, ...released],
    [{ what: "RDS's automated backups", days: promise.automatedBackupDays }, aws],
  ];
  const [longest = []] = ends.toSorted((a, b) => sum(b) - sum(a));
  const promised = (parts: PromisePart[]): PromisedDays => ({ days: sum(parts), parts });
  return { beyondUse: promised(before), gone: promised([...before, ...longest]) };
}

/** So many days after it was made the files that a recovery point alone needs are gone: it, a sweep, their lock, and a sweep. */
export function fileDays({ snapshotDays, eventHoldDays }: PromiseFigures): number {
  return snapshotDays + SWEEP_DAYS + eventHoldDays + SWEEP_DAYS;
}

function sum(parts: readonly PromisePart[]): number {
  return parts.reduce((total, { days }) => total + days, 0);
}
