import { PutKeyPolicyCommand } from '@aws-sdk/client-kms';
import { PutBucketPolicyCommand } from '@aws-sdk/client-s3';
import type { ResourcePolicy } from '../../../functions/contracts/policies.ts';
import { tenantKeyAlias } from '../../../functions/contracts/vault-layout.ts';
import { type Runtime, withRuntime } from '../../../functions/platform/runtime.ts';
import { readConfiguration, type SupplierConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import type { Principal } from '../../../infra/local/service.ts';
import { planUpgrade } from '../../../runbooks/keys/plan-upgrade.ts';
import { type SurveyedPolicy, surveyPolicies } from '../../../runbooks/keys/survey-policies.ts';
import { type Upgraded, upgradePolicies } from '../../../runbooks/keys/upgrade-policies.ts';
import { AttackedAccount, administrator, operator, ROLES } from '../../infra/access/attacks-account.ts';

/** An account whose administrator looks after policies. */
export class PoliciesAccount {
  readonly account: AttackedAccount;
  readonly configuration: SupplierConfiguration = readConfiguration({
    ...exampleConfiguration,
    operatorRoleArns: [operator.arn],
  });
  /** Requests that the administrator made, as `PutKeyPolicy` or `PUT policy`, with the instant of each. */
  readonly requests: { readonly name: string; readonly atMs: number }[] = [];
  /** Called with each request; what it throws breaks the connection, before or, by its answer, after it was carried out. */
  onRequest: (name: string) => undefined | (() => never) = () => undefined;

  constructor(account: AttackedAccount) {
    this.account = account;
  }

  static async create(tenants: readonly string[] = [], stateDirectory?: string): Promise<PoliciesAccount> {
    const made = new PoliciesAccount(await AttackedAccount.create(stateDirectory));
    for (const tenant of tenants) await made.account.createTenantKey(tenant);
    return made;
  }

  /** Runs something as the command does, in the name of a principal. */
  run<T>(work: () => Promise<T>, principal: Principal = administrator): Promise<T> {
    const { cloud } = this.account;
    const clientConfiguration = cloud.clientConfiguration(principal);
    const { requestHandler } = clientConfiguration;
    const runtime: Runtime = {
      // What pulse is told of this release; the administrator's command reads none of it.
      environment: cloud.lambda.environmentOf('daybreak-pulse-read-back'),
      clock: cloud.clock,
      clientConfiguration: {
        ...clientConfiguration,
        maxAttempts: 1,
        requestHandler: {
          ...requestHandler,
          handle: async (request: {
            method: string;
            path: string;
            query?: object;
            headers: Record<string, string>;
          }) => {
            const target = request.headers['x-amz-target']?.replace('TrentService.', '');
            const isPolicy = Object.keys(request.query ?? {}).includes('policy');
            const name = target ?? `${request.method} ${isPolicy ? 'policy' : request.path}`;
            this.requests.push({ name, atMs: cloud.clock.now().getTime() });
            const after = this.onRequest(name);
            const answer = await requestHandler.handle(request);
            after?.();
            return answer;
          },
        },
      },
      writeLine: () => {},
      instances: new Map(),
    };
    return withRuntime(runtime, work);
  }

  check(configuration = this.configuration): Promise<SurveyedPolicy[]> {
    return this.run(() => surveyPolicies(configuration));
  }

  /** What `keys upgrade --yes` does. */
  upgrade(replacing: readonly string[] = [], principal: Principal = administrator): Promise<Upgraded> {
    return this.run(async () => {
      const plan = planUpgrade(await surveyPolicies(this.configuration), replacing);
      if ('ahead' in plan) throw new Error(`${plan.ahead.length} are of a later release`);
      return upgradePolicies(plan, this.configuration);
    }, principal);
  }

  /** Puts another policy in the place of one, as the root user. */
  async put({ place }: SurveyedPolicy, policy: object): Promise<void> {
    const { cloud } = this.account;
    const Policy = JSON.stringify(policy);
    if (place.kind === 'key') {
      await this.account.kms(cloud.root).send(new PutKeyPolicyCommand({ KeyId: place.keyArn, Policy }));
    } else await this.account.s3(cloud.root).send(new PutBucketPolicyCommand({ Bucket: place.bucket, Policy }));
  }

  /** Makes every policy one of the release before versions. */
  async age(): Promise<void> {
    for (const surveyed of await this.check()) await this.put(surveyed, earlier(surveyed.needed));
  }

  /** A tenant's key as `ensure-key` makes one, without its function. */
  addTenant(tenant: string, policy: object): void {
    const { kms } = this.account.cloud;
    kms.createAliasFromTemplate(tenantKeyAlias(tenant), kms.createKeyFromTemplate({ policy }).keyId);
  }
}

/** The same policy as the release before versions had it: today's roles one by one, and no `Id`. */
export function earlier(policy: ResourcePolicy): object {
  const text = JSON.stringify({ Version: policy.Version, Statement: policy.Statement }, (_key, value: unknown) => {
    if (!Array.isArray(value)) return value;
    const isPattern = (one: unknown) => typeof one === 'string' && /:role\/daybreak-[a-z-]+-\*$/.test(one);
    const patterns = value.filter(isPattern) as string[];
    if (patterns.length === 0) return value;
    const roles = ROLES.map(({ arn }) => arn).filter(arn =>
      patterns.some(pattern => arn.startsWith(pattern.slice(0, -1))),
    );
    return [...value.filter(one => !isPattern(one)), ...roles];
  });
  const { Version, Statement } = JSON.parse(text) as ResourcePolicy;
  return { Version, Statement: Statement.filter(({ Sid }) => Sid !== 'NotThroughAPath') };
}

/** How many policies there are in each state. */
export function countStates(surveyed: readonly SurveyedPolicy[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const { finding } of surveyed) counts[finding.state] = (counts[finding.state] ?? 0) + 1;
  return counts;
}
