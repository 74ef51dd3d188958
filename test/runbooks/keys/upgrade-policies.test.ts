import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PolicyName } from '../../../functions/contracts/policies.ts';
import { describeDifferences } from '../../../functions/platform/policy-comparison.ts';
import { tenantKeyPolicy } from '../../../functions/platform/tenant-key-policy.ts';
import { readPolicies } from '../../../functions/pulse/read-policies.ts';
import { operatorPolicy } from '../../../infra/access/operator-policy.ts';
import { responderPolicy } from '../../../infra/access/responder-policy.ts';
import { roleArn, stepName } from '../../../infra/access/role-names.ts';
import type { Principal } from '../../../infra/local/service.ts';
import { describeEntries } from '../../../runbooks/cli/describe-entries.ts';
import { findEntries } from '../../../runbooks/cli/find-entries.ts';
import { recordDecision } from '../../../runbooks/cli/record-decision.ts';
import { announceUpgraded, planUpgrade } from '../../../runbooks/keys/plan-upgrade.ts';
import type { SurveyedPolicy } from '../../../runbooks/keys/survey-policies.ts';
import { UpgradeNotRecordedError } from '../../../runbooks/keys/upgrade-policies.ts';
import { account, operator, step, widened } from '../../infra/access/attacks-account.ts';
import { killUpgrades, whatRolesMay } from './killed-upgrades.ts';
import { countStates, earlier, PoliciesAccount } from './policies-account.ts';

const OWN_POLICIES = 14;
const TENANTS = ['oak', 'elm', 'ash'];
const ALL = OWN_POLICIES + TENANTS.length;

let own: PoliciesAccount;
beforeAll(async () => {
  own = await PoliciesAccount.create(TENANTS);
});
afterAll(() => own?.account.cloud.close());

const find = (surveyed: readonly SurveyedPolicy[], policy: PolicyName) => {
  const found = surveyed.find(one => one.policy === policy);
  if (found === undefined) throw new Error(`no ${policy}`);
  return found;
};
const policyEntries = async () => (await own.account.ledger()).filter(({ kind }) => kind.startsWith('policies.'));
const last = <T>(all: readonly T[]): T | undefined => all.at(-1);

describe('what is deployed', () => {
  it('is what keys check wants, each policy', async () => {
    const surveyed = await own.check();
    expect(
      surveyed.flatMap(({ subject, finding }) => (finding.state === 'current' ? [] : [[subject, finding]])),
    ).toEqual([]);
    expect(surveyed.map(({ subject }) => subject).sort()).toEqual(
      [
        ...['alarms', 'entries', 'ledger', 'logs', 'register', 'signing', 'tenant-ids', 'trail', 'vault'].map(
          name => `alias/daybreak/${name}`,
        ),
        ...TENANTS.map(name => `alias/daybreak/tenant/${name}`),
        ...['evidence', 'register', 'trail', 'vault', 'work'].map(name => `daybreak-${name}-${account}-eu-west-2`),
      ].sort(),
    );
  });

  it('is recorded as such by an upgrade that has nothing to do', async () => {
    const { changedCount, sequence } = await own.upgrade();
    expect(changedCount).toBe(0);
    const entry = last(await policyEntries());
    expect(entry).toMatchObject({ sequence, kind: 'policies.upgraded', body: { changedCount: 0 } });
    expect(entry?.body.tenantKeys).toEqual({ version: 2, currentCount: TENANTS.length, otherCount: 0, others: [] });
  });
});

