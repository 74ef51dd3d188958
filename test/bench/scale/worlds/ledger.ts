import { draft, openLedger } from '../../../functions/evidence/local-ledger.ts';
import type { Prepared } from '../loads.ts';
import { openWorld } from '../world.ts';

/** A ledger of which nothing is cached, so that the next append reads every entry. */
export async function prepareAppend(items: number): Promise<Prepared> {
  const ledger = await openLedger();
  await ledger.seed(items);
  const environment = {
    DAYBREAK_CONFIGURATION: JSON.stringify({
      databases: [],
      buckets: [],
      restoreTest: { subnetGroupName: 'isolated', securityGroupId: 'sg-1' },
    }),
    DAYBREAK_DEPLOYMENT: JSON.stringify(ledger.deployment),
  };
  return { event: { draft: draft('the next') }, environment, world: await openWorld(ledger) };
}
