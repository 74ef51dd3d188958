import { LossName, readLossName } from '../contracts/losses.ts';
import type { FoundWrong } from '../contracts/pulse.ts';
import { FOUND_WRONG_KEY } from '../contracts/vault-layout.ts';
import { LOSSES_KEPT } from '../platform/found-wrong.ts';
import { writeBytes } from '../platform/s3.ts';

const KEPT = 100;
/** Each of them is read again by every pulse. */
const POLICIES_KEPT = 20;

export const NOTHING_WRONG: FoundWrong = {
  tenants: [],
  vaultKeys: [],
  ledgerState: false,
  policiesBehind: [],
  sharedSnapshots: [],
  lost: [],
  explained: [],
  acceptances: [],
  lookedAt: null,
  notLookedFor: [],
};

/** Remembers what can be remembered of it for the next pulse. */
export async function writeFoundWrong(workBucket: string, found: FoundWrong): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(limitFoundWrong(found)));
  await writeBytes(workBucket, FOUND_WRONG_KEY, bytes, { contentType: 'application/json' });
}

/**
 * The first 100 of each kind, 20 policies, and 2,000 losses; of objects that are accepted as lost 100, for each is looked at
 * again. Kinds of which a loss is left out were not all looked for, to whoever reads it. A loss with a name that no decision
 * can hold is counted as long as it is found, and is not among them: nobody could accept it, and the next pulse could not
 * read what is remembered.
 */
export function limitFoundWrong(found: FoundWrong): FoundWrong {
  const names = (all: readonly string[]) => all.filter(name => LossName.safeParse(name).success);
  const [lost, explained] = [names(found.lost), names(found.explained)];
  const kindOf = (name: string) => readLossName(name).kind;
  const isObject = (name: string) => kindOf(name) === 'object-gone';
  const objects = explained.filter(isObject);
  const others = explained.filter(name => !isObject(name));
  const cut = [
    ...lost.slice(LOSSES_KEPT.names),
    ...objects.slice(LOSSES_KEPT.explainedObjects),
    ...others.slice(LOSSES_KEPT.names),
  ];
  return {
    ...found,
    tenants: found.tenants.slice(0, KEPT),
    vaultKeys: found.vaultKeys.slice(0, KEPT),
    policiesBehind: found.policiesBehind.slice(0, POLICIES_KEPT),
    sharedSnapshots: found.sharedSnapshots.slice(0, KEPT),
    lost: lost.slice(0, LOSSES_KEPT.names),
    explained: [...objects.slice(0, LOSSES_KEPT.explainedObjects), ...others.slice(0, LOSSES_KEPT.names)],
    acceptances: names(found.acceptances).slice(0, LOSSES_KEPT.names),
    notLookedFor: [...new Set([...found.notLookedFor, ...cut.map(kindOf)])],
  };
}
