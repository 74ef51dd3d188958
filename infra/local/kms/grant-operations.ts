import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import { AccessDenied, KeyOperationError } from '../service.ts';
import { ENCRYPTION_OPERATIONS, type KeyAccess } from './access.ts';
import type { Grant, Key } from './key.ts';
import {
  EncryptionContextMap,
  GrantTokens,
  KeyId,
  Limit,
  Marker,
  type Operation,
  operation,
  pageOf,
} from './parameters.ts';

const PrincipalArn = z
  .string()
  .min(1)
  .max(256)
  .regex(/^(?:arn:aws:(?:iam|sts)::\d{12}:[\w+=,.@:/-]+|[\w.-]+\.amazonaws\.com)$/, 'Member must be a principal');
const GrantOperation = z.enum([
  ...ENCRYPTION_OPERATIONS,
  'Sign',
  'Verify',
  'GetPublicKey',
  'GenerateMac',
  'VerifyMac',
  'CreateGrant',
  'RetireGrant',
  'DescribeKey',
]);
const OF_USAGE: Readonly<Record<Key['usage'], readonly string[]>> = {
  ENCRYPT_DECRYPT: ENCRYPTION_OPERATIONS,
  SIGN_VERIFY: ['Sign', 'Verify', 'GetPublicKey'],
  GENERATE_VERIFY_MAC: ['GenerateMac', 'VerifyMac'],
};
const GrantId = z.string().min(1).max(128);

/** CreateGrant, ListGrants, RevokeGrant and RetireGrant. Grants take effect at once. */
export function grantOperations(access: KeyAccess): Record<string, Operation> {
  const remove = (key: Key, grant: Grant): object => {
    key.grants = key.grants.filter(other => other !== grant);
    access.save(key);
    return {};
  };

  return {
    CreateGrant: operation(
      'CreateGrant',
      z.strictObject({
        KeyId,
        GranteePrincipal: PrincipalArn,
        RetiringPrincipal: PrincipalArn.optional(),
        Operations: z.array(GrantOperation).min(1),
        Constraints: z
          .strictObject({
            EncryptionContextSubset: EncryptionContextMap.optional(),
            EncryptionContextEquals: EncryptionContextMap.optional(),
          })
          .default({}),
        GrantTokens,
        Name: z
          .string()
          .regex(/^[a-zA-Z0-9:/_-]{1,256}$/)
          .optional(),
      }),
      (parameters, caller) => {
        const { Operations, Constraints, GranteePrincipal, RetiringPrincipal, Name } = parameters;
        const [constraint] = Object.keys(Constraints);
        const key = access.use(caller, 'CreateGrant', parameters.KeyId, {
          state: 'enabled',
          givesOn: { operations: Operations, constraints: Constraints },
          conditions: {
            'kms:GrantOperations': Operations,
            'kms:GranteePrincipal': GranteePrincipal,
            'kms:GrantIsForAWSResource': String(caller.viaService !== undefined),
            ...(RetiringPrincipal === undefined ? {} : { 'kms:RetiringPrincipal': RetiringPrincipal }),
            ...(constraint === undefined ? {} : { 'kms:GrantConstraintType': constraint }),
          },
        });
        const { [key.usage]: _, ...others } = OF_USAGE;
        const wrong = Operations.find(name => Object.values(others).flat().includes(name));
        if (wrong !== undefined) {
          throw new KeyOperationError('ValidationException', `${wrong} is not valid for a key of spec ${key.spec}`);
        }
        const wanted = {
          name: Name,
          granteePrincipal: GranteePrincipal,
          retiringPrincipal: RetiringPrincipal,
          operations: Operations,
          constraints: Constraints,
        };
        let grant = Name === undefined ? undefined : key.grants.find(present => isSame(present, wanted));
        if (grant === undefined) {
          grant = {
            ...wanted,
            grantId: randomBytes(32).toString('hex'),
            token: randomBytes(96).toString('base64url'),
            issuingAccount: `arn:aws:iam::${access.accountId}:root`,
            createdAtMs: access.nowMs(),
          };
          key.grants.push(grant);
          access.save(key);
        }
        return { GrantId: grant.grantId, GrantToken: grant.token };
      },
    ),
    ListGrants: operation(
      'ListGrants',
      z.strictObject({
        KeyId,
        GrantId: GrantId.optional(),
        GranteePrincipal: PrincipalArn.optional(),
        Limit: Limit(100),
        Marker,
      }),
      ({ KeyId: keyId, GrantId: grantId, GranteePrincipal: grantee, ...paging }, caller) => {
        const key = access.use(caller, 'ListGrants', keyId, { state: 'any' });
        const found = key.grants.filter(
          grant =>
            (grantId === undefined || grant.grantId === grantId) &&
            (grantee === undefined || grant.granteePrincipal === grantee),
        );
        const { page, ...more } = pageOf(found, paging, 50);
        return { Grants: page.map(grant => describeGrant(key, grant)), ...more };
      },
    ),
    RevokeGrant: operation('RevokeGrant', z.strictObject({ KeyId, GrantId }), (parameters, caller) => {
      const key = access.use(caller, 'RevokeGrant', parameters.KeyId, { state: 'any' });
      const grant = key.grants.find(({ grantId }) => grantId === parameters.GrantId);
      if (grant === undefined)
        throw new KeyOperationError('NotFoundException', `Grant ID ${parameters.GrantId} not found`);
      return remove(key, grant);
    }),
    RetireGrant: operation(
      'RetireGrant',
      z.strictObject({
        GrantToken: z.string().min(1).max(8192).optional(),
        KeyId: KeyId.optional(),
        GrantId: GrantId.optional(),
      }),
      ({ GrantToken, KeyId: keyId, GrantId: grantId }, caller) => {
        if ((GrantToken === undefined) === (keyId === undefined || grantId === undefined)) {
          throw new KeyOperationError(
            'ValidationException',
            'RetireGrant takes a grant token, or a key and a grant id',
          );
        }
        const keys = keyId === undefined ? [...access.store.keys.values()] : [access.find(keyId, false).key];
        for (const key of keys) {
          const grant = key.grants.find(present => present.token === GrantToken || present.grantId === grantId);
          if (grant === undefined) continue;
          const { arn, kind } = caller.principal;
          const mayRetire =
            kind === 'root' ||
            grant.retiringPrincipal === arn ||
            (grant.granteePrincipal === arn && grant.operations.includes('RetireGrant'));
          if (!mayRetire) throw new AccessDenied(`User: ${arn} is not authorized to retire the grant ${grant.grantId}`);
          return remove(key, grant);
        }
        throw new KeyOperationError('NotFoundException', 'the grant is not found');
      },
    ),
  };
}

function isSame(grant: Grant, wanted: Partial<Grant>): boolean {
  return Object.entries(wanted).every(([field, value]) => isDeepStrictEqual(grant[field as keyof Grant], value));
}

function describeGrant(key: Key, grant: Grant): object {
  return {
    KeyId: key.arn,
    GrantId: grant.grantId,
    Name: grant.name ?? '',
    CreationDate: grant.createdAtMs / 1000,
    GranteePrincipal: grant.granteePrincipal,
    ...(grant.retiringPrincipal === undefined ? {} : { RetiringPrincipal: grant.retiringPrincipal }),
    IssuingAccount: grant.issuingAccount,
    Operations: grant.operations,
    ...(Object.keys(grant.constraints).length > 0 ? { Constraints: grant.constraints } : {}),
  };
}
