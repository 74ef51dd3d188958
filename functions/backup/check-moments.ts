import { CLOCK_SKEW_MS } from '../platform/scheduled-instant.ts';

/** The clocks of RDS and of a function may differ by so much, and the snapshot is begun right after *before*. */
const CLOCK_TOLERANCE_MS = 60_000;

/** Whether a snapshot was taken before the *before* measurement ended, so that nothing of it can be proved. */
export function isTooEarly(takenAt: Date | undefined, measuredAt: string | null): boolean {
  return (
    takenAt !== undefined && measuredAt !== null && Date.parse(measuredAt) > takenAt.getTime() + CLOCK_TOLERANCE_MS
  );
}

/**
 * Why a snapshot does not lie between its database's two fingerprints, or is older than the instant that its recovery
 * point is named for, by which its age is told; an empty list when all is well. Fingerprints are kept once written, so a
 * run that had to take the snapshot anew may find an *after* that was measured before it: of such a snapshot nothing could
 * be proved.
 * @param before when each table was measured first, and what is not inside tables; `after`: each table the second time.
 */
export function checkMoments(
  before: readonly string[],
  after: readonly string[],
  takenAt: Date,
  scheduledAt: string,
): string[] {
  const measuredLate = before.some(measuredAt => isTooEarly(takenAt, measuredAt));
  const measuredEarly = after.some(measuredAt => Date.parse(measuredAt) < takenAt.getTime());
  const isOlder = takenAt.getTime() < Date.parse(scheduledAt) - CLOCK_SKEW_MS;
  return [
    ...(isOlder ? ['its snapshot was taken before its instant'] : []),
    ...(measuredLate ? ['its first fingerprint was taken after its snapshot'] : []),
    ...(measuredEarly ? ['its second fingerprint was taken before its snapshot'] : []),
  ];
}
