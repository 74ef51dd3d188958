import { instantOfId } from '../contracts/identifiers.ts';
import type { PulseValues } from '../contracts/pulse.ts';
import type { LedgerProjection } from '../platform/ledger-projection.ts';

type Story = Pick<LedgerProjection, 'recoveryPoints' | 'restoreTests' | 'failures'>;

/** Ids of what the ledger speaks of, and whose record is not there, is another, or could not be read now. */
export interface Unproved {
  readonly recoveryPoints: ReadonlySet<string>;
  readonly restoreTests: ReadonlySet<string>;
}

/**
 * How old the newest good recovery point and the newest passed restore test are, and what went wrong since. An age counts
 * from the scheduled instant: data is never older than that, and a rerun of an old one does not look new. What does not
 * exist has no age. What is unproved is neither good nor passed, but went wrong itself.
 */
export function assessLedger(
  { recoveryPoints, restoreTests, failures }: Story,
  unproved: Unproved,
  now: Date,
): PulseValues {
  const points = Object.values(recoveryPoints);
  const tests = Object.values(restoreTests);
  const good = points.filter(
    ({ status, recoveryPointId }) => status === 'good' && !unproved.recoveryPoints.has(recoveryPointId),
  );
  const passed = tests.filter(
    ({ verdict, restoreTestId }) => verdict === 'passed' && !unproved.restoreTests.has(restoreTestId),
  );
  const sinceGood = after(good);
  const sincePassed = after(passed);
  const failed = (kind: Story['failures'][number]['kind']) => failures.filter(failure => failure.kind === kind);
  const verdicts = (verdict: string) =>
    tests.filter(test => test.verdict === verdict && !passed.includes(test)).filter(sincePassed).length;
  const goodAge = youngest(good.map(({ recoveryPointId, recordedAt }) => ageOf(recoveryPointId, recordedAt, now)));
  const passedAge = youngest(passed.map(({ restoreTestId, recordedAt }) => ageOf(restoreTestId, recordedAt, now)));
  return {
    ...(goodAge !== undefined && { NewestGoodRecoveryPointAge: goodAge }),
    ...(passedAge !== undefined && { NewestPassedRestoreTestAge: passedAge }),
    FailedBackups:
      points.filter(point => !good.includes(point)).filter(sinceGood).length +
      failed('backup.failed').filter(sinceGood).length,
    FailedRestoreTests:
      verdicts('failed') + verdicts('passed') + failed('restore-test.failed').filter(sincePassed).length,
    InconclusiveRestoreTests: verdicts('inconclusive'),
  };
}

/** Recorded after the last of these. */
function after(recorded: readonly { sequence: number }[]): (one: { sequence: number }) => boolean {
  const last = Math.max(0, ...recorded.map(({ sequence }) => sequence));
  return ({ sequence }) => sequence > last;
}

// A run by hand may name an instant that has not come yet; it was recorded before that.
function ageOf(id: string, recordedAt: string, now: Date): number {
  return Math.max(0, now.getTime() - Math.min(Date.parse(instantOfId(id)), Date.parse(recordedAt)));
}

function youngest(agesMs: readonly number[]): number | undefined {
  return agesMs.length === 0 ? undefined : Math.min(...agesMs);
}
