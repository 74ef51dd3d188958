import { type Decision, POLICIES_IN_DECISION } from '../../functions/contracts/decisions.ts';
import { POLICY_VERSIONS } from '../../functions/contracts/policies.ts';
import { hashPolicy, statementsNotOurs } from '../../functions/platform/policy-comparison.ts';
import type { SurveyedPolicy } from './survey-policies.ts';

/** What an upgrade does, and what it leaves as it is. */
export interface UpgradePlan {
  /** In the order of the upgrade; each batch is recorded before it is begun. What the ledger needs to be written comes first. */
  readonly batches: readonly (readonly SurveyedPolicy[])[];
  readonly refused: readonly { readonly surveyed: SurveyedPolicy; readonly reason: string }[];
  readonly currentCount: number;
}

/** A policy is of a later release than this one: nothing is changed at all. */
export interface AheadPlan {
  readonly ahead: readonly SurveyedPolicy[];
}

/** What the ledger cannot be written without. */
const LEDGER_NEEDS: readonly string[] = ['vault-key', 'entry-key', 'ledger-key', 'evidence-bucket', 'work-bucket'];

/**
 * Decides what an upgrade changes. A policy of a later release is not this one's to judge, and one of them says that the
 * whole release is old: then all is refused. A statement that no release wrote may be somebody's only way in, or an
 * intruder's, or a denial that protects: who keeps it launders it, who drops it may open or lock. Nobody but a person
 * can tell, so such a policy is left as it is unless it is named in `replacing`; its other statements are never merged.
 * @param replacing subjects whose statements of others are to go.
 */
export function planUpgrade(
  surveyed: readonly SurveyedPolicy[],
  replacing: readonly string[] = [],
): UpgradePlan | AheadPlan {
  const ahead = surveyed.filter(({ finding }) => finding.state === 'ahead');
  if (ahead.length > 0) return { ahead };
  const refused: { surveyed: SurveyedPolicy; reason: string }[] = [];
  const changed: SurveyedPolicy[] = [];
  for (const one of surveyed) {
    const { finding, subject } = one;
    if (finding.state === 'unreadable') refused.push({ surveyed: one, reason: finding.reason });
    if (finding.state !== 'behind' && finding.state !== 'altered') continue;
    const foreign = statementsNotOurs(finding).length;
    if (foreign === 0 || replacing.includes(subject)) changed.push(one);
    else
      refused.push({
        surveyed: one,
        reason: `${foreign} of its statements ${foreign === 1 ? 'is' : 'are'} not Daybreak's`,
      });
  }
  const isNeeded = ({ policy }: SurveyedPolicy) => LEDGER_NEEDS.includes(policy);
  const isTenants = ({ policy }: SurveyedPolicy) => policy === 'tenant-key';
  const tenants = changed.filter(isTenants);
  const batches = [changed.filter(isNeeded), changed.filter(one => !isNeeded(one) && !isTenants(one))];
  for (let from = 0; from < tenants.length; from += POLICIES_IN_DECISION) {
    batches.push(tenants.slice(from, from + POLICIES_IN_DECISION));
  }
  return {
    batches: batches.filter(batch => batch.length > 0),
    refused,
    currentCount: surveyed.filter(({ finding }) => finding.state === 'current').length,
  };
}

/** The id of a key, as its ARN or itself names it. */
export const keyIdOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

/** Whether the ledger may be closed to its appender until this batch is done. */
export function mayOpenTheLedger(batch: readonly SurveyedPolicy[]): boolean {
  return batch.some(({ policy }) => LEDGER_NEEDS.includes(policy));
}

/**
 * What the ledger is told before a batch is begun. CloudTrail says who (`tampering.seen`, `PutKeyPolicy`): a command's own
 * word for it would prove nothing.
 * @param run the instant when the upgrade was begun.
 */
export function announcePlanned(run: string, batch: readonly SurveyedPolicy[]): Decision {
  return {
    kind: 'policies.upgrade-planned',
    run,
    policies: batch.map(({ policy, subject, place, finding, needed }) => ({
      policy,
      subject,
      keyId: place.kind === 'key' ? keyIdOf(place.keyArn) : null,
      from: 'version' in finding ? finding.version : null,
      fromSha256: 'sha256' in finding ? finding.sha256 : null,
      to: POLICY_VERSIONS[policy],
      toSha256: hashPolicy(needed),
      removedStatements: statementsNotOurs(finding).length,
    })),
  };
}

/** What the ledger is told in the end: what stands, as it was read back. An upgrade that was stopped is closed by the next. */
export function announceUpgraded(run: string, changedCount: number, after: readonly SurveyedPolicy[]): Decision {
  const isTenants = ({ policy }: SurveyedPolicy) => policy === 'tenant-key';
  const others = after.filter(isTenants).filter(({ finding }) => finding.state !== 'current');
  return {
    kind: 'policies.upgraded',
    run,
    changedCount,
    policies: after
      .filter(one => !isTenants(one))
      .map(({ policy, finding }) => ({
        policy,
        state: finding.state,
        version: finding.state === 'current' ? POLICY_VERSIONS[policy] : 'version' in finding ? finding.version : null,
        sha256: 'sha256' in finding ? finding.sha256 : null,
      })),
    tenantKeys: {
      version: POLICY_VERSIONS['tenant-key'],
      currentCount: after.filter(isTenants).length - others.length,
      otherCount: others.length,
      others: others.slice(0, POLICIES_IN_DECISION).map(({ subject, finding }) => ({ subject, state: finding.state })),
    },
  };
}
