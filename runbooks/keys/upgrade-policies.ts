import { PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import type { Decision } from '../../functions/contracts/decisions.ts';
import { describeError, PermanentError } from '../../functions/platform/errors.ts';
import { callKms } from '../../functions/platform/kms.ts';
import { comparePolicy } from '../../functions/platform/policy-comparison.ts';
import { currentRuntime } from '../../functions/platform/runtime.ts';
import { callS3 } from '../../functions/platform/s3.ts';
import { REGION, type SupplierConfiguration } from '../../infra/config/configuration.ts';
import { recordDecision } from '../cli/record-decision.ts';
import { announcePlanned, announceUpgraded, mayOpenTheLedger, type UpgradePlan } from './plan-upgrade.ts';
import { readPolicy, type SurveyedPolicy, surveyPolicies } from './survey-policies.ts';

/** A policy is not what it was when it was shown, or not what was put. */
export class PolicyChangedError extends PermanentError {}
/** The ledger did not take what was done. */
export class UpgradeNotRecordedError extends PermanentError {}

/**
 * What the appender throws where a policy keeps it from the ledger. Anything else (a ledger that is broken, a function that
 * is gone, a run that was stopped) no policy mends.
 */
const KEPT_OUT_BY_POLICY: readonly string[] = ['ObjectAccessDeniedError', 'KeyAccessDeniedError'];

/** The quota of PutKeyPolicy was 5 a second where it was lowest. */
const PAUSE_MS = 250;
/** KMS is eventually consistent. https://docs.aws.amazon.com/kms/latest/developerguide/accessing-kms.html#programming-eventual-consistency */
const READ_BACK_ATTEMPTS = 20;
const READ_BACK_PAUSE_MS = 1000;

/** What became of an upgrade. */
export interface Upgraded {
  readonly changedCount: number;
  /** What stands, as it was read back. */
  readonly after: readonly SurveyedPolicy[];
  /** Of the closing entry. */
  readonly sequence: number;
}

/**
 * Puts the policies of a plan, one after the other, and records them: each batch before it is begun, and in the end what
 * stands: by the workflow that records what persons decide. Every policy of this release lets in whom the one before let in, so that no function is locked out in between, and
 * a run that was killed is finished by the next. Only where the ledger itself is closed to its appender, its own policies
 * are put first and recorded then.
 * @param tell is told of each policy that was put and read back.
 */
export async function upgradePolicies(
  plan: UpgradePlan,
  configuration: SupplierConfiguration,
  tell: (surveyed: SurveyedPolicy) => void = () => {},
): Promise<Upgraded> {
  const { clock } = currentRuntime();
  const account = { region: REGION, accountId: configuration.account } as const;
  const run = clock.now().toISOString();
  let changedCount = 0;
  const recordNow = async (decision: Decision): Promise<number> => {
    const recorded = await recordDecision(account, decision).catch((error: unknown) => {
      throw notRecorded(changedCount, describeError(error), error);
    });
    if ('error' in recorded) throw notRecorded(changedCount, recorded.error);
    return recorded.sequence;
  };
  for (const batch of plan.batches) {
    const planned = announcePlanned(run, batch);
    const recorded = await recordDecision(account, planned);
    const isRecorded = 'sequence' in recorded;
    // What refuses the workflow itself was thrown, and one that still runs may wait for a cold function: neither is the ledger's.
    const isClosed = !isRecorded && recorded.hasEnded && KEPT_OUT_BY_POLICY.includes(recorded.errorName);
    if (!isRecorded && !(isClosed && mayOpenTheLedger(batch))) throw notRecorded(changedCount, recorded.error);
    for (const surveyed of batch) {
      if (await putPolicy(surveyed)) changedCount++;
      tell(surveyed);
      await clock.sleep(PAUSE_MS);
    }
    if (!isRecorded) await recordNow(planned);
  }
  const after = await surveyPolicies(configuration);
  const sequence = await recordNow(announceUpgraded(run, changedCount, after));
  return { changedCount, after, sequence };
}

function notRecorded(changedCount: number, reason: string, cause?: unknown): UpgradeNotRecordedError {
  return new UpgradeNotRecordedError(
    `${changedCount} policies were changed, and the ledger did not take the entry (${reason}); run daybreak keys upgrade again: it records what stands`,
    { cause },
  );
}

/** @returns false where another hand had put the same meanwhile. */
async function putPolicy(surveyed: SurveyedPolicy): Promise<boolean> {
  const { subject, place, needed, policy, finding } = surveyed;
  const standing = comparePolicy(policy, await readPolicy(place), needed);
  if (standing.state === 'current') return false;
  if (!('sha256' in standing && 'sha256' in finding && standing.sha256 === finding.sha256)) {
    throw new PolicyChangedError(
      `${subject}: its policy is not the one that was shown any more; run daybreak keys upgrade again`,
    );
  }
  const text = JSON.stringify(needed);
  if (place.kind === 'key') {
    // KMS refuses a policy that would let its author change it no more, unless it is told not to look.
    await callKms(subject, client => client.send(new PutKeyPolicyCommand({ KeyId: place.keyArn, Policy: text })));
  } else {
    await callS3(subject, client => client.send(new PutBucketPolicyCommand({ Bucket: place.bucket, Policy: text })));
  }
  for (let attempt = 1; ; attempt++) {
    if (comparePolicy(policy, await readPolicy(place), needed).state === 'current') return true;
    if (attempt === READ_BACK_ATTEMPTS) {
      throw new PolicyChangedError(`${subject}: what was put is not what is read back; see daybreak keys check`);
    }
    await currentRuntime().clock.sleep(READ_BACK_PAUSE_MS);
  }
}
