import { expect, it } from 'vitest';
import { checkVaultCopy } from '../../../functions/backup/check-vault-copy.ts';

const key = 'arn:aws:kms:eu-west-2:111122223333:key/vault';
const copy = { Status: 'available', StorageEncryptionType: 'sse-kms', KmsKeyId: key } as const;

it.each([
  ['a proven copy', copy, []],
  ['nothing', undefined, ['it does not exist']],
  ['a copy under way', { ...copy, Status: 'copying' }, ['its status is copying']],
  [
    "one under RDS's own key, though Encrypted would say false",
    { ...copy, StorageEncryptionType: 'sse-rds' as const, KmsKeyId: undefined },
    ['its storage encryption is sse-rds', 'it is not under the vault key'],
  ],
  ['one under another key', { ...copy, KmsKeyId: `${key}2` }, ['it is not under the vault key']],
])('says of %s what is missing', (_name, snapshot, problems) => {
  expect(checkVaultCopy(snapshot, key)).toEqual(problems);
});
