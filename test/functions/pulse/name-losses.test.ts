import fc from 'fast-check';
import { expect, it } from 'vitest';
import { idOfInstant } from '../../../functions/contracts/identifiers.ts';
import {
  LOSS_KINDS,
  type Loss,
  LossName,
  lossName,
  type MissedThing,
  readLossName,
} from '../../../functions/contracts/losses.ts';
import { FoundWrong } from '../../../functions/contracts/pulse.ts';
import { manifestKey } from '../../../functions/contracts/vault-layout.ts';
import { addMs } from '../../../functions/platform/clock.ts';
import { assessSnapshots, lostSnapshots } from '../../../functions/pulse/assess-snapshots.ts';
import { limitFoundWrong, NOTHING_WRONG } from '../../../functions/pulse/found-wrong.ts';
import { nameLosses } from '../../../functions/pulse/name-losses.ts';
import { subtractAccepted } from '../../../functions/pulse/subtract-accepted.ts';

const [FIRST, SECOND] = ['20261122t023000z', '20261123t023000z'];
const KEY = manifestKey('s-1', 'a'.repeat(64));
const ACCEPTED = {
  reason: 'drill',
  reference: 'D-1',
  actor: 'person/p-1',
  recordedAt: '',
  sequence: 1,
  isBack: false,
  lostAgainAt: null,
} as const;
const SNAPSHOT = `daybreak-app-${FIRST}`;
const [ONE, OTHER] = ['a'.repeat(16), 'b'.repeat(16)];

/** All that one place may be found to be, beside right. */
const PLACES: readonly (readonly MissedThing[])[] = [
  [
    { kind: 'snapshot-missing', snapshotId: SNAPSHOT },
    { kind: 'snapshot-replaced', snapshotId: SNAPSHOT, content: ONE },
    { kind: 'snapshot-replaced', snapshotId: SNAPSHOT, content: OTHER },
    { kind: 'snapshot-unavailable', snapshotId: SNAPSHOT, status: 'failed' },
    { kind: 'snapshot-unavailable', snapshotId: SNAPSHOT, status: 'copying' },
  ],
  [
    { kind: 'root-manifest-gone', recoveryPointId: FIRST },
    { kind: 'root-manifest-altered', recoveryPointId: FIRST, content: ONE },
    { kind: 'root-manifest-altered', recoveryPointId: FIRST, content: OTHER },
  ],
  [
    { kind: 'test-record-gone', restoreTestId: FIRST },
    { kind: 'test-record-altered', restoreTestId: FIRST, content: 'unnamed' },
    { kind: 'test-record-altered', restoreTestId: FIRST, content: OTHER },
  ],
  [{ kind: 'object-gone', key: KEY }],
];

it('takes an acceptance for what was seen, for as long as it is seen, and for nothing else', () => {
  expect(new Set(PLACES.flat().map(({ kind }) => kind))).toEqual(new Set(Object.keys(LOSS_KINDS)));
  const step = (things: readonly MissedThing[]) =>
    fc.record({
      seen: fc.option(fc.constantFrom(...things), { freq: 3 }),
      isAccepted: fc.boolean(),
      newestId: fc.constantFrom(FIRST, SECOND),
    });
  const story = fc.constantFrom(...PLACES).chain(things => fc.array(step(things), { maxLength: 20 }));
  fc.assert(
    fc.property(story, steps => {
      let before: string[] = [];
      const accepted: Record<string, typeof ACCEPTED> = {};
      // What a person has seen: each of these is one loss, however it is named.
      let episode: { readonly thing: MissedThing; isAccepted: boolean } | undefined;
      for (const [index, { seen, isAccepted, newestId }] of steps.entries()) {
        const since = idOfInstant(addMs(new Date('2026-11-24T09:00:00.000Z'), index * 15 * 60_000).toISOString());
        const names = nameLosses(seen === null ? [] : [seen], before, { since, newestId }).filter(
          name => name !== undefined,
        );
        const { standing } = subtractAccepted(names, accepted);
        before = names;
        if (seen === null) {
          episode = undefined;
          expect(names).toEqual([]);
          continue;
        }
        if (episode?.thing !== seen) {
          episode = { thing: seen, isAccepted: false };
        }
        expect(standing).toHaveLength(episode.isAccepted ? 0 : 1);
        if (!isAccepted) continue;
        for (const name of names) accepted[name] = ACCEPTED;
        episode.isAccepted = true;
      }
    }),
  );
});

it('takes a snapshot’s name of an earlier release for what is missed under it all the time since, and for nothing later', () => {
  const old = [`snapshot-missing/${SNAPSHOT}`, `snapshot-replaced/${SNAPSHOT}/${ONE}`];
  expect(old.map(name => lossName(readLossName(name)))).toEqual(old);
  const missed: MissedThing[] = [
    { kind: 'snapshot-missing', snapshotId: SNAPSHOT },
    { kind: 'snapshot-replaced', snapshotId: SNAPSHOT, content: ONE },
  ];
  const moment = { since: SECOND, newestId: FIRST };
  expect(nameLosses(missed, old, moment)).toEqual(old);
  expect(nameLosses(missed, [], moment)).toEqual(old.map(name => `${name}/${SECOND}`));
});

