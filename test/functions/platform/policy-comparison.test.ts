import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { policyId, type ResourcePolicy, versionOfId } from '../../../functions/contracts/policies.ts';
import {
  comparePolicy,
  describeDifferences,
  hashPolicy,
  type PolicyFinding,
  statementsNotOurs,
} from '../../../functions/platform/policy-comparison.ts';
import { tenantKeyPolicy } from '../../../functions/platform/tenant-key-policy.ts';

const needed = tenantKeyPolicy('oak', {
  accountId: '111122223333',
  region: 'eu-west-2',
  vaultBucket: 'vault',
  workBucket: 'work',
});
const compare = (found: unknown, name: 'tenant-key' | 'vault-bucket' = 'tenant-key') =>
  comparePolicy(name, typeof found === 'string' ? found : JSON.stringify(found), needed);
/** The policy with one statement changed. */
const withStatement = (sid: string, change: (statement: { Condition?: object }) => object): object => ({
  ...needed,
  Statement: needed.Statement.map(statement =>
    statement.Sid === sid ? change(statement as { Condition?: object }) : statement,
  ),
});
const lines = (finding: PolicyFinding) =>
  'differences' in finding ? describeDifferences(finding.differences) : [finding.state];

describe('a policy that comes back in another form', () => {
  /** Every order and form in which AWS may hand the same value back. */
  const rewritten = (value: unknown, key = ''): fc.Arbitrary<unknown> => {
    if (Array.isArray(value)) {
      const items = fc.tuple(...value.map(one => (typeof one === 'string' ? fc.constant(one) : rewritten(one, key))));
      return items
        .chain(all => fc.shuffledSubarray([...all], { minLength: all.length }))
        .chain(all => fc.constantFrom(all, [...all, ...all.filter(one => typeof one === 'string')]));
    }
    if (typeof value === 'object' && value !== null) {
      const entries = Object.entries(value).map(([name, part]) =>
        rewritten(part, name).map(done => [name.startsWith('aws:') ? maybeUpper(name, done) : name, done] as const),
      );
      return fc
        .tuple(...entries)
        .chain(all => fc.shuffledSubarray([...all], { minLength: all.length }))
        .map(Object.fromEntries);
    }
    if (key === 'AWS' && value === 'arn:aws:iam::111122223333:root') return fc.constantFrom(value, '111122223333');
    return key === 'Version' || key === 'Id' || key === 'Sid' || key === 'Effect'
      ? fc.constant(value)
      : fc.constantFrom(value, [value]);
  };
  const maybeUpper = (name: string, done: unknown) => (Array.isArray(done) ? name.toUpperCase() : name);

  it('is the same', () => {
    fc.assert(
      fc.property(rewritten(needed), found => {
        expect(compare(found)).toEqual({ state: 'current', sha256: hashPolicy(needed) });
      }),
      { numRuns: 200 },
    );
  });

  it('is another when any value of it is another', () => {
    const values = JSON.stringify(needed).match(/"(?:kms|arn|s3)[^"]{3,}"/g) ?? [];
    expect(values.length).toBeGreaterThan(40);
    for (const value of new Set(values)) {
      const found = JSON.stringify(needed).replace(value, `${value.slice(0, -1)}x"`);
      expect(compare(found).state).not.toBe('current');
    }
  });
});

describe('the version', () => {
  it.each([
    ['daybreak-tenant-key-2', 2],
    ['daybreak-tenant-key-17', 17],
    ['daybreak-vault-key-2', undefined],
    ['daybreak-tenant-key-', undefined],
    ['daybreak-tenant-key-2x', undefined],
    ['daybreak-tenant-key-02', undefined],
    [undefined, undefined],
    [7, undefined],
  ])('of %s is %s', (id, version) => expect(versionOfId('tenant-key', id)).toBe(version));

  it.each<[string, object, PolicyFinding['state']]>([
    ['no Id', { ...needed, Id: undefined }, 'behind'],
    ['an Id of somebody else', { ...needed, Id: 'key-default-1' }, 'behind'],
    ['an earlier one', { ...needed, Id: 'daybreak-tenant-key-1' }, 'behind'],
    ['this one', needed, 'current'],
    ['this one, with other statements', { ...needed, Statement: [] }, 'altered'],
    ['a later one', { ...needed, Id: 'daybreak-tenant-key-3' }, 'ahead'],
    ['a later one, with other statements', { Id: 'daybreak-tenant-key-3', Statement: [] }, 'ahead'],
  ])('with %s', (_, found, state) => expect(compare(found).state).toBe(state));

  it('is of one policy: the Id of another counts for nothing', () => {
    expect(compare({ ...needed, Id: policyId('vault-key') }).state).toBe('behind');
  });
});

