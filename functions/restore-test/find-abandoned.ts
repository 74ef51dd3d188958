/** An instance as the janitor sees it. */
export interface InstanceFacts {
  instanceId: string;
  status: string;
  createdAt: Date | undefined;
  purpose: string | undefined;
  restoreTestId: string | undefined;
}

/**
 * Decides which instances a dead restore test left behind. One is abandoned only when its name *and* its tags say that a
 * restore test made it, and it is older than any test takes. Everything else is kept, with the reason.
 */
export function findAbandoned(
  instances: readonly InstanceFacts[],
  rule: { namePrefix: string; abandonedAfterMs: number },
  now: Date,
): { instanceId: string; remove: boolean; reason: string }[] {
  return instances.map(instance => {
    const keep = (reason: string) => ({ instanceId: instance.instanceId, remove: false, reason });
    if (!instance.instanceId.startsWith(rule.namePrefix)) return keep('its name is not that of a restore test');
    if (instance.purpose !== 'restore-test' || instance.restoreTestId === undefined) {
      return keep('its tags do not say that a restore test made it');
    }
    if (instance.status === 'deleting') return keep('it is being deleted');
    if (instance.createdAt === undefined) return keep('it is still being created');
    const ageMs = now.getTime() - instance.createdAt.getTime();
    if (ageMs < rule.abandonedAfterMs) return keep('a test may still be using it');
    return {
      instanceId: instance.instanceId,
      remove: true,
      reason: `restore test ${instance.restoreTestId} left it behind`,
    };
  });
}
