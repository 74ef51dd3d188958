import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LedgerDraft } from '../../../functions/contracts/ledger.ts';
import type { ResourcePolicy } from '../../../functions/contracts/policies.ts';
import { describeTampering, isForeignRole } from '../../../functions/evidence/describe-tampering.ts';
import { hashPolicy } from '../../../functions/platform/policy-comparison.ts';

const eventID = '3c4226b0-1e81-48a8-a333-7fa5f3cbd118';
const key = '1234abcd-12ab-34cd-56ef-1234567890ab';
const PERSON = /alice|bloggs|@|192\.0\.2|Mozilla/i;
// https://docs.aws.amazon.com/kms/latest/developerguide/ct-schedule-key-deletion.html
const RECORD = {
  eventVersion: '1.08',
  userIdentity: {
    type: 'IAMUser',
    principalId: 'AIDACKCEVSQ6C2EXAMPLE',
    arn: 'arn:aws:iam::111122223333:user/Alice',
    accountId: '111122223333',
    accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
    userName: 'Alice',
  },
  eventTime: '2026-11-22T18:58:30Z',
  eventSource: 'kms.amazonaws.com',
  eventName: 'ScheduleKeyDeletion',
  awsRegion: 'eu-west-2',
  sourceIPAddress: '192.0.2.0',
  userAgent: 'Mozilla/5.0',
  requestParameters: { pendingWindowInDays: 20, keyId: key },
  responseElements: { keyState: 'PendingDeletion' },
  requestID: 'ee408f36-ea01-422b-ac14-b0f147c68334',
  eventID,
  readOnly: false,
  resources: [
    { accountId: '111122223333', type: 'AWS::KMS::Key', ARN: `arn:aws:kms:eu-west-2:111122223333:key/${key}` },
  ],
  eventType: 'AwsApiCall',
  recipientAccountId: '111122223333',
};
const role = (arn: string) => ({
  type: 'AssumedRole',
  principalId: 'AROACKCEVSQ6C2EXAMPLE:jo.bloggs@example.com',
  sessionContext: { sessionIssuer: { type: 'Role', arn } },
});

