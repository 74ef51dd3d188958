import { createHash, type Hash } from 'node:crypto';
import type { GetObjectCommandOutput } from '@aws-sdk/client-s3';
import type { ObjectManifestLine } from '../contracts/object-manifest.ts';
import type { Finding } from '../contracts/restore-test-record.ts';
import { objectKey, scratchPrefix } from '../contracts/vault-layout.ts';
import { parseInstant } from '../platform/clock.ts';
import { RetryableError } from '../platform/errors.ts';
import { type CopyLimits, copyObject, type ObjectHeaders } from '../platform/object-copy.ts';
import {
  describeObject,
  ObjectArchivedError,
  ObjectKeyUnusableError,
  ObjectNotFoundError,
  ObjectStorageError,
  PreconditionFailedError,
  readChunks,
  readObject,
  readTags,
} from '../platform/s3.ts';

export interface RestoreTask {
  readonly restoreTestId: string;
  readonly recoveryPointId: string;
  readonly tenant: string | null;
  readonly vaultBucket: string;
  readonly workBucket: string;
  readonly keyArn: string;
  readonly limits: CopyLimits & {
    /** Larger objects are compared by the SHA-256 that S3 computes of each part while it restores them. */
    readonly readBackUpToBytes: number;
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
 * Restores one object as a real restore would, with its metadata, headers and tags, reads it back and compares it with
 * its manifest line. The scratch object stays.
 * @throws ObjectAccessDeniedError: a missing permission says nothing about the backup; RetryableError.
 */
export async function restoreObject(line: ObjectManifestLine, task: RestoreTask): Promise<RestoreOutcome> {
  const place = objectKey(task.tenant, line.vaultName);
  const finding = (kind: Finding['kind'], detail: string): Finding => ({ kind, place, detail });
  const findings: Finding[] = [];
  const compared = (bytesRestored: number): RestoreOutcome => ({ kind: 'compared', bytesRestored, findings });
  try {
    const current = await describeObject(task.vaultBucket, place);
    // Whether there is a current version at all is what the inventory found out.
    if (current !== undefined && current.VersionId !== line.vaultVersionId) {
      findings.push(finding('object-altered', 'its current version is not the one that was backed up'));
    }
    const version =
      current?.VersionId === line.vaultVersionId
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
    const parts = await copyToScratch(line, version.ETag ?? '', task);
    if (parts === 'out-of-time') return { kind: 'out-of-time' };
    const differences =
      parts !== undefined && line.sizeBytes > task.limits.readBackUpToBytes
        ? compareDigests(line, parts)
        : await readBack(line, task);
    if (differences === 'out-of-time') return { kind: 'out-of-time' };
    findings.push(...differences.map(detail => finding('object-altered', detail)));
    return compared(line.sizeBytes);
  } catch (error) {
    if (error instanceof ObjectKeyUnusableError) findings.push(finding('unreadable', 'KMS refuses its key'));
    else if (error instanceof ObjectArchivedError) findings.push(finding('unreadable', 'it lies in an archive tier'));
    else if (error instanceof ObjectStorageError) findings.push(finding('unreadable', 'S3 refuses to restore it'));
    else throw error;
    return compared(0);
  }
}

/** @returns each part's digest, where the object was copied in parts by this call. */
async function copyToScratch(
  line: ObjectManifestLine,
  eTag: string,
  task: RestoreTask,
): Promise<string[] | undefined | 'out-of-time'> {
  const { tenant, vaultBucket, workBucket, keyArn, limits, timeIsShort } = task;
  try {
    const copy = await copyObject({
      source: {
        bucket: vaultBucket,
        key: objectKey(tenant, line.vaultName),
        versionId: line.vaultVersionId,
        eTag,
        sizeBytes: line.sizeBytes,
      },
      target: { bucket: workBucket, key: scratchKey(task, line.vaultName), keyArn },
      headers: headersOf(line),
      limits: line.parts === undefined ? limits : { ...limits, partSizeBytes: line.parts.partSizeBytes },
      timeIsShort,
    });
    return copy === undefined ? 'out-of-time' : copy.parts?.sha256;
  } catch (error) {
    // An earlier call was killed after it had restored it: what is there is compared.
    if (error instanceof PreconditionFailedError) return undefined;
    throw error;
  }
}

async function readBack(line: ObjectManifestLine, task: RestoreTask): Promise<string[] | 'out-of-time'> {
  const key = scratchKey(task, line.vaultName);
  const restored = await readObject(task.workBucket, key).catch(error => {
    if (!(error instanceof ObjectNotFoundError)) throw error;
    throw new RetryableError('a restored object went away while it was compared', { cause: error });
  });
  const differences = compareHeaders(line, restored);
  const tags = restored.TagCount ? await readTags(task.workBucket, key) : {};
  if (!sameRecord(tags, line.tags)) differences.push('its tags differ');

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

function compareHeaders(line: ObjectManifestLine, restored: GetObjectCommandOutput): string[] {
  const pairs = {
    'content type': [line.contentType, restored.ContentType],
    'content encoding': [line.contentEncoding, restored.ContentEncoding],
    'content language': [line.contentLanguage, restored.ContentLanguage],
    'content disposition': [line.contentDisposition, restored.ContentDisposition],
    'cache control': [line.cacheControl, restored.CacheControl],
    'website redirect': [line.websiteRedirectLocation, restored.WebsiteRedirectLocation],
    expiry: [instantOf(line.expires), instantOf(restored.ExpiresString)],
  };
  const differences = Object.entries(pairs)
    .filter(([, [expected, actual]]) => expected !== actual)
    .map(([name]) => `its ${name} differs`);
  return sameRecord(restored.Metadata, line.metadata) ? differences : [...differences, 'its metadata differ'];
}

function headersOf(line: ObjectManifestLine): ObjectHeaders {
  const expires = instantOf(line.expires);
  return {
    ContentType: line.contentType,
    ContentEncoding: line.contentEncoding,
    ContentLanguage: line.contentLanguage,
    ContentDisposition: line.contentDisposition,
    CacheControl: line.cacheControl,
    WebsiteRedirectLocation: line.websiteRedirectLocation,
    Metadata: line.metadata,
    Expires: expires === undefined ? undefined : parseInstant(expires),
    Tagging:
      line.tags === undefined
        ? undefined
        : Object.entries(line.tags)
            .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
            .join('&'),
  };
}

/** The instant of an `Expires` header; undefined for one that is no date (S3 keeps any text), which cannot be set again. */
function instantOf(expires: string | undefined): string | undefined {
  if (expires === undefined) return undefined;
  try {
    return parseInstant(expires).toISOString();
  } catch {
    return undefined;
  }
}

function sameRecord(a: Record<string, string> = {}, b: Record<string, string> = {}): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every(name => a[name] === b[name]);
}
