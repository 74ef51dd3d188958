import type { LocalClock } from '../clock.ts';
import { AccessDenied, type AuthorizationRequest, type Authorizer, type Principal } from '../service.ts';
import type { ConditionContext } from './condition.ts';
import { managedPolicy } from './managed-policies.ts';
import { Policy, type PolicyRequest, type PolicyVerdict } from './policy.ts';
import { accountOf } from './principal.ts';

/** A role with everything that is attached to it. */
export interface RoleDefinition {
  /** `arn:aws:iam::111122223333:role/daybreak-backup-plan` */
  readonly arn: string;
  /** Policy documents: inline and customer-managed. */
  readonly policies: readonly unknown[];
  /** AWS's managed policies, by ARN or name. */
  readonly managedPolicies?: readonly string[];
  /** The document of the permissions boundary. */
  readonly boundary?: unknown;
}

interface Role {
  readonly definition: RoleDefinition;
  readonly policies: readonly Policy[];
  readonly boundary: Policy | undefined;
}

/**
 * Stands around each judgement, for tests that change roles at the moment of a request: gets the request and the
 * allowances of its role that it falls under, and calls `judge`, which throws where the request is refused.
 */
export type JudgementInterceptor = (
  request: AuthorizationRequest,
  allowances: readonly string[],
  judge: () => void,
) => void;

const MAX_REMEMBERED_TEXTS = 1000;

/**
 * The local IAM, for one account: an explicit deny anywhere denies; else the role's identity policies or the resource's
 * policy must allow (for KMS the key's policy must, by naming the role or by leaving it to the account), and the
 * permissions boundary too. What comes from inside the VPC the endpoint's policy must allow as well.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
 */
export class LocalIam implements Authorizer {
  readonly #clock: Pick<LocalClock, 'now'>;
  readonly #roles = new Map<string, Role>();
  readonly #used = new Map<string, { actions: Set<string>; allowances: Set<string> }>();
  readonly #endpointPolicies = new Map<string, Policy>();
  readonly #deletions = new Map<string, number>();
  readonly #policyOfObject = new WeakMap<object, Policy>();
  readonly #policyOfText = new Map<string, Policy>();
  #interceptor: JudgementInterceptor | undefined;

  constructor(options: { clock: Pick<LocalClock, 'now'> }) {
    this.#clock = options.clock;
  }

