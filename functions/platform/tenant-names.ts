import { randomBytes } from 'node:crypto';
import type { Deployment } from '../contracts/configuration.ts';
import type { TenantName } from '../contracts/identifiers.ts';
import { GivenTenantName } from '../contracts/tenant-names.ts';
import { TENANT_NAME_PREFIX, tenantNameKey } from '../contracts/vault-layout.ts';
import { canonicalJson } from './canonical-json.ts';
import { PermanentError } from './errors.ts';
import { inOrder } from './in-order.ts';
import { macOf } from './kms.ts';
import { listObjects, readBytes, writeBytesOnce } from './s3.ts';

/** What the vault says of the names of tenants is not what Daybreak writes: names decide whose data is whose. */
export class TenantNamesInvalidError extends PermanentError {}

const BASE32 = 'abcdefghijklmnopqrstuvwxyz234567';
const AT_ONCE = { underWay: 16, waiting: 1024 };

/** A name that no id has, and that nobody can guess. */
export function drawTenantName(): TenantName {
  return `_${Array.from(randomBytes(26), byte => BASE32[byte % BASE32.length]).join('')}`;
}

/**
 * Every name that was ever given to an id and not taken back. At 1,000 odd ids that is 1,001 calls, below a cent a run: less
 * than an index would cost in what can go wrong with it.
 * @throws TenantNamesInvalidError when one does not read as such, or two ids share a name.
 */
export async function readTenantNames(vaultBucket: string): Promise<GivenTenantName[]> {
  const given = await Array.fromAsync(
    inOrder(listNames(vaultBucket), key => readTenantName(vaultBucket, key), AT_ONCE),
  );
  const owners = new Set<string>();
  for (const { comparison, name } of given) {
    const owner = `${comparison} ${name}`;
    if (owners.has(owner)) throw invalid(`two ids share the name ${name}`);
    owners.add(owner);
  }
  return given;
}

/**
 * Keeps the name of an id, unless it has one: of two runs, or of a run and its rerun, the first one's stands.
 * @returns the name that stands.
 */
export async function giveTenantName(
  given: Omit<GivenTenantName, 'version'>,
  { vaultBucket, vaultKeyArn, tenantIdKeyArn }: Pick<Deployment, 'vaultBucket' | 'vaultKeyArn' | 'tenantIdKeyArn'>,
): Promise<TenantName> {
  const { comparison, comparedAs } = given;
  const key = tenantNameKey(await macOf(canonicalJson([comparison, comparedAs]), tenantIdKeyArn));
  const body = Buffer.from(canonicalJson(GivenTenantName.parse({ version: 1, ...given })));
  if (await writeBytesOnce(vaultBucket, key, body, { contentType: 'application/json', keyArn: vaultKeyArn })) {
    return given.name;
  }
  const stands = await readTenantName(vaultBucket, key);
  if (stands.comparison !== comparison || stands.comparedAs !== comparedAs) throw invalid(`${key} names another id`);
  return stands.name;
}

async function* listNames(vaultBucket: string): AsyncGenerator<string> {
  for await (const { objects } of listObjects(vaultBucket, TENANT_NAME_PREFIX)) {
    for (const { key } of objects) yield key;
  }
}

async function readTenantName(vaultBucket: string, key: string): Promise<GivenTenantName> {
  const text = (await readBytes(vaultBucket, key)).toString('utf8');
  try {
    return GivenTenantName.parse(JSON.parse(text));
  } catch {
    // The parser's own words would quote the id.
    throw invalid(`${key} is not readable as what it should be`);
  }
}

function invalid(what: string): TenantNamesInvalidError {
  return new TenantNamesInvalidError(
    `the names of tenants in the vault: ${what}; see who wrote there, and restore the first version of what was changed`,
  );
}
