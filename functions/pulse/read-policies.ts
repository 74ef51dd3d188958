import { z } from 'zod';
import type { Deployment } from '../contracts/configuration.ts';
import {
  type BucketPolicyName,
  KEY_ALIASES,
  POLICY_VERSIONS,
  type PolicyName,
  versionOfId,
} from '../contracts/policies.ts';
import { tenantKeyAlias } from '../contracts/vault-layout.ts';
import { readBucketPolicy } from '../platform/bucket-policy.ts';
import { inOrder } from '../platform/in-order.ts';
import { findKey, readKeyPolicy } from '../platform/kms.ts';
import { log } from '../platform/log.ts';
import { comparePolicy } from '../platform/policy-comparison.ts';
import { tenantKeyPolicy } from '../platform/tenant-key-policy.ts';
import { rotateSample } from './rotate-sample.ts';

/** Tenants' keys that each pulse looks at. */
const KEYS_AT_ONCE = 10;
const READ_AT_ONCE = 5;

/** How many policies are not what this release needs, and the tenants whose keys' are among them. */
export interface PoliciesBehind {
  readonly count: number;
  readonly tenants: readonly string[];
}

/**
 * Counts the policies that are not what this release needs: of keys and buckets that there is one of by their version, and
 * of a sample of tenants' keys by what they say. `daybreak keys check` compares all of them.
 * @param tenants those of the newest recovery point; empty where it is not known.
 * @param before tenants whose keys' were behind at the last pulse: they are looked at until they are not.
 */
export async function readPolicies(
  tenants: readonly string[],
  before: readonly string[],
  deployment: Deployment,
  now: Date,
): Promise<PoliciesBehind> {
  const asked = new Set([
    ...before.filter(tenant => tenants.length === 0 || tenants.includes(tenant)),
    ...rotateSample(tenants, KEYS_AT_ONCE, now),
  ]);
  const reads = [
    ...Object.entries(KEY_ALIASES).map(
      ([name, alias]) =>
        async () =>
          tell(alias, (await versionOfKey(name as PolicyName, alias)) === POLICY_VERSIONS[name as PolicyName]),
    ),
    ...Object.entries(bucketsOf(deployment)).map(([name, bucket]) => async () => {
      const version = versionIn(name as PolicyName, await readBucketPolicy(bucket));
      return tell(bucket, version === POLICY_VERSIONS[name as PolicyName]);
    }),
  ];
  let count = 0;
  for await (const isCurrent of inOrder(reads, read => read(), { underWay: READ_AT_ONCE, waiting: READ_AT_ONCE })) {
    if (!isCurrent) count++;
  }
  const behind: string[] = [];
  const compared = inOrder(asked, async tenant => ({ tenant, isCurrent: await isTenantCurrent(tenant, deployment) }), {
    underWay: READ_AT_ONCE,
    waiting: READ_AT_ONCE,
  });
  for await (const { tenant, isCurrent } of compared) if (!isCurrent) behind.push(tenant);
  return { count: count + behind.length, tenants: behind };
}

async function versionOfKey(name: PolicyName, alias: string): Promise<number | undefined> {
  const key = await findKey(alias);
  return key && versionIn(name, await readKeyPolicy(key.arn));
}

/** What a policy's `Id` says; whoever put a text there that is no policy has none. */
function versionIn(name: PolicyName, text: string | undefined): number | undefined {
  const { data } = z.looseObject({ Id: z.string() }).safeParse(text === undefined ? undefined : JSON.parse(text));
  return versionOfId(name, data?.Id);
}

async function isTenantCurrent(tenant: string, deployment: Deployment): Promise<boolean> {
  const alias = tenantKeyAlias(tenant);
  const key = await findKey(alias);
  // A key that is gone is counted as unusable.
  if (key === undefined) return true;
  const { state } = comparePolicy('tenant-key', await readKeyPolicy(key.arn), tenantKeyPolicy(tenant, deployment));
  return tell(alias, state === 'current');
}

function tell(subject: string, isCurrent: boolean): boolean {
  if (!isCurrent) log('warn', 'a policy is not what this release needs', { subject });
  return isCurrent;
}

function bucketsOf(deployment: Deployment): Partial<Record<BucketPolicyName, string>> {
  const { vaultBucket, evidenceBucket, workBucket, registerBucket } = deployment;
  return {
    'vault-bucket': vaultBucket,
    'evidence-bucket': evidenceBucket,
    'work-bucket': workBucket,
    'register-bucket': registerBucket,
  };
}
