import { expect, it } from 'vitest';
import type { FoundWrong } from '../../../functions/contracts/pulse.ts';
import { judgeLook } from '../../../functions/platform/found-wrong.ts';
import { NOTHING_WRONG } from '../../../functions/pulse/found-wrong.ts';
import { EXIT } from '../../../infra/command-line/failure.ts';
import { answerLosses } from '../../../runbooks/cli/loss.ts';

const NOW = new Date('2026-11-22T09:00:00.000Z');
const LOST = 'snapshot-missing/daybreak-app-20261122t023000z';
const NOTHING = 'pulse finds nothing lost that nobody accepted';
const left = (part: Partial<FoundWrong>): FoundWrong => ({ ...NOTHING_WRONG, lookedAt: NOW.toISOString(), ...part });
const LOOKED = 'pulse looked last at 2026-11-22T09:00:00.000Z';

it.each<[string, FoundWrong | undefined, number, string[]]>([
  ['all is there', left({}), EXIT.done, [NOTHING, LOOKED]],
  [
    'something is lost, and something accepted',
    left({ lost: [LOST], acceptances: [LOST] }),
    EXIT.done,
    [
      `${LOST}: a snapshot that a recovery point names is gone`,
      'accepted: 1 (daybreak evidence show --kind loss)',
      LOOKED,
    ],
  ],
  [
    'pulse left nothing',
    undefined,
    EXIT.unreachable,
    ['nobody knows: pulse has left nothing that says what is lost (runbooks/pulse-silent.md)'],
  ],
  [
    'pulse never looked',
    left({ lookedAt: null }),
    EXIT.unreachable,
    ['nobody knows: pulse has left nothing that says what is lost (runbooks/pulse-silent.md)'],
  ],
  [
    'pulse is silent',
    left({ lookedAt: '2026-11-22T07:59:59.999Z' }),
    EXIT.unreachable,
    [
      'pulse looked last at 2026-11-22T07:59:59.999Z',
      'nobody knows what was lost since: pulse is silent (runbooks/pulse-silent.md)',
    ],
  ],
  [
    'pulse could not look for some of it',
    left({ lost: [LOST], notLookedFor: ['object-gone', 'snapshot-missing'] }),
    EXIT.unreachable,
    [
      `${LOST}: a snapshot that a recovery point names is gone`,
      LOOKED,
      'it could not look for all of these (runbooks/pulse-silent.md): object-gone, snapshot-missing',
    ],
  ],
])('says that nothing is lost only where pulse has just looked for all of it: %s', (_name, found, exitCode, lines) => {
  const answer = answerLosses(judgeLook(found, NOW));
  expect([answer.exitCode, answer.text({ width: 80, colour: false } as never).split('\n')]).toEqual([exitCode, lines]);
  expect(JSON.stringify(answer.data)).toContain(found?.lookedAt ?? '"never"');
});
