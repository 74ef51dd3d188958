import { InvalidAlarmError } from './alarm-properties.ts';
import type { AlarmState } from './evaluate-alarm.ts';

/** A composite alarm's rule: whether it holds, given the state of the alarms that it names. */
export interface AlarmRule {
  /** The names or ARNs of the alarms in it. */
  readonly alarms: readonly string[];
  holds(stateOf: (alarm: string) => AlarmState): boolean;
}

type Holds = AlarmRule['holds'];

const MAXIMUM_LENGTH = 10_240;
const TOKEN =
  /\s*(?:(AND|OR|NOT|TRUE|FALSE)\b|(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:"([^"]+)"|([^\s"()]+))\s*\)|([()]))/y;

/**
 * Reads a rule expression: `ALARM`, `OK` and `INSUFFICIENT_DATA` of an alarm, `AND`, `OR`, `NOT`, `TRUE`, `FALSE` and
 * parentheses. `NOT` binds closest, then `AND`.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html
 * @throws InvalidAlarmError
 */
export function parseAlarmRule(expression: string): AlarmRule {
  if (expression.length > MAXIMUM_LENGTH)
    throw new InvalidAlarmError(`a rule has ${MAXIMUM_LENGTH} characters at most`);
  const tokens = tokenize(expression);
  const alarms = new Set<string>();
  let at = 0;
  const take = (word: string) => tokens[at]?.word === word && ++at > 0;

  const either = (): Holds => {
    let left = both();
    while (take('OR')) {
      const [a, b] = [left, both()];
      left = stateOf => a(stateOf) || b(stateOf);
    }
    return left;
  };
  const both = (): Holds => {
    let left = one();
    while (take('AND')) {
      const [a, b] = [left, one()];
      left = stateOf => a(stateOf) && b(stateOf);
    }
    return left;
  };
  const one = (): Holds => {
    if (take('NOT')) {
      const inner = one();
      return stateOf => !inner(stateOf);
    }
    if (take('(')) {
      const inner = either();
      if (!take(')')) throw new InvalidAlarmError('a rule has a parenthesis that does not close');
      return inner;
    }
    if (take('TRUE')) return () => true;
    if (take('FALSE')) return () => false;
    const { word, alarm } = tokens[at++] ?? {};
    if (alarm === undefined) throw new InvalidAlarmError(`a rule has ${word ?? 'its end'} where an alarm is wanted`);
    alarms.add(alarm);
    return stateOf => stateOf(alarm) === word;
  };

  const holds = either();
  if (at < tokens.length) throw new InvalidAlarmError(`a rule goes on with ${tokens[at]?.word} after its end`);
  return { alarms: [...alarms], holds };
}

function tokenize(expression: string): { word: string; alarm?: string }[] {
  const tokens: { word: string; alarm?: string }[] = [];
  const end = expression.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(expression);
    if (match === null) {
      throw new InvalidAlarmError(`a rule has ${JSON.stringify(expression.slice(from, from + 20))}, which is no rule`);
    }
    const [, word, state, quoted, bare, parenthesis] = match;
    const alarm = quoted ?? bare;
    tokens.push(
      state === undefined || alarm === undefined ? { word: word ?? parenthesis ?? '' } : { word: state, alarm },
    );
  }
  return tokens;
}