describe('describing an event of CloudTrail', () => {
  it('says what was done to what, and by whom without a name', () => {
    expect(describeTampering('key-changed', 'tampering', RECORD)).toEqual({
      eventId: `tampering/${eventID}`,
      kind: 'tampering.seen',
      actor: 'principal/AIDACKCEVSQ6C2EXAMPLE',
      subject: key,
      body: {
        rule: 'key-changed',
        cloudTrailEventId: eventID,
        eventTime: '2026-11-22T18:58:30Z',
        eventSource: 'kms.amazonaws.com',
        eventName: 'ScheduleKeyDeletion',
        region: 'eu-west-2',
        errorCode: null,
      },
    });
  });

  it.each<[string, unknown, string]>([
    ['Daybreak’s own role', role('arn:aws:iam::111122223333:role/daybreak-backup-plan'), 'role/daybreak-backup-plan'],
    ['another role', role('arn:aws:iam::111122223333:role/alice-admin'), 'principal/AROACKCEVSQ6C2EXAMPLE'],
    [
      'a role of that name under a path',
      role('arn:aws:iam::111122223333:role/alice/daybreak-x'),
      'principal/AROACKCEVSQ6C2EXAMPLE',
    ],
    ['the root user', { type: 'Root', principalId: '111122223333', arn: 'arn:aws:iam::111122223333:root' }, 'root'],
    ['a service', { type: 'AWSService', invokedBy: 'rds.amazonaws.com' }, 'service/rds.amazonaws.com'],
    ['AWS', { accountId: '111122223333', invokedBy: 'AWS Internal' }, 'service/aws'],
    ['a federated user', { type: 'SAMLUser', principalId: 'x:alice@example.com', userName: 'alice' }, 'unknown'],
    ['a service of one’s own', { type: 'x', invokedBy: 'alice bloggs' }, 'unknown'],
    ['nobody', undefined, 'unknown'],
    ['what is no identity', ['alice'], 'unknown'],
  ])('names %s', (_, userIdentity, actor) => {
    expect(describeTampering('trail', 'tampering', { ...RECORD, userIdentity }).actor).toBe(actor);
  });

  it.each<[string, Record<string, unknown>, Record<string, unknown>]>([
    [
      'an object by its own name',
      { bucketName: 'daybreak-vault-111122223333-eu-west-2', key: `tenants/oak/objects/${'a'.repeat(64)}` },
      { subject: 'daybreak-vault-111122223333-eu-west-2', object: `tenants/oak/objects/${'a'.repeat(64)}` },
    ],
    [
      'another object by its hash, and that governance was bypassed',
      { bucketName: 'daybreak-vault-1', key: 'Alice Bloggs.pdf', 'x-amz-bypass-governance-retention': 'true' },
      {
        subject: 'daybreak-vault-1',
        object: 'sha256:a0e0cb52e5e0bbe5ad1f8e8a3db7e6c04fd3bd7c2a41a4da3a2b3c0c5ee3a26d',
        bypassedGovernance: true,
      },
    ],
    ['the first of many', { alarmNames: ['daybreak-pager', 'x'] }, { subject: 'daybreak-pager' }],
    [
      'an ARN of Daybreak’s',
      { sourceArn: 'arn:aws:rds:eu-west-2:111122223333:snapshot:daybreak-a-20261122t023000z' },
      { subject: 'arn:aws:rds:eu-west-2:111122223333:snapshot:daybreak-a-20261122t023000z' },
    ],
    [
      'what is somebody’s by its hash',
      { roleName: 'daybreak alice@example.com' },
      { subject: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) },
    ],
    [
      'a text of any length by its hash',
      { name: 'daybreak'.repeat(1000) },
      { subject: expect.stringMatching(/^sha256:/) },
    ],
  ])('names %s', (_, requestParameters, { subject, ...body }) => {
    const draft = describeTampering('objects', 'tampering', { ...RECORD, requestParameters, resources: [] });
    const object =
      typeof body.object === 'string' && body.object.startsWith('sha256:')
        ? { object: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) }
        : {};
    expect(draft).toMatchObject({ subject, body: { ...body, ...object } });
  });

  it('falls back on the resource, and says when there is none', () => {
    const without = { ...RECORD, requestParameters: null };
    expect(describeTampering('key-destroyed', 'tampering', without).subject).toBe(RECORD.resources[0]?.ARN);
    expect(describeTampering('key-destroyed', 'tampering', { ...without, resources: 'x' }).subject).toBe('unknown');
  });

  it('counts refused attempts by rule, principal and hour', () => {
    const idAt = (eventTime: string, more = {}) =>
      describeTampering('buckets', 'refused', { ...RECORD, errorCode: 'AccessDenied', eventTime, ...more }).eventId;
    const first = idAt('2026-11-22T18:00:00Z');
    expect(first).toBe('tampering/refused/buckets/principal/AIDACKCEVSQ6C2EXAMPLE/2026-11-22T18');
    expect(idAt('2026-11-22T18:59:59Z', { eventID: 'ee408f36-ea01-422b-ac14-b0f147c68334' })).toBe(first);
    expect(idAt('2026-11-22T19:00:00Z')).not.toBe(first);
    expect(idAt('2026-11-22T18:00:00Z', { userIdentity: { type: 'Root' } })).not.toBe(first);
  });

  it('of the deployment names nobody', () => {
    const userIdentity = role('arn:aws:iam::111122223333:role/cdk-hnb659fds-cfn-exec-role-111122223333-eu-west-2');
    expect(describeTampering('functions', 'upgrade', { ...RECORD, userIdentity })).toMatchObject({
      kind: 'upgrade.seen',
      actor: 'deployment',
    });
  });

  it.each([undefined, null, 'x', [], {}, { eventID: 'alice' }, { eventID: `${eventID} ` }])('refuses %j', record => {
    expect(() => describeTampering('trail', 'tampering', record)).toThrow();
  });

  it('makes an entry of whatever else an attacker writes, short, printable and without what he wrote', () => {
    const text = fc.oneof(
      fc.string(),
      fc.constant('alice.bloggs@example.com'),
      fc.constant('Alice\u0000\u001b[31m\n'),
      fc.constant('x'.repeat(5000)),
    );
    const anything = fc.oneof(text, fc.jsonValue(), fc.constant(undefined));
    const hostile = fc.record({
      eventTime: anything,
      eventSource: anything,
      eventName: anything,
      awsRegion: anything,
      errorCode: anything,
      userIdentity: fc.oneof(anything, fc.record({ type: text, principalId: text, invokedBy: text })),
      requestParameters: fc.oneof(
        anything,
        fc.record({ bucketName: anything, key: anything, roleName: anything, keyId: anything, alarmNames: anything }),
      ),
      resources: fc.oneof(anything, fc.array(fc.record({ ARN: anything }))),
    });
    fc.assert(
      fc.property(hostile, fc.constantFrom('tampering', 'refused', 'upgrade'), (parts, mode) => {
        const draft = describeTampering('objects', mode, { eventID, ...parts });
        const written = JSON.stringify(LedgerDraft.parse(draft));
        expect(written.length).toBeLessThan(2000);
        expect(written).not.toMatch(PERSON);
        expect(written).toMatch(/^[\u0020-\u007e]*$/);
      }),
      { numRuns: 500 },
    );
  });
});

