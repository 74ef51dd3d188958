import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { NotCoveredReason, ObjectManifestLine } from '../contracts/object-manifest.ts';
import { objectKey } from '../contracts/vault-layout.ts';
import { describeError, PermanentError } from '../platform/errors.ts';
import { TenantKeyUnusableError } from '../platform/kms.ts';
import { log } from '../platform/log.ts';
import { type CopyLimits, copyObject, describeCopy, isSameDigest } from '../platform/object-copy.ts';
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
import { isSameContent } from './compare-listing.ts';
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
  /** Keys in the vault of what is known as lost: nothing that lies there is adopted unproved. */
  readonly lost: ReadonlySet<string>;
  /** Of these, what is found not to be in its place as its line says. */
  readonly amiss: Set<string>;
  readonly limits: CopyLimits;
  timeIsShort(): boolean;
}

const MAX_TRIES = 5;

/**
 * Brings one object's current content into the vault, under the tenant's key, and describes it. The copy is of exactly
 * the version that the line describes: when the object changes meanwhile it is described and copied again, five times at
 * most. A copy that an earlier run made is adopted. Where something else took the place of a lost copy, the name of the new one is
 * derived from that one's version too: S3 lets nobody write under a name that is taken, and Daybreak deletes nothing here.
 *
 * A change of tags alone changes neither an object's ETag nor its time, so that it is first seen with the next change
 * of the object itself.
 * @throws TenantKeyUnusableError when the tenant's key refuses; VaultAccessDeniedError; RetryableError. Whatever is wrong
 * with the object alone is an outcome.
 * @param lost the line of its copy, where that is lost: what lies in its place proves itself by it.
 */
export async function copyToVault(
  object: ListedObject,
  lost: ObjectManifestLine | null,
  task: CopyTask,
): Promise<CopyOutcome> {
  const secret = await task.namingSecret();
  let recopied = 0;
  try {
    for (; recopied < MAX_TRIES; recopied++) {
      const outcome = await tryCopy(object, lost, task, secret, recopied);
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
  lost: ObjectManifestLine | null,
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
  const named = [source.bucket, object.key, eTag, checksum?.value ?? ''];
  const targetOf = (name: string) => ({
    bucket: vault.bucket,
    key: objectKey(vault.tenant, name),
    keyArn: vault.keyArn,
  });
  let vaultName = objectName(secret, named);
  for (;;) {
    const intruder = await findIntruder(targetOf(vaultName), { eTag, sizeBytes }, lost, task);
    if (intruder === undefined) break;
    named.push(intruder);
    vaultName = objectName(secret, named);
  }
  const target = targetOf(vaultName);
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
      throw vaultRefused(refusal);
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
 * The version that lies where a copy is known as lost and does not prove to be that copy; undefined where nothing lies there, or
 * the copy does.
 */
async function findIntruder(
  target: { bucket: string; key: string; keyArn: string },
  content: { eTag: string; sizeBytes: number },
  lost: ObjectManifestLine | null,
  task: CopyTask,
): Promise<string | undefined> {
  if (!task.lost.has(target.key)) return undefined;
  try {
    const current = await describeObject(target.bucket, target.key);
    if (current === undefined) return undefined;
    const copy = await describeCopy(target, content.sizeBytes, task.limits).catch(error => {
      if (error instanceof ObjectStorageError) return undefined;
      throw error;
    });
    const isCopy = lost !== null && isSameContent(lost, content) && copy !== undefined && isSameDigest(copy, lost);
    return isCopy ? undefined : (current.VersionId ?? '');
  } catch (error) {
    throw vaultRefused(error);
  }
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

/** What a failure is called that the vault alone can have caused. */
export function vaultRefused(error: unknown): unknown {
  return error instanceof ObjectAccessDeniedError ? new VaultAccessDeniedError(error.message, { cause: error }) : error;
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
