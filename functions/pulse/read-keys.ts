import type { Deployment } from '../contracts/configuration.ts';
import { KEY_ALIASES } from '../contracts/policies.ts';
import { tenantKeyAlias } from '../contracts/vault-layout.ts';
import { findKey, KeyAccessDeniedError } from '../platform/kms.ts';
import { type OwnKeyName, ownKeys } from './own-keys.ts';

/** Something that is wrong with a key. `key`: its ARN, or the alias that should stand for it. */
export interface KeyProblem {
  readonly key: string;
  readonly reason: string;
  /** Which of the keys that there is one of, or whose. */
  readonly of: { readonly own: OwnKeyName } | { readonly tenant: string };
}

/** What was found of keys. */
export interface KeyFindings {
  readonly problems: readonly KeyProblem[];
  /** What came instead of an answer, other than a refusal. */
  readonly errors: readonly unknown[];
}

/**
 * Whether each key that there is one of, and each of these tenants' keys, is there and enabled, and whether each alias of
 * Daybreak's own stands for its key: commands and people find keys by them. That pulse is refused is wrong too, for the key
 * and its policy let it ask. One that cannot be asked hides no other.
 */
export async function readKeys(tenants: Iterable<string>, deployment: Deployment): Promise<KeyFindings> {
  const looks = [
    ...Object.entries(ownKeys(deployment)).flatMap(([name, key]) => {
      const own = name as OwnKeyName;
      const alias = KEY_ALIASES[own];
      const of = { own };
      return [
        look({ key, of }, found => found.enabled || NOT_ENABLED),
        ...(key === alias
          ? []
          : [look({ key: alias, of }, found => found.arn === key || `it is the alias of another key than ${key}`)]),
      ];
    }),
    ...[...tenants].map(tenant =>
      look({ key: tenantKeyAlias(tenant), of: { tenant } }, found => found.enabled || NOT_ENABLED),
    ),
  ];
  const settled = await Promise.allSettled(looks);
  return {
    problems: settled.flatMap(one => (one.status === 'fulfilled' && one.value !== undefined ? [one.value] : [])),
    errors: settled.flatMap(one => (one.status === 'rejected' ? [one.reason] : [])),
  };
}

const NOT_ENABLED = 'it is not enabled';

/** @param judge true where it is as it should be, or why not. */
async function look(
  of: Omit<KeyProblem, 'reason'>,
  judge: (found: { arn: string; enabled: boolean }) => true | string,
): Promise<KeyProblem | undefined> {
  try {
    const found = await findKey(of.key);
    const reason = found === undefined ? 'it is gone' : judge(found);
    return reason === true ? undefined : { ...of, reason };
  } catch (error) {
    if (error instanceof KeyAccessDeniedError) return { ...of, reason: 'pulse may not look at it' };
    throw error;
  }
}