  /**
   * Adds a role, or replaces it with everything attached to it.
   * @throws MalformedPolicyError, NotImplementedLocally for a policy that cannot be judged exactly.
   */
  putRole(definition: RoleDefinition): void {
    const { arn, policies, managedPolicies = [], boundary } = definition;
    const documents = [...policies, ...managedPolicies.map(managedPolicy)];
    this.#roles.set(arn, {
      definition,
      policies: documents.map(document => new Policy(document, 'identity')),
      boundary: boundary === undefined ? undefined : new Policy(boundary, 'identity'),
    });
  }

  /**
   * Deletes a role with everything attached to it. Resource policies that named it by its ARN name nobody from now on:
   * AWS keeps the role's unique id in them, and a role created again has another. (Here the id is taken when a policy is
   * first judged, and there when it is saved.)
   * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-roles
   */
  deleteRole(arn: string): void {
    if (this.#roles.delete(arn)) this.#deletions.set(arn, this.#generationOf(arn) + 1);
  }

  readonly #generationOf = (arn: string): number => this.#deletions.get(arn) ?? 0;

  /** What the VPC's endpoint for a service lets through. An endpoint without a policy lets everything through. */
  putEndpointPolicy(service: 's3' | 'kms', document: unknown): void {
    this.#endpointPolicies.set(service, new Policy(document, 'resource'));
  }

  deleteEndpointPolicy(service: 's3' | 'kms'): void {
    this.#endpointPolicies.delete(service);
  }

  hasRole(arn: string): boolean {
    return this.#roles.has(arn);
  }

  /** The role as it was put last. @throws Error where there is none. */
  describeRole(arn: string): RoleDefinition {
    const role = this.#roles.get(arn);
    if (role === undefined) throw new Error(`there is no role ${arn}`);
    return role.definition;
  }

  /** Puts `interceptor` around every judgement from now on, in the place of the last one; `undefined` puts none. */
  intercept(interceptor: JudgementInterceptor | undefined): void {
    this.#interceptor = interceptor;
  }

  /** The actions that were asked for and allowed under a role so far, sorted: what its policies grant beyond is unused. */
  usedActions(roleArn: string): string[] {
    return [...(this.#used.get(roleArn)?.actions ?? [])].sort();
  }

  /**
   * What a role's policies allow, one line for each action on each resource as written, sorted: those that an allowed
   * request fell under so far, and the others.
   */
  allowances(roleArn: string): { used: string[]; unused: string[] } {
    const used = this.#used.get(roleArn)?.allowances ?? new Set();
    const all = new Set(this.#roles.get(roleArn)?.policies.flatMap(policy => policy.allowances()));
    return {
      used: [...all].filter(allowance => used.has(allowance)).sort(),
      unused: [...all].filter(allowance => !used.has(allowance)).sort(),
    };
  }

  authorize(request: AuthorizationRequest): void {
    const judge = () => this.#judge(request);
    if (this.#interceptor === undefined) judge();
    else {
      const allowances: string[] = [];
      this.#reasonToDeny(request, allowance => allowances.push(allowance));
      this.#interceptor(request, allowances, judge);
    }
  }

  #judge(request: AuthorizationRequest): void {
    const { principal, action, resource } = request;
    const allowances: string[] = [];
    const reason = this.#reasonToDeny(request, allowance => allowances.push(allowance));
    if (reason !== undefined) {
      throw new AccessDenied(
        `User: ${principal.arn} is not authorized to perform: ${action} on resource: ${resource} ${reason}`,
      );
    }
    let used = this.#used.get(principal.arn);
    if (used === undefined) {
      used = { actions: new Set(), allowances: new Set() };
      this.#used.set(principal.arn, used);
    }
    used.actions.add(action);
    for (const allowance of allowances) used.allowances.add(allowance);
  }

  #reasonToDeny(
    { principal, action, resource, resourcePolicy, resourcePolicyRequired, context }: AuthorizationRequest,
    onAllowance: (allowance: string) => void,
  ): string | undefined {
    const role = this.#roles.get(principal.arn);
    if (role === undefined && this.#deletions.has(principal.arn)) return 'because the role was deleted';
    let conditions: ConditionContext | undefined;
    const conditionContext = () => {
      conditions ??= this.#conditionContext(principal, context);
      return conditions;
    };
    const request: PolicyRequest = {
      principal,
      action,
      resource,
      context: conditionContext,
      lookUp: name => {
        const value = conditionContext().get(name.toLowerCase());
        return typeof value === 'string' ? value : undefined;
      },
      bounded: role?.boundary !== undefined,
    };
    const identity = principal.kind === 'root' ? 'allow' : judgeAll(role?.policies ?? [], { ...request, onAllowance });
    if (identity === 'deny') return 'with an explicit deny in an identity-based policy';
    const boundary = role?.boundary?.judge(request) ?? 'allow';
    if (boundary === 'deny') return 'with an explicit deny in a permissions boundary';
    const ofResource = resourcePolicy === undefined ? 'silent' : this.#resourcePolicy(resourcePolicy).judge(request);
    if (ofResource === 'deny') return 'with an explicit deny in a resource-based policy';
    const ofEndpoint = this.#endpointOf(principal, action, context)?.judge(request) ?? 'allow';
    if (ofEndpoint === 'deny') return 'with an explicit deny in a VPC endpoint policy';
    if (!allows(ofResource)) {
      if (resourcePolicyRequired && ofResource === 'silent') {
        return `because no resource-based policy allows the ${action} action`;
      }
      if (identity !== 'allow') return `because no identity-based policy allows the ${action} action`;
    }
    if (boundary !== 'allow' && ofResource !== 'allow-session')
      return `because no permissions boundary allows the ${action} action`;
    // A gateway endpoint that names an account means its root user alone.
    if (!allows(ofEndpoint)) return `because no VPC endpoint policy allows the ${action} action`;
    return undefined;
  }

  // What a service asks on its caller's behalf does not come from the VPC.
  #endpointOf(principal: Principal, action: string, context: AuthorizationRequest['context']): Policy | undefined {
    if (!principal.insideVpc || context['kms:ViaService'] !== undefined) return undefined;
    return this.#endpointPolicies.get(action.split(':', 1)[0] ?? '');
  }

  #conditionContext(principal: Principal, given: AuthorizationRequest['context']): ConditionContext {
    const account = accountOf(principal.arn);
    const now = this.#clock.now();
    const context = new Map<string, string | readonly string[]>([
      ['aws:principalarn', principal.arn],
      ['aws:principalaccount', account],
      ['aws:principaltype', principal.kind === 'root' ? 'Account' : 'AssumedRole'],
      ['aws:principalisawsservice', 'false'],
      ['aws:viaawsservice', 'false'],
      ['aws:requestedregion', 'eu-west-2'],
      ['aws:resourceaccount', account],
      ['aws:securetransport', 'true'],
      ['aws:currenttime', now.toISOString()],
      ['aws:epochtime', String(Math.floor(now.getTime() / 1000))],
    ]);
    for (const key in given) {
      const value = given[key];
      if (value !== undefined) context.set(key.toLowerCase(), value);
    }
    return context;
  }

  // Services hand over the same document for each request; it is read once.
  #resourcePolicy(document: unknown): Policy {
    const known =
      typeof document === 'string'
        ? this.#policyOfText.get(document)
        : typeof document === 'object' && document !== null
          ? this.#policyOfObject.get(document)
          : undefined;
    if (known !== undefined) return known;
    const policy = new Policy(document, 'resource', this.#generationOf);
    if (typeof document === 'string') {
      if (this.#policyOfText.size >= MAX_REMEMBERED_TEXTS) this.#policyOfText.clear();
      this.#policyOfText.set(document, policy);
    } else this.#policyOfObject.set(document as object, policy);
    return policy;
  }
}

const allows = (verdict: PolicyVerdict) => verdict === 'allow' || verdict === 'allow-session';

function judgeAll(policies: readonly Policy[], request: PolicyRequest): PolicyVerdict {
  let verdict: PolicyVerdict = 'silent';
  for (const policy of policies) {
    const one = policy.judge(request);
    if (one === 'deny') return 'deny';
    if (one === 'allow') verdict = 'allow';
  }
  return verdict;
}