describe('policies of an earlier release', () => {
  it('are shown with what they lack, put, read back and recorded', async () => {
    const before = await whatRolesMay(own);
    await own.age();
    expect(await whatRolesMay(own)).toEqual(before);
    const aged = await own.check();
    expect(countStates(aged)).toEqual({ behind: ALL });
    const { finding } = find(aged, 'tenant-key');
    const lines = 'differences' in finding ? describeDifferences(finding.differences) : [];
    expect(lines).toContain(
      `    + Condition ArnLike aws:principalarn: arn:aws:iam::${account}:role/daybreak-retention-*`,
    );
    const recorded = (await policyEntries()).length;
    const { changedCount, after } = await own.upgrade();
    expect([changedCount, countStates(after), countStates(await own.check())]).toEqual([
      ALL,
      { current: ALL },
      { current: ALL },
    ]);
    expect(await whatRolesMay(own)).toEqual(before);
    const entries = (await policyEntries()).slice(recorded);
    expect(entries.map(({ kind, body }) => [kind, Array.isArray(body.policies) && body.policies.length])).toEqual([
      ['policies.upgrade-planned', 5],
      ['policies.upgrade-planned', OWN_POLICIES - 5],
      ['policies.upgrade-planned', TENANTS.length],
      ['policies.upgraded', OWN_POLICIES],
    ]);
    const put = entries
      .slice(0, 3)
      .flatMap(({ body }) => body.policies as { toSha256: string; from: null; to: number }[]);
    expect(put.map(({ from, to }) => [from, to])).toEqual(put.map(() => [null, 2]));
    const stands = entries
      .slice(3)
      .flatMap(({ body }) => (body.policies as { sha256: string }[]).map(({ sha256 }) => sha256));
    expect(put.map(({ toSha256 }) => toSha256)).toEqual(expect.arrayContaining(stands));
  });

  it('leave no line for each put that was recorded before, and one for every other', async () => {
    const keyOf = async (policy: PolicyName) => {
      const { place } = find(await own.check(), policy);
      return place.kind === 'key' ? place.keyArn : '';
    };
    // Somebody makes use of the noise: another policy, the right one once more, and that of one school on another's key.
    const all = await own.check();
    const [oak, elm] = ['oak', 'elm'].map(name =>
      all.find(({ subject }) => subject === `alias/daybreak/tenant/${name}`),
    );
    const vaultKey = find(all, 'vault-key');
    await own.put(vaultKey, earlier(vaultKey.needed));
    await own.put(vaultKey, vaultKey.needed);
    if (oak && elm) await own.put(oak, elm.needed);
    if (oak) await own.put(oak, oak.needed);
    await own.account.cloud.invocations.settle();
    const show = (limit?: number) =>
      own.run(
        () =>
          findEntries(own.account.bucketName('evidence'), { kinds: [], subject: undefined, since: undefined, limit }),
        operator,
      );
    const found = await show();
    const keys = ALL - 5;
    expect(found.upgraded).toMatchObject([{ actor: expect.stringMatching(/^principal\/AROA/), entryCount: keys }]);
    const puts = found.entries.filter(({ body }) => body.eventName === 'PutKeyPolicy' && body.rule === 'key-changed');
    // Those that made the policies old, and the four above.
    expect(puts).toHaveLength(keys + 4);
    expect(puts.every(({ actor }) => actor === 'root')).toBe(true);
    expect(puts.slice(-4).map(({ subject }) => subject)).toEqual([
      ...Array(2).fill(await keyOf('vault-key')),
      ...Array(2).fill(oak?.place.kind === 'key' && oak.place.keyArn),
    ]);
    // The newest six: the upgrade's own lie between the fourth and the fifth.
    const newest = await show(6);
    expect(newest.entries).toEqual(found.entries.slice(-6));
    expect([newest.isComplete, newest.upgraded]).toEqual([false, found.upgraded]);
    expect(describeEntries(newest, undefined, { width: undefined, hasColour: false, redraws: false })).toMatch(
      new RegExp(
        `^and ${keys} policies put by principal/AROA\\w+ as the upgrade of \\S+ had recorded, between entries`,
        'm',
      ),
    );
  });

  it('lock nobody out, whichever request the upgrade was killed at, and are finished by the next run', async () => {
    await killUpgrades(own, 'request');
    expect(countStates(await own.check())).toEqual({ current: ALL });
  });

  it('that keep the appender from the ledger are put first, and recorded then', async () => {
    const surveyed = await own.check();
    const vaultKey = find(surveyed, 'vault-key');
    const { Statement } = vaultKey.needed;
    const closed = Statement.filter(({ Sid }) => Sid !== 'DataThroughS3AndRds');
    await own.put(vaultKey, { Version: '2012-10-17', Statement: closed });
    await own.put(find(surveyed, 'log-key'), earlier(find(surveyed, 'log-key').needed));
    // What it has folded, a function that has just been started has not.
    const { changedCount } = await own.upgrade();
    expect(changedCount).toBe(2);
    const [first, second, third] = (await policyEntries()).slice(-3);
    expect([first, second, third].map(entry => entry?.kind)).toEqual([
      'policies.upgrade-planned',
      'policies.upgrade-planned',
      'policies.upgraded',
    ]);
    expect(first?.body.policies).toMatchObject([{ policy: 'vault-key' }]);
    expect(second?.body.policies).toMatchObject([{ policy: 'log-key' }]);
  });

  it('are not put where the ledger refuses for another reason, which no policy mends', async () => {
    const vaultKey = find(await own.check(), 'vault-key');
    await own.put(vaultKey, earlier(vaultKey.needed));
    const { lambda, states } = own.account.cloud;
    const refuse = async (because: (executionName: string) => void) => {
      lambda.intercept(async ({ functionName }, next) => {
        if (functionName !== stepName('evidence/append-entry')) return next();
        const running = states.listExecutions().find(one => one.status === 'RUNNING');
        return because(running?.arn ?? '');
      });
      const upgrade = own.upgrade();
      await expect(upgrade).rejects.toBeInstanceOf(UpgradeNotRecordedError);
      await expect(upgrade).rejects.toThrow('0 policies were changed, and the ledger did not take the entry');
      expect(countStates(await own.check())).toEqual({ current: ALL - 1, behind: 1 });
    };
    for (const name of ['LedgerBrokenError', 'LedgerDraftError', 'ObjectKeyUnusableError', 'TypeError']) {
      await refuse(() => {
        throw Object.assign(new Error(`${name} of a test`), { name });
      });
    }
    // Who stops a run names the error as he likes.
    await refuse(arn => {
      states.stopExecution(arn, 'ObjectAccessDeniedError', 'stopped by a test');
    });
    lambda.intercept(undefined);
    expect((await own.upgrade()).changedCount).toBe(1);
  });
});

