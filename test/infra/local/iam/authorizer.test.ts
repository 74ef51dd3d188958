import { describe, expect, it } from 'vitest';
import { LocalIam } from '../../../../infra/local/iam/authorizer.ts';
import { AccessDenied, type AuthorizationRequest, type Principal } from '../../../../infra/local/service.ts';

const clock = { now: () => new Date('2026-11-22T12:00:00Z') };
const ROLE = 'arn:aws:iam::111122223333:role/backup';
const OTHER = 'arn:aws:iam::111122223333:role/other';
const ROOT = 'arn:aws:iam::111122223333:root';
const KEY = 'arn:aws:kms:eu-west-2:111122223333:key/k1';
const OBJECT = 'arn:aws:s3:::vault/tenants/t1/objects/o';
const role: Principal = { kind: 'role', arn: ROLE };
const root: Principal = { kind: 'root', arn: ROOT };

const policy = (...statements: object[]) => ({ Version: '2012-10-17', Statement: statements });
const allow = (more: object) => ({ Effect: 'Allow', Action: '*', Resource: '*', ...more });
const deny = (more: object) => ({ Effect: 'Deny', Action: '*', Resource: '*', ...more });

/** The reason for denying, or `allowed`. */
function judge(
  definition: { policies?: unknown[]; boundary?: unknown },
  request: Partial<AuthorizationRequest> & { resourcePolicy?: unknown } = {},
): string {
  const iam = new LocalIam({ clock });
  iam.putRole({ arn: ROLE, policies: definition.policies ?? [], boundary: definition.boundary });
  const complete = { principal: role, action: 's3:PutObject', resource: OBJECT, context: {}, ...request };
  try {
    iam.authorize(complete);
    return 'allowed';
  } catch (error) {
    const message = (error as Error).message;
    const start = `User: ${complete.principal.arn} is not authorized to perform: ${complete.action} on resource: ${complete.resource} `;
    expect((error as Error).name).toBe('AccessDenied');
    expect(message.startsWith(start)).toBe(true);
    return message.slice(start.length);
  }
}

const NO_IDENTITY = 'because no identity-based policy allows the s3:PutObject action';
const NO_KEY_POLICY = 'because no resource-based policy allows the kms:Decrypt action';
const NO_KMS_IDENTITY = 'because no identity-based policy allows the kms:Decrypt action';
const NO_BOUNDARY = 'because no permissions boundary allows the s3:PutObject action';
const DENIED_IDENTITY = 'with an explicit deny in an identity-based policy';
const DENIED_RESOURCE = 'with an explicit deny in a resource-based policy';
const DENIED_BOUNDARY = 'with an explicit deny in a permissions boundary';

