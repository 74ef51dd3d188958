import { NotImplementedLocally } from '../service.ts';

/** A filter pattern that CloudWatch Logs would refuse. */
export class InvalidFilterPatternError extends Error {
  override readonly name = 'InvalidFilterPatternError';
}

type Matches = (event: unknown) => boolean;

const MAXIMUM_LENGTH = 1024;
const TOKEN = /\s*(?:(&&|\|\||[(){}])|(!?=)|(NOT EXISTS)\b|\$((?:\.[A-Za-z0-9_-]+)+)|"([^"\\]*)")/y;

/**
 * Prepares a JSON filter pattern: comparisons of a selector with text (`*` stands for any text), `NOT EXISTS`, `&&`, `||` and
 * parentheses. A comparison with a field that is not there does not match.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
 * @throws InvalidFilterPatternError; NotImplementedLocally for what is not among these.
 */
export function compileFilterPattern(pattern: string): Matches {
  if (pattern.length > MAXIMUM_LENGTH) throw new InvalidFilterPatternError('a filter has 1,024 characters at most');
  const tokens = tokenize(pattern);
  let at = 0;
  const take = (word: string): boolean => tokens[at]?.word === word && ++at > 0;
  const expect = (word: string): void => {
    if (!take(word)) throw new InvalidFilterPatternError(`a filter wants ${word} instead of ${tokens[at]?.word}`);
  };
  const either = (): Matches => {
    const any = [both()];
    while (take('||')) any.push(both());
    return event => any.some(matches => matches(event));
  };
  const both = (): Matches => {
    const all = [one()];
    while (take('&&')) all.push(one());
    return event => all.every(matches => matches(event));
  };
  const one = (): Matches => {
    if (take('(')) {
      const inner = either();
      expect(')');
      return inner;
    }
    const path = tokens[at++]?.selector;
    if (path === undefined) throw new InvalidFilterPatternError('a filter has no selector where one is wanted');
    if (take('NOT EXISTS')) return event => valueAt(event, path) === undefined;
    const equal = take('=');
    if (!equal) expect('!=');
    const text = tokens[at++]?.text;
    if (text === undefined) throw new NotImplementedLocally('comparisons with anything but text in a filter pattern');
    const expression = new RegExp(`^${text.split('*').map(RegExp.escape).join('.*')}$`, 's');
    return event => {
      const value = valueAt(event, path);
      return typeof value === 'string' && expression.test(value) === equal;
    };
  };
  expect('{');
  const matches = either();
  expect('}');
  if (at < tokens.length) throw new InvalidFilterPatternError('a filter goes on after its end');
  return matches;
}

/**
 * Prepares a search of lines: a filter of JSON events, or terms in double quotes, of which each has to stand in the line as it
 * is; nothing finds every line.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForLogEvents.html
 * @throws InvalidFilterPatternError; NotImplementedLocally for another kind of term.
 */
export function compileSearch(pattern: string): (line: string) => boolean {
  const text = pattern.trim();
  if (text.startsWith('{')) {
    const matches = compileFilterPattern(text);
    return line => {
      const event = parseEvent(line);
      return event !== undefined && matches(event);
    };
  }
  if (!/^(?:"[^"\\]*"\s*)*$/.test(text)) throw new NotImplementedLocally(`the filter pattern ${text}`);
  const terms = [...text.matchAll(/"([^"]*)"/g)].map(([, term]) => term ?? '');
  return line => terms.every(term => line.includes(term));
}

function parseEvent(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

interface Token {
  readonly word: string;
  readonly selector?: readonly string[];
  readonly text?: string;
}

function tokenize(pattern: string): Token[] {
  const tokens: Token[] = [];
  const end = pattern.trimEnd().length;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < end) {
    const from = TOKEN.lastIndex;
    const match = TOKEN.exec(pattern);
    if (match === null) throw new NotImplementedLocally(`${pattern.slice(from, from + 20)} in a filter pattern`);
    const [, mark, operator, missing, selector, text] = match;
    if (selector !== undefined) tokens.push({ word: 'a selector', selector: selector.slice(1).split('.') });
    else if (text !== undefined) tokens.push({ word: 'text', text });
    else tokens.push({ word: mark ?? operator ?? missing ?? '' });
  }
  return tokens;
}

function valueAt(event: unknown, path: readonly string[]): unknown {
  let value: unknown = event;
  for (const name of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}
