import {
  KEY_ALIASES,
  type OwnPolicyName,
  type PolicyName,
  type ResourcePolicy,
} from '../../functions/contracts/policies.ts';
import { tenantKeyAlias } from '../../functions/contracts/vault-layout.ts';
import { readBucketPolicy } from '../../functions/platform/bucket-policy.ts';
import { PermanentError } from '../../functions/platform/errors.ts';
import { KeyUnusableError, listAliases, readKeyPolicy } from '../../functions/platform/kms.ts';
import { comparePolicy, type PolicyFinding } from '../../functions/platform/policy-comparison.ts';
import { currentRuntime } from '../../functions/platform/runtime.ts';
import { ObjectNotFoundError } from '../../functions/platform/s3.ts';
import { tenantKeyPolicy } from '../../functions/platform/tenant-key-policy.ts';
import { bucketPolicy, policyBuckets } from '../../infra/access/bucket-policies.ts';
import { keyPolicies } from '../../infra/access/key-policies.ts';
import { bucketNames, REGION, type SupplierConfiguration } from '../../infra/config/configuration.ts';

/** The credentials are of another account than the configuration. */
export class WrongAccountError extends PermanentError {}

/** Where a policy is attached. */
export type PolicyPlace =
  | { readonly kind: 'key'; readonly keyArn: string }
  | { readonly kind: 'bucket'; readonly bucket: string };

/** One policy, as it stands and as this release needs it. */
export interface SurveyedPolicy {
  readonly policy: PolicyName;
  /** The alias of its key, or its bucket: how a person names it. */
  readonly subject: string;
  readonly place: PolicyPlace;
  /** Its text; undefined where there is none. */
  readonly found: string | undefined;
  readonly needed: ResourcePolicy;
  readonly finding: PolicyFinding;
}

/** What each key is called in a configuration that adopts a vault; no vault is adopted with that of notices. */
const EXISTING = {
  'vault-key': 'vaultKeyArn',
  'signing-key': 'signingKeyArn',
  'ledger-key': 'ledgerKeyArn',
  'entry-key': 'entryKeyArn',
  'tenant-id-key': 'tenantIdKeyArn',
  'log-key': 'logKeyArn',
  'trail-key': 'trailKeyArn',
  'register-key': 'registerKeyArn',
  'notice-key': undefined,
} as const satisfies Record<keyof typeof KEY_ALIASES, keyof NonNullable<SupplierConfiguration['existing']> | undefined>;

const TENANT_ALIAS_PREFIX = tenantKeyAlias('');
/**
 * So many policies are read at a time, and then a pause: 25 a second. The quota of GetKeyPolicy differs by Region and was 30
 * where it was lowest; the functions need some of it. https://docs.aws.amazon.com/kms/latest/developerguide/requests-per-second.html
 */
const READ_AT_ONCE = 8;
const PAUSE_MS = 320;

/**
 * Reads every policy that outlives the code and compares it: those of the keys and buckets that there is one of, and of each
 * tenant's key by its alias.
 * @throws WrongAccountError before anything else is read.
 */
export async function surveyPolicies(configuration: SupplierConfiguration): Promise<SurveyedPolicy[]> {
  const { account, existing } = configuration;
  const aliases = new Map<string, string>();
  for await (const { alias, arn, keyId } of listAliases()) {
    if (!arn.startsWith(`arn:aws:kms:${REGION}:${account}:`)) {
      throw new WrongAccountError(
        `the credentials are of account ${arn.split(':')[4]}, and the configuration is of ${account}: choose the other profile`,
      );
    }
    if (alias.startsWith('alias/daybreak/')) aliases.set(alias, `arn:aws:kms:${REGION}:${account}:key/${keyId}`);
  }
  const keyArnOf = (policy: keyof typeof EXISTING) => {
    const adopted = EXISTING[policy];
    return (adopted && existing?.[adopted]) ?? aliases.get(KEY_ALIASES[policy]);
  };
  const needed = keyPolicies(configuration);
  const toRead: Omit<SurveyedPolicy, 'found' | 'finding'>[] = [];
  const missing: SurveyedPolicy[] = [];
  for (const policy of Object.keys(KEY_ALIASES) as (keyof typeof KEY_ALIASES)[]) {
    const keyArn = keyArnOf(policy);
    const subject = KEY_ALIASES[policy];
    const of = { policy, subject, needed: needed[policy], place: { kind: 'key', keyArn: keyArn ?? '' } } as const;
    if (keyArn !== undefined) toRead.push(of);
    else missing.push(withoutPlace(of, `there is no key ${subject}`));
  }
  for (const [policy, bucket] of Object.entries(policyBuckets(configuration))) {
    const name = policy as OwnPolicyName & `${string}-bucket`;
    const keyArn = keyArnOf(name === 'register-bucket' ? 'register-key' : 'vault-key') ?? '';
    const reach = { bucketArn: `arn:aws:s3:::${bucket}`, keyArn };
    const place = { kind: 'bucket', bucket } as const;
    toRead.push({ policy: name, subject: bucket, place, needed: bucketPolicy(name, configuration, reach) });
  }
  const deployment = { accountId: account, region: REGION, ...bucketNames(configuration) } as const;
  for (const [alias, keyArn] of aliases) {
    if (!alias.startsWith(TENANT_ALIAS_PREFIX)) continue;
    toRead.push({
      policy: 'tenant-key',
      subject: alias,
      place: { kind: 'key', keyArn },
      needed: tenantKeyPolicy(alias.slice(TENANT_ALIAS_PREFIX.length), deployment),
    });
  }
  const surveyed: SurveyedPolicy[] = [];
  for (let from = 0; from < toRead.length; from += READ_AT_ONCE) {
    if (from > 0) await currentRuntime().clock.sleep(PAUSE_MS);
    surveyed.push(...(await Promise.all(toRead.slice(from, from + READ_AT_ONCE).map(survey))));
  }
  return [...missing, ...surveyed];
}

/** The text of the policy that stands there; undefined where there is none. */
export function readPolicy(place: PolicyPlace): Promise<string | undefined> {
  return place.kind === 'key' ? readKeyPolicy(place.keyArn) : readBucketPolicy(place.bucket);
}

async function survey(of: Omit<SurveyedPolicy, 'found' | 'finding'>): Promise<SurveyedPolicy> {
  try {
    const found = await readPolicy(of.place);
    return { ...of, found, finding: comparePolicy(of.policy, found, of.needed) };
  } catch (error) {
    if (error instanceof KeyUnusableError) return withoutPlace(of, 'its key is gone');
    if (error instanceof ObjectNotFoundError) return withoutPlace(of, 'there is no such bucket');
    throw error;
  }
}

function withoutPlace(of: Omit<SurveyedPolicy, 'found' | 'finding'>, reason: string): SurveyedPolicy {
  return { ...of, found: undefined, finding: { state: 'unreadable', reason } };
}