describe('one account’s decision', () => {
  const yes = policy(allow({}));
  const no = policy(deny({}));
  const resource = (effect: 'Allow' | 'Deny', principal: unknown, condition: object = {}) =>
    policy({ Effect: effect, Principal: principal, Action: '*', Resource: '*', Condition: condition });

  it.each<[string, { policies?: unknown[]; boundary?: unknown }, unknown, string]>([
    ['nothing', {}, undefined, NO_IDENTITY],
    ['identity allows', { policies: [yes] }, undefined, 'allowed'],
    ['identity allows and denies', { policies: [yes, no] }, undefined, DENIED_IDENTITY],
    ['resource allows the role', {}, resource('Allow', { AWS: ROLE }), 'allowed'],
    ['resource allows another role', {}, resource('Allow', { AWS: OTHER }), NO_IDENTITY],
    ['resource allows everyone', {}, resource('Allow', '*'), 'allowed'],
    ['resource allows everyone of AWS', {}, resource('Allow', { AWS: ['*'] }), 'allowed'],
    ['resource allows the account', {}, resource('Allow', { AWS: ROOT }), NO_IDENTITY],
    ['resource allows a service', {}, resource('Allow', { Service: 's3.amazonaws.com' }), NO_IDENTITY],
    ['resource denies the role', { policies: [yes] }, resource('Deny', { AWS: ROLE }), DENIED_RESOURCE],
    ['resource denies another role', { policies: [yes] }, resource('Deny', { AWS: OTHER }), 'allowed'],
    ['resource denies the account', { policies: [yes] }, resource('Deny', { AWS: '111122223333' }), DENIED_RESOURCE],
    ['resource denies another account', { policies: [yes] }, resource('Deny', { AWS: '444455556666' }), 'allowed'],
    ['identity denies what resource allows', { policies: [no] }, resource('Allow', '*'), DENIED_IDENTITY],
    ['boundary allows only', { boundary: yes }, undefined, NO_IDENTITY],
    ['both allow', { policies: [yes], boundary: yes }, undefined, 'allowed'],
    ['boundary is silent', { policies: [yes], boundary: policy(allow({ Action: 'kms:*' })) }, undefined, NO_BOUNDARY],
    ['boundary denies', { policies: [yes], boundary: policy(allow({}), deny({})) }, undefined, DENIED_BOUNDARY],
    [
      'boundary is silent on what the resource allows',
      { boundary: policy(allow({ Action: 'kms:*' })) },
      resource('Allow', { AWS: ROLE }),
      NO_BOUNDARY,
    ],
    [
      'boundary is silent on what the resource allows everyone who has this ARN',
      { boundary: policy(allow({ Action: 'kms:*' })) },
      resource('Allow', '*', { ArnLike: { 'aws:PrincipalArn': ROLE } }),
      'allowed',
    ],
    [
      'boundary denies what the resource allows everyone who has this ARN',
      { boundary: policy(deny({})) },
      resource('Allow', '*', { ArnLike: { 'aws:PrincipalArn': ROLE } }),
      DENIED_BOUNDARY,
    ],
    [
      'boundary is silent on what the resource allows everyone',
      { boundary: policy(allow({ Action: 'kms:*' })) },
      resource('Allow', '*'),
      NO_BOUNDARY,
    ],
  ])('%s', (_title, definition, resourcePolicy, expected) => {
    expect(judge(definition, { resourcePolicy })).toBe(expected);
  });

  it.each<[string, unknown[], unknown, string]>([
    ['only identity allows', [yes], undefined, NO_KEY_POLICY],
    ['the key leaves it to the account, identity allows', [yes], resource('Allow', { AWS: ROOT }), 'allowed'],
    ['the key leaves it to the account, identity is silent', [], resource('Allow', { AWS: ROOT }), NO_KMS_IDENTITY],
    ['the key names the role', [], resource('Allow', { AWS: ROLE }), 'allowed'],
    ['the key names another role', [yes], resource('Allow', { AWS: OTHER }), NO_KEY_POLICY],
  ])('KMS: %s', (_title, policies, resourcePolicy, expected) => {
    const request = { action: 'kms:Decrypt', resource: KEY, resourcePolicy, resourcePolicyRequired: true };
    expect(judge({ policies }, request)).toBe(expected);
  });

  it.each<[string, unknown, boolean, string]>([
    ['without any policy', undefined, false, 'allowed'],
    ['under a bucket policy that denies everyone', resource('Deny', '*'), false, DENIED_RESOURCE],
    ['with a key policy that leaves it to the account', resource('Allow', { AWS: ROOT }), true, 'allowed'],
    [
      'with a key policy that names roles only',
      resource('Allow', { AWS: ROLE }),
      true,
      'because no resource-based policy allows the s3:PutObject action',
    ],
  ])('the account itself %s', (_title, resourcePolicy, resourcePolicyRequired, expected) => {
    expect(judge({}, { principal: root, resourcePolicy, resourcePolicyRequired })).toBe(expected);
  });

  it.each<[string, unknown, unknown, string]>([
    ['lists the role and its account', [ROLE, ROOT], undefined, 'allowed'],
    ['lists the role only', [ROLE], undefined, DENIED_RESOURCE],
    ['lists the account only', [ROOT], undefined, DENIED_RESOURCE],
    ['lists both, but a boundary limits the role', [ROLE, ROOT], yes, DENIED_RESOURCE],
  ])('a deny with NotPrincipal that %s', (_title, names, boundary, expected) => {
    const resourcePolicy = policy({ Effect: 'Deny', NotPrincipal: { AWS: names }, Action: '*', Resource: '*' });
    expect(judge({ policies: [yes], boundary }, { resourcePolicy })).toBe(expected);
  });

  it('a role that does not exist may do nothing', () => {
    expect(judge({}, { principal: { kind: 'role', arn: OTHER } })).toBe(NO_IDENTITY);
  });

  it('a resource policy may be given as JSON text', () => {
    expect(judge({}, { resourcePolicy: JSON.stringify(resource('Allow', { AWS: ROLE })) })).toBe('allowed');
  });
});

