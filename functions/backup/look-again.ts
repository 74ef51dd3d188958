import type { ObjectManifestLine } from '../contracts/object-manifest.ts';
import { objectKey } from '../contracts/vault-layout.ts';
import { describeCopy, isSameDigest } from '../platform/object-copy.ts';
import { ObjectStorageError } from '../platform/s3.ts';
import type { ComparedObject } from './compare-listing.ts';
import { type CopyTask, vaultRefused } from './copy-to-vault.ts';

/**
 * What is known of an object, once the vault was asked for it, where its copy is known as lost. What is listed and has no copy is
 * to be copied again; what is listed no longer can be copied by nobody.
 * @throws VaultAccessDeniedError
 */
export async function lookAgain(compared: ComparedObject, task: CopyTask): Promise<ComparedObject> {
  const line = lineOf(compared);
  if (line === undefined) return compared;
  const place = objectKey(task.vault.tenant, line.vaultName);
  if (!task.lost.has(place) || (await isThere(line, task))) return compared;
  task.amiss.add(place);
  switch (compared.kind) {
    case 'unchanged':
      return { kind: 'new', key: compared.key, object: compared.object, before: null, lost: line };
    case 'new':
      return { ...compared, before: null, lost: line };
    default: {
      const { key, eTag, sizeBytes } = line;
      // What the lock holds lies under a delete marker still: its line says as which version.
      return { kind: 'not-covered', key, object: { key, reason: 'vanished', content: { eTag, sizeBytes }, line } };
    }
  }
}

function lineOf(compared: ComparedObject): ObjectManifestLine | undefined {
  if (compared.kind === 'new') return compared.before?.line;
  return 'line' in compared ? compared.line : undefined;
}

/** It is the current version of its name, with the digest that its line has. */
async function isThere(line: ObjectManifestLine, { vault, limits }: CopyTask): Promise<boolean> {
  const { bucket, tenant, keyArn } = vault;
  const place = { bucket, key: objectKey(tenant, line.vaultName), keyArn };
  try {
    const copy = await describeCopy(place, line.sizeBytes, limits);
    return copy?.versionId === line.vaultVersionId && isSameDigest(copy, line);
  } catch (error) {
    if (error instanceof ObjectStorageError) return false;
    throw vaultRefused(error);
  }
}
