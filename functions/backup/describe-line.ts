import type { HeadObjectCommandOutput } from '@aws-sdk/client-s3';
import type { ObjectManifestLine } from '../contracts/object-manifest.ts';
import type { ListedObject } from '../platform/s3.ts';

const CHECKSUMS = ['SHA512', 'SHA256', 'SHA1', 'MD5', 'CRC64NVME', 'CRC32C', 'CRC32'] as const;

/** The strongest checksum that S3 keeps of an object, by S3's name for it. */
export function sourceChecksum(head: HeadObjectCommandOutput): ObjectManifestLine['sourceChecksum'] {
  for (const algorithm of CHECKSUMS) {
    const value = head[`Checksum${algorithm}`];
    if (value !== undefined) return { algorithm, value, type: head.ChecksumType ?? 'FULL_OBJECT' };
  }
  return undefined;
}

/**
 * The manifest's line for an object: its keys in the contract's order and absent where S3 has nothing, so that the same
 * object always gives the same bytes.
 */
export function describeLine(
  listed: ListedObject,
  head: HeadObjectCommandOutput,
  tags: Record<string, string> | 'refused',
  vault: Pick<ObjectManifestLine, 'vaultName' | 'vaultVersionId' | 'sha256' | 'parts'>,
): ObjectManifestLine {
  const eTag = head.ETag ?? listed.eTag;
  const line = {
    key: listed.key,
    eTag,
    versionId: listed.versionId,
    // HEAD knows the time to the second only; the next listing is compared with what this one said.
    lastModified:
      eTag === listed.eTag ? listed.lastModified : (head.LastModified?.toISOString() ?? listed.lastModified),
    sizeBytes: head.ContentLength ?? listed.sizeBytes,
    contentType: head.ContentType,
    contentEncoding: head.ContentEncoding,
    contentLanguage: head.ContentLanguage,
    contentDisposition: head.ContentDisposition,
    cacheControl: head.CacheControl,
    expires: head.ExpiresString,
    websiteRedirectLocation: head.WebsiteRedirectLocation,
    metadata: sortedUnlessEmpty(head.Metadata),
    tags: tags === 'refused' ? undefined : sortedUnlessEmpty(tags),
    tagsUnread: tags === 'refused' ? true : undefined,
    sourceChecksum: sourceChecksum(head),
    vaultName: vault.vaultName,
    vaultVersionId: vault.vaultVersionId,
    sha256: vault.sha256,
    parts: vault.parts,
  };
  return Object.fromEntries(Object.entries(line).filter(([, value]) => value !== undefined)) as ObjectManifestLine;
}

function sortedUnlessEmpty(record: Record<string, string> | undefined): Record<string, string> | undefined {
  const entries = Object.entries(record ?? {});
  return entries.length === 0 ? undefined : Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}
