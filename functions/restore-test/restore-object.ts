import { createHash, type Hash } from 'node:crypto';
import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { ObjectManifestLine } from '../contracts/object-manifest.ts';
import type { Finding } from '../contracts/restore-test-record.ts';
import { objectKey, scratchPrefix } from '../contracts/vault-layout.ts';
import { RetryableError } from '../platform/errors.ts';
import {
  type ContentDigest,
  type CopyLimits,
  compositeChecksum,
  copyObject,
  describeCopy,
  ForeignCopyError,
} from '../platform/object-copy.ts';
import {
  describeObject,
  ObjectArchivedError,
  ObjectKeyUnusableError,
  ObjectNotFoundError,
  ObjectStorageError,
  PreconditionFailedError,
  readChunks,
  readObject,
} from '../platform/s3.ts';

export interface RestoreTask {
  readonly restoreTestId: string;
  readonly recoveryPointId: string;
  readonly tenant: string | null;
  readonly vaultBucket: string;
  readonly workBucket: string;
  readonly keyArn: string;
  readonly limits: CopyLimits & {
    /** Larger objects, if they are in parts, are compared by the SHA-256 that S3 computes of each as it restores it. */
    readonly readBackUpToBytes: number;
    /** Larger objects are restored one at a time, so that each call of the step is long enough for the first of them. */
    readonly togetherUpToBytes: number;
  };
  timeIsShort(): boolean;
}

/** What restoring one object showed; no findings: it came back as it was backed up. */
export type RestoreOutcome =
  | { readonly kind: 'compared'; readonly bytesRestored: number; readonly findings: Finding[] }
  | { readonly kind: 'out-of-time' };

/**
 * The scratch object that an object is restored to. It has the vault object's name, which says nothing. Recovery points
 * share objects and differ in their metadata, so each has its own scratch objects.
 */
export const scratchKey = (task: Pick<RestoreTask, 'restoreTestId' | 'recoveryPointId'>, vaultName: string): string =>
  `${scratchPrefix(task.restoreTestId)}${task.recoveryPointId}/${vaultName}`;

/**
 * Restores one object's content, reads it back and compares it with its manifest line. The scratch object stays.
 *
 * Its metadata, headers and tags are not put on the copy: S3 encrypts none of them, and they may name a child. They are in
 * the manifest, whose hash was signed and has been verified when this is called.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
 * @throws ObjectAccessDeniedError, ForeignCopyError: a missing permission, or something else where the copy should be, say
 * nothing about the backup; RetryableError.
 */
export async function restoreObject(line: ObjectManifestLine, task: RestoreTask): Promise<RestoreOutcome> {
  const place = objectKey(task.tenant, line.vaultName);
  const finding = (kind: Finding['kind'], detail: string): Finding => ({ kind, place, detail });
  const findings: Finding[] = [];
  const compared = (bytesRestored: number): RestoreOutcome => ({ kind: 'compared', bytesRestored, findings });
  try {
    const current = await describeObject(task.vaultBucket, place);
    // A backup copies again what was lost. By what S3 computed as it wrote it, and as it is read back here, it is the same content.
    const isCopiedAgain =
      current !== undefined && current.VersionId !== line.vaultVersionId && hasDigestOf(line, current);
    // Whether there is a current version at all is what the inventory found out.
    if (current !== undefined && current.VersionId !== line.vaultVersionId && !isCopiedAgain) {
      findings.push(finding('object-altered', 'its current version is not the one that was backed up'));
    }
    const version =
      isCopiedAgain || current?.VersionId === line.vaultVersionId
        ? current
        : await describeObject(task.vaultBucket, place, { versionId: line.vaultVersionId });
    if (version === undefined) {
      findings.push(finding('object-missing', 'the version that was backed up is gone'));
      return compared(0);
    }
    if (version.SSEKMSKeyId !== task.keyArn) findings.push(finding('object-altered', 'it is under another key'));
    if (version.ContentLength !== line.sizeBytes) {
      findings.push(finding('object-altered', 'the version that was backed up has another size'));
      return compared(0);
    }
    const copy = await copyToScratch(line, version, task);
    if (copy === 'out-of-time') return { kind: 'out-of-time' };
    const differences =
      line.parts !== undefined && line.sizeBytes > task.limits.readBackUpToBytes
        ? compareDigests(line, copy?.parts?.sha256 ?? (await describeScratch(line, task)))
        : await readBack(line, task);
    if (differences === 'out-of-time') return { kind: 'out-of-time' };
    findings.push(...differences.map(detail => finding('object-altered', detail)));
    return compared(line.sizeBytes);
  } catch (error) {
    if (error instanceof ObjectKeyUnusableError) findings.push(finding('unreadable', 'KMS refuses its key'));
    else if (error instanceof ObjectArchivedError) findings.push(finding('unreadable', 'it lies in an archive tier'));
    else if (error instanceof ForeignCopyError) throw error;
    else if (error instanceof ObjectStorageError) findings.push(finding('unreadable', 'S3 refuses to restore it'));
    else throw error;
    return compared(0);
  }
}

