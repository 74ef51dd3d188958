import type { Principal } from '../service.ts';
import { type Condition, type ConditionContext, compileCondition, MalformedPolicyError } from './condition.ts';
import { checkConditionKey } from './condition-key.ts';
import { compilePrincipals, type GenerationLookup, type PrincipalMatcher } from './principal.ts';
import { compilePattern, type PatternMatcher, type VariableLookup } from './wildcard.ts';

/** One request, as statements see it. */
export interface PolicyRequest {
  readonly principal: Principal;
  readonly action: string;
  readonly resource: string;
  /** Made when a statement first asks for it. */
  context(): ConditionContext;
  readonly lookUp: VariableLookup;
  /** True when a permissions boundary limits the principal. */
  readonly bounded: boolean;
  /** Told of each allowance of an identity policy that the request falls under. */
  readonly onAllowance?: (allowance: string) => void;
}

/**
 * What a policy says of a request. `allow-account`: a resource policy allows the whole account, which leaves the decision
 * to identity policies. `allow-session`: it allows everyone, on condition of `aws:PrincipalArn`, which no permissions
 * boundary that is silent takes away.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-basics.html
 */
export type PolicyVerdict = 'deny' | 'allow' | 'allow-session' | 'allow-account' | 'silent';

interface Statement {
  readonly effect: 'Allow' | 'Deny';
  readonly principals: PrincipalMatcher | undefined;
  readonly actions: Element;
  readonly resources: Element;
  readonly conditions: readonly Condition[];
  /** Its principal is everyone, on condition of `aws:PrincipalArn`. */
  readonly ofSession: boolean;
  /** ` if …` with the conditions as they are written, or nothing. */
  readonly conditionText: string;
}

/** `Action`, `Resource` or their opposites. */
interface Element {
  readonly values: readonly string[];
  readonly matchers: readonly PatternMatcher[];
  readonly inverted: boolean;
}

/** A policy document, read once and asked often. */
export class Policy {
  readonly #statements: readonly Statement[];
  readonly #byAction = new Map<string, readonly Statement[]>();

  /**
   * @param document the policy as an object, or its JSON text.
   * @param kind `resource`: each statement names principals. `identity`: none does.
   * @param generationOf for `resource`: tells a role that was created again from the one that the policy names.
   * @throws MalformedPolicyError naming what IAM would refuse; NotImplementedLocally naming what is not implemented.
   */
  constructor(document: unknown, kind: 'identity' | 'resource', generationOf: GenerationLookup = () => 0) {
    const { Version, Id, Statement, ...unknown } = asRecord(parseIfText(document), 'the policy');
    refuseUnknown(unknown, 'a policy');
    if (Version !== undefined && Version !== '2012-10-17' && Version !== '2008-10-17') {
      throw new MalformedPolicyError(`the policy version ${String(Version)} does not exist`);
    }
    if (Id !== undefined) asText(Id, 'Id');
    const statements = Array.isArray(Statement) ? Statement : [Statement];
    const variables = Version === '2012-10-17';
    this.#statements = statements.map(statement => compileStatement(statement, kind, variables, generationOf));
  }

  /** What this policy says of `request`: an explicit deny wins, then an allow. */
  judge(request: PolicyRequest): PolicyVerdict {
    let verdict: PolicyVerdict = 'silent';
    for (const statement of this.#statementsFor(request.action)) {
      const match = statement.principals?.(request.principal, request.bounded) ?? 'itself';
      if (match === 'none' || !matchesResource(statement, request)) continue;
      if (!statement.conditions.every(holds => holds(request.context(), request.lookUp))) continue;
      if (statement.effect === 'Deny') return 'deny';
      if (match === 'itself') {
        if (verdict !== 'allow-session') verdict = statement.ofSession ? 'allow-session' : 'allow';
        if (request.onAllowance !== undefined) noteAllowances(statement, request, request.onAllowance);
      } else if (verdict === 'silent') verdict = 'allow-account';
    }
    return verdict;
  }

  /**
   * Everything that the policy allows, by single actions and resources as they are written:
   * `s3:GetObject on arn:aws:s3:::vault/* if {…}`.
   */
  allowances(): string[] {
    return this.#statements
      .filter(({ effect }) => effect === 'Allow')
      .flatMap(statement =>
        statement.actions.values.flatMap(action =>
          statement.resources.values.map(resource => nameAllowance(statement, action, resource)),
        ),
      );
  }

  #statementsFor(action: string): readonly Statement[] {
    let statements = this.#byAction.get(action);
    if (statements === undefined) {
      statements = this.#statements.filter(statement => matchesAction(statement.actions, action));
      this.#byAction.set(action, statements);
    }
    return statements;
  }
}

function matchesAction({ matchers, inverted }: Element, action: string): boolean {
  return matchers.some(matches => matches(action.toLowerCase(), () => undefined)) !== inverted;
}

function matchesResource({ resources }: Statement, { resource, lookUp }: PolicyRequest): boolean {
  return resources.matchers.some(matches => matches(resource, lookUp)) !== resources.inverted;
}

