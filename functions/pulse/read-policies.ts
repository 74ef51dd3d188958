import type { Deployment } from '../contracts/configuration.ts';
import {
  type BucketPolicyName,
  KEY_ALIASES,
  NeededPolicies,
  type OwnPolicyName,
  type PolicyName,
} from '../contracts/policies.ts';
import { trailBucketName } from '../contracts/tampering.ts';
import { tenantKeyAlias } from '../contracts/vault-layout.ts';
import { readBucketPolicy } from '../platform/bucket-policy.ts';
import { PermanentError } from '../platform/errors.ts';
import { inOrder } from '../platform/in-order.ts';
import { findKey, readKeyPolicy } from '../platform/kms.ts';
import { log } from '../platform/log.ts';
import { comparePolicy, isAsNeeded } from '../platform/policy-comparison.ts';
import { currentRuntime } from '../platform/runtime.ts';
import { ObjectNotFoundError } from '../platform/s3.ts';
import { tenantKeyPolicy } from '../platform/tenant-key-policy.ts';
import { ownKeys } from './own-keys.ts';
import { rotateSample } from './rotate-sample.ts';

/** Tenants' keys that each pulse looks at. */
const KEYS_AT_ONCE = 10;
const AT_ONCE = { underWay: 5, waiting: 5 };

/** What was found of policies. */
export interface PolicyFindings {
  /** Those that are not what this release needs, of what there is one of. */
  readonly own: readonly OwnPolicyName[];
  /** Tenants whose keys' are not. */
  readonly tenants: readonly string[];
  /** What could not be read, with what came instead: it hides no other. */
  readonly unread: readonly { readonly name: PolicyName; readonly error: unknown }[];
}

/** The function was not told what this release needs. */
export class NeededPoliciesError extends PermanentError {}

/**
 * Finds the policies that are not what this release needs, by what they say: of every key and bucket that there is one of,
 * and of a sample of tenants' keys. `daybreak keys check` compares all of them.
 * @param tenants those of the newest recovery point; empty where it is not known.
 * @param before tenants whose keys' were behind at the last pulse: they are looked at until they are not, or are named no more.
 * @throws NeededPoliciesError, WatchedKeysError
 */
export async function readPolicies(
  tenants: readonly string[],
  before: readonly string[],
  deployment: Deployment,
  now: Date,
): Promise<PolicyFindings> {
  const needed = readNeeded();
  const asked = new Set([...before, ...rotateSample(tenants, KEYS_AT_ONCE, now)]);
  const places = [
    ...entries(ownKeys(deployment)).map(([name, key]) => ({
      name,
      subject: KEY_ALIASES[name],
      read: () => readPolicyOfKey(key),
    })),
    ...entries(bucketsOf(deployment)).map(([name, bucket]) => ({
      name,
      subject: bucket,
      read: () => readPolicyOfBucket(bucket),
    })),
  ];
  const own: OwnPolicyName[] = [];
  const behind: string[] = [];
  const unread: { name: PolicyName; error: unknown }[] = [];
  const compared = inOrder(
    places,
    async ({ name, subject, read }) => {
      try {
        const found = await read();
        return { name, isCurrent: tell(subject, isAsNeeded(name, found, needed[name], deployment)) };
      } catch (error) {
        return { name, error };
      }
    },
    AT_ONCE,
  );
  for await (const one of compared) {
    if ('error' in one) unread.push({ name: one.name, error: one.error });
    else if (!one.isCurrent) own.push(one.name);
  }
  const ofTenants = inOrder(
    asked,
    async tenant => {
      try {
        return { tenant, isCurrent: await isTenantCurrent(tenant, deployment) };
      } catch (error) {
        return { tenant, error };
      }
    },
    AT_ONCE,
  );
  for await (const one of ofTenants) {
    if ('error' in one) unread.push({ name: 'tenant-key', error: one.error });
    else if (!one.isCurrent) behind.push(one.tenant);
  }
  return { own, tenants: behind, unread };
}

function readNeeded(): NeededPolicies {
  try {
    return NeededPolicies.parse(JSON.parse(currentRuntime().environment.DAYBREAK_POLICIES ?? ''));
  } catch (cause) {
    throw new NeededPoliciesError(
      'the environment variable DAYBREAK_POLICIES is missing or not valid; deploy the workflow stack again',
      { cause },
    );
  }
}

/** Undefined also where the key is gone. @param key its ARN or alias; `GetKeyPolicy` takes no alias. */
async function readPolicyOfKey(key: string): Promise<string | undefined> {
  const found = await findKey(key);
  return found && readKeyPolicy(found.arn);
}

/** Undefined also where there is no such bucket: the checks of what lies in it fail. */
async function readPolicyOfBucket(bucket: string): Promise<string | undefined> {
  try {
    return await readBucketPolicy(bucket);
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return undefined;
    throw error;
  }
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

function bucketsOf(deployment: Deployment): Record<BucketPolicyName, string> {
  const { vaultBucket, evidenceBucket, workBucket, registerBucket, accountId } = deployment;
  return {
    'vault-bucket': vaultBucket,
    'evidence-bucket': evidenceBucket,
    'work-bucket': workBucket,
    'register-bucket': registerBucket,
    'trail-bucket': trailBucketName(accountId),
  };
}

function entries<Name extends string>(record: Readonly<Record<Name, string>>): [Name, string][] {
  return Object.entries(record) as [Name, string][];
}
