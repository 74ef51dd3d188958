import type { DatabaseVerification } from '../contracts/restore-test-record.ts';

/**
 * Step Functions passes on 256 KiB at most, and the results of all databases go through one state: so many bytes they have
 * together, which leaves room for what goes with them.
 */
const ALL_DATABASES_BYTES = 160 * 1024;

/**
 * What a database's verification passes on where it is one of `databaseCount`: as many of its findings and gaps, the first
 * of each, as its share of a state's payload holds. How many there are in all stays beside them, and what a person accepted
 * stays whatever it takes, for the record has to repeat it.
 */
export function keepWithin(verification: DatabaseVerification, databaseCount: number): DatabaseVerification {
  const findings = [...verification.findings];
  const gaps = [...verification.gaps];
  const bytesOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value)) + 1;
  let excess = bytesOf(verification) - ALL_DATABASES_BYTES / databaseCount;
  while (excess > 0) {
    const gap = gaps.findLastIndex(({ accepted }) => accepted === null);
    if (findings.length === 0 && gap === -1) break;
    const [dropped] = gap === -1 || findings.length > gaps.length ? findings.splice(-1) : gaps.splice(gap, 1);
    excess -= bytesOf(dropped);
  }
  return { ...verification, findings, gaps };
}
