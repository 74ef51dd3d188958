import { z } from 'zod';
import type { Deployment } from '../contracts/configuration.ts';
import { EnsureKeyInput, EnsureKeyOutput } from '../contracts/daily-backup.ts';
import { InstantText } from '../contracts/identifiers.ts';
import { PURPOSE_TAG, TENANT_TAG, tenantKeyAlias, tenantKeyClaimKey, tenantRoot } from '../contracts/vault-layout.ts';
import { parseInstant } from '../platform/clock.ts';
import { RetryableError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import {
  createAlias,
  createKey,
  findKey,
  findKeyWithoutAlias,
  readKeyTags,
  TenantKeyUnusableError,
} from '../platform/kms.ts';
import { log } from '../platform/log.ts';
import { currentRuntime } from '../platform/runtime.ts';
import {
  listObjects,
  ObjectNotFoundError,
  PreconditionFailedError,
  readWhole,
  writeBytes,
  writeBytesOnce,
} from '../platform/s3.ts';
import { tenantKeyPolicy } from '../platform/tenant-key-policy.ts';

/** Longer than this function may run: whoever claimed a tenant's key before that is dead. */
const CLAIM_HOLDS_MS = 20 * 60_000;
const POLL_MS = 1000;
const MAX_POLLS = 30;

const Claim = z.strictObject({ claimedAt: InstantText });

/**
 * Returns the key that a tenant's data is encrypted under, and creates it at first sight; for no tenant, the vault's key.
 * A new key has no alias until the ledger holds it: whoever is killed in between, the next run finds the key by its tags
 * and drafts the same entry again. So each key that was ever used is recorded, once.
 *
 * A key is only created under a claim in the work bucket, so that of many runs for one tenant one creates, and the others
 * wait. A run that finds the claim of a dead one first looks for the key which that one may have left without its alias.
 * @throws TenantKeyUnusableError when the tenant's key is disabled, is going to be deleted, or is gone while the vault
 * still holds what was under it: an erased tenant never gets a new key by itself.
 */
export const handler = step({
  input: EnsureKeyInput,
  output: EnsureKeyOutput,
  run: async ({ tenant, recordedKeyArn }, { now, deployment }) => {
    if (tenant === null) return { keyArn: deployment.vaultKeyArn, draft: null };
    const keyArn = await findTenantKey(tenant);
    if (keyArn !== undefined) return { keyArn, draft: null };
    if (recordedKeyArn === null) return createTenantKey(tenant, now, deployment);
    return { keyArn: await nameTenantKey(tenant, recordedKeyArn), draft: null };
  },
});

async function findTenantKey(tenant: string): Promise<string | undefined> {
  const key = await findKey(tenantKeyAlias(tenant));
  if (key !== undefined && !key.enabled) {
    throw new TenantKeyUnusableError(
      `the key of tenant ${tenant} is disabled or going to be deleted; if the tenant was erased, remove its data at the source; if not, enable the key`,
    );
  }
  return key?.arn;
}

async function createTenantKey(
  tenant: string,
  now: Date,
  deployment: Deployment,
): Promise<z.input<typeof EnsureKeyOutput>> {
  await refuseIfVaultHoldsData(tenant, deployment.vaultBucket);
  const claim = await takeClaim(tenant, now, deployment.workBucket);
  if (claim === 'held') return { keyArn: await waitForKey(tenant), draft: null };
  const found = await findTenantKey(tenant);
  if (found !== undefined) return { keyArn: found, draft: null };
  const left = claim === 'taken-over' ? await findKeyWithoutAlias(TENANT_TAG, tenant) : undefined;
  const keyArn =
    left ??
    (await createKey({
      description: `Daybreak: tenant ${tenant}`,
      policy: tenantKeyPolicy(tenant, deployment),
      tags: { [PURPOSE_TAG]: 'tenant', [TENANT_TAG]: tenant },
    }));
  log('info', 'tenant key created', { tenant, keyArn, adopted: left !== undefined });
  return {
    keyArn,
    draft: {
      eventId: `tenant-key/${keyArn.slice(keyArn.lastIndexOf('/') + 1)}`,
      kind: 'tenant-key.created',
      actor: 'workflow/daily-backup',
      subject: tenant,
      body: { keyArn },
    },
  };
}

/** Gives a recorded key its alias, unless another one has it. */
async function nameTenantKey(tenant: string, keyArn: string): Promise<string> {
  if ((await readKeyTags(keyArn))[TENANT_TAG] !== tenant) {
    throw new RetryableError(`${keyArn}: its tags do not say, or not yet, that it is the key of tenant ${tenant}`);
  }
  if (!(await createAlias(tenantKeyAlias(tenant), keyArn))) {
    log('error', 'another key took the alias first; delete the one that is left, nothing was encrypted under it', {
      tenant,
      leftKeyArn: keyArn,
    });
  }
  return waitForKey(tenant);
}

/** @throws TenantKeyUnusableError */
async function refuseIfVaultHoldsData(tenant: string, vaultBucket: string): Promise<void> {
  for await (const { objects } of listObjects(vaultBucket, tenantRoot(tenant), { pageSize: 1 })) {
    if (objects.length === 0) continue;
    throw new TenantKeyUnusableError(
      `tenant ${tenant} has no key, and the vault holds data of it under an earlier one; if the tenant was erased and comes back, give it a new id`,
    );
  }
}

/** KMS is eventually consistent: a new key or alias is not known everywhere at once. */
async function waitForKey(tenant: string): Promise<string> {
  for (let poll = 0; poll < MAX_POLLS; poll++) {
    const found = await findTenantKey(tenant);
    if (found !== undefined) return found;
    await currentRuntime().clock.sleep(POLL_MS);
  }
  throw new RetryableError(`the key of tenant ${tenant} is being created by another run, which did not finish yet`);
}

/** Claims the creation of a tenant's key for this run. `held`: another run has done so, and may be alive. */
async function takeClaim(tenant: string, now: Date, workBucket: string): Promise<'new' | 'taken-over' | 'held'> {
  const key = tenantKeyClaimKey(tenant);
  const body = Buffer.from(JSON.stringify(Claim.parse({ claimedAt: now.toISOString() })));
  if (await writeBytesOnce(workBucket, key, body)) return 'new';
  try {
    const { bytes, eTag } = await readWhole(workBucket, key);
    const { claimedAt } = Claim.parse(JSON.parse(bytes.toString('utf8')));
    if (now.getTime() - parseInstant(claimedAt).getTime() < CLAIM_HOLDS_MS) return 'held';
    await writeBytes(workBucket, key, body, { ifMatch: eTag });
    return 'taken-over';
  } catch (error) {
    if (error instanceof PreconditionFailedError || error instanceof ObjectNotFoundError) return 'held';
    throw error;
  }
}
