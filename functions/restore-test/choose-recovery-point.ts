/** What the ledger says of recovery points and restore tests, as far as choosing needs it. */
export interface TestHistory {
  recoveryPoints: readonly { recoveryPointId: string; status: 'good' | 'incomplete' }[];
  /** Tests with a verdict; `could-not-start` says nothing about the recovery point. */
  restoreTests: readonly { restoreTestId: string; recoveryPointId: string | null; verdict: string }[];
}

/**
 * Chooses what to test: what was asked for; what this very test chose in an earlier run; else the newest good recovery
 * point without a verdict.
 */
export function chooseRecoveryPoint(
  history: TestHistory,
  test: { restoreTestId: string; requestedId: string | undefined },
): { recoveryPointId: string; reason: null } | { recoveryPointId: null; reason: string } {
  const known = history.recoveryPoints.map(({ recoveryPointId }) => recoveryPointId);
  if (test.requestedId !== undefined) {
    return known.includes(test.requestedId)
      ? { recoveryPointId: test.requestedId, reason: null }
      : { recoveryPointId: null, reason: `the ledger knows no recovery point ${test.requestedId}` };
  }
  const earlier = history.restoreTests.find(({ restoreTestId }) => restoreTestId === test.restoreTestId);
  if (earlier?.recoveryPointId) return { recoveryPointId: earlier.recoveryPointId, reason: null };

  const tested = new Set(
    history.restoreTests
      .filter(({ verdict }) => verdict !== 'could-not-start')
      .map(({ recoveryPointId }) => recoveryPointId),
  );
  const newest = history.recoveryPoints
    .filter(({ status, recoveryPointId }) => status === 'good' && !tested.has(recoveryPointId))
    .map(({ recoveryPointId }) => recoveryPointId)
    .sort()
    .at(-1);
  return newest === undefined
    ? { recoveryPointId: null, reason: 'there is no good recovery point that was not yet tested' }
    : { recoveryPointId: newest, reason: null };
}
