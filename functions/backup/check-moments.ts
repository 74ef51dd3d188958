import type { DatabaseFingerprint } from '../contracts/fingerprint.ts';
import { CLOCK_SKEW_MS } from '../platform/scheduled-instant.ts';

/** The clocks of RDS and of a function may differ by so much, and the snapshot is begun right after *before*. */
const CLOCK_TOLERANCE_MS = 60_000;

/** Whether a snapshot was taken before the *before* measurement ended, so that nothing of it can be proved. */
export function isTooEarly(takenAt: Date | undefined, measuredAt: string | null): boolean {
  return (
    takenAt !== undefined && measuredAt !== null && Date.parse(measuredAt) > takenAt.getTime() + CLOCK_TOLERANCE_MS
  );
}

type Measurement = Pick<DatabaseFingerprint, 'tables'>;

/**
 * Why a snapshot does not lie between its database's two fingerprints, or is older than the instant that its recovery
 * point is named for, by which its age is told; an empty list when all is well. Fingerprints are kept
 * once written, so a run that had to take the snapshot anew may find an *after* that was measured before it: of such a
 * snapshot nothing could be proved.
 */
export function checkMoments(before: Measurement, after: Measurement, takenAt: Date, scheduledAt: string): string[] {
  const measuredLate = before.tables.some(({ measuredAt }) => isTooEarly(takenAt, measuredAt));
  const measuredEarly = after.tables.some(({ measuredAt }) => Date.parse(measuredAt) < takenAt.getTime());
  const isOlder = takenAt.getTime() < Date.parse(scheduledAt) - CLOCK_SKEW_MS;
  return [
    ...(isOlder ? ['its snapshot was taken before its instant'] : []),
    ...(measuredLate ? ['its first fingerprint was taken after its snapshot'] : []),
    ...(measuredEarly ? ['its second fingerprint was taken before its snapshot'] : []),
  ];
}
