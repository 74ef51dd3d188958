import type { PulseValues } from '../contracts/pulse.ts';

/** What is used of a quota, and how much there is. */
export interface Quota {
  readonly used: number;
  readonly maximum: number;
}

/** How much of each quota is used, in percent. A quota of nothing is used up. */
export function assessQuotas(quotas: { snapshots: Quota; instances: Quota; keys: Quota }): PulseValues {
  const percent = ({ used, maximum }: Quota) => (maximum > 0 ? Math.round((used / maximum) * 10_000) / 100 : 100);
  const SnapshotQuotaUsed = percent(quotas.snapshots);
  const InstanceQuotaUsed = percent(quotas.instances);
  const KeyQuotaUsed = percent(quotas.keys);
  return {
    SnapshotQuotaUsed,
    InstanceQuotaUsed,
    KeyQuotaUsed,
    HighestQuotaUse: Math.max(SnapshotQuotaUsed, InstanceQuotaUsed, KeyQuotaUsed),
  };
}