/** Whether S3's checksum is that of the line's digest: of several parts it is that of theirs. */
function hasDigestOf({ sha256, parts }: ObjectManifestLine, { ChecksumSHA256 }: HeadObjectCommandOutput): boolean {
  if (parts === undefined)
    return sha256 !== undefined && ChecksumSHA256 === Buffer.from(sha256, 'hex').toString('base64');
  return ChecksumSHA256 === compositeChecksum(parts.sha256);
}

/** @returns what S3 says of the copy; undefined where an earlier call had made it. */
async function copyToScratch(
  line: ObjectManifestLine,
  { VersionId: versionId = '', ETag: eTag = '' }: Pick<HeadObjectCommandOutput, 'VersionId' | 'ETag'>,
  task: RestoreTask,
): Promise<ContentDigest | undefined | 'out-of-time'> {
  const { tenant, vaultBucket, timeIsShort } = task;
  try {
    const copy = await copyObject({
      source: {
        bucket: vaultBucket,
        key: objectKey(tenant, line.vaultName),
        versionId,
        eTag,
        sizeBytes: line.sizeBytes,
      },
      target: scratchTarget(line, task),
      limits: partLimits(line, task),
      timeIsShort,
    });
    return copy ?? 'out-of-time';
  } catch (error) {
    // An earlier call was killed after it had restored it: what is there is compared.
    if (error instanceof PreconditionFailedError) return undefined;
    throw error;
  }
}

/** What S3 keeps of each part of a copy that an earlier call made. @throws ForeignCopyError when it made no such copy. */
async function describeScratch(line: ObjectManifestLine, task: RestoreTask): Promise<readonly string[]> {
  const copy = await describeCopy(scratchTarget(line, task), line.sizeBytes, partLimits(line, task));
  if (copy === undefined) throw new RetryableError(WENT_AWAY);
  return copy.parts?.sha256 ?? [];
}

const scratchTarget = (line: ObjectManifestLine, task: RestoreTask) => ({
  bucket: task.workBucket,
  key: scratchKey(task, line.vaultName),
  keyArn: task.keyArn,
});

const partLimits = ({ parts }: ObjectManifestLine, { limits }: RestoreTask): CopyLimits =>
  parts === undefined ? limits : { ...limits, partSizeBytes: parts.partSizeBytes };

const WENT_AWAY = 'a restored object went away while it was compared';

async function readBack(line: ObjectManifestLine, task: RestoreTask): Promise<string[] | 'out-of-time'> {
  const key = scratchKey(task, line.vaultName);
  const restored = await readObject(task.workBucket, key).catch(error => {
    if (!(error instanceof ObjectNotFoundError)) throw error;
    throw new RetryableError(WENT_AWAY, { cause: error });
  });
  const differences: string[] = [];
  const digests: string[] = [];
  const partSizeBytes = line.parts?.partSizeBytes ?? Number.POSITIVE_INFINITY;
  let hash = createHash('sha256');
  let inPart = 0;
  let sizeBytes = 0;
  for await (const chunk of readChunks('a restored object', restored.body)) {
    if (task.timeIsShort()) return 'out-of-time';
    sizeBytes += chunk.byteLength;
    for (let from = 0; from < chunk.byteLength; ) {
      const taken = Math.min(chunk.byteLength - from, partSizeBytes - inPart);
      hash.update(chunk.subarray(from, from + taken));
      from += taken;
      inPart += taken;
      if (inPart === partSizeBytes) {
        digests.push(hash.digest('hex'));
        hash = createHash('sha256');
        inPart = 0;
      }
    }
  }
  if (inPart > 0 || digests.length === 0) digests.push((hash as Hash).digest('hex'));
  if (sizeBytes !== line.sizeBytes) differences.push('its restored size differs');
  return [...differences, ...compareDigests(line, digests)];
}

function compareDigests(line: ObjectManifestLine, digests: readonly string[]): string[] {
  const expected = line.parts?.sha256 ?? (line.sha256 === undefined ? [] : [line.sha256]);
  if (expected.length === 0) return ['its manifest line has no SHA-256'];
  return expected.length === digests.length && expected.every((digest, index) => digest === digests[index])
    ? []
    : ['its SHA-256 differs'];
}
