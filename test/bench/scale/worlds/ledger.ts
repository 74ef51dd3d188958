import { idOfInstant } from '../../../../functions/contracts/identifiers.ts';
import type { LedgerDraft } from '../../../../functions/contracts/ledger.ts';
import { draft, type LocalLedger, openLedger } from '../../../functions/evidence/local-ledger.ts';
import type { Prepared } from '../loads.ts';
import { openWorld } from '../world.ts';
import { resultsOf } from './tenants.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const SCHOOLS = 1000;

/** A ledger of which nothing is cached, so that the next append reads every entry. */
export async function prepareAppend(items: number): Promise<Prepared> {
  const ledger = await openLedger();
  await ledger.seed(items);
  return prepared(ledger, { draft: draft('the next') });
}

/** The same for a restore test, whose newest recovery point is recorded last. */
export async function prepareChoose(items: number): Promise<Prepared> {
  const ledger = await openLedger();
  await ledger.seed(items - 1, await putRecoveryPoints(ledger, 1));
  return prepared(ledger, { scheduledAt: '2026-12-01T06:00:00.000Z' });
}

/** A recovery point for each of as many days, of 1,000 schools; neither the ledger's fold nor a manifest is in memory. */
export async function preparePulse(items: number): Promise<Prepared> {
  const ledger = await openLedger();
  await ledger.seed(0, await putRecoveryPoints(ledger, items));
  return prepared(ledger, {});
}

/** @returns what the ledger has to say of them. */
async function putRecoveryPoints(ledger: LocalLedger, days: number): Promise<LedgerDraft[]> {
  const drafts: LedgerDraft[] = [];
  for (let day = 0; day < days; day++) {
    const scheduledAt = new Date(Date.parse('2025-11-22T02:30:00.000Z') + day * DAY_MS).toISOString();
    const recoveryPointId = idOfInstant(scheduledAt);
    const point = { recoveryPointId, scheduledAt, completedAt: scheduledAt, tenants: resultsOf(SCHOOLS) };
    const rootManifestSha256 = await ledger.putManifest(point);
    const body = { recoveryPointId, status: 'good', rootManifestSha256 };
    drafts.push(draft(recoveryPointId, { kind: 'backup.completed', subject: recoveryPointId, body }));
  }
  return drafts;
}

async function prepared(ledger: LocalLedger, event: Record<string, unknown>): Promise<Prepared> {
  const environment = {
    DAYBREAK_CONFIGURATION: JSON.stringify({
      databases: [],
      buckets: [],
      restoreTest: { subnetGroupName: 'isolated', securityGroupId: 'sg-1' },
    }),
    DAYBREAK_DEPLOYMENT: JSON.stringify(ledger.deployment),
  };
  return { event, environment, world: await openWorld(ledger) };
}
