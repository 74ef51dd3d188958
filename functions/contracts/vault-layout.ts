/** Where everything lies in the four buckets. Every key is built here, and nowhere else. */
import { RegisterEntryId } from './identifiers.ts';
import { LEDGER_STATE_FORM } from './ledger.ts';
import { FOUND_WRONG_FORM } from './pulse.ts';

/** The KMS alias of a tenant's key. */
export const tenantKeyAlias = (tenant: string): string => `alias/daybreak/tenant/${tenant}`;

/** A tenant's part of the vault bucket; objects under no tenant's prefix lie under `shared/`, under the vault key. */
export const tenantRoot = (tenant: string | null): string => (tenant === null ? 'shared/' : `tenants/${tenant}/`);

/** The secret that object names are derived from: 32 random bytes, readable only with the tenant's key. */
export const namingSecretKey = (tenant: string | null): string => `${tenantRoot(tenant)}naming-secret`;
export const objectPrefix = (tenant: string | null): string => `${tenantRoot(tenant)}objects/`;
export const objectKey = (tenant: string | null, name: string): string => `${objectPrefix(tenant)}${name}`;
/** `sha256` is the digest of the manifest's uncompressed lines. */
export const manifestKey = (tenant: string | null, sha256: string): string =>
  `${tenantRoot(tenant)}manifests/${sha256}.jsonl.zst`;

/** Whether a key is that of an object, or of a tenant's manifest. */
export const isVaultObjectKey = (key: string): boolean =>
  /^(?:tenants\/[A-Za-z0-9._-]+|shared)\/(?:objects\/[0-9a-f]{64}|manifests\/[0-9a-f]{64}\.jsonl\.zst)$/.test(key);

/** The list of what could not be backed up: zstd-compressed lines (`NotCoveredObject`), named by their digest. */
export const notCoveredKey = (tenant: string | null, sha256: string): string =>
  `${tenantRoot(tenant)}not-covered/${sha256}.jsonl.zst`;

export const RECOVERY_POINT_PREFIX = 'recovery-points/';
/** The signed root manifest. */
export const rootManifestKey = (recoveryPointId: string): string => `${RECOVERY_POINT_PREFIX}${recoveryPointId}.json`;
/** The index of one database's fingerprint at one moment, in the vault bucket: zstd-compressed JSON, under the vault key. */
export const fingerprintKey = (recoveryPointId: string, databaseId: string, moment: 'before' | 'after'): string =>
  `fingerprints/${recoveryPointId}/${databaseId}/${moment}.json.zst`;
/** Digests of some of its tables. `sha256` is of the file as it is stored. */
export const fingerprintPartKey = (
  recoveryPointId: string,
  databaseId: string,
  moment: 'before' | 'after',
  sha256: string,
): string => `fingerprints/${recoveryPointId}/${databaseId}/${moment}/${sha256}.zst`;
/** The rows of its system catalogs (`platform/fingerprint/catalog-rows.ts`). `sha256` is of the file as it is stored. */
export const fingerprintCatalogsKey = (
  recoveryPointId: string,
  databaseId: string,
  moment: 'before' | 'after',
  sha256: string,
): string => `fingerprints/${recoveryPointId}/${databaseId}/${moment}/catalogs-${sha256}.zst`;

/** What name an id was given; `mac` is the HMAC of the id in hexadecimal. It stays when the rest of an erased tenant goes. */
export const TENANT_NAME_PREFIX = 'tenant-names/';
export const tenantNameKey = (mac: string): string => `${TENANT_NAME_PREFIX}${mac}.json`;

/** In the evidence bucket. */
export const LEDGER_PREFIX = 'ledger/';
export const ledgerEntryKey = (sequence: number): string =>
  `${LEDGER_PREFIX}${String(sequence).padStart(12, '0')}.json`;
export const SEGMENT_PREFIX = 'segments/';
export const segmentKey = (segment: number): string => `${SEGMENT_PREFIX}${String(segment).padStart(9, '0')}.json`;
export const HEAD_PREFIX = 'heads/';
export const headKey = (sequence: number): string => `${HEAD_PREFIX}${String(sequence).padStart(12, '0')}.json`;
export const restoreTestRecordKey = (restoreTestId: string): string => `restore-tests/${restoreTestId}.json`;

/** In the register's bucket. */
export const REGISTER_PREFIX = 'entries/';
export const registerEntryKey = (entry: string): string => `${REGISTER_PREFIX}${entry}.json`;

/** The entry that lies under a key of the register's bucket; undefined where none may. */
export function entryOfRegisterKey(key: string): RegisterEntryId | undefined {
  const { data } = RegisterEntryId.safeParse(key.slice(REGISTER_PREFIX.length, -'.json'.length));
  return data !== undefined && registerEntryKey(data) === key ? data : undefined;
}

