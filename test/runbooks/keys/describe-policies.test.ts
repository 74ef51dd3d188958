import { expect, it } from 'vitest';
import type { ResourcePolicy } from '../../../functions/contracts/policies.ts';
import { tenantKeyAlias } from '../../../functions/contracts/vault-layout.ts';
import { comparePolicy } from '../../../functions/platform/policy-comparison.ts';
import { tenantKeyPolicy } from '../../../functions/platform/tenant-key-policy.ts';
import { describePolicies, policyData } from '../../../runbooks/keys/describe-policies.ts';
import type { SurveyedPolicy } from '../../../runbooks/keys/survey-policies.ts';

const place = { accountId: '111122223333', region: 'eu-west-2', vaultBucket: 'vault', workBucket: 'work' } as const;

function surveyed(tenant: string, change: (text: string) => string = text => text): SurveyedPolicy {
  const needed = tenantKeyPolicy(tenant, place);
  const found = change(JSON.stringify(needed));
  return {
    policy: 'tenant-key',
    subject: tenantKeyAlias(tenant),
    place: { kind: 'key', keyArn: `arn:aws:kms:eu-west-2:111122223333:key/${tenant}` },
    found,
    needed,
    finding: comparePolicy('tenant-key', found, needed),
  };
}

/** As an earlier release had it: without the statement that lets data in. */
const earlier = (text: string): string => {
  const { Version, Statement } = JSON.parse(text) as ResourcePolicy;
  return JSON.stringify({ Version, Statement: Statement.filter(({ Sid }) => Sid !== 'DataThroughS3') });
};
const naming = (other: string) => (text: string) => text.replace(/vault\/tenants\/[^/]+\//, `vault/tenants/${other}/`);

it('tells of a thousand schools whose keys differ alike once', () => {
  const all = Array.from({ length: 1000 }, (_, index) => surveyed(`school-${index}`, earlier));
  const lines = describePolicies([surveyed('oak'), ...all]).split('\n');
  expect(lines[0]).toBe(
    'BEHIND      1000 alike: alias/daybreak/tenant/school-0, alias/daybreak/tenant/school-1, alias/daybreak/tenant/school-2, and 997 more: of no version; needed is version 2',
  );
  expect(lines).toContain('  + DataThroughS3: is added');
  expect(lines.find(line => line.includes('vault/tenants'))).toBe(
    '      + Condition StringLike kms:encryptioncontext:aws:s3:arn: arn:aws:s3:::vault/tenants/{school}/*',
  );
  expect(lines.length).toBeLessThan(25);
  expect(lines.at(-1)).toBe('1 of 1001 policies are as this release needs them.');
  expect(all.map(policyData)).toHaveLength(1000);
});

it('hides none that differs otherwise among those that differ alike', () => {
  const all = [
    ...['a', 'b', 'c', 'd', 'e'].map(name => surveyed(name, naming('elm'))),
    surveyed('f', naming('ash')),
    surveyed('g', naming('{school}')),
    surveyed('h', earlier),
    surveyed('elm', earlier),
  ];
  const heads = describePolicies(all)
    .split('\n')
    .filter(line => /^[A-Z]{6}/.test(line));
  expect(heads.map(line => line.replaceAll('alias/daybreak/tenant/', '').replace(/: of .*$/, ''))).toEqual([
    'ALTERED     5 alike: a, b, c, and 2 more',
    'ALTERED     f',
    'ALTERED     g',
    'BEHIND      2 alike: h, elm',
  ]);
});