describe('actions and resources', () => {
  it.each<[object, boolean]>([
    [{ Action: 's3:PutObject' }, true],
    [{ Action: 'S3:putobject' }, true],
    [{ Action: 's3:Put*' }, true],
    [{ Action: 's3:P?tObject' }, true],
    [{ Action: ['kms:*', 's3:*Object'] }, true],
    [{ Action: 's3:PutObjectAcl' }, false],
    [{ Action: 's3:Put' }, false],
    [{ Action: undefined, NotAction: 'kms:*' }, true],
    [{ Action: undefined, NotAction: ['kms:*', 's3:Put*'] }, false],
    [{ Resource: 'arn:aws:s3:::vault/*' }, true],
    [{ Resource: 'arn:aws:s3:::vault' }, false],
    [{ Resource: 'arn:aws:s3:::Vault/*' }, false],
    [{ Resource: 'arn:aws:s3:::*/tenants/t?/*' }, true],
    [{ Resource: 'arn:aws:s3' }, true],
    [{ Resource: 'arn:aws:kms' }, false],
    [{ Resource: undefined, NotResource: 'arn:aws:s3:::vault/tenants/*' }, false],
    [{ Resource: undefined, NotResource: ['arn:aws:s3:::evidence/*'] }, true],
  ])('%j: %s', (statement, expected) => {
    expect(judge({ policies: [policy(allow(statement))] })).toBe(expected ? 'allowed' : NO_IDENTITY);
  });
});

