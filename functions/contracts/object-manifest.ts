import { z } from 'zod';
import { InstantText, Sha256, TenantName } from './identifiers.ts';

/**
 * One line of a tenant's manifest: one object of one source bucket, and the vault object that holds its content.
 * Lines are JSON with the keys in this order, end with `\n`, and are sorted by the source key's UTF-8 bytes.
 */
export const ObjectManifestLine = z.strictObject({
  key: z.string(),
  eTag: z.string(),
  /** The source's version; absent where the bucket keeps none. */
  versionId: z.string().optional(),
  lastModified: InstantText,
  sizeBytes: z.int().min(0),
  contentType: z.string().optional(),
  contentEncoding: z.string().optional(),
  contentLanguage: z.string().optional(),
  contentDisposition: z.string().optional(),
  cacheControl: z.string().optional(),
  /** The `Expires` header as S3 returned it (`ExpiresString`). */
  expires: z.string().optional(),
  websiteRedirectLocation: z.string().optional(),
  metadata: z.record(z.string(), z.string()).optional(),
  tags: z.record(z.string(), z.string()).optional(),
  /** S3 refused to tell the tags: the content is here, and whether it had tags is not known. */
  tagsUnread: z.literal(true).optional(),
  /** The source's own checksums, by S3's algorithm name, with their type. */
  sourceChecksum: z.object({ algorithm: z.string(), value: z.string(), type: z.string() }).optional(),
  /** The last part of the vault object's key. */
  vaultName: z.string().regex(/^[0-9a-f]{64}$/),
  vaultVersionId: z.string(),
  /** SHA-256 (hex) of the content; for an object that was copied in parts, see `parts`. */
  sha256: Sha256.optional(),
  /** For content over 5 GB: S3 then keeps a SHA-256 of each part, not of the whole. */
  parts: z.object({ partSizeBytes: z.int(), sha256: z.array(Sha256) }).optional(),
  /**
   * The content was no longer under this key when the bucket, which keeps no versions, was listed again: it was moved or
   * deleted meanwhile. It is here all the same, because restored rows may name it.
   */
  gone: z.literal(true).optional(),
});
export type ObjectManifestLine = z.infer<typeof ObjectManifestLine>;

/**
 * Why an object is not in a recovery point; `tags-refused`: it is, but its tags are not; `vanished`: it was listed, and gone
 * before it could be copied; `replaced`: what is in the recovery point under its key was written over it meanwhile, in a bucket
 * that keeps no versions.
 */
export const NotCoveredReason = z.enum([
  'encrypted-with-customer-key',
  'archived',
  'access-denied',
  'tags-refused',
  'kept-changing',
  'copy-failed',
  'vanished',
  'replaced',
]);
export type NotCoveredReason = z.infer<typeof NotCoveredReason>;

/**
 * An object that could not be backed up, or not whole: a line of `not-covered`, kept beside the manifest, under the same key,
 * in the order of the keys. A key may have several.
 */
export const NotCoveredObject = z.strictObject({
  key: z.string(),
  reason: NotCoveredReason,
  /** What its content was, where it vanished or was replaced: the same may be found under another key. */
  content: z.strictObject({ eTag: z.string(), sizeBytes: z.int() }).optional(),
  /** Where it was replaced, or its copy was lost, after it had been copied: its own line, by which the vault has it, or had it. */
  line: ObjectManifestLine.optional(),
});
export type NotCoveredObject = z.infer<typeof NotCoveredObject>;

/** What backing up one tenant's objects in one bucket came to. No file name in it: it goes into the root manifest. */
export const TenantBackupResult = z.strictObject({
  bucketId: z.string(),
  /** null: the objects under no tenant's prefix. */
  tenant: TenantName.nullable(),
  /** Of the manifest's uncompressed lines; null when the tenant could not be backed up. */
  manifestSha256: Sha256.nullable(),
  /** The newest manifest that exists, from an earlier run, when `manifestSha256` is null. */
  previousManifestSha256: Sha256.nullable(),
  /**
   * Where the tenant's time ran out: a manifest of what was dealt with until then, and of what the newest manifest says of the
   * rest. The next run compares with it, so that nothing is done twice; it is no recovery point.
   */
  partialManifestSha256: Sha256.nullable().optional(),
  /** When the listing of its objects began, and when it ended; absent or null where none did. */
  listedFrom: InstantText.nullable().optional(),
  listedTo: InstantText.nullable().optional(),
  objectCount: z.int(),
  byteCount: z.int(),
  copiedObjectCount: z.int(),
  copiedByteCount: z.int(),
  /**
   * Lines of the manifest that are marked `gone`; absent where there is none. Where files left, others may have moved so often
   * that no listing saw them, which only a bucket's versions help against.
   */
  goneObjectCount: z.int().optional(),
  /** How often an object changed while it was copied and was copied again. */
  recopiedObjectCount: z.int(),
  notCovered: z.partialRecord(NotCoveredReason, z.int()),
  /** Of the uncompressed lines of the list of what is not covered (`notCoveredKey`); absent when everything is. */
  notCoveredSha256: Sha256.optional(),
  /**
   * Of the tenant's vault objects that were known as lost when the run began, those that its manifest does not name: nothing was
   * put in their place. What it names of them was seen as its line says, or copied again. Null: more than 80. Absent where
   * none was known, and where nothing was compared.
   */
  absentObjects: z.array(z.string()).nullable().optional(),
  /** The first 80 of them that its manifest names. */
  backObjects: z.array(z.string()).optional(),
  /** The first 80 of them in whose place the vault had nothing, or another thing than their line says, and has nothing new. */
  goneObjects: z.array(z.string()).optional(),
  /** Of the list (`lostObjectsKey`) that they were compared with; absent where nothing was, and in results of earlier releases. */
  lostObjectsSha256: Sha256.optional(),
  /** The error's name, when the tenant could not be backed up. */
  failure: z.string().nullable(),
});
export type TenantBackupResult = z.infer<typeof TenantBackupResult>;

/** The counts of a tenant of which nothing is backed up yet, or nothing could be. */
export const nothingBackedUp = () => ({
  manifestSha256: null,
  objectCount: 0,
  byteCount: 0,
  copiedObjectCount: 0,
  copiedByteCount: 0,
  recopiedObjectCount: 0,
  notCovered: {},
});

/** A key for a tenant's part of a bucket (tenant null: what lies outside tenants): no two parts have the same. */
export function placeOf({ bucketId, tenant }: { bucketId: string; tenant: string | null }): string {
  return JSON.stringify([bucketId, tenant]);
}
