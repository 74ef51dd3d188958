import type { Scratch } from '../scratch.ts';

/** A bucket without versions. */
export const plainBucket = (scratch: Scratch): Promise<string> => scratch.bucket('plain');
export const versionedBucket = (scratch: Scratch): Promise<string> => scratch.bucket('versioned', { versioned: true });
/** Object Lock without a default. */
export const lockedBucket = (scratch: Scratch): Promise<string> => scratch.bucket('locked', { objectLock: true });

/** Object Lock with a default event hold of a day, as the vault has, and limits on who ends it below some prefixes. */
export const heldBucket = (scratch: Scratch): Promise<string> =>
  scratch.bucket('held', {
    eventHoldDays: 1,
    statements: arn => [
      {
        Action: 's3:PutObjectRetention',
        Resource: `${arn}/kept/*`,
        Condition: { StringEquals: { 's3:object-lock-event-hold': 'OFF' } },
      },
      {
        Action: 's3:PutObjectRetention',
        Resource: `${arn}/long/*`,
        Condition: { NumericLessThan: { 's3:object-lock-event-hold-duration-days': '5' } },
      },
    ],
  });

/** Nobody may list it. */
export const unlistedBucket = (scratch: Scratch): Promise<string> =>
  scratch.bucket('unlisted', { statements: arn => [{ Action: 's3:ListBucket', Resource: arn }] });

/** The conditions of `infra/stacks/vault.ts`, each below a prefix of its own. */
export const policedBucket = (scratch: Scratch): Promise<string> =>
  scratch.bucket('policed', {
    versioned: true,
    statements: async arn => {
      const put = (prefix: string, Condition: object) => ({
        Action: 's3:PutObject',
        Resource: `${arn}/${prefix}/*`,
        Condition,
      });
      const keyId = 's3:x-amz-server-side-encryption-aws-kms-key-id';
      const algorithm = 's3:x-amz-server-side-encryption';
      const customer = 's3:x-amz-server-side-encryption-customer-algorithm';
      return [
        put('once', { Null: { 's3:if-none-match': 'true' }, Bool: { 's3:ObjectCreationOperation': 'true' } }),
        put('key', { ArnNotEquals: { [keyId]: await scratch.key('first') }, Null: { [keyId]: 'false' } }),
        put('kms', { StringNotEquals: { [algorithm]: 'aws:kms' }, Null: { [algorithm]: 'false' } }),
        put('customer', { Null: { [customer]: 'false' } }),
        put('tls', { NumericLessThan: { 's3:TlsVersion': '1.2' } }),
        put('tls-known', { NumericGreaterThanEquals: { 's3:TlsVersion': '1.2' } }),
        put('seen', { Null: { 's3:if-match': 'true', 's3:if-none-match': 'true' } }),
        { Action: 's3:DeleteObject', Resource: `${arn}/seen/*`, Condition: { Null: { 's3:if-match': 'true' } } },
        { Action: 's3:DeleteObject', Resource: `${arn}/hidden/*` },
        { Action: 's3:UpdateObjectEncryption', Resource: `${arn}/swapped/*` },
      ];
    },
  });
