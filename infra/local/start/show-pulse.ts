import { scheduleName } from '../../../functions/contracts/schedules.ts';
import { stepName } from '../../access/role-names.ts';
import type { LocalCloud } from '../cloud.ts';
import type { Display } from './display.ts';

const FINDING =
  /^(?:a check could not be made|the ledger is broken|a (?:key|schedule|vault object) is gone|a (?:snapshot|root manifest) is not)/;

/** Shows what pulse finds wrong while time jumps, each thing once; nothing while all is well. */
export function showPulse({ lambda, scheduler }: LocalCloud, display: Display): void {
  const shown = new Set<string>();
  const show = (text: string) => {
    if (!shown.has(text)) display.line(`  ! pulse: ${text}`);
    shown.add(text);
  };
  lambda.onLine((name, line) => {
    if (name !== stepName('pulse/read-back')) return;
    const { level, message, time: _time, function: _function, ...fields } = JSON.parse(line) as Record<string, unknown>;
    if (level === 'error' && typeof message === 'string' && FINDING.test(message)) {
      show(`${message}: ${Object.values(fields).join(', ')}`);
    }
  });
  scheduler.onInvocation(({ schedule, failure }) => {
    if (schedule === scheduleName('pulse') && failure !== null) show(failure);
  });
}