describe('what is not an earlier release’s', () => {
  it('is refused where it is a later one’s, and nothing is changed at all', async () => {
    const surveyed = await own.check();
    const vaultKey = find(surveyed, 'vault-key');
    await own.put(vaultKey, { ...vaultKey.needed, Id: 'daybreak-vault-key-3' });
    await own.put(find(surveyed, 'tenant-key'), earlier(find(surveyed, 'tenant-key').needed));
    const puts = own.requests.filter(({ name }) => /^Put|^PUT policy/.test(name)).length;
    await expect(own.upgrade([vaultKey.subject])).rejects.toThrow('1 are of a later release');
    expect(own.requests.filter(({ name }) => /^Put|^PUT policy/.test(name))).toHaveLength(puts);
    expect(countStates(await own.check())).toEqual({ current: ALL - 2, ahead: 1, behind: 1 });
    await own.put(vaultKey, vaultKey.needed);
    await own.upgrade();
  });

  it('stays as it is where somebody else wrote a statement of it, unless it is named; the others are put', async () => {
    const surveyed = await own.check();
    const evidence = find(surveyed, 'evidence-bucket');
    const tenant = find(surveyed, 'tenant-key');
    const foreign = {
      Sid: 'TheirBackupTool',
      Effect: 'Allow',
      Principal: { AWS: `arn:aws:iam::${account}:role/administrator` },
      Action: 's3:GetObject',
      Resource: `${own.account.arnOf('evidence')}/*`,
    };
    await own.put(evidence, { ...evidence.needed, Statement: [...evidence.needed.Statement, foreign] });
    await own.put(tenant, earlier(tenant.needed));
    const plan = planUpgrade(await own.check());
    expect('refused' in plan && plan.refused.map(({ surveyed: { subject }, reason }) => [subject, reason])).toEqual([
      [evidence.subject, "1 of its statements is not Daybreak's"],
    ]);
    expect((await own.upgrade()).changedCount).toBe(1);
    expect(countStates(await own.check())).toEqual({ current: ALL - 1, altered: 1 });
    expect((await own.upgrade([evidence.subject])).changedCount).toBe(1);
    expect(countStates(await own.check())).toEqual({ current: ALL });
    const planned = (await policyEntries()).findLast(({ kind }) => kind === 'policies.upgrade-planned');
    expect(planned?.body.policies).toMatchObject([{ policy: 'evidence-bucket', removedStatements: 1 }]);
  });

  it('is put right where one of our statements was changed by hand', async () => {
    const vault = find(await own.check(), 'vault-bucket');
    const Statement = vault.needed.Statement.filter(({ Sid }) => Sid !== 'OnlyRetentionReleases');
    await own.put(vault, { ...vault.needed, Statement });
    const { finding } = find(await own.check(), 'vault-bucket');
    expect(finding.state).toBe('altered');
    expect((await own.upgrade()).changedCount).toBe(1);
  });

  it('stops an upgrade when it comes after the difference was shown', async () => {
    const vault = find(await own.check(), 'vault-bucket');
    await own.put(vault, earlier(vault.needed));
    own.onRequest = name => {
      if (!name.endsWith('.StartExecution')) return;
      own.onRequest = () => undefined;
      void own.put(vault, { ...vault.needed, Statement: vault.needed.Statement.slice(1) });
      return;
    };
    await expect(own.upgrade()).rejects.toThrow('is not the one that was shown any more');
    own.onRequest = () => undefined;
    await own.upgrade();
    expect(countStates(await own.check())).toEqual({ current: ALL });
  });

  it('is told where a key is gone', async () => {
    const configuration = {
      ...own.configuration,
      existing: {
        ...(Object.fromEntries(
          ['vault', 'signing', 'tenantId', 'ledger', 'entry', 'log', 'trail'].map(name => [
            `${name}KeyArn`,
            `arn:aws:kms:eu-west-2:${account}:key/00000000-0000-4000-8000-000000000000`,
          ]),
        ) as unknown as NonNullable<typeof own.configuration.existing>),
      },
    };
    const keys = (await own.check(configuration)).filter(({ place }) => place.kind === 'key');
    expect(keys.filter(({ finding }) => finding.state === 'unreadable')).toHaveLength(7);
  });
});

