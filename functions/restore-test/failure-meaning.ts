/** What it says of a backup that a step of its restore test failed: it is damaged, or something else was in the way. */
export type FailureMeaning = 'backup-damaged' | 'test-hindered';

/**
 * The errors that can end the test of one database, by the names under which Step Functions tells of them. A test holds
 * this list against the classes that the steps can throw: none is added or renamed without a decision here.
 */
export const FAILURE_MEANINGS: Readonly<Record<string, FailureMeaning>> = {
  SnapshotAlteredError: 'backup-damaged',
  /** What is under the snapshot's key cannot be had back without it. */
  DatabaseKeyError: 'backup-damaged',
  /**
   * A part without the hash that is signed for it: what the backup is proved by is damaged, as by an index without its own
   * (finding `fingerprint-altered`). Verification makes a finding of it; a step that ends with it says the same.
   */
  FingerprintPartAlteredError: 'backup-damaged',
  RootManifestInvalidError: 'backup-damaged',

  DatabaseAccessDeniedError: 'test-hindered',
  DatabaseCertificateError: 'test-hindered',
  DatabaseQueryError: 'test-hindered',
  DatabaseQuotaError: 'test-hindered',
  DatabaseResourceExistsError: 'test-hindered',
  DatabaseResourceNotFoundError: 'test-hindered',
  DatabaseServiceAccessDeniedError: 'test-hindered',
  DatabaseServiceError: 'test-hindered',
  DatabaseTlsError: 'test-hindered',
  DigestsMalformedError: 'test-hindered',
  FingerprintUnreadableError: 'test-hindered',
  InvalidConfigurationError: 'test-hindered',
  InvalidInputError: 'test-hindered',
  KeyAccessDeniedError: 'test-hindered',
  KeyServiceError: 'test-hindered',
  KeyUnusableError: 'test-hindered',
  NotConfiguredError: 'test-hindered',
  NothingToCompareError: 'test-hindered',
  ObjectAccessDeniedError: 'test-hindered',
  ObjectArchivedError: 'test-hindered',
  ObjectKeyUnusableError: 'test-hindered',
  ObjectNotFoundError: 'test-hindered',
  ObjectStorageError: 'test-hindered',
  ObjectUnderCustomerKeyError: 'test-hindered',
  PermanentError: 'test-hindered',
  PreconditionFailedError: 'test-hindered',
  RestoreConflictError: 'test-hindered',
  RestoreFailedError: 'test-hindered',
  /** Whatever passes, under one name (`platform/handler.ts`). */
  RetryableError: 'test-hindered',
  TenantKeyUnusableError: 'test-hindered',
  /** Of the workflow itself: `infra/workflows/restore-test.ts`. */
  NoFunctionFreeError: 'test-hindered',
  NoResultError: 'test-hindered',
  RestoreTimedOutError: 'test-hindered',
  VerificationTimedOutError: 'test-hindered',
};

/** What a failure says. Names that no class of ours has (`States.Timeout`, `Lambda.Unknown`) say nothing of the backup. */
export function meaningOf(failure: string): FailureMeaning {
  return (Object.hasOwn(FAILURE_MEANINGS, failure) ? FAILURE_MEANINGS[failure] : undefined) ?? 'test-hindered';
}