describe('differences', () => {
  it('name who is let in and left out', () => {
    const found = withStatement('DataThroughS3', statement => ({
      ...statement,
      Condition: {
        ...statement.Condition,
        ArnLike: { 'aws:PrincipalArn': ['arn:aws:iam::111122223333:role/daybreak-backup-*', 'arn:aws:iam::1:role/x'] },
      },
    }));
    expect(lines(compare(found)).slice(0, 3)).toEqual([
      '~ DataThroughS3',
      '    - Condition ArnLike aws:principalarn: arn:aws:iam::1:role/x',
      '    + Condition ArnLike aws:principalarn: arn:aws:iam::111122223333:role/daybreak-archive-*',
    ]);
  });

  it('name a principal that is only an id any more', () => {
    const found = withStatement('Administration', statement => ({
      ...statement,
      Principal: { AWS: 'AROAKSCDLFT9R5DQP782U' },
    }));
    expect(lines(compare(found))).toEqual([
      '~ Administration',
      '    - Principal: AWS:AROAKSCDLFT9R5DQP782U (a role or user that was deleted)',
      '    + Principal: AWS:arn:aws:iam::111122223333:root',
    ]);
  });

  it('name statements that are missing, and those that nobody of ours wrote', () => {
    const foreign = { Sid: 'LetMeIn', Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' };
    const found = { ...needed, Statement: [...needed.Statement.slice(1), foreign] };
    const finding = compare(found);
    expect(finding.state).toBe('altered');
    expect(statementsNotOurs(finding)).toEqual(['LetMeIn']);
    expect(lines(finding).filter(line => !line.startsWith(' '))).toEqual([
      '+ Administration: is added',
      '- LetMeIn: not written by Daybreak',
    ]);
  });

  it.each<[string, object]>([
    ['without a Sid', { Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' }],
    ['under a Sid of ours', { Sid: 'Administration', Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' }],
  ])('name one %s', (_, foreign) => {
    const finding = compare({ ...needed, Statement: [...needed.Statement, foreign] });
    expect(statementsNotOurs(finding)).toHaveLength(1);
  });

  it('see the language of the policy', () => {
    expect(lines(compare({ ...needed, Version: '2008-10-17' }))).toEqual([
      '~ the language of the policy',
      '    - Version: 2008-10-17',
      '    + Version: 2012-10-17',
    ]);
  });

  it('are all of it where there is no policy', () => {
    const finding = comparePolicy('tenant-key', undefined, needed);
    expect(finding).toMatchObject({ state: 'behind', version: null });
    const whats = 'differences' in finding ? finding.differences.map(({ what }) => what) : [];
    expect(whats).toEqual(needed.Statement.map(() => 'missing'));
  });
});

it.each([
  ['{', 'unreadable'],
  ['[]', 'unreadable'],
  ['null', 'unreadable'],
  ['{"Statement":7}', 'unreadable'],
  ['{"Statement":{"Action":{}}}', 'unreadable'],
  ['{"Statement":{"Principal":["x"]}}', 'unreadable'],
  ['{"Statement":{"Sid":{}}}', 'unreadable'],
  ['{"Statement":{"Condition":{"StringEquals":7}}}', 'unreadable'],
  ['{"Statement":{"__proto__":{"a":1},"Condition":{"constructor":{"toString":"x"}}}}', 'unreadable'],
])('answers for what is no policy: %s', (found, state) => {
  expect(compare(found).state).toBe(state);
});

it('reads anything that is JSON without throwing', () => {
  fc.assert(
    fc.property(fc.json(), text => void compare(text)),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(
      fc.record({ Id: fc.string(), Statement: fc.array(fc.object()) }),
      found => void compare(found as unknown as ResourcePolicy),
    ),
    { numRuns: 300 },
  );
});
