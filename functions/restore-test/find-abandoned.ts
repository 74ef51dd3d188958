import { madeAt } from '../platform/scheduled-instant.ts';

/** An instance as the janitor sees it. */
export interface InstanceFacts {
  instanceId: string;
  /** `DbiResourceId`: this one instance's, whatever else had its name. */
  resourceId: string;
  status: string;
  createdAt: Date | undefined;
  purpose: string | undefined;
  restoreTestId: string | undefined;
}

/** What becomes of one instance: `going` is one that was abandoned and is being deleted already. */
export interface Decision {
  instance: InstanceFacts;
  action: 'keep' | 'remove' | 'going';
  reason: string;
}

/**
 * Decides which instances a dead restore test left behind. One is abandoned only when its name *and* its tags say that a
 * restore test made it, and it is older than any test takes. One that failed before RDS gave it a time is as old as the
 * instant of its test. Everything else is kept, with the reason.
 */
export function findAbandoned(
  instances: readonly InstanceFacts[],
  rule: { namePrefix: string; abandonedAfterMs: number },
  now: Date,
): Decision[] {
  return instances.map(instance => {
    const keep = (reason: string): Decision => ({ instance, action: 'keep', reason });
    if (!instance.instanceId.startsWith(rule.namePrefix)) return keep('its name is not that of a restore test');
    if (instance.purpose !== 'restore-test' || instance.restoreTestId === undefined) {
      return keep('its tags do not say that a restore test made it');
    }
    if (instance.createdAt === undefined && instance.status === 'creating') return keep('it is still being created');
    const since = madeAt(instance.createdAt, instance.restoreTestId);
    if (since === undefined) return keep('it has no age, and its tag names no instant');
    const ageMs = now.getTime() - since.getTime();
    if (ageMs < rule.abandonedAfterMs) return keep('a test may still be using it');
    const action = instance.status === 'deleting' ? 'going' : 'remove';
    return { instance, action, reason: `restore test ${instance.restoreTestId} left it behind` };
  });
}
