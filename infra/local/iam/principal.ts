import { NotImplementedLocally, type Principal } from '../service.ts';
import { MalformedPolicyError } from './condition.ts';

/** `itself`: the statement names the principal, or everyone; `account`: it names the principal's account. */
export type PrincipalMatcher = (principal: Principal, bounded: boolean) => 'itself' | 'account' | 'none';

interface NamedPrincipals {
  readonly everyone: boolean;
  readonly accounts: ReadonlySet<string>;
  /** With the generation that each stands for. */
  readonly arns: ReadonlyMap<string, number>;
}

/** How often a role or user of this ARN was deleted so far: whoever has it today has another unique id than before. */
export type GenerationLookup = (arn: string) => number;

/**
 * Prepares the `Principal` or `NotPrincipal` of a resource policy's statement. `NotPrincipal` with `Deny` spares a role
 * only if both the role and its account are listed, and never one under a permissions boundary. A role's ARN stands for
 * the role that has it when the policy is read, by its unique id: created again, the role is another one.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
 */
export function compilePrincipals(
  effect: 'Allow' | 'Deny',
  principal: unknown,
  notPrincipal: unknown,
  generationOf: GenerationLookup,
): PrincipalMatcher {
  if ((principal === undefined) === (notPrincipal === undefined)) {
    throw new MalformedPolicyError('a statement of a resource policy has exactly one of Principal and NotPrincipal');
  }
  if (notPrincipal !== undefined) {
    if (effect === 'Allow') throw new NotImplementedLocally('NotPrincipal with Allow');
    const spared = readPrincipals(notPrincipal, generationOf);
    return ({ kind, arn }, bounded) => {
      const account = spared.everyone || spared.accounts.has(accountOf(arn));
      const named = kind === 'root' || spared.everyone || spared.arns.get(arn) === generationOf(arn);
      return account && named && !bounded ? 'none' : 'itself';
    };
  }
  const named = readPrincipals(principal, generationOf);
  return ({ kind, arn }) => {
    if (named.everyone || named.arns.get(arn) === generationOf(arn)) return 'itself';
    if (!named.accounts.has(accountOf(arn))) return 'none';
    return kind === 'root' ? 'itself' : 'account';
  };
}

/** The account id in an ARN. */
export function accountOf(arn: string): string {
  return arn.split(':', 5)[4] ?? '';
}

function readPrincipals(element: unknown, generationOf: GenerationLookup): NamedPrincipals {
  const accounts = new Set<string>();
  const arns = new Map<string, number>();
  if (element === '*') return { everyone: true, accounts, arns };
  if (typeof element !== 'object' || element === null || Array.isArray(element)) {
    throw new MalformedPolicyError('Principal must be * or an object');
  }
  let everyone = false;
  for (const [kind, value] of Object.entries(element)) {
    const names: unknown[] = Array.isArray(value) ? value : [value];
    for (const name of names) {
      if (typeof name !== 'string') throw new MalformedPolicyError(`Principal.${kind} must be text`);
      if (kind === 'AWS') {
        const account = /^(?:arn:aws:iam::(\d{12}):root|(\d{12}))$/.exec(name);
        if (name === '*') everyone = true;
        else if (account) accounts.add(account[1] ?? account[2] ?? '');
        else if (/^arn:aws:iam::\d{12}:(?:role|user)\/[^*?]+$/.test(name)) arns.set(name, generationOf(name));
        else if (/^arn:aws:(?:sts|iam)::\d{12}:[^*?]+$/.test(name))
          throw new NotImplementedLocally(`the principal ${name}`);
        else throw new MalformedPolicyError(`invalid principal in policy: ${name}`);
      } else if (kind !== 'Service' && kind !== 'Federated') {
        // Services and federated users never call here: such names are accepted and match nobody.
        throw new NotImplementedLocally(`principals of kind ${kind}`);
      }
    }
  }
  return { everyone, accounts, arns };
}
