import type { Deployment } from '../contracts/configuration.ts';
import {
  type OwnPolicyName,
  POLICY_VERSIONS,
  type PolicyName,
  REGISTER_KEY_TO_COME,
  type ResourcePolicy,
  VAULT_KEY_TO_COME,
  versionOfId,
} from '../contracts/policies.ts';
import { canonicalJson, sha256Hex } from './canonical-json.ts';

/** What a policy says, whatever the order and the form in which it says it. */
interface NormalPolicy {
  readonly version: string;
  readonly statements: readonly NormalStatement[];
}

interface NormalStatement {
  /** Undefined where it has none. */
  readonly sid: string | undefined;
  /** By element (`Action`, `Condition ArnLike aws:principalarn`): its values, each once, in order. */
  readonly elements: Readonly<Record<string, readonly string[]>>;
}

/** How a statement that stands differs from the one that is needed. */
export interface StatementDifference {
  /** Its `Sid`; for one without, what it says. */
  readonly statement: string;
  readonly what: 'missing' | 'not-ours' | 'changed';
  /** Values by their element: those that are lacking, and those that are too many. A missing statement lacks all. */
  readonly elements: readonly {
    readonly element: string;
    readonly lacks: readonly string[];
    readonly tooMany: readonly string[];
  }[];
}

/**
 * How a policy stands to the one that this release needs.
 * `behind`: of an earlier release. `altered`: of this release by its version, and it says something else. `ahead`: of a
 * later release, of which nothing can be said here. `unreadable`: it is no policy.
 */
export type PolicyFinding =
  | { readonly state: 'current'; readonly sha256: string }
  | {
      readonly state: 'behind' | 'altered';
      /** Null: from before versions, or from somebody else. */
      readonly version: number | null;
      readonly sha256: string;
      readonly differences: readonly StatementDifference[];
    }
  | { readonly state: 'ahead'; readonly version: number; readonly sha256: string }
  | { readonly state: 'unreadable'; readonly reason: string };

/**
 * Compares a policy as KMS or S3 handed it back with the one that is needed. Neither keeps the order of lists, one value
 * may stand alone or in a list, and principals come back in forms of AWS's own (an account as its root user's ARN, a role
 * that was deleted as its id).
 * https://github.com/aws/aws-cli/issues/9456
 * https://repost.aws/knowledge-center/iam-resource-policy-format
 * @param found the policy's text; undefined where there is none.
 */
export function comparePolicy(name: PolicyName, found: string | undefined, needed: ResourcePolicy): PolicyFinding {
  const neededVersion = POLICY_VERSIONS[name];
  let document: unknown;
  let standing: NormalPolicy;
  try {
    document = JSON.parse(found ?? '{"Version":"2012-10-17","Statement":[]}');
    standing = normalisePolicy(document);
  } catch (error) {
    return { state: 'unreadable', reason: error instanceof Error ? error.message : String(error) };
  }
  const sha256 = hashOf(standing);
  const version = versionOfId(name, (document as { Id?: unknown }).Id) ?? null;
  if (version !== null && version > neededVersion) return { state: 'ahead', version, sha256 };
  const differences = compareStatements(standing, normalisePolicy(needed));
  if (differences.length === 0 && version === neededVersion) return { state: 'current', sha256 };
  return { state: version === neededVersion ? 'altered' : 'behind', version, sha256, differences };
}

/** SHA-256 of what a policy says, whatever its order and form; its `Id` left out. */
export function hashPolicy(policy: ResourcePolicy): string {
  return hashOf(normalisePolicy(policy));
}

/** A function's environment has little room: 128 bits, for which nobody finds another policy. */
const NEEDED_DIGITS = 32;

/** What `isAsNeeded` compares with. The keys stand in the policy as `VAULT_KEY_TO_COME` and `REGISTER_KEY_TO_COME`. */
export function hashNeeded(needed: ResourcePolicy): string {
  return hashPolicy(needed).slice(0, NEEDED_DIGITS);
}

/**
 * Whether a policy, as KMS or S3 handed it back, is of this release by its version and says what is needed; false for a text
 * that is no policy. @param found undefined where there is none.
 */
export function isAsNeeded(
  name: OwnPolicyName,
  found: string | undefined,
  needed: string,
  { vaultKeyArn, registerKeyArn }: Pick<Deployment, 'vaultKeyArn' | 'registerKeyArn'>,
): boolean {
  try {
    const document = JSON.parse(found ?? '', (_key, value: unknown) => {
      // Who writes what stands for a key has not named the key.
      if (value === VAULT_KEY_TO_COME || value === REGISTER_KEY_TO_COME) throw new TypeError(`it names ${value}`);
      if (value === vaultKeyArn) return VAULT_KEY_TO_COME;
      return value === registerKeyArn ? REGISTER_KEY_TO_COME : value;
    });
    return versionOfId(name, document?.Id) === POLICY_VERSIONS[name] && hashNeeded(document) === needed;
  } catch {
    return false;
  }
}

/** The statements of a finding that no release of Daybreak is known to have written. */
export function statementsNotOurs(finding: PolicyFinding): readonly string[] {
  const differences = 'differences' in finding ? finding.differences : [];
  return differences.filter(({ what }) => what === 'not-ours').map(({ statement }) => statement);
}

