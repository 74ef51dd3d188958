import { PURPOSE_TAG, TENANT_TAG } from '../../functions/contracts/vault-layout.ts';
import type { Pattern } from '../access/permission.ts';
import { REGION } from '../config/configuration.ts';
import { defineSteps, KIB, MIB } from './step.ts';

const ANY_KEY: Pattern = {
  pattern: '*',
  reason:
    'A key that does not exist yet has no ARN, and listing knows none; the guardrails let this role alone create.',
};

export const TENANT_STEPS = defineSteps({
  'tenants/ensure-key': {
    limits: { timeoutMinutes: 3, memoryMib: 512, spoolMib: 512 },
    builtFor: { items: 1, of: 'tenants', bytes: MIB, payloadBytes: 2 * KIB },
    placement: 'outside',
    callers: ['workflow'],
    environment: 'nothing more',
    permissions: ({ configuration, vaultBucket, workBucket, tenantKeys, list, read, write }) => [
      { actions: ['kms:ListAliases', 'kms:ListKeys'], resources: [ANY_KEY] },
      // A tenant's key is one for encryption, tagged as such, and has no replica in another Region.
      // https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html
      {
        actions: ['kms:CreateKey'],
        resources: [ANY_KEY],
        conditions: {
          StringEquals: { 'kms:KeySpec': 'SYMMETRIC_DEFAULT', [`aws:RequestTag/${PURPOSE_TAG}`]: 'tenant' },
          Bool: { 'kms:MultiRegion': 'false' },
        },
      },
      // Tags that a key is created with need it for all keys, as the new one has no ARN yet.
      // https://docs.aws.amazon.com/kms/latest/developerguide/tag-permissions.html
      {
        actions: ['kms:TagResource'],
        resources: [tenantKeys],
        conditions: {
          StringEquals: { [`aws:RequestTag/${PURPOSE_TAG}`]: 'tenant' },
          // Keys that have a purpose, the vault's and the signing key among them, keep it.
          Null: { [`aws:ResourceTag/${PURPOSE_TAG}`]: 'true' },
          'ForAllValues:StringEquals': { 'aws:TagKeys': [PURPOSE_TAG, TENANT_TAG] },
        },
      },
      {
        actions: ['kms:CreateAlias', 'kms:DescribeKey', 'kms:ListResourceTags'],
        resources: [tenantKeys],
      },
      {
        actions: ['kms:CreateAlias'],
        resources: [
          {
            pattern: `arn:aws:kms:${REGION}:${configuration.account}:alias/daybreak/tenant/*`,
            reason: "The aliases of tenants' keys are made at run time.",
          },
        ],
      },
      list(vaultBucket),
      list(workBucket),
      ...read(workBucket, 'work/tenant-keys/'),
      ...write(workBucket, 'work/tenant-keys/'),
    ],
  },
});
