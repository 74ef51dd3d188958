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
        look({ key, of }, whyUnusable),
        ...(key === alias ? [] : [look({ key: alias, of }, found => whyOfAnother(found, key))]),
      ];
    }),
    ...[...tenants].map(tenant => look({ key: tenantKeyAlias(tenant), of: { tenant } }, whyUnusable)),
  ];
  const settled = await Promise.allSettled(looks);
  return {
    problems: settled.flatMap(one => (one.status === 'fulfilled' && one.value !== undefined ? [one.value] : [])),
    errors: settled.flatMap(one => (one.status === 'rejected' ? [one.reason] : [])),
  };
}

type FoundKey = Awaited<ReturnType<typeof findKey>>;

function whyUnusable(found: FoundKey): string | undefined {
  if (found === undefined) return 'it is gone';
  return found.enabled ? undefined : 'it is not enabled';
}

function whyOfAnother(found: FoundKey, keyArn: string): string | undefined {
  if (found === undefined) return `it is gone; it was the alias of ${keyArn}`;
  return found.arn === keyArn ? undefined : `it is the alias of another key than ${keyArn}`;
}

async function look(
  of: Omit<KeyProblem, 'reason'>,
  why: (found: FoundKey) => string | undefined,
): Promise<KeyProblem | undefined> {
  try {
    const reason = why(await findKey(of.key));
    return reason === undefined ? undefined : { ...of, reason };
  } catch (error) {
    if (error instanceof KeyAccessDeniedError) return { ...of, reason: 'pulse may not look at it' };
    throw error;
  }
}