/** A finding's differences in lines for a person. */
export function describeDifferences(differences: readonly StatementDifference[]): string[] {
  return differences.flatMap(({ statement, what, elements }) => [
    {
      missing: `+ ${statement}: is added`,
      'not-ours': `- ${statement}: not written by Daybreak`,
      changed: `~ ${statement}`,
    }[what],
    ...elements.flatMap(({ element, lacks, tooMany }) => [
      ...tooMany.map(value => `    - ${element}: ${describeValue(value)}`),
      ...lacks.map(value => `    + ${element}: ${value}`),
    ]),
  ]);
}

function hashOf(policy: NormalPolicy): string {
  const statements = policy.statements.map(({ sid = null, elements }) => canonicalJson({ sid, elements })).sort();
  return sha256Hex(canonicalJson({ version: policy.version, statements }));
}

function compareStatements(standing: NormalPolicy, needed: NormalPolicy): StatementDifference[] {
  const differences: StatementDifference[] = [];
  if (standing.version !== needed.version) {
    const element = { element: 'Version', lacks: [needed.version], tooMany: [standing.version] };
    differences.push({ statement: 'the language of the policy', what: 'changed', elements: [element] });
  }
  const left = new Map<string, NormalStatement[]>();
  for (const statement of standing.statements) {
    left.set(keyOf(statement), [...(left.get(keyOf(statement)) ?? []), statement]);
  }
  for (const statement of needed.statements) {
    const [found, ...others] = left.get(keyOf(statement)) ?? [];
    left.set(keyOf(statement), others);
    const elements = compareElements(found?.elements ?? {}, statement.elements);
    if (elements.length > 0) {
      differences.push({ statement: keyOf(statement), what: found === undefined ? 'missing' : 'changed', elements });
    }
  }
  for (const statement of [...left.values()].flat()) {
    differences.push({
      statement: keyOf(statement),
      what: 'not-ours',
      elements: compareElements(statement.elements, {}),
    });
  }
  return differences;
}

/** A statement is known by its `Sid`, and without one by what it says. */
function keyOf({ sid, elements }: NormalStatement): string {
  return sid ?? canonicalJson(elements);
}

function compareElements(
  found: NormalStatement['elements'],
  needed: NormalStatement['elements'],
): StatementDifference['elements'] {
  const names = [...new Set([...Object.keys(found), ...Object.keys(needed)])];
  return names.flatMap(element => {
    const there = found[element] ?? [];
    const wanted = needed[element] ?? [];
    const lacks = wanted.filter(value => !there.includes(value));
    const tooMany = there.filter(value => !wanted.includes(value));
    const isInBoth = element in found && element in needed;
    return isInBoth && lacks.length + tooMany.length === 0 ? [] : [{ element, lacks, tooMany }];
  });
}

function normalisePolicy(policy: unknown): NormalPolicy {
  const { Version = '2008-10-17', Statement } = asRecord(policy, 'the policy');
  if (typeof Version !== 'string') throw new TypeError('its Version is no text');
  return { version: Version, statements: asList(Statement).map(normaliseStatement) };
}

function normaliseStatement(statement: unknown): NormalStatement {
  const { Sid, ...elements } = asRecord(statement, 'a statement');
  const normal: Record<string, readonly string[]> = {};
  for (const [name, value] of Object.entries(elements)) {
    if (name === 'Condition') {
      for (const [operator, keys] of Object.entries(asRecord(value, 'a condition'))) {
        for (const [key, values] of Object.entries(asRecord(keys, operator))) {
          // AWS does not tell cases apart in the names of condition keys.
          const element = `Condition ${operator} ${key.toLowerCase()}`;
          // AWS would demand both; none of ours is written so.
          if (element in normal) throw new TypeError(`it names ${key} twice in ${operator}`);
          normal[element] = inOrder(asList(values).map(asText));
        }
      }
    } else if (name === 'Principal' || name === 'NotPrincipal') normal[name] = normalisePrincipals(value);
    // Nor in those of actions.
    else if (/^(?:Not)?Action$/.test(name)) normal[name] = inOrder(asList(value).map(one => asText(one).toLowerCase()));
    else normal[name] = inOrder(asList(value).map(asText));
  }
  return { sid: Sid === undefined || Sid === '' ? undefined : asText(Sid), elements: normal };
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html */
function normalisePrincipals(value: unknown): readonly string[] {
  if (value === '*') return ['AWS:*'];
  const principals = Object.entries(asRecord(value, 'a principal')).flatMap(([kind, names]) =>
    asList(names)
      .map(asText)
      .map(name => {
        const isAccount = kind === 'AWS' && /^\d{12}$/.test(name);
        return `${kind}:${isAccount ? `arn:aws:iam::${name}:root` : name}`;
      }),
  );
  return inOrder(principals);
}

function describeValue(value: string): string {
  return /^AWS:A(?:RO|ID)A[A-Z0-9]+$/.test(value) ? `${value} (a role or user that was deleted)` : value;
}

const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : [value]);
const inOrder = (values: readonly string[]): readonly string[] => [...new Set(values)].sort();

function asText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  throw new TypeError(`${JSON.stringify(value)} stands where a text should`);
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new TypeError(`${what} is no object`);
}