describe('pulse', () => {
  let remembered: readonly string[] = [];
  const count = (tenants: readonly string[], afterMs = 0) =>
    own.run(async () => {
      const now = new Date(own.account.cloud.clock.now().getTime() + afterMs);
      const behind = await readPolicies(tenants, remembered, own.account.deployment, now);
      remembered = behind.tenants;
      return behind.own.length + behind.tenants.length;
    }, step('pulse/read-back'));

  it('counts what is behind, under its own role, and remembers schools until they are upgraded', async () => {
    expect(await count(TENANTS)).toBe(0);
    const surveyed = await own.check();
    for (const policy of ['log-key', 'work-bucket', 'tenant-key'] as const) {
      await own.put(find(surveyed, policy), earlier(find(surveyed, policy).needed));
    }
    expect(await count(TENANTS)).toBe(3);
    // Another ten have their turn, and the one is not forgotten.
    const many = [...TENANTS, ...Array.from({ length: 40 }, (_, index) => `none-${index}`)].sort();
    const counts = [];
    for (let pulse = 0; pulse < 5; pulse++) counts.push(await count(many, pulse * 15 * 60_000));
    expect(counts).toEqual([3, 3, 3, 3, 3]);
    await own.upgrade();
    expect(await count(many)).toBe(0);
  });

  it('counts a policy that is no policy any more', async () => {
    const ledgerKey = find(await own.check(), 'ledger-key');
    await own.put(ledgerKey, { ...ledgerKey.needed, Id: 'somebody else' });
    expect(await count([])).toBe(1);
    await own.upgrade();
  });

  it('counts each that says something else, whatever its version says', async () => {
    const surveyed = await own.check();
    for (const one of surveyed.filter(({ policy }) => policy !== 'tenant-key')) {
      const [first, ...others] = one.needed.Statement;
      await own.put(one, { ...one.needed, Statement: [{ ...first, Sid: 'Another' }, ...others] });
      expect([one.subject, await count([])]).toEqual([one.subject, 1]);
      // As AWS may hand it back: in another order, one value for a list of one.
      await own.put(one, JSON.parse(JSON.stringify({ ...one.needed, Statement: one.needed.Statement.toReversed() })));
      expect([one.subject, await count([])]).toEqual([one.subject, 0]);
      await own.put(one, one.needed);
    }
  });
});