describe('conditions', () => {
  const context = {
    's3:object-lock-mode': 'COMPLIANCE',
    'kms:EncryptionContext:tenant': 't1',
    'aws:TagKeys': ['daybreak:tenant', 'team'],
    's3:max-keys': '50',
    'kms:GrantIsForAWSResource': 'true',
    'aws:ResourceTag/owner': 'backup',
    'aws:SourceArn': KEY,
  };
  it.each<[string, unknown, boolean]>([
    ['StringEquals', { 's3:object-lock-mode': ['GOVERNANCE', 'COMPLIANCE'] }, true],
    ['StringEquals', { 'S3:Object-Lock-Mode': 'COMPLIANCE' }, true],
    ['StringEquals', { 's3:object-lock-mode': 'compliance' }, false],
    ['StringEquals', { 's3:object-lock-mode': '*' }, false],
    ['StringEquals', { absent: 'x' }, false],
    ['StringEquals', { 's3:object-lock-mode': 'COMPLIANCE', absent: 'x' }, false],
    ['StringEqualsIfExists', { absent: 'x' }, true],
    ['StringEqualsIfExists', { 's3:object-lock-mode': 'x' }, false],
    ['StringNotEquals', { 's3:object-lock-mode': ['GOVERNANCE', 'COMPLIANCE'] }, false],
    ['StringNotEquals', { 's3:object-lock-mode': 'GOVERNANCE' }, true],
    ['StringNotEquals', { absent: 'x' }, true],
    ['StringEqualsIgnoreCase', { 's3:object-lock-mode': 'compliance' }, true],
    ['StringNotEqualsIgnoreCase', { 's3:object-lock-mode': 'compliance' }, false],
    ['StringLike', { 's3:object-lock-mode': 'COMP*' }, true],
    ['StringLike', { 's3:object-lock-mode': 'COMP?' }, false],
    ['StringLike', { 'kms:EncryptionContext:tenant': 't?' }, true],
    ['StringNotLike', { 's3:object-lock-mode': 'COMP*' }, false],
    ['StringNotLike', { absent: '*' }, true],
    ['ArnEquals', { 'aws:PrincipalArn': ROLE }, true],
    ['ArnEquals', { 'aws:PrincipalArn': [OTHER, 'arn:aws:iam::*:role/back*'] }, true],
    ['ArnLike', { 'aws:PrincipalArn': 'arn:aws:iam::*:role/x*' }, false],
    ['ArnLike', { 'aws:PrincipalArn': 'arn:aws:iam::*:*/backup' }, true],
    ['ArnLike', { 'aws:PrincipalArn': 'arn:*:role/backup:*:*:*' }, false],
    ['ArnLike', { 'aws:PrincipalArn': '${aws:PrincipalArn}' }, true],
    ['ArnLike', { 'aws:PrincipalArn': 'arn:aws:iam::${aws:PrincipalAccount}:role/*' }, true],
    ['ArnLike', { 's3:object-lock-mode': 'arn:aws:s3:::*' }, false],
    ['ArnNotEquals', { 'aws:PrincipalArn': ROLE }, false],
    ['ArnNotLike', { 'aws:PrincipalArn': 'arn:aws:iam::*:role/x*' }, true],
    ['ArnNotLike', { absent: ROLE }, true],
    ['Bool', { 'kms:GrantIsForAWSResource': true }, true],
    ['Bool', { 'kms:GrantIsForAWSResource': 'false' }, false],
    ['Bool', { 'aws:SecureTransport': 'false' }, false],
    ['Bool', { absent: 'false' }, false],
    ['BoolIfExists', { 'aws:MultiFactorAuthPresent': 'true' }, true],
    ['Null', { absent: 'true' }, true],
    ['Null', { absent: 'false' }, false],
    ['Null', { 's3:object-lock-mode': ['false'] }, true],
    ['Null', { 's3:object-lock-mode': true }, false],
    ['NumericEquals', { 's3:max-keys': '50.0' }, true],
    ['NumericNotEquals', { 's3:max-keys': 50 }, false],
    ['NumericLessThan', { 's3:max-keys': '50' }, false],
    ['NumericLessThanEquals', { 's3:max-keys': '50' }, true],
    ['NumericGreaterThan', { 's3:max-keys': '49' }, true],
    ['NumericGreaterThanEquals', { 's3:max-keys': '51' }, false],
    ['NumericLessThan', { 's3:object-lock-mode': '50' }, false],
    ['NumericLessThan', { absent: '50' }, false],
    ['NumericLessThanIfExists', { absent: '50' }, true],
    ['DateLessThan', { 'aws:CurrentTime': '2026-11-22T12:00:01Z' }, true],
    ['DateLessThan', { 'aws:CurrentTime': '2026-11-22T12:00:00Z' }, false],
    ['DateGreaterThan', { 'aws:CurrentTime': '1795348799' }, true],
    ['ForAnyValue:StringEquals', { 'aws:TagKeys': ['team', 'x'] }, true],
    ['ForAnyValue:StringEquals', { 'aws:TagKeys': ['x'] }, false],
    ['ForAnyValue:StringEquals', { absent: ['x'] }, false],
    ['ForAnyValue:StringEqualsIfExists', { absent: ['x'] }, false],
    ['ForAnyValue:StringNotEquals', { 'aws:TagKeys': ['team'] }, true],
    ['ForAnyValue:StringNotEquals', { 'aws:TagKeys': ['team', 'daybreak:tenant'] }, false],
    ['ForAnyValue:StringNotEquals', { absent: ['x'] }, false],
    ['ForAllValues:StringLike', { 'aws:TagKeys': ['team', 'daybreak:*'] }, true],
    ['ForAllValues:StringEquals', { 'aws:TagKeys': ['team'] }, false],
    ['ForAllValues:StringEquals', { absent: ['team'] }, true],
    ['ForAllValues:StringNotEquals', { 'aws:TagKeys': ['x'] }, true],
    ['ForAllValues:StringNotEquals', { 'aws:TagKeys': ['x', 'team'] }, false],
  ])('%s %j: %s', (operator, keys, expected) => {
    const statement = allow({ Condition: { [operator]: keys } });
    expect(judge({ policies: [policy(statement)] }, { context })).toBe(expected ? 'allowed' : NO_IDENTITY);
  });

  it('all operators of a statement must hold', () => {
    const Condition = {
      StringEquals: { 's3:object-lock-mode': 'COMPLIANCE' },
      Bool: { 'aws:SecureTransport': 'false' },
    };
    expect(judge({ policies: [policy(allow({ Condition }))] }, { context })).toBe(NO_IDENTITY);
    expect(
      judge({ policies: [policy(allow({ Condition }))] }, { context: { ...context, 'aws:SecureTransport': 'false' } }),
    ).toBe('allowed');
  });

  it('a multivalued key needs a set operator', () => {
    const statement = allow({ Condition: { StringEquals: { 'aws:TagKeys': 'team' } } });
    const iam = new LocalIam({ clock });
    iam.putRole({ arn: ROLE, policies: [policy(statement)] });
    expect(() => iam.authorize({ principal: role, action: 'kms:TagResource', resource: KEY, context })).toThrow(
      'the local cloud does not implement the condition operator StringEquals on aws:TagKeys, which has many values: use ForAnyValue or ForAllValues',
    );
  });
});

