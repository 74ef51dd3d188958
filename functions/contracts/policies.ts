import { z } from 'zod';

/**
 * Policies of keys and buckets, which outlive the code that wrote them: who they let in, and of which release they are.
 */

/**
 * The version of each policy that this release needs: raised with every change of what a policy says, never lowered. The
 * releases before versions count as 1.
 *
 * It stands in the policy's `Id`, as `daybreak-vault-key-2`: one element for the whole document, which KMS and S3 hand back
 * as it was put. A statement's `Sid` takes letters and digits alone, and would have to carry it in each statement, so that
 * no statement would be known again in the next release.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_id.html
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_sid.html
 * https://docs.aws.amazon.com/kms/latest/APIReference/API_GetKeyPolicy.html#API_GetKeyPolicy_Examples
 */
export const POLICY_VERSIONS = {
  'vault-key': 2,
  'signing-key': 2,
  'ledger-key': 2,
  'entry-key': 2,
  'tenant-id-key': 2,
  'log-key': 2,
  'trail-key': 2,
  'notice-key': 2,
  'register-key': 2,
  'vault-bucket': 2,
  'evidence-bucket': 2,
  'work-bucket': 2,
  'trail-bucket': 2,
  'register-bucket': 2,
  'tenant-key': 2,
} as const;
export type PolicyName = keyof typeof POLICY_VERSIONS;

export type KeyPolicyName = Extract<PolicyName, `${string}-key`>;
export type BucketPolicyName = Extract<PolicyName, `${string}-bucket`>;
/** Those that there is one of. */
export type OwnPolicyName = Exclude<PolicyName, 'tenant-key'>;

/** The aliases of the keys that there is one of. They outlive the stacks, as the keys do; but for that of notices. */
export const KEY_ALIASES = {
  'vault-key': 'alias/daybreak/vault',
  'signing-key': 'alias/daybreak/signing',
  'ledger-key': 'alias/daybreak/ledger',
  'entry-key': 'alias/daybreak/entries',
  'tenant-id-key': 'alias/daybreak/tenant-ids',
  'log-key': 'alias/daybreak/logs',
  'trail-key': 'alias/daybreak/trail',
  // Called so before there were other topics than that of alarms.
  'notice-key': 'alias/daybreak/alarms',
  'register-key': 'alias/daybreak/register',
} as const satisfies Record<Exclude<KeyPolicyName, 'tenant-key'>, string>;

/** The `Id` of a policy of this release. */
export const policyId = (name: PolicyName): string => `daybreak-${name}-${POLICY_VERSIONS[name]}`;

/** The version that a policy's `Id` says; undefined where it is none of Daybreak's for this policy. */
export function versionOfId(name: PolicyName, id: unknown): number | undefined {
  const [, policy, version] = /^daybreak-([a-z-]+)-([1-9]\d{0,5})$/.exec(typeof id === 'string' ? id : '') ?? [];
  return policy === name ? Number(version) : undefined;
}

/** One statement of a resource's policy, as JSON. */
export interface ResourceStatement {
  readonly Sid?: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal: Readonly<Record<string, string | readonly string[]>>;
  readonly Action: string | readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, string | number | readonly string[]>>>>;
}

/** A policy of a key or bucket, as JSON. */
export interface ResourcePolicy {
  readonly Version: '2012-10-17';
  readonly Id: string;
  readonly Statement: readonly ResourceStatement[];
}

/**
 * Stand for the ARNs of the vault's key and the register's in a policy of which the hash is known before the key is there.
 * KMS makes no key of these names, so that no policy of any use says them.
 */
export const VAULT_KEY_TO_COME = 'arn:aws:kms:eu-west-2:000000000000:key/the-vault-key';
export const REGISTER_KEY_TO_COME = 'arn:aws:kms:eu-west-2:000000000000:key/the-register-key';

/**
 * What this release needs of each policy that there is one of, as its hash (`hashNeeded`). It travels as JSON in
 * `DAYBREAK_POLICIES`, for a function knows neither the configuration nor the steps that policies are made of.
 */
export const NeededPolicies = z.record(
  z.enum((Object.keys(POLICY_VERSIONS) as PolicyName[]).filter(name => name !== 'tenant-key')),
  z.string().regex(/^[0-9a-f]{32}$/),
);
export type NeededPolicies = z.infer<typeof NeededPolicies>;

/**
 * The capabilities whose functions read or write a school's data, those to come among them: a key is older than the code
 * that will use it. A policy names them by their roles' names, and each role's own policy says what of it the role does.
 */
const WITH_TENANT_DATA = [
  'backup',
  'restore-test',
  'retention',
  'archive',
  'erasure',
  'recovery',
  'export',
  'pulse',
] as const;
/** Those that read or write anything of Daybreak's. */
const WITH_DATA = [...WITH_TENANT_DATA, 'tenants', 'evidence', 'register', 'approval', 'incident', 'rights'] as const;
type Capability = (typeof WITH_DATA)[number];

/** What the names of all roles of Daybreak begin with. */
export const ROLE_PREFIX = 'daybreak-';
/** The names of all roles of a capability's functions: `daybreak-backup-*`. */
export const rolesOfCapability = (capability: Capability): string => `daybreak-${capability}-*`;
export const ROLES_WITH_TENANT_DATA: readonly string[] = WITH_TENANT_DATA.map(rolesOfCapability);
export const ROLES_WITH_DATA: readonly string[] = WITH_DATA.map(rolesOfCapability);
/** Those that ask whose words count, or show a text to whom it concerns: they read the register. */
export const ROLES_WITH_WORDS: readonly string[] = (
  ['register', 'approval', 'retention', 'erasure', 'export', 'incident', 'rights'] as const
).map(rolesOfCapability);
/** A role of any name, behind a path that begins like one of these names: the `*` of a pattern fits a `/` too. */
export const ROLES_BEHIND_A_PATH = 'daybreak-*/*';

/**
 * What releases or destroys is named exactly, and before it exists: these names are kept for it. Nobody else of Daybreak
 * ends the lock of an object,
 */
export const RELEASING_ROLES = ['daybreak-retention-release', 'daybreak-erasure-release'] as const;
/** or disables a tenant's key and schedules its deletion. */
export const KEY_DESTROYING_ROLE = 'daybreak-erasure-destroy-key';
