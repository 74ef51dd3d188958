import jsonata from 'jsonata';
import { queryFailure } from './failure.ts';
import { stepFunctionsFunctions } from './functions.ts';
import { isObject, type Json, type JsonObject, setOwn, toPlainJson } from './json.ts';
import type { Scope } from './scope.ts';

/** What a query sees. */
export interface QueryEnvironment {
  /** `$states` */
  readonly states: JsonObject;
  readonly scope: Scope;
  readonly now: Date;
}

/** A compiled query or template. It answers at once where it can: a promise costs more than most queries. */
export type Evaluate = (environment: QueryEnvironment) => Json | Promise<Json>;

/** Where a query stands, for messages and for what it may use. */
export interface QueryPlace {
  readonly state: string;
  readonly field: string;
  /** The members of `$states` that exist there. */
  readonly available: readonly ('input' | 'result' | 'errorOutput' | 'context')[];
}

/** A definition that Step Functions itself would refuse, with where and why. */
export class InvalidDefinitionError extends Error {
  override readonly name = 'InvalidDefinitionError';
}

/** What Step Functions may know, and the local cloud does not run, by name: so no workflow of Daybreak may have it. */
export class UnsupportedDefinitionError extends Error {
  override readonly name = 'UnsupportedDefinitionError';
  constructor(what: string) {
    super(`the local cloud does not run ${what}`);
  }
}

/** Whether a string of a definition is a query: `{% … %}`, exactly. */
export function isQuery(text: unknown): text is `{%${string}%}` {
  return typeof text === 'string' && text.startsWith('{%') && text.endsWith('%}') && text.length >= 4;
}

/**
 * Compiles a JSON template of a definition: strings that are queries are replaced by their results, at any depth; keys
 * and all other values stand for themselves.
 * @throws InvalidDefinitionError for a query that does not parse or uses what is not there.
 */
export function compileTemplate(template: Json, place: QueryPlace): Evaluate {
  if (isQuery(template)) return compileQuery(template.slice(2, -2).trim(), place);
  if (typeof template === 'string') {
    if (template.startsWith('{%') || template.endsWith('%}')) {
      throw new InvalidDefinitionError(
        `state "${place.state}", field ${place.field}: a query begins with {% and ends with %}, without anything around it`,
      );
    }
    return () => template;
  }
  if (Array.isArray(template)) {
    const parts = template.map((part: Json, index) =>
      compileTemplate(part, { ...place, field: `${place.field}[${index}]` }),
    );
    if (template.every(isConstant)) return () => template;
    return environment => allOf(parts.map(part => part(environment)));
  }
  if (isObject(template)) {
    if (isConstant(template)) return () => template;
    const keys = Object.keys(template);
    const parts = keys.map(key => compileTemplate(template[key] ?? null, { ...place, field: `${place.field}/${key}` }));
    const assemble = (values: readonly Json[]): Json => {
      const object: Record<string, Json> = {};
      keys.forEach((key, index) => {
        setOwn(object, key, values[index] ?? null);
      });
      return object;
    };
    return environment => {
      const values = allOf(parts.map(part => part(environment)));
      return values instanceof Promise ? values.then(assemble) : assemble(values);
    };
  }
  return () => template;
}

function isConstant(template: Json): boolean {
  if (typeof template === 'string') return !template.startsWith('{%') && !template.endsWith('%}');
  return template === null || typeof template !== 'object' || Object.values(template).every(isConstant);
}

function allOf(values: (Json | Promise<Json>)[]): Json[] | Promise<Json[]> {
  return values.some(value => value instanceof Promise) ? Promise.all(values) : (values as Json[]);
}

