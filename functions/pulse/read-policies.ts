import { z } from 'zod';
import type { Deployment } from '../contracts/configuration.ts';
import { TenantName } from '../contracts/identifiers.ts';
import {
  type BucketPolicyName,
  KEY_ALIASES,
  POLICY_VERSIONS,
  type PolicyName,
  versionOfId,
} from '../contracts/policies.ts';
import type { PulseValues } from '../contracts/pulse.ts';
import { POLICIES_BEHIND_KEY, tenantKeyAlias } from '../contracts/vault-layout.ts';
import { readBucketPolicy } from '../platform/bucket-policy.ts';
import { inOrder } from '../platform/in-order.ts';
import { findKey, readKeyPolicy } from '../platform/kms.ts';
import { log } from '../platform/log.ts';
import { comparePolicy } from '../platform/policy-comparison.ts';
import { readBytesIfThere, writeBytes } from '../platform/s3.ts';
import { tenantKeyPolicy } from '../platform/tenant-key-policy.ts';
import { rotateSample } from './rotate-sample.ts';

/** Tenants' keys that each pulse looks at. */
const KEYS_AT_ONCE = 10;
/** Tenants whose keys were found behind, and are looked at each time until they are not. */
const KEPT = 20;
const READ_AT_ONCE = 5;

const Behind = z.array(TenantName).max(KEPT);

/**
 * Counts the policies that are not what this release needs: of keys and buckets that there is one of by their version, and
 * of a sample of tenants' keys by what they say. `daybreak keys check` compares all of them.
 * @param tenants those of the newest recovery point; empty where it is not known.
 */
export async function readPolicies(
  tenants: readonly string[],
  deployment: Deployment,
  now: Date,
): Promise<PulseValues> {
  const kept = await readBehind(deployment.workBucket);
  const asked = new Set([
    ...kept.filter(tenant => tenants.length === 0 || tenants.includes(tenant)),
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
  const toKeep = behind.slice(0, KEPT);
  if (JSON.stringify(toKeep) !== JSON.stringify(kept)) {
    const bytes = Buffer.from(JSON.stringify(toKeep));
    await writeBytes(deployment.workBucket, POLICIES_BEHIND_KEY, bytes, { contentType: 'application/json' });
  }
  return { PoliciesBehind: count + behind.length };
}

async function readBehind(workBucket: string): Promise<readonly string[]> {
  const bytes = await readBytesIfThere(workBucket, POLICIES_BEHIND_KEY);
  return bytes === undefined ? [] : Behind.parse(JSON.parse(bytes.toString('utf8')));
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
  const { vaultBucket, evidenceBucket, workBucket } = deployment;
  return { 'vault-bucket': vaultBucket, 'evidence-bucket': evidenceBucket, 'work-bucket': workBucket };
}
