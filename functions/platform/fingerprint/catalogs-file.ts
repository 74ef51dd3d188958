import { fingerprintCatalogsKey } from '../../contracts/vault-layout.ts';
import { sha256Hex } from '../canonical-json.ts';
import type { Database } from '../postgres.ts';
import { readBytesIfThere, writeBytesOnce } from '../s3.ts';
import {
  type CatalogMeasurement,
  decodeCatalogs,
  encodeCatalogs,
  measureCatalogs,
  nameUserObjects,
  planCatalogs,
} from './catalog-rows.ts';
import { parseSnapshot } from './horizon.ts';

/** Where the catalogs of one fingerprint lie. */
export interface CatalogsFile {
  readonly vaultBucket: string;
  readonly recoveryPointId: string;
  readonly databaseId: string;
  readonly moment: 'before' | 'after';
}

const keyOf = ({ recoveryPointId, databaseId, moment }: CatalogsFile, sha256: string) =>
  fingerprintCatalogsKey(recoveryPointId, databaseId, moment, sha256);

/**
 * Measures the system catalogs of the source, and writes them to the vault under their hash: of a run that is made twice
 * both files stay, and the index names the one that it was written with.
 * @param before the measurement *before* the snapshot; undefined while that is made.
 * @returns the file's SHA-256.
 */
export async function storeCatalogs(
  database: Database,
  file: CatalogsFile,
  seeds: readonly [string, string],
  before: CatalogMeasurement | undefined,
): Promise<string> {
  const plan = planCatalogs(seeds, before);
  const measured = await measureCatalogs(database, plan);
  const names =
    file.moment === 'before' ? await nameUserObjects(database.query, plan(parseSnapshot(measured.snapshot))) : {};
  const bytes = encodeCatalogs({ ...measured, names });
  const sha256 = sha256Hex(bytes);
  await writeBytesOnce(file.vaultBucket, keyOf(file, sha256), bytes);
  return sha256;
}

/** The file with this hash; undefined where it is missing, or its content has another. @throws FingerprintUnreadableError */
export async function readCatalogs(file: CatalogsFile, sha256: string): Promise<CatalogMeasurement | undefined> {
  const key = keyOf(file, sha256);
  const bytes = await readBytesIfThere(file.vaultBucket, key);
  return bytes !== undefined && sha256Hex(bytes) === sha256 ? decodeCatalogs(bytes, key) : undefined;
}
