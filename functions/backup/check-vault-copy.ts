import type { DBSnapshot } from '../platform/rds.ts';

/**
 * Why a snapshot is not yet a copy that the vault can rely on; an empty list when it is one. Encryption is read from
 * `StorageEncryptionType`: `Encrypted: false` no longer means unencrypted, and only `sse-kms` has a key of ours.
 * https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DBSnapshot.html
 */
export function checkVaultCopy(
  snapshot: Pick<DBSnapshot, 'Status' | 'StorageEncryptionType' | 'KmsKeyId'> | undefined,
  vaultKeyArn: string,
): string[] {
  if (snapshot === undefined) return ['it does not exist'];
  return [
    ...(snapshot.Status === 'available' ? [] : [`its status is ${snapshot.Status}`]),
    ...(snapshot.StorageEncryptionType === 'sse-kms'
      ? []
      : [`its storage encryption is ${snapshot.StorageEncryptionType}`]),
    ...(snapshot.KmsKeyId === vaultKeyArn ? [] : ['it is not under the vault key']),
  ];
}
