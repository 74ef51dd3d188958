import { describe, expect, it } from 'vitest';
import {
  KEY_ALIASES,
  type OwnPolicyName,
  POLICY_VERSIONS,
  type PolicyName,
  REGISTER_KEY_TO_COME,
  type ResourcePolicy,
  VAULT_KEY_TO_COME,
} from '../../../functions/contracts/policies.ts';
import { hashPolicy, isAsNeeded } from '../../../functions/platform/policy-comparison.ts';
import { tenantKeyPolicy } from '../../../functions/platform/tenant-key-policy.ts';
import { bucketPolicy, policyBuckets } from '../../../infra/access/bucket-policies.ts';
import { keyPolicies } from '../../../infra/access/key-policies.ts';
import { neededPolicies } from '../../../infra/access/needed-policies.ts';
import { STEPS, stepName, WORKFLOWS, workflowName } from '../../../infra/access/role-names.ts';
import { bucketNames, readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';

const configuration = readConfiguration(exampleConfiguration);
const { account } = configuration;
const VAULT_KEY = `arn:aws:kms:eu-west-2:${account}:key/00000000-0000-4000-8000-000000000000`;
const REGISTER_KEY = VAULT_KEY.replace(/.$/, '2');
const keys = { vaultKeyArn: VAULT_KEY, registerKeyArn: REGISTER_KEY };
const deployment = { accountId: account, region: 'eu-west-2', ...bucketNames(configuration) } as const;
const policies = {
  ...keyPolicies(configuration),
  ...Object.fromEntries(
    Object.entries(policyBuckets(configuration)).map(([name, bucket]) => [
      name,
      bucketPolicy(name as keyof ReturnType<typeof policyBuckets>, configuration, {
        bucketArn: `arn:aws:s3:::${bucket}`,
        keyArn: name === 'register-bucket' ? REGISTER_KEY : VAULT_KEY,
      }),
    ]),
  ),
  'tenant-key': tenantKeyPolicy('oak', deployment),
} as Record<PolicyName, ResourcePolicy>;

/** What each version says, with the example's configuration. A version that has been released never changes here. */
const SAID: Record<PolicyName, readonly [version: number, sha256: string]> = {
  'vault-key': [2, 'e61e74bfe17b678b8413108d04c5c9a018f778f51488af6cbfc1b7a7c6d0227b'],
  'signing-key': [2, '6be3388c2982aaa7452b119711c331a572674e7b06fb2bb929354d15510aa790'],
  'ledger-key': [2, 'd79505a80c7c76002102d9d272b75c05d11e04460b73787a6f0dcb76bdd84b73'],
  'entry-key': [2, 'da89af13a5b452150b7e6115584152939ebb6550df39fa743b8c1b7fe758cf38'],
  'tenant-id-key': [2, '6b7e4309d90f5eca77d547d73d11eb883f68633786c4b656b60bc66a8a7d9053'],
  'log-key': [2, 'd6eeba73101f6ff90ba2446130e4402a0338ec67e591708dc170aaf8201c38de'],
  'trail-key': [2, '6de794f62704d1b3cd9c17d244f14d33bb5b7ef8e905518babef836d408942aa'],
  'notice-key': [2, 'b3eb271eece84264d379269c60cb135d0a158ff02dec2a3bb4b4ad7f20fcee2a'],
  'register-key': [2, 'e3a91759e435e6d6d9db4043e8dba44b82cfc97a730f37dc5d5cacfe9f2d6922'],
  'vault-bucket': [2, '0c2af07541e647e479e30c650be907ef4b0bea6ca4936aca82b625cd3af8140e'],
  'evidence-bucket': [2, '6ddfaed41655089f2684e3ebd434d989bebd4db500f021f2e02624ede35fe774'],
  'work-bucket': [2, 'b305ce4cb043bcd687b5f6957d8e3201156889226de33391d7392cc169a073a9'],
  'trail-bucket': [2, '70141c8ffd312362c1a6fad7d0e176e36ce34676903e2b6b8d175efce6bd2fb5'],
  'register-bucket': [2, '69ccdefd8d7011c4a056a87023c5abde8b8a168aff302b9504bc42b5a5fdd7ad'],
  'tenant-key': [2, '610b54df762f21e5d620edf8afa55a27d35de64c86e5642a26d04430dfef803a'],
};

it.each(Object.keys(POLICY_VERSIONS) as PolicyName[])('the %s policy says what its version says', name => {
  const said = [POLICY_VERSIONS[name], hashPolicy(policies[name])];
  // Another hash: raise the version in functions/contracts/policies.ts, and write both down above.
  expect(said).toEqual(SAID[name]);
  expect(policies[name].Id).toBe(`daybreak-${name}-${POLICY_VERSIONS[name]}`);
});

describe('what pulse compares with', () => {
  const needed = neededPolicies(configuration);
  const own = (Object.keys(POLICY_VERSIONS) as PolicyName[]).filter(name => name !== 'tenant-key');
  const isRight = (name: OwnPolicyName, text: string | undefined) => isAsNeeded(name, text, needed[name], keys);

  it.each(own)('is what the %s policy says, in whatever order and form', name => {
    const policy = policies[name];
    expect(isRight(name, JSON.stringify(policy))).toBe(true);
    expect(isRight(name, JSON.stringify({ ...policy, Statement: policy.Statement.toReversed() }, null, 2))).toBe(true);
    const [first, ...others] = policy.Statement;
    const Effect = first?.Effect === 'Deny' ? 'Allow' : 'Deny';
    for (const Statement of [others, [...policy.Statement, first], [{ ...first, Effect }, ...others]]) {
      expect(isRight(name, JSON.stringify({ ...policy, Statement }))).toBe(false);
    }
    for (const Id of ['daybreak-vault-key-1', `daybreak-${name}-3`, 'mine']) {
      expect(isRight(name, JSON.stringify({ ...policy, Id }))).toBe(false);
    }
    for (const text of [undefined, '', 'no policy', 'null', '{}', '[]']) expect(isRight(name, text)).toBe(false);
  });

  it.each([
    ['evidence-bucket', VAULT_KEY, REGISTER_KEY],
    ['register-bucket', REGISTER_KEY, VAULT_KEY],
  ] as const)(
    'takes no other key for that of the %s, nor what stands for it before it is there',
    (name, key, another) => {
      const text = JSON.stringify(policies[name]);
      expect(text).toContain(key);
      for (const other of [VAULT_KEY_TO_COME, REGISTER_KEY_TO_COME, another, VAULT_KEY.replace(/.$/, '1'), '*']) {
        expect(isRight(name, text.replaceAll(key, other))).toBe(false);
      }
    },
  );
});

describe('who is named', () => {
  const named = (policy: ResourcePolicy) =>
    [...JSON.stringify(policy).matchAll(/:role\/(daybreak-[^"]*)"/g)].map(([, name = '']) => name);
  /** Names that are kept for what is still to come. */
  const KEPT = ['daybreak-retention-release', 'daybreak-erasure-release', 'daybreak-erasure-destroy-key'];

  it('is a capability, a step or workflow that there is, or a name that is kept', () => {
    const known = [...STEPS.map(stepName), ...WORKFLOWS.map(workflowName), ...KEPT, 'daybreak-*', 'daybreak-*/*'];
    const others = Object.values(policies)
      .flatMap(named)
      .filter(name => !known.includes(name));
    expect([...new Set(others)].filter(name => !/^daybreak-[a-z]+(?:-[a-z]+)?-\*$/.test(name))).toEqual([]);
  });

  it('lets in every role that there is by a capability, but for what calls workflows alone', () => {
    const patterns = named(policies['vault-key']).filter(name => name.endsWith('-*') && name !== 'daybreak-*');
    const roles = STEPS.map(stepName).filter(name => !patterns.some(pattern => name.startsWith(pattern.slice(0, -1))));
    expect(roles).toEqual(['daybreak-workflows-start-execution']);
  });

  it.each(['kms:Sign', 'kms:CreateGrant', 'kms:GenerateMac'])('is exact for %s', action => {
    for (const { Statement } of Object.values(policies)) {
      for (const { Effect, Action, Condition } of Statement) {
        if (Effect !== 'Allow' || !JSON.stringify(Action).includes(`"${action}"`)) continue;
        expect(JSON.stringify(Condition?.ArnLike)).not.toContain('*');
      }
    }
  });
});

it('keeps within what KMS and S3 take', () => {
  for (const [name, policy] of Object.entries(policies)) {
    // https://docs.aws.amazon.com/kms/latest/developerguide/resource-limits.html and
    // https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-bucket-policies.html
    const most = name.endsWith('-key') ? 32_768 : 20_480;
    expect(Buffer.byteLength(JSON.stringify(policy))).toBeLessThan(most);
    const sids = policy.Statement.flatMap(({ Sid }) => Sid ?? []);
    expect(new Set(sids).size).toBe(sids.length);
    expect(sids.filter(sid => !/^[A-Za-z0-9]+$/.test(sid))).toEqual([]);
  }
  expect(Object.keys(KEY_ALIASES)).toHaveLength(9);
});