it.each<[boolean, string, Record<string, unknown> | null, object?]>([
  [true, 'CreateRole', { roleName: 'daybreak-export-mine' }],
  [true, 'TagRole', { roleName: 'daybreak-export-mine' }],
  [true, 'CreateRole', { roleName: 'daybreak-backup-plan2' }],
  [true, 'CreateRole', { roleName: 'daybreak-' }],
  [true, 'CreateRole', { roleName: 'reader', path: '/daybreak-backup-x/' }],
  [true, 'CreateRole', { roleName: 'daybreak-backup-plan', path: '/daybreak-backup-x/' }],
  [false, 'CreateRole', { roleName: 'daybreak-backup-plan' }],
  [false, 'CreateRole', { roleName: 'daybreak-backup-plan', path: '/' }],
  [false, 'CreateRole', { roleName: 'reader', path: '/team/' }],
  [false, 'DeleteRole', { roleName: 'daybreak-export-mine' }],
  [false, 'CreatePolicy', { policyName: 'x', path: '/daybreak-x/' }],
  [false, 'CreateRole', { roleName: ['daybreak-export-mine'] }],
  [false, 'CreateRole', null],
  [false, 'CreateRole', { roleName: 'daybreak-export-mine' }, { eventSource: 'kms.amazonaws.com' }],
  [false, 'CreateRole', { roleName: 'daybreak-export-mine' }, { eventID: 'no event' }],
])('tells a role that this release has not from its own: %s, %s of %o', (is, eventName, requestParameters, more) => {
  const record = { ...RECORD, eventSource: 'iam.amazonaws.com', eventName, requestParameters, ...more };
  expect(isForeignRole(record, new Set(['daybreak-backup-plan']))).toBe(is);
});

const POLICY = {
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' }],
};
it.each<[string, Record<string, unknown>, string | undefined]>([
  ['a policy by its hash', { policy: JSON.stringify(POLICY) }, hashPolicy(POLICY as unknown as ResourcePolicy)],
  [
    'none that could lock everybody out',
    { policy: JSON.stringify(POLICY), bypassPolicyLockoutSafetyCheck: true },
    undefined,
  ],
  ['none that is no JSON', { policy: 'Alice' }, undefined],
  ['none that is no policy', { policy: '{"Statement":7}' }, undefined],
  ['none that is no text', { policy: POLICY }, undefined],
])('says what a key was made to let in: %s', (_, requestParameters, sha256) => {
  const record = { ...RECORD, eventName: 'PutKeyPolicy', requestParameters: { keyId: key, ...requestParameters } };
  expect(describeTampering('key-changed', 'tampering', record).body.policySha256).toBe(sha256);
});