describe('a policy that cannot be judged exactly is refused when it is put', () => {
  it.each<[string, unknown, string]>([
    [
      'an address condition',
      policy(allow({ Condition: { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } } })),
      'the condition key aws:SourceIp',
    ],
    [
      'an operator',
      policy(allow({ Condition: { NotIpAddress: { x: '10.0.0.0/8' } } })),
      'the condition operator NotIpAddress',
    ],
    [
      'a null for some',
      policy(allow({ Condition: { 'ForAnyValue:Null': { x: 'true' } } })),
      'the condition operator ForAnyValue:Null',
    ],
    [
      'a global key',
      policy(allow({ Condition: { StringEquals: { 'aws:SourceVpce': 'x' } } })),
      'the condition key aws:SourceVpce',
    ],
    ['a variable', policy(allow({ Resource: 'arn:aws:s3:::b/${aws:userid}' })), 'the policy variable ${aws:userid}'],
    ['a principal in an identity policy', policy(allow({ Principal: '*' })), 'an identity policy has no principal'],
    ['an element', policy(allow({ Conditions: {} })), 'a statement has no element Conditions'],
    ['an effect', policy(allow({ Effect: 'allow' })), 'Effect must be Allow or Deny'],
    ['no resource', policy(allow({ Resource: undefined })), 'a statement has exactly one of Resource and NotResource'],
    ['a resource that is no ARN', policy(allow({ Resource: 'vault/*' })), 'the resource vault/* must be an ARN or *'],
    ['an action without a service', policy(allow({ Action: 'PutObject' })), 'not an action: PutObject'],
    ['no actions', policy(allow({ Action: [] })), 'Action is empty'],
    ['a version', { Version: '2020-01-01', Statement: [] }, 'the policy version 2020-01-01 does not exist'],
    ['no statement', { Version: '2012-10-17' }, 'a statement must be an object'],
    ['no JSON', '{', 'the policy is not JSON'],
  ])('%s', (_title, document, message) => {
    expect(() => new LocalIam({ clock }).putRole({ arn: ROLE, policies: [document] })).toThrow(message);
  });

  it.each<[unknown, string]>([
    [{ AWS: 'arn:aws:iam::111122223333:role/*' }, 'invalid principal in policy: arn:aws:iam::111122223333:role/*'],
    [{ AWS: 'arn:aws:sts::111122223333:assumed-role/a/b' }, 'the principal arn:aws:sts::111122223333:assumed-role/a/b'],
    [{ CanonicalUser: 'x' }, 'principals of kind CanonicalUser'],
    [undefined, 'exactly one of Principal and NotPrincipal'],
  ])('the principal %j', (Principal, message) => {
    const iam = new LocalIam({ clock });
    const resourcePolicy = policy({ Effect: 'Allow', Principal, Action: '*', Resource: '*' });
    expect(() =>
      iam.authorize({ principal: role, action: 's3:GetObject', resource: OBJECT, resourcePolicy, context: {} }),
    ).toThrow(message);
  });
});