/** In the work bucket. */
/** The cached fold of the ledger. Its name changes with its form, so that a new release never reads an old one. */
export const LEDGER_PROJECTION_PREFIX = 'ledger-projection/';
export const LEDGER_PROJECTION_KEY = `${LEDGER_PROJECTION_PREFIX}${LEDGER_STATE_FORM}.json.zst`;
export const PULSE_PREFIX = 'pulse/';
/** What earlier pulses found wrong in their samples, and what they find lost. Its name changes with its form, too. */
export const FOUND_WRONG_KEY = `${PULSE_PREFIX}found-wrong-${FOUND_WRONG_FORM}.json`;
export const workPrefix = (id: string): string => `work/${id}/`;
/** The items (JSONL) of a distributed map. A backup and a restore test of the same instant have the same id, and each its own. */
export const itemsKey = (workflow: 'backup' | 'restore-test', id: string): string =>
  `${workPrefix(id)}${workflow}-items.jsonl`;
/** Where the folders of a run's tenants are, when some are not called as the tenant. `sha256` is the file's digest. */
export const tenantFoldersKey = (id: string, sha256: string): string =>
  `${workPrefix(id)}tenant-folders/${sha256}.json`;
/** What folders a run has listed so far. `sha256` is the file's digest. */
export const folderListingKey = (id: string, sha256: string): string => `${workPrefix(id)}folders/${sha256}.json`;
/** The vault objects that were known as lost when a run began. `sha256` is the file's digest: each run has its own. */
export const lostObjectsKey = (id: string, sha256: string): string => `${workPrefix(id)}lost-objects/${sha256}.json`;
/** The items (JSONL) of the second pass over tenants. */
export const settlingItemsKey = (id: string): string => `${workPrefix(id)}settling.jsonl`;
/** What backing up each tenant came to in the end (JSONL). */
export const tenantResultsKey = (id: string): string => `${workPrefix(id)}tenants.jsonl`;
/** How often contents that vanished somewhere left and came, as far as manifests are counted, between two calls. */
export const countedMovesKey = (id: string): string => `${workPrefix(id)}counted-moves.json`;
/** Progress of one database's fingerprint between two calls. */
export const fingerprintProgressKey = (id: string, databaseId: string, moment: string): string =>
  `${workPrefix(id)}fingerprints/${databaseId}/${moment}.json.zst`;
/** What was measured of the table that a fingerprint had come to; the progress names it by its SHA-256. */
export const openTableKey = (id: string, databaseId: string, moment: string, sha256: string): string =>
  `${workPrefix(id)}fingerprints/${databaseId}/${moment}/${sha256}.zst`;
/** Progress of reading one restored copy (its `DbiResourceId`) through, of verifying it, or of one check, between two calls. */
export const databaseTestKey = (
  restoreTestId: string,
  databaseId: string,
  resourceId: string,
  activity: 'hydration' | 'verification' | 'open-check',
): string => `${workPrefix(restoreTestId)}databases/${databaseId}/${resourceId}/${activity}.json.zst`;
/** A segment of a manifest in the making, under the tenant's key, kept between two calls of a step that stopped for time. */
export const unfinishedManifestKey = (id: string, bucketId: string, tenant: string | null, sha256: string): string =>
  `${workPrefix(id)}manifests/${bucketId}/${tenant ?? ''}/${sha256}.zst`;
/** Who is creating a tenant's key: written before the key, so that a run that was killed in between is noticed. */
export const tenantKeyClaimKey = (tenant: string): string => `work/tenant-keys/${tenant}.json`;
/** Where a restore test puts the objects that it restores. */
export const scratchPrefix = (restoreTestId: string): string => `scratch/${restoreTestId}/`;

/**
 * RDS identifiers: lower-case, at most 63 characters for instances, 255 for snapshots. A snapshot is its instance's, and
 * named after one of its databases (`databaseThatNames`). No two names of different things are the same, as long as no
 * database's id begins like the intermediate snapshots', which `DatabaseConfiguration` sees to.
 */
export const SNAPSHOT_PREFIX = 'daybreak-';
export const INTERMEDIATE_SNAPSHOT_PREFIX = `${SNAPSHOT_PREFIX}intermediate-`;
export const intermediateSnapshotId = (recoveryPointId: string, databaseId: string): string =>
  `${INTERMEDIATE_SNAPSHOT_PREFIX}${databaseId}-${recoveryPointId}`;
export const vaultSnapshotId = (recoveryPointId: string, databaseId: string): string =>
  `${SNAPSHOT_PREFIX}${databaseId}-${recoveryPointId}`;
export const RESTORE_TEST_INSTANCE_PREFIX = 'daybreak-test-';
export const restoreTestInstanceId = (restoreTestId: string, databaseId: string): string =>
  `${RESTORE_TEST_INSTANCE_PREFIX}${databaseId}-${restoreTestId.replace('t', '').slice(0, 14)}`;

/** The tags by which Daybreak finds what it made. */
export const PURPOSE_TAG = 'daybreak:purpose';
/**
 * What the purpose tag of a snapshot says. A copy for the vault is unproved until a root manifest is about to name it, and
 * only an unproved one may be deleted by the step that makes copies.
 */
export const SNAPSHOT_PURPOSES = {
  intermediate: 'intermediate',
  unproved: 'unproved-copy',
  proved: 'recovery-point',
} as const;
export const TENANT_TAG = 'daybreak:tenant';
export const RECOVERY_POINT_TAG = 'daybreak:recovery-point';
export const RESTORE_TEST_TAG = 'daybreak:restore-test';