describe('who upgrades', () => {
  it('is believed by nothing that compares: who may start the workflow can announce an upgrade that was none', async () => {
    const { cloud } = own.account;
    const responder: Principal = { kind: 'role', arn: roleArn(account, 'responder') };
    const policies = [responderPolicy(own.configuration), operatorPolicy(own.configuration)];
    cloud.iam.putRole({ arn: responder.arn, policies: policies.map(({ document }) => document) });
    const log = find(await own.check(), 'log-key');
    await own.put(log, earlier(log.needed));
    const surveyed = await own.check();
    const stands = surveyed.map(one => ({ ...one, finding: { state: 'current', sha256: 'a'.repeat(64) } as const }));
    const announced = announceUpgraded('2026-11-22T09:00:00.000Z', 1, stands);
    const recorded = await own.run(
      () => recordDecision({ region: 'eu-west-2', accountId: account }, announced),
      responder,
    );
    const entry = last(await policyEntries());
    expect([entry?.sequence, entry?.actor]).toEqual([
      'sequence' in recorded && recorded.sequence,
      'workflow/record-decision',
    ]);
    expect(countStates(await own.check())).toEqual({ current: ALL - 1, behind: 1 });
    const behind = await own.run(
      async () => (await readPolicies([], [], own.account.deployment, cloud.clock.now())).own,
      step('pulse/read-back'),
    );
    expect(behind).toEqual(['log-key']);
    expect((await own.upgrade()).changedCount).toBe(1);
  });

  it.each([
    ['cannot start the workflow', 'StartExecution', 'the connection broke'],
    ['does not hear of its end', 'DescribeExecution', 'the connection broke'],
  ])('changes nothing while he %s', async (_name, operation, reason) => {
    const log = find(await own.check(), 'log-key');
    const ledgerKey = find(await own.check(), 'ledger-key');
    for (const one of [log, ledgerKey]) await own.put(one, earlier(one.needed));
    let asked = 0;
    own.onRequest = name => {
      // The first question is whether it runs already.
      if (!name.endsWith(`.${operation}`) || ++asked < (operation === 'StartExecution' ? 1 : 2)) return;
      throw new Error(reason);
    };
    const from = own.requests.length;
    await expect(own.upgrade()).rejects.toThrow(reason);
    own.onRequest = () => undefined;
    expect(own.requests.slice(from).filter(({ name }) => name === 'PutKeyPolicy')).toEqual([]);
    expect(countStates(await own.check())).toEqual({ current: ALL - 2, behind: 2 });
    expect((await own.upgrade()).changedCount).toBe(2);
  });

  it('is no role of Daybreak, whatever it is allowed', async () => {
    const log = find(await own.check(), 'log-key');
    await own.put(log, earlier(log.needed));
    await expect(own.upgrade([], widened)).rejects.toThrow('AccessDenied');
    expect(countStates(await own.check())).toEqual({ current: ALL - 1, behind: 1 });
    // Who may read records is not let in by that: here he is an administrator besides.
    expect((await own.upgrade([], operator)).changedCount).toBe(1);
  });

  it('is told when the credentials are of another account', async () => {
    const elsewhere = { ...own.configuration, account: '999988887777' };
    await expect(own.check(elsewhere)).rejects.toThrow(
      `the credentials are of account ${account}, and the configuration is of 999988887777`,
    );
  });
});

it('looks at 1,100 tenants’ keys within the quotas of KMS', async () => {
  const COUNT = 1100;
  const { accountId, region, vaultBucket, workBucket } = own.account.deployment;
  const place = { accountId, region, vaultBucket, workBucket };
  for (let index = 0; index < COUNT; index++) {
    await own.addTenant(`t${index}`, tenantKeyPolicy(`t${index}`, place));
  }
  const from = own.requests.length;
  expect(countStates(await own.check())).toEqual({ current: ALL + COUNT });
  const made = own.requests.slice(from);
  expect(made.filter(({ name }) => name === 'GetKeyPolicy')).toHaveLength(ALL - 5 + COUNT);
  const reads = made.filter(({ name }) => /^GetKeyPolicy$|policy$/.test(name));
  // 12 pages of aliases, and one question for each policy: 45 s, without a call for each key's state.
  expect(made).toHaveLength(12 + ALL + COUNT);
  expect((made.at(-1)?.atMs ?? 0) - (made[0]?.atMs ?? 0)).toBeLessThan(46_000);
  const inOneSecond = reads.map(
    ({ atMs }) => reads.filter(other => other.atMs >= atMs && other.atMs < atMs + 1000).length,
  );
  expect(Math.max(...inOneSecond)).toBeLessThanOrEqual(32);
});