describe('roles', () => {
  it('take AWS’s managed policies by name, and no unknown one', () => {
    const iam = new LocalIam({ clock });
    const managed = 'arn:aws:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole';
    iam.putRole({ arn: ROLE, policies: [], managedPolicies: [managed] });
    iam.authorize({ principal: role, action: 'ec2:CreateNetworkInterface', resource: '*', context: {} });
    iam.authorize({ principal: role, action: 'logs:PutLogEvents', resource: '*', context: {} });
    expect(iam.usedActions(ROLE)).toEqual(['ec2:CreateNetworkInterface', 'logs:PutLogEvents']);
    expect(() =>
      iam.putRole({ arn: ROLE, policies: [], managedPolicies: ['arn:aws:iam::aws:policy/AdministratorAccess'] }),
    ).toThrow('the local cloud does not implement the managed policy arn:aws:iam::aws:policy/AdministratorAccess');
  });

  it('tell what of their allowances was used', () => {
    const iam = new LocalIam({ clock });
    const other = 'arn:aws:s3:::work/*';
    const Condition = { StringEquals: { 'kms:ViaService': 's3.eu-west-2.amazonaws.com' } };
    const grants = policy(
      allow({ Action: ['s3:Get*', 's3:PutObject'], Resource: ['arn:aws:s3:::vault/*', other] }),
      allow({ Action: 'kms:Decrypt', Resource: KEY, Condition }),
      deny({ Action: 's3:PutObject', Resource: OBJECT }),
    );
    iam.putRole({ arn: ROLE, policies: [grants] });
    const ask = (action: string, resource: string, context = {}) =>
      iam.authorize({ principal: role, action, resource, context });
    ask('s3:GetObject', OBJECT);
    expect(() => ask('s3:PutObject', OBJECT)).toThrow(DENIED_IDENTITY);
    expect(() => ask('kms:Decrypt', KEY)).toThrow(NO_KMS_IDENTITY);
    const throughS3 = `kms:Decrypt on ${KEY} if ${JSON.stringify(Condition)}`;
    const unused = [`s3:Get* on ${other}`, 's3:PutObject on arn:aws:s3:::vault/*', `s3:PutObject on ${other}`];
    expect(iam.allowances(ROLE)).toEqual({
      used: ['s3:Get* on arn:aws:s3:::vault/*'],
      unused: [throughS3, ...unused].sort(),
    });
    ask('kms:Decrypt', KEY, { 'kms:ViaService': 's3.eu-west-2.amazonaws.com' });
    expect(iam.allowances(ROLE)).toEqual({
      used: [throughS3, 's3:Get* on arn:aws:s3:::vault/*'],
      unused: unused.sort(),
    });
  });

  it('record only what was allowed, and lose everything when deleted', () => {
    const iam = new LocalIam({ clock });
    iam.putRole({ arn: ROLE, policies: [policy(allow({ Action: 's3:Get*' }))] });
    const ask = (action: string) => iam.authorize({ principal: role, action, resource: OBJECT, context: {} });
    ask('s3:GetObject');
    ask('s3:GetObject');
    expect(() => ask('s3:PutObject')).toThrow(NO_IDENTITY);
    expect(iam.usedActions(ROLE)).toEqual(['s3:GetObject']);
    expect(iam.usedActions(OTHER)).toEqual([]);
    iam.deleteRole(ROLE);
    expect(iam.hasRole(ROLE)).toBe(false);
    expect(() => ask('s3:GetObject')).toThrow('because the role was deleted');
  });
});

describe('a role that is deleted and created again', () => {
  const arn = 'arn:aws:iam::111122223333:role/app';
  const root = 'arn:aws:iam::111122223333:root';
  const policyFor = (statement: object) => ({
    Version: '2012-10-17',
    Statement: [{ Action: 's3:GetObject', Resource: '*', ...statement }],
  });
  const conditional = { Condition: { ArnLike: { 'aws:PrincipalArn': arn } } };
  const may = (iam: LocalIam, resourcePolicy: unknown) => {
    try {
      iam.authorize({
        principal: { kind: 'role', arn },
        action: 's3:GetObject',
        resource: 'arn:aws:s3:::bucket/key',
        resourcePolicy,
        resourcePolicyRequired: true,
        context: {},
      });
      return true;
    } catch (error) {
      if (error instanceof AccessDenied) return false;
      throw error;
    }
  };

  it.each([
    ['by its ARN, is let in no more', { Effect: 'Allow', Principal: { AWS: arn } }, true, false],
    [
      'by its account and a condition on its ARN, is',
      { Effect: 'Allow', Principal: { AWS: root }, ...conditional },
      true,
      true,
    ],
    ['as one of everybody, is', { Effect: 'Allow', Principal: '*' }, true, true],
    ['by its ARN to be kept out, is let in', { Effect: 'Deny', Principal: { AWS: arn } }, false, true],
    ['by a condition to be kept out, is not', { Effect: 'Deny', Principal: '*', ...conditional }, false, false],
  ])('and that a policy names %s', (_name, statement, before, after) => {
    const iam = new LocalIam({ clock: { now: () => new Date(0) } });
    const allowed = { Effect: 'Allow', Action: 's3:GetObject', Resource: '*' };
    const role = { arn, policies: [{ Version: '2012-10-17', Statement: [allowed] }] };
    const others = statement.Effect === 'Deny' ? [{ ...allowed, Principal: { AWS: root } }] : [];
    const policy = policyFor(statement);
    const document = { ...policy, Statement: [...policy.Statement, ...others] };
    iam.putRole(role);
    expect(may(iam, document)).toBe(before);
    iam.putRole(role);
    expect(may(iam, document)).toBe(before);
    iam.deleteRole(arn);
    expect(may(iam, document)).toBe(false);
    iam.putRole(role);
    expect(may(iam, document)).toBe(after);
    // Whoever writes the policy again means the role that is there now.
    expect(may(iam, structuredClone(document))).toBe(before);
  });
});
