import { randomUUID } from 'node:crypto';
import { KeyOperationError } from '../service.ts';

export type KeySpec = 'SYMMETRIC_DEFAULT' | 'ECC_NIST_P256' | 'HMAC_256';
export type KeyUsage = 'ENCRYPT_DECRYPT' | 'SIGN_VERIFY' | 'GENERATE_VERIFY_MAC';

/** A grant: permission for one principal, beside the key's policy. */
export interface Grant {
  readonly grantId: string;
  readonly token: string;
  readonly name: string | undefined;
  readonly granteePrincipal: string;
  readonly retiringPrincipal: string | undefined;
  readonly issuingAccount: string;
  readonly operations: readonly string[];
  readonly constraints: {
    readonly EncryptionContextSubset?: Record<string, string> | undefined;
    readonly EncryptionContextEquals?: Record<string, string> | undefined;
  };
  readonly createdAtMs: number;
}

/** A KMS key. */
export interface Key {
  readonly id: string;
  readonly arn: string;
  readonly spec: KeySpec;
  readonly usage: KeyUsage;
  readonly createdAtMs: number;
  description: string;
  /** The key policy's JSON text, as it was given. */
  policy: string;
  tags: Map<string, string>;
  grants: Grant[];
  rotation: { enabledAtMs: number; periodDays: number } | undefined;
  state: 'Enabled' | 'Disabled' | 'PendingDeletion';
  deletionAtMs: number | undefined;
  /** Until then cryptographic operations still work although the state does not allow them. */
  worksUntilMs: number;
  /** The secret: 32 bytes, or a private key in PKCS #8. */
  readonly material: Buffer;
}

/** A key and the alias, if any, by which the request named it. */
export interface NamedKey {
  readonly key: Key;
  readonly alias: string | undefined;
}

/** How a key's state bears on an operation. */
export type StateRule = 'any' | 'not-pending' | 'enabled' | 'cryptographic';

/**
 * Refuses an operation that the key's state does not allow.
 * https://docs.aws.amazon.com/kms/latest/developerguide/key-state.html
 */
export function checkState(key: Key, rule: StateRule, nowMs: number): void {
  if (rule === 'any' || key.state === 'Enabled') return;
  if (rule === 'cryptographic' && nowMs < key.worksUntilMs) return;
  if (key.state === 'PendingDeletion') {
    throw new KeyOperationError('KMSInvalidStateException', `${key.arn} is pending deletion.`);
  }
  if (rule !== 'not-pending') throw new KeyOperationError('DisabledException', `${key.arn} is disabled.`);
}

const ALGORITHMS: Readonly<Record<KeyUsage, object>> = {
  ENCRYPT_DECRYPT: { EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'] },
  SIGN_VERIFY: { SigningAlgorithms: ['ECDSA_SHA_256'] },
  GENERATE_VERIFY_MAC: { MacAlgorithms: ['HMAC_SHA_256'] },
};

/** The `KeyMetadata` of DescribeKey and CreateKey. */
export function metadataOf(key: Key, accountId: string): Record<string, unknown> {
  return {
    AWSAccountId: accountId,
    KeyId: key.id,
    Arn: key.arn,
    CreationDate: key.createdAtMs / 1000,
    Enabled: key.state === 'Enabled',
    Description: key.description,
    KeyUsage: key.usage,
    KeyState: key.state,
    ...(key.deletionAtMs === undefined ? {} : { DeletionDate: key.deletionAtMs / 1000 }),
    Origin: 'AWS_KMS',
    KeyManager: 'CUSTOMER',
    CustomerMasterKeySpec: key.spec,
    KeySpec: key.spec,
    ...ALGORITHMS[key.usage],
    MultiRegion: false,
  };
}

/** A key that is enabled from the start. */
export function newKey(
  definition: Pick<Key, 'spec' | 'usage' | 'description' | 'policy' | 'tags' | 'material'>,
  place: { arnPrefix: string; nowMs: number },
): Key {
  const id = randomUUID();
  return {
    ...definition,
    id,
    arn: `${place.arnPrefix}key/${id}`,
    createdAtMs: place.nowMs,
    grants: [],
    rotation: undefined,
    state: 'Enabled',
    deletionAtMs: undefined,
    worksUntilMs: 0,
  };
}
