import type { Deployment } from '../contracts/configuration.ts';
import type { PulseValues } from '../contracts/pulse.ts';
import { STOPPABLE_WORKFLOWS, stoppedRunRuleName } from '../contracts/stopped-runs.ts';
import { TRAIL_NAME, tamperRuleNames } from '../contracts/tampering.ts';
import { log } from '../platform/log.ts';
import { isRuleEnabled, isTrailLogging } from '../platform/tamper-watch.ts';

const RULES_AT_ONCE = 8;

/** How much of the watch against tampering and stopped runs is gone or switched off: a rule does not tell of its own end. */
export async function readTamperWatch({ region, accountId }: Deployment): Promise<PulseValues> {
  const trail = `arn:aws:cloudtrail:${region}:${accountId}:trail/${TRAIL_NAME}`;
  const stopped = (await isTrailLogging(trail)) === true ? [] : [trail];
  const names = [...tamperRuleNames(), ...STOPPABLE_WORKFLOWS.map(stoppedRunRuleName)];
  for (let from = 0; from < names.length; from += RULES_AT_ONCE) {
    const part = names.slice(from, from + RULES_AT_ONCE);
    const enabled = await Promise.all(part.map(isRuleEnabled));
    stopped.push(...part.filter((_name, index) => enabled[index] !== true));
  }
  for (const name of stopped) log('error', 'a part of the tamper watch is gone or not enabled', { name });
  return { TamperWatchStopped: stopped.length };
}
