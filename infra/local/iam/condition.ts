import { NotImplementedLocally } from '../service.ts';
import { compilePattern, type PatternMatcher, type VariableLookup } from './wildcard.ts';

/** The condition keys of one request, by their names in lower case: AWS does not tell cases apart in them. */
export type ConditionContext = ReadonlyMap<string, string | readonly string[]>;

/** Whether one operator with one key holds for a request. */
export type Condition = (context: ConditionContext, lookUp: VariableLookup) => boolean;

/** A policy that IAM would not accept. */
export class MalformedPolicyError extends Error {
  override readonly name = 'MalformedPolicyError';
}

interface Operator {
  /** Prepares one value of the policy; the result says whether one value of the request compares with it. */
  readonly compile: (value: string, variables: boolean) => PatternMatcher;
  readonly negated?: boolean;
}

const equals = { compile: literal };
const equalsIgnoringCase: Operator = {
  compile: (value, variables) => {
    const matches = literal(value.toLowerCase(), variables);
    return (text, lookUp) => matches(text.toLowerCase(), name => lookUp(name)?.toLowerCase());
  },
};
const like: Operator = { compile: (value, variables) => compilePattern(value, { wildcards: true, variables }) };
const arn: Operator = { compile: compileArn };
const number = (compare: (request: number, policy: number) => boolean): Operator => ({
  compile: value => comparison(value, Number, compare),
});
const date = (compare: (request: number, policy: number) => boolean): Operator => ({
  compile: value => comparison(value, instantOf, compare),
});
const not = (operator: Operator): Operator => ({ ...operator, negated: true });

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html */
const OPERATORS: Readonly<Record<string, Operator>> = {
  StringEquals: equals,
  StringNotEquals: not(equals),
  StringEqualsIgnoreCase: equalsIgnoringCase,
  StringNotEqualsIgnoreCase: not(equalsIgnoringCase),
  StringLike: like,
  StringNotLike: not(like),
  ArnEquals: arn,
  ArnLike: arn,
  ArnNotEquals: not(arn),
  ArnNotLike: not(arn),
  Bool: equalsIgnoringCase,
  NumericEquals: number((request, policy) => request === policy),
  NumericNotEquals: not(number((request, policy) => request === policy)),
  NumericLessThan: number((request, policy) => request < policy),
  NumericLessThanEquals: number((request, policy) => request <= policy),
  NumericGreaterThan: number((request, policy) => request > policy),
  NumericGreaterThanEquals: number((request, policy) => request >= policy),
  DateEquals: date((request, policy) => request === policy),
  DateNotEquals: not(date((request, policy) => request === policy)),
  DateLessThan: date((request, policy) => request < policy),
  DateLessThanEquals: date((request, policy) => request <= policy),
  DateGreaterThan: date((request, policy) => request > policy),
  DateGreaterThanEquals: date((request, policy) => request >= policy),
};

/**
 * Prepares one line of a `Condition` block, e.g. `ForAnyValue:StringLike`, `aws:TagKeys`, its values.
 * Absent keys: positive operators fail, negated ones and `…IfExists` hold, `ForAnyValue` fails and `ForAllValues` holds
 * whatever their operator.
 * @throws NotImplementedLocally naming an operator or a policy variable that is not implemented.
 */
export function compileCondition(
  operatorName: string,
  key: string,
  values: readonly string[],
  variables: boolean,
): Condition {
  const lowerKey = key.toLowerCase();
  if (operatorName === 'Null') {
    const absent = oneBoolean(values);
    return context => context.has(lowerKey) !== absent;
  }
  const parsed = /^(?:(ForAnyValue|ForAllValues):)?([A-Za-z]+?)(IfExists)?$/.exec(operatorName);
  const operator = parsed?.[2] === undefined ? undefined : OPERATORS[parsed[2]];
  if (parsed === null || operator === undefined) {
    throw new NotImplementedLocally(`the condition operator ${operatorName}`);
  }
  const [, set, , ifExists] = parsed;
  const negated = operator.negated === true;
  const matchers = values.map(value => operator.compile(value, variables));
  const holdsFor = (text: string, lookUp: VariableLookup) =>
    matchers.some(matches => matches(text, lookUp)) !== negated;

  return (context, lookUp) => {
    const value = context.get(lowerKey);
    const texts = value === undefined ? [] : typeof value === 'string' ? [value] : value;
    if (set === 'ForAllValues') return texts.every(text => holdsFor(text, lookUp));
    if (set === 'ForAnyValue') return texts.some(text => holdsFor(text, lookUp));
    if (value === undefined) return negated || ifExists !== undefined;
    if (typeof value !== 'string') {
      throw new NotImplementedLocally(
        `the condition operator ${operatorName} on ${key}, which has many values: use ForAnyValue or ForAllValues`,
      );
    }
    return holdsFor(value, lookUp);
  };
}

function literal(value: string, variables: boolean): PatternMatcher {
  return compilePattern(value, { wildcards: false, variables });
}

// The six components of an ARN are compared one by one; only the last may hold colons.
function compileArn(value: string, variables: boolean): PatternMatcher {
  if (/^\$\{[^}]*\}$/.test(value)) return compilePattern(value, { wildcards: true, variables });
  if (value === '*') return text => arnComponents(text) !== undefined;
  const components = arnComponents(value);
  if (components === undefined) throw new MalformedPolicyError(`not an ARN in a condition: ${value}`);
  const matchers = components.map(component => compilePattern(component, { wildcards: true, variables }));
  return (text, lookUp) => arnComponents(text)?.every((part, index) => matchers[index]?.(part, lookUp)) ?? false;
}

// A policy variable holds colons of its own (`${aws:PrincipalArn}`), which separate nothing.
function arnComponents(text: string): string[] | undefined {
  const components = [];
  let from = 0;
  for (let index = 0; index < text.length && components.length < 5; index++) {
    if (text.startsWith('${', index)) index = Math.max(index, text.indexOf('}', index));
    else if (text[index] === ':') {
      components.push(text.slice(from, index));
      from = index + 1;
    }
  }
  return components.length === 5 ? [...components, text.slice(from)] : undefined;
}

function comparison(
  value: string,
  read: (text: string) => number,
  compare: (request: number, policy: number) => boolean,
): PatternMatcher {
  const policy = read(value);
  if (value.trim() === '' || Number.isNaN(policy)) {
    throw new MalformedPolicyError(`not a number or date in a condition: ${value}`);
  }
  return text => text.trim() !== '' && compare(read(text), policy);
}

/** A date in ISO 8601, or seconds since 1970. */
function instantOf(text: string): number {
  return /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text);
}

function oneBoolean(values: readonly string[]): boolean {
  const [value, ...rest] = values.map(text => text.toLowerCase());
  if (rest.length > 0 || (value !== 'true' && value !== 'false')) {
    throw new MalformedPolicyError('the condition operator Null takes either true or false');
  }
  return value === 'true';
}
