import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { NotCoveredReason, ObjectManifestLine } from '../contracts/object-manifest.ts';
import { objectKey } from '../contracts/vault-layout.ts';
import { describeError, PermanentError } from '../platform/errors.ts';
import { TenantKeyUnusableError } from '../platform/kms.ts';
import { log } from '../platform/log.ts';
import { type CopyLimits, copyObject, describeCopy } from '../platform/object-copy.ts';
import {
  describeObject,
  type ListedObject,
  ObjectAccessDeniedError,
  ObjectArchivedError,
  ObjectKeyUnusableError,
  ObjectNotFoundError,
  ObjectStorageError,
  ObjectUnderCustomerKeyError,
  PreconditionFailedError,
  readObject,
  readTags,
} from '../platform/s3.ts';
import { describeLine, sourceChecksum } from './describe-line.ts';
import { objectName } from './object-name.ts';

/** What became of one object. */
export type CopyOutcome =
  | {
      readonly kind: 'covered';
      readonly line: ObjectManifestLine;
      readonly written: boolean;
      readonly recopied: number;
    }
  /** It, or the version that was listed, was deleted or moved since. */
  | { readonly kind: 'vanished' }
  | { readonly kind: 'not-covered'; readonly reason: NotCoveredReason; readonly recopied: number }
  | { readonly kind: 'out-of-time' };

export interface CopyTask {
  readonly source: { readonly bucket: string; readonly bucketId: string };
  readonly vault: { readonly bucket: string; readonly tenant: string | null; readonly keyArn: string };
  namingSecret(): Promise<Uint8Array>;
  readonly limits: CopyLimits;
  timeIsShort(): boolean;
}

const MAX_TRIES = 5;

/**
 * Brings one object's current content into the vault, under the tenant's key, and describes it. The copy is of exactly
 * the version that the line describes: when the object changes meanwhile it is described and copied again, five times at
 * most. A copy that an earlier run made is adopted.
 *
 * A change of tags alone changes neither an object's ETag nor its time, so that it is first seen with the next change
 * of the object itself.
 * @throws TenantKeyUnusableError when the tenant's key refuses; VaultAccessDeniedError; RetryableError. Whatever is wrong
 * with the object alone is an outcome.
 */
export async function copyToVault(object: ListedObject, task: CopyTask): Promise<CopyOutcome> {
  const secret = await task.namingSecret();
  let recopied = 0;
  try {
    for (; recopied < MAX_TRIES; recopied++) {
      const outcome = await tryCopy(object, task, secret, recopied);
      if (outcome !== 'changed') return outcome;
    }
    return { kind: 'not-covered', reason: 'kept-changing', recopied };
  } catch (error) {
    const reason = reasonOf(error);
    if (reason === undefined) throw error;
    log('warn', 'an object is not covered', {
      bucketId: task.source.bucketId,
      tenant: task.vault.tenant,
      reason,
      error: describeError(error),
    });
    return { kind: 'not-covered', reason, recopied };
  }
}

async function tryCopy(
  object: ListedObject,
  task: CopyTask,
  secret: Uint8Array,
  recopied: number,
): Promise<CopyOutcome | 'changed'> {
  const { source, vault, limits, timeIsShort } = task;
  const calledInMessages = `an object of bucket ${source.bucketId}`;
  const asked = { calledInMessages, ...versionOf(object) };
  const head = await describeObject(source.bucket, object.key, asked);
  if (head === undefined) return { kind: 'vanished' };
  if (isArchived(head)) return { kind: 'not-covered', reason: 'archived', recopied };
  const tags = await readTagsIfAllowed(source.bucket, object.key, asked);
  if (tags === 'gone') return 'changed';
  const eTag = head.ETag ?? '';
  const sizeBytes = head.ContentLength ?? 0;
  const checksum = sourceChecksum(head);
  // The checksum stands beside the ETag because two contents with one MD5 can be made on purpose.
  const vaultName = objectName(secret, [source.bucket, object.key, eTag, checksum?.value ?? '']);
  const target = { bucket: vault.bucket, key: objectKey(vault.tenant, vaultName), keyArn: vault.keyArn };
  let copy: Awaited<ReturnType<typeof copyObject>>;
  let written = true;
  try {
    copy = await copyObject({
      source: { bucket: source.bucket, key: object.key, eTag, sizeBytes, ...asked },
      target,
      limits,
      timeIsShort,
    });
    if (copy === undefined) return { kind: 'out-of-time' };
  } catch (error) {
    if (error instanceof ObjectKeyUnusableError || error instanceof ObjectAccessDeniedError) {
      return whoseRefusal(error, object, task, recopied);
    }
    if (!(error instanceof PreconditionFailedError || error instanceof ObjectNotFoundError)) throw error;
    written = false;
    copy = await describeCopy(target, sizeBytes, limits).catch(refusal => {
      throw refusal instanceof ObjectAccessDeniedError ? vaultRefused(refusal) : refusal;
    });
    if (copy === undefined) return 'changed';
  }
  const { versionId, ...digest } = copy;
  if (checksum?.algorithm === 'SHA256' && checksum.type === 'FULL_OBJECT' && digest.sha256 !== undefined) {
    const own = Buffer.from(checksum.value, 'base64').toString('hex');
    if (own !== digest.sha256)
      throw new CopyAlteredError(`the copy of ${calledInMessages} has another SHA-256 than it`);
  }
  const line = describeLine(object, head, tags, { vaultName, vaultVersionId: versionId, ...digest });
  return { kind: 'covered', line, written, recopied };
}

