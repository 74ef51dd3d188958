import { NotImplementedLocally } from '../service.ts';

/** An event pattern that EventBridge would refuse. */
export class InvalidEventPatternError extends Error {
  override readonly name = 'InvalidEventPatternError';
}

type Matches = (event: unknown) => boolean;
type Json = Readonly<Record<string, unknown>>;

/**
 * Prepares an event pattern. A field of a pattern matches where the event's field is one of the listed values, or fits an
 * operator; an event's list, where any of its members does. All fields have to match, and of `$or` any.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
 * @throws InvalidEventPatternError; NotImplementedLocally naming an operator that is not implemented.
 */
export function compileEventPattern(pattern: unknown): Matches {
  const fields = Object.entries(asObject(pattern, 'a pattern'));
  if (fields.length === 0) throw new InvalidEventPatternError('a pattern names no field');
  const conditions = fields.map(([name, value]): Matches => {
    if (name === '$or') {
      if (!Array.isArray(value) || value.length < 2) {
        throw new InvalidEventPatternError('$or wants two patterns at least');
      }
      const any = value.map(compileEventPattern);
      return event => any.some(matches => matches(event));
    }
    if (Array.isArray(value)) {
      if (value.length === 0) throw new InvalidEventPatternError(`${name} lists no value`);
      const any = value.map(compileValue);
      return event => {
        const found = fieldOf(event, name);
        const values = found.length === 0 ? [undefined] : found;
        return any.some(matches => values.some(matches));
      };
    }
    const inner = compileEventPattern(value);
    return event => {
      const found = fieldOf(event, name);
      return found.length === 0 ? inner({}) : found.some(inner);
    };
  });
  return event => conditions.every(matches => matches(event));
}

/** The values of a field: of a list, of each member. */
function fieldOf(event: unknown, name: string): unknown[] {
  if (!isObject(event) || !Object.hasOwn(event, name)) return [];
  const value = event[name];
  return Array.isArray(value) ? value : [value];
}

function compileValue(value: unknown): Matches {
  if (!isObject(value)) {
    if (Array.isArray(value)) throw new InvalidEventPatternError('a list of values holds no list');
    return found => found === value;
  }
  const [operator, argument, ...others] = Object.entries(value).flat();
  if (others.length > 0) throw new InvalidEventPatternError('an operator stands alone');
  switch (operator) {
    case 'exists':
      // Only a leaf exists: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html#eb-filtering-exists-matching
      return found => (found !== undefined && !isObject(found)) === argument;
    case 'prefix':
      return affix('startsWith', argument);
    case 'suffix':
      return affix('endsWith', argument);
    case 'anything-but':
      return anythingBut(argument);
    default:
      throw new NotImplementedLocally(`the operator ${String(operator)} of an event pattern`);
  }
}

function affix(method: 'startsWith' | 'endsWith', argument: unknown): Matches {
  if (typeof argument === 'string') return found => typeof found === 'string' && found[method](argument);
  const { 'equals-ignore-case': text, ...others } = asObject(argument, 'prefix or suffix');
  if (typeof text !== 'string' || Object.keys(others).length > 0) {
    throw new NotImplementedLocally('this prefix or suffix of an event pattern');
  }
  const lower = text.toLowerCase();
  return found => typeof found === 'string' && found.toLowerCase()[method](lower);
}

// A field that is not there is not anything.
function anythingBut(argument: unknown): Matches {
  const values: unknown[] = Array.isArray(argument) ? argument : [argument];
  if (!values.every(value => typeof value === 'string' || typeof value === 'number')) {
    throw new NotImplementedLocally('this anything-but of an event pattern');
  }
  return found => found !== undefined && found !== null && !isObject(found) && !values.includes(found as string);
}

function asObject(value: unknown, what: string): Json {
  if (!isObject(value)) throw new InvalidEventPatternError(`${what} is an object`);
  return value;
}

function isObject(value: unknown): value is Json {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