function noteAllowances(statement: Statement, request: PolicyRequest, note: (allowance: string) => void): void {
  const { actions, resources } = statement;
  const action = request.action.toLowerCase();
  actions.values.forEach((actionText, index) => {
    if (actions.matchers[index]?.(action, () => undefined) === actions.inverted) return;
    resources.values.forEach((resourceText, position) => {
      if (resources.matchers[position]?.(request.resource, request.lookUp) === resources.inverted) return;
      note(nameAllowance(statement, actionText, resourceText));
    });
  });
}

function nameAllowance({ actions, resources, conditionText }: Statement, action: string, resource: string): string {
  const not = ({ inverted }: Element) => (inverted ? 'not ' : '');
  return `${not(actions)}${action} on ${not(resources)}${resource}${conditionText}`;
}

function compileStatement(
  statement: unknown,
  kind: 'identity' | 'resource',
  variables: boolean,
  generationOf: GenerationLookup,
): Statement {
  const { Sid, Effect, Principal, NotPrincipal, Action, NotAction, Resource, NotResource, Condition, ...unknown } =
    asRecord(statement, 'a statement');
  refuseUnknown(unknown, 'a statement');
  if (Sid !== undefined) asText(Sid, 'Sid');
  if (Effect !== 'Allow' && Effect !== 'Deny') throw new MalformedPolicyError('Effect must be Allow or Deny');
  if (kind === 'identity' && (Principal !== undefined || NotPrincipal !== undefined)) {
    throw new MalformedPolicyError('an identity policy has no principal');
  }
  const actions = exactlyOne({ Action, NotAction });
  const resources = exactlyOne({ Resource, NotResource });
  const actionMatchers = actions.values.map(action => {
    if (action !== '*' && !/^[a-z0-9-]+:[A-Za-z0-9*?]+$/i.test(action)) {
      throw new MalformedPolicyError(`not an action: ${action}`);
    }
    return compilePattern(action.toLowerCase(), { wildcards: true, variables: false });
  });
  return {
    effect: Effect,
    principals: kind === 'resource' ? compilePrincipals(Effect, Principal, NotPrincipal, generationOf) : undefined,
    actions: { ...actions, matchers: actionMatchers },
    resources: {
      ...resources,
      matchers: resources.values.map(resource => compilePattern(completeArn(resource), { wildcards: true, variables })),
    },
    ofSession: Effect === 'Allow' && isEveryone(Principal) && namesPrincipal(Condition),
    conditionText: Condition === undefined ? '' : ` if ${JSON.stringify(Condition)}`,
    conditions: Object.entries(Condition === undefined ? {} : asRecord(Condition, 'Condition')).flatMap(
      ([operator, keys]) =>
        Object.entries(asRecord(keys, operator)).map(([key, values]) => {
          checkConditionKey(key);
          return compileCondition(operator, key, asTexts(values, key), variables);
        }),
    ),
  };
}

function isEveryone(principal: unknown): boolean {
  const names = principal === '*' ? principal : (principal as { AWS?: unknown } | undefined)?.AWS;
  return names === '*' || (Array.isArray(names) && names.includes('*'));
}

function namesPrincipal(condition: unknown): boolean {
  return Object.values(condition === undefined ? {} : asRecord(condition, 'Condition')).some(keys =>
    Object.keys(asRecord(keys, 'Condition')).some(key => key.toLowerCase() === 'aws:principalarn'),
  );
}

/** IAM reads an ARN with fewer than six fields as if the missing ones were `*`. */
function completeArn(resource: string): string {
  if (resource === '*' || resource.startsWith('${')) return resource;
  if (!resource.startsWith('arn:')) throw new MalformedPolicyError(`the resource ${resource} must be an ARN or *`);
  const fields = resource.split(':').length;
  return fields >= 6 ? resource : resource + ':*'.repeat(6 - fields);
}

function exactlyOne(elements: Record<string, unknown>): { values: readonly string[]; inverted: boolean } {
  const [given, ...rest] = Object.entries(elements).filter(([, value]) => value !== undefined);
  if (given === undefined || rest.length > 0) {
    throw new MalformedPolicyError(`a statement has exactly one of ${Object.keys(elements).join(' and ')}`);
  }
  return { values: asTexts(given[1], given[0]), inverted: given[0].startsWith('Not') };
}

function parseIfText(document: unknown): unknown {
  if (typeof document !== 'string') return document;
  try {
    return JSON.parse(document);
  } catch (cause) {
    throw new MalformedPolicyError('the policy is not JSON', { cause });
  }
}

function asRecord(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new MalformedPolicyError(`${what} must be an object`);
  }
  return value as Record<string, unknown>;
}

function asText(value: unknown, what: string): string {
  if (typeof value === 'string') return value;
  throw new MalformedPolicyError(`${what} must be text`);
}

function asTexts(value: unknown, what: string): readonly string[] {
  const values: unknown[] = Array.isArray(value) ? value : [value];
  if (values.length === 0) throw new MalformedPolicyError(`${what} is empty`);
  return values.map(one => (typeof one === 'boolean' || typeof one === 'number' ? String(one) : asText(one, what)));
}

function refuseUnknown(unknown: Record<string, unknown>, where: string): void {
  const [name] = Object.keys(unknown);
  if (name !== undefined) throw new MalformedPolicyError(`${where} has no element ${name}`);
}
