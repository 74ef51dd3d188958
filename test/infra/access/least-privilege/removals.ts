import { currentRuntime } from '../../../../functions/platform/runtime.ts';
import { roleArn } from '../../../../infra/access/role-names.ts';
import type { LocalCloud } from '../../../../infra/local/cloud.ts';
import { AccessDenied } from '../../../../infra/local/service.ts';
import { type Allowance, joinPolicy, nameOf, splitPolicies } from './split-policies.ts';

/** What came of an attempt whose role lacked one allowance. */
export interface Refusal {
  readonly role: string;
  readonly allowance: string;
  /** `s3:GetObject` */
  readonly action: string;
  /** The requests that IAM refused meanwhile, the first one first: action, resource and why. */
  readonly denied: readonly string[];
  readonly outcome: Outcome;
  /** What the function logged. */
  readonly lines: readonly string[];
}

export type Outcome =
  | { readonly kind: 'answered'; readonly payload: unknown }
  | { readonly kind: 'failed'; readonly error: unknown };

interface Attempt {
  readonly role: string;
  withdrawn: Allowance | undefined;
  readonly denied: string[];
}

interface SplitRole {
  readonly allowances: readonly Allowance[];
  readonly denials: ReturnType<typeof splitPolicies>['denials'];
}

const LOCK_POLL_MS = 1000;

/**
 * Takes roles' allowances away, one at a time. A function is called again and again with the same event: each time, the
 * first allowance that it asks for and that was never refused before is withdrawn at that moment, all others stay. When
 * nothing is left to withdraw, it is called for good, and then once more, as if its first answer had been lost.
 */
export class Removals {
  readonly refusals: Refusal[] = [];
  /** Called before each attempt, to bring about what the function is to find. */
  prepare: (functionName: string, event: unknown) => Promise<void> = async () => {};
  readonly #cloud: LocalCloud;
  readonly #roles = new Map<string, SplitRole>();
  readonly #refused = new Map<string, Set<string>>();
  readonly #shared = new Map<string, Set<string>>();
  readonly #attempts = new Map<string, Attempt>();
  readonly #locked = new Set<string>();

  constructor(cloud: LocalCloud, roles: readonly string[]) {
    this.#cloud = cloud;
    for (const role of roles) {
      const { policies, managedPolicies = [], boundary } = cloud.iam.describeRole(this.#arn(role));
      if (managedPolicies.length > 0 || boundary !== undefined) {
        throw new Error(`${role}: policies of AWS and boundaries are not split here`);
      }
      this.#roles.set(role, splitPolicies(policies));
      this.#put(role);
    }
    cloud.iam.intercept(({ principal, action, resource }, allowances, judge) => {
      const attempt = this.#attempts.get(principal.arn);
      try {
        judge();
        if (attempt === undefined || !this.#withdrawOne(attempt, allowances)) return;
        judge();
      } catch (error) {
        if (error instanceof AccessDenied) attempt?.denied.push(`${action} on ${resource}: ${error.message}`);
        throw error;
      }
    });
    cloud.lambda.intercept(({ functionName, event }, next) => this.#exhaust(functionName, event, next));
  }

  /** All that a role is allowed, as single allowances, by their names. */
  allowancesOf(role: string): string[] {
    return this.#find(role).allowances.map(nameOf);
  }

  /** The names of other allowances that a request fell under as well: of such ones none can be missed. */
  sharedWith(role: string, allowance: string): string[] {
    return [...(this.#shared.get(`${role} ${allowance}`) ?? [])];
  }

  /** Withdraws an allowance by its name, until it is given back. @returns what gives it back. */
  withdraw(role: string, allowance: string): () => void {
    this.#put(role, allowance);
    return () => this.#put(role);
  }

  /** Whether an allowance is withdrawn from a role at this moment. */
  isRefusing(roleArn: string): boolean {
    return this.#attempts.get(roleArn)?.withdrawn !== undefined;
  }

  /** Lets functions run as they are, with all that they are allowed, and leaves the cloud's interceptors. */
  end(): void {
    this.#cloud.iam.intercept(undefined);
    this.#cloud.lambda.intercept(undefined);
  }

  async #exhaust(role: string, event: unknown, next: () => Promise<unknown>): Promise<unknown> {
    // Two invocations of one function would be refused together. One that sleeps does not hold time.
    while (this.#locked.has(role)) await this.#cloud.clock.sleep(LOCK_POLL_MS);
    this.#locked.add(role);
    try {
      for (let answers = 0; ; ) {
        const { refusal, outcome } = await this.#attempt(role, event, next);
        if (refusal !== undefined) this.refusals.push(refusal);
        else if (outcome.kind === 'failed') throw outcome.error;
        else if (++answers === 2) return outcome.payload;
      }
    } finally {
      this.#locked.delete(role);
    }
  }

  async #attempt(
    role: string,
    event: unknown,
    next: () => Promise<unknown>,
  ): Promise<{ outcome: Outcome; refusal: Refusal | undefined }> {
    await this.prepare(role, event);
    const attempt: Attempt = { role, withdrawn: undefined, denied: [] };
    const lines: string[] = [];
    const stop = this.#cloud.lambda.onLine((name, line) => name === role && lines.push(line));
    this.#attempts.set(this.#arn(role), attempt);
    // A cold start: what an earlier attempt was allowed to read helps this one no more.
    currentRuntime().instances.clear();
    let outcome: Outcome;
    try {
      outcome = { kind: 'answered', payload: await next() };
    } catch (error) {
      outcome = { kind: 'failed', error };
    } finally {
      this.#attempts.delete(this.#arn(role));
      stop();
    }
    const { withdrawn, denied } = attempt;
    if (withdrawn === undefined) return { outcome, refusal: undefined };
    this.#put(role);
    return {
      outcome,
      refusal: { role, allowance: nameOf(withdrawn), action: withdrawn.action, denied, outcome, lines },
    };
  }

  #withdrawOne(attempt: Attempt, allowances: readonly string[]): boolean {
    const { role, withdrawn } = attempt;
    if (allowances.length > 1) {
      for (const allowance of allowances) {
        const others = allowances.filter(other => other !== allowance);
        const known = this.#shared.get(`${role} ${allowance}`) ?? new Set();
        this.#shared.set(`${role} ${allowance}`, new Set([...known, ...others]));
      }
    }
    const [only, ...others] = allowances;
    const refused = this.#refused.get(role) ?? new Set();
    if (withdrawn !== undefined || only === undefined || others.length > 0 || refused.has(only)) return false;
    attempt.withdrawn = this.#find(role).allowances.find(allowance => nameOf(allowance) === only);
    this.#refused.set(role, refused.add(only));
    this.#put(role, only);
    return true;
  }

  #put(role: string, without?: string): void {
    const { allowances, denials } = this.#find(role);
    const left = allowances.filter(allowance => nameOf(allowance) !== without);
    this.#cloud.iam.putRole({ arn: this.#arn(role), policies: [joinPolicy(left, denials)] });
  }

  #find(role: string): SplitRole {
    const found = this.#roles.get(role);
    if (found === undefined) throw new Error(`the role ${role} was not split`);
    return found;
  }

  #arn(role: string): string {
    return roleArn(this.#cloud.accountId, role);
  }
}