/**
 * S3 tells whether an object has tags only to who may read them, and a bucket's policy may refuse that for some objects
 * alone. So each new or changed object is asked for them: "no tags" is then an answer, and no silence.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html#API_HeadObject_ResponseSyntax (x-amz-tagging-count)
 */
async function readTagsIfAllowed(bucket: string, key: string, asked: Parameters<typeof readTags>[2]) {
  try {
    return await readTags(bucket, key, asked);
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return 'gone';
    if (error instanceof ObjectAccessDeniedError) return 'refused';
    throw error;
  }
}

/** What asks for the version that was listed, where versions are, and not for the current one. */
function versionOf({ versionId }: ListedObject): { versionId?: string } {
  return versionId === undefined ? {} : { versionId };
}

/** The vault, not the source, is what the role may not reach: that is wrong with the deployment, not with an object. */
export class VaultAccessDeniedError extends PermanentError {}

/** A copy's SHA-256 is not the one that the source's owner gave it. */
class CopyAlteredError extends ObjectStorageError {}

/** S3 does not always say which side of a copy was refused: where the source can be read, it is the vault's. */
async function whoseRefusal(
  cause: ObjectKeyUnusableError | ObjectAccessDeniedError,
  object: ListedObject,
  { source, vault }: CopyTask,
  recopied: number,
): Promise<CopyOutcome> {
  const calledInMessages = `an object of bucket ${source.bucketId}`;
  try {
    (await readObject(source.bucket, object.key, { calledInMessages, ...versionOf(object) })).body.destroy();
  } catch (error) {
    if (error instanceof ObjectKeyUnusableError || error instanceof ObjectAccessDeniedError) {
      return { kind: 'not-covered', reason: 'access-denied', recopied };
    }
    throw error;
  }
  if (cause instanceof ObjectAccessDeniedError) throw vaultRefused(cause);
  throw new TenantKeyUnusableError(
    `the key of ${vault.tenant === null ? 'the vault' : `tenant ${vault.tenant}`} cannot be used: see its state in KMS`,
    { cause },
  );
}

function vaultRefused(cause: ObjectAccessDeniedError): VaultAccessDeniedError {
  return new VaultAccessDeniedError(cause.message, { cause });
}

function isArchived({ StorageClass, ArchiveStatus, Restore }: HeadObjectCommandOutput): boolean {
  const archived = StorageClass === 'GLACIER' || StorageClass === 'DEEP_ARCHIVE' || ArchiveStatus !== undefined;
  return archived && !Restore?.includes('ongoing-request="false"');
}

function reasonOf(error: unknown): NotCoveredReason | undefined {
  if (error instanceof ObjectArchivedError) return 'archived';
  if (error instanceof ObjectUnderCustomerKeyError) return 'encrypted-with-customer-key';
  if (error instanceof ObjectAccessDeniedError || error instanceof ObjectKeyUnusableError) return 'access-denied';
  if (error instanceof ObjectStorageError) return 'copy-failed';
  return undefined;
}