it('names an object that is gone by itself: one name while it lasts, whichever recovery point is the newest', () => {
  const at = (since: string, newestId: string | undefined) => ({ since, newestId });
  const missed: MissedThing[] = [{ kind: 'object-gone', key: KEY }];
  const [first = ''] = nameLosses(missed, [], at('20261122t091500z', FIRST));
  expect(first).toBe(`object-gone/${FIRST}/20261122t091500z/${KEY}`);
  for (const newestId of [FIRST, SECOND, undefined]) {
    expect(nameLosses(missed, [first], at('20261123t091500z', newestId))).toEqual([first]);
  }
  // Another object, under the same recovery point, is another loss.
  const other: MissedThing = { kind: 'object-gone', key: manifestKey('s-2', 'a'.repeat(64)) };
  expect(nameLosses([other], [first], at('20261122t091500z', FIRST))).toEqual([
    `object-gone/${FIRST}/20261122t091500z/tenants/s-2/manifests/${'a'.repeat(64)}.jsonl.zst`,
  ]);
  // What was not known before has no name while no recovery point can be read.
  expect(nameLosses([other], [first], at('20261122t091500z', undefined))).toEqual([undefined]);
});

it('calls a snapshot that is in no state to be restored from otherwise than another one in its place, and each by what it is', () => {
  const expected = { id: SNAPSHOT, takenAt: '2026-11-22T02:31:00.000Z', kmsKeyArn: 'vault' };
  const sound = {
    id: SNAPSHOT,
    status: 'available',
    kmsKeyArn: 'vault',
    takenAt: new Date(expected.takenAt),
  };
  const seen = [
    [],
    [{ ...sound, status: 'failed' }],
    [{ ...sound, status: undefined }],
    [{ ...sound, kmsKeyArn: 'another' }],
    [{ ...sound, kmsKeyArn: undefined }],
    [{ ...sound, takenAt: new Date(0) }],
    [{ ...sound, takenAt: new Date(1000) }],
    [{ ...sound, takenAt: new Date(0), kmsKeyArn: 'another' }],
  ];
  const named = seen.map(found =>
    nameLosses(lostSnapshots(assessSnapshots([expected], found)), [], { since: FIRST, newestId: FIRST }),
  );
  expect(named.map(names => names.length)).toEqual(seen.map(() => 1));
  expect(new Set(named.flat()).size).toBe(seen.length);
  expect(named.slice(0, 3).flat()).toEqual([
    `snapshot-missing/${SNAPSHOT}/${FIRST}`,
    `snapshot-unavailable/${SNAPSHOT}/failed/${FIRST}`,
    `snapshot-unavailable/${SNAPSHOT}/unknown/${FIRST}`,
  ]);
  const shared = assessSnapshots([expected], [{ ...sound, status: 'failed', takenAt: new Date(0) }]);
  expect(lostSnapshots(shared).map(({ kind }) => kind)).toEqual(['snapshot-unavailable', 'snapshot-replaced']);
});

it('has names that a decision can hold and that can be read back, of the longest schools too', () => {
  const key = manifestKey('s'.repeat(63), 'f'.repeat(64));
  for (const thing of [...PLACES.flat(), { kind: 'object-gone', key } as const]) {
    const [name = ''] = nameLosses([thing], [], { since: SECOND, newestId: FIRST });
    expect(LossName.safeParse(name).error).toBeUndefined();
    const loss: Loss = readLossName(name);
    expect([lossName(loss), loss]).toEqual([name, expect.objectContaining(thing)]);
  }
});

it('is remembered so that the next pulse can read it, whatever an object is called', () => {
  fc.assert(
    fc.property(fc.array(fc.string()), keys => {
      const lost = keys.map(key => `object-gone/${FIRST}/${SECOND}/${key}`);
      const kept = limitFoundWrong({ ...NOTHING_WRONG, vaultKeys: keys, lost, explained: lost, acceptances: lost });
      expect(FoundWrong.safeParse(JSON.parse(JSON.stringify(kept))).error).toBeUndefined();
    }),
  );
});

it('is named as not all looked for where more of a kind is lost than can be remembered', () => {
  const objects = Array.from({ length: 2001 }, (_, index) => {
    return `object-gone/${FIRST}/${SECOND}/${manifestKey('oak', String(index).padStart(64, '0'))}`;
  });
  const keep = (part: Partial<FoundWrong>) => limitFoundWrong({ ...NOTHING_WRONG, ...part });
  expect(keep({ lost: objects.slice(1), explained: objects.slice(0, 100) }).notLookedFor).toEqual([]);
  expect(keep({ lost: objects })).toMatchObject({ lost: objects.slice(0, 2000), notLookedFor: ['object-gone'] });
  expect(keep({ explained: objects.slice(0, 101) }).notLookedFor).toEqual(['object-gone']);
  const records = Array.from(
    { length: 2001 },
    (_, index) => `test-record-gone/${FIRST}/2026${String(index).padStart(4, '0')}t023000z`,
  );
  expect(keep({ explained: records, notLookedFor: ['object-gone'] }).notLookedFor).toEqual([
    'object-gone',
    'test-record-gone',
  ]);
});