function compileQuery(expression: string, place: QueryPlace): Evaluate {
  let compiled: jsonata.Expression;
  try {
    compiled = jsonata(expression);
  } catch (cause) {
    throw new InvalidDefinitionError(
      `state "${place.state}", field ${place.field}: the query does not parse: ${messageOf(cause)}`,
      { cause },
    );
  }
  const names = variablesIn(compiled.ast(), place);
  const own = Object.entries(stepFunctionsFunctions).filter(([name]) => names.has(name));
  for (const [name, { implementation, signature }] of own) {
    compiled.registerFunction(name, implementation as (...args: unknown[]) => unknown, signature);
  }
  const evaluate = async (environment: QueryEnvironment): Promise<Json> => {
    let result: unknown;
    try {
      result = await compiled.evaluate(undefined, bindingsFor(names, environment));
    } catch (cause) {
      throw queryFailure(expression, place.field, `threw an error: ${messageOf(cause)}`, cause);
    }
    if (result === undefined) throw queryFailure(expression, place.field, 'returned nothing (undefined)');
    try {
      return toPlainJson(result);
    } catch (cause) {
      throw queryFailure(expression, place.field, `returned ${messageOf(cause)}`, cause);
    }
  };
  const follow = compilePath(expression);
  if (follow === undefined) return evaluate;
  return environment => {
    const found = follow(environment);
    return found === undefined ? evaluate(environment) : found;
  };
}

const PATH = /^\$([A-Za-z_]\w*)((?:\.[A-Za-z_]\w*)*)$/;
const KEYWORDS = new Set(['and', 'or', 'in', 'true', 'false', 'null', 'function']);

/**
 * A variable and a path of names through objects, followed without JSONata. Undefined where that might differ from what
 * JSONata answers (an array on the way, a missing member): then JSONata is asked.
 */
function compilePath(expression: string): ((environment: QueryEnvironment) => Json | undefined) | undefined {
  const [, variable, path] = PATH.exec(expression) ?? [];
  if (variable === undefined || path === undefined) return undefined;
  const names = path.split('.').slice(1);
  if (names.some(name => KEYWORDS.has(name)) || KEYWORDS.has(variable)) return undefined;
  return ({ states, scope }) => {
    let value: Json | undefined = variable === 'states' ? states : scope.read(variable);
    for (const name of names) {
      if (!isObject(value) || !Object.hasOwn(value, name)) return undefined;
      value = value[name];
    }
    return value;
  };
}

const FROM_MILLIS = jsonata('$fromMillis($ms, $picture, $timezone)');

function bindingsFor(names: ReadonlySet<string>, { states, scope, now }: QueryEnvironment): Record<string, unknown> {
  const bindings: Record<string, unknown> = {};
  for (const name of names) {
    if (name === 'states') {
      bindings.states = states;
      continue;
    }
    const value = scope.read(name);
    if (value !== undefined) bindings[name] = value;
    else if (name === 'millis') bindings.millis = () => now.getTime();
    else if (name === 'now') {
      bindings.now = (picture?: string, timezone?: string) =>
        FROM_MILLIS.evaluate(undefined, { ms: now.getTime(), picture, timezone });
    }
  }
  return bindings;
}

/** The names of all variables and functions in a syntax tree, checked against what exists at the place. */
function variablesIn(tree: unknown, place: QueryPlace): Set<string> {
  const names = new Set<string>();
  const visit = (node: unknown): void => {
    if (node === null || typeof node !== 'object') return;
    if (isNode(node, 'variable')) {
      names.add(node.value);
      if (node.value === 'eval') {
        throw new InvalidDefinitionError(
          `state "${place.state}", field ${place.field}: $eval is not supported: use $parse`,
        );
      }
    }
    if ('type' in node && node.type === 'path' && 'steps' in node && Array.isArray(node.steps)) {
      const [variable, member] = node.steps as unknown[];
      if (isNode(variable, 'variable') && variable.value === 'states' && isNode(member, 'name')) {
        checkAvailable(member.value, place);
      }
    }
    for (const part of Object.values(node)) visit(part);
  };
  visit(tree);
  return names;
}

function isNode(node: unknown, type: string): node is { value: string } {
  return (
    node !== null &&
    typeof node === 'object' &&
    'type' in node &&
    node.type === type &&
    'value' in node &&
    typeof node.value === 'string'
  );
}

function checkAvailable(member: string, { state, field, available }: QueryPlace): void {
  if (!(available as readonly string[]).includes(member)) {
    throw new InvalidDefinitionError(`state "${state}", field ${field}: $states.${member} does not exist there`);
  }
}

function messageOf(error: unknown): string {
  return error !== null && typeof error === 'object' && 'message' in error ? String(error.message) : String(error);
}
