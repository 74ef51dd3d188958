import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LossName, lossName } from '../../../functions/contracts/decisions.ts';
import { FoundWrong } from '../../../functions/contracts/pulse.ts';
import { manifestKey } from '../../../functions/contracts/vault-layout.ts';
import { limitFoundWrong, NOTHING_WRONG } from '../../../functions/pulse/found-wrong.ts';
import { nameGoneObjects } from '../../../functions/pulse/name-gone-objects.ts';
import { subtractAccepted } from '../../../functions/pulse/subtract-accepted.ts';

const [FIRST, SECOND] = ['20261122t023000z', '20261123t023000z'];
const KEY = manifestKey('s-1', 'a'.repeat(64));
const ACCEPTED = { reason: 'drill', reference: 'D-1', actor: 'person/p-1', recordedAt: '', sequence: 1 } as const;

it('gives a loss one name while it lasts, and another one when the object was written again and lost again', () => {
  const first = nameGoneObjects([KEY], [], FIRST);
  expect([...first]).toEqual([[KEY, `${FIRST}/${KEY}`]]);
  const lost = [lossName('object-gone', `${FIRST}/${KEY}`)];
  expect(nameGoneObjects([KEY], lost, SECOND)).toEqual(first);
  expect(nameGoneObjects([KEY], lost, undefined)).toEqual(first);
  // It was accepted, so that it is not among what is lost any more; a backup wrote it again, and it is gone again.
  const accepted = { [lost[0] ?? '']: ACCEPTED };
  const again = [...nameGoneObjects([KEY], [], SECOND).values()];
  expect(subtractAccepted('object-gone', again, accepted)).toEqual({
    standing: [`object-gone/${SECOND}/${KEY}`],
    accepted: [],
  });
});

it('names nothing that was not known while no recovery point can be read', () => {
  expect([...nameGoneObjects([KEY], [], undefined)]).toEqual([]);
});

it('has names that a decision can hold, of the longest schools too', () => {
  const key = manifestKey('s'.repeat(63), 'f'.repeat(64));
  const [id = ''] = nameGoneObjects([key], [], FIRST).values();
  expect(LossName.safeParse(lossName('object-gone', id)).error).toBeUndefined();
});

it('is remembered so that the next pulse can read it, whatever an object is called', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), keys => {
      const lost = keys.map(key => lossName('object-gone', `${FIRST}/${key}`));
      const kept = limitFoundWrong({ ...NOTHING_WRONG, vaultKeys: keys, lost });
      expect(FoundWrong.safeParse(JSON.parse(JSON.stringify(kept))).error).toBeUndefined();
    }),
  );
});
