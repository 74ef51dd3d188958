import { FieldReader } from './fields.ts';
import type { Catcher, Graph, State, StateMachineGraph } from './graph.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import { parseMap } from './map-definition.ts';
import { InvalidDefinitionError, UnsupportedDefinitionError } from './query.ts';
import type { Retrier } from './retry.ts';

/** What a state inherits from the graph that holds it. */
export interface DefinitionContext {
  /** All state names so far: they are unique across the whole machine. */
  readonly names: Set<string>;
  /** Variables that enclosing graphs assign: inner ones may read, not assign them. */
  readonly outerVariables: ReadonlySet<string>;
  readonly queryLanguage: string;
  /** True inside a distributed map whose children are express executions. */
  readonly express: boolean;
  readonly path: string;
}

const TERMINAL_TYPES = new Set(['Succeed', 'Fail']);

/**
 * Parses, validates and compiles a definition in Amazon States Language with JSONata.
 * @throws UnsupportedDefinitionError for a state type, field or resource that this interpreter does not run, by name.
 * @throws InvalidDefinitionError for what Step Functions refuses.
 * https://states-language.net/spec.html
 */
export function parseDefinition(definition: string | JsonObject): StateMachineGraph {
  const parsed = typeof definition === 'string' ? parseJson(definition) : definition;
  const reader = new FieldReader(parsed, 'the state machine');
  reader.allow('Comment', 'QueryLanguage', 'Version', 'TimeoutSeconds', 'StartAt', 'States');
  const version = reader.text('Version');
  if (version !== undefined && version !== '1.0') throw new UnsupportedDefinitionError(`the ASL version ${version}`);
  const graph = parseGraph(reader, {
    names: new Set(),
    outerVariables: new Set(),
    queryLanguage: reader.text('QueryLanguage') ?? 'JSONPath',
    express: false,
    path: 'the state machine',
  });
  return { ...graph, timeoutSeconds: reader.wholeNumber('TimeoutSeconds', 1, 99_999_999) };
}

function parseJson(definition: string): JsonObject {
  let parsed: unknown;
  try {
    parsed = JSON.parse(definition);
  } catch (cause) {
    throw new InvalidDefinitionError('the definition is no JSON', { cause });
  }
  if (!isObject(parsed)) throw new InvalidDefinitionError('the definition is no JSON object');
  return parsed;
}

/** Parses the `StartAt` and `States` of a machine, branch or item processor. */
export function parseGraph(reader: FieldReader, context: DefinitionContext): Graph {
  const definitions = reader.object('States');
  const startAt = reader.text('StartAt');
  if (definitions === undefined || Object.keys(definitions).length === 0) {
    throw new InvalidDefinitionError(`${context.path}: it has no States`);
  }
  const assigned = new Set([...context.outerVariables, ...Object.values(definitions).flatMap(variablesOf)]);
  const states = new Map<string, State>();
  for (const [name, definition] of Object.entries(definitions)) {
    if (name.length > 80) throw new InvalidDefinitionError(`state "${name}": its name is longer than 80 characters`);
    if (context.names.has(name)) throw new InvalidDefinitionError(`state "${name}": its name is not unique`);
    context.names.add(name);
    states.set(name, parseState(name, definition, context, assigned));
  }
  if (startAt === undefined || !states.has(startAt)) {
    throw new InvalidDefinitionError(`${context.path}: StartAt names no state of it`);
  }
  checkTransitions({ startAt, states }, context.path);
  return { startAt, states };
}

// Which variables a state assigns: its own, its choices' and its catchers'.
function variablesOf(state: Json): string[] {
  if (!isObject(state)) return [];
  const rules = [state.Choices, state.Catch].flatMap(rule => (Array.isArray(rule) ? (rule as Json[]) : []));
  return [state, ...rules].flatMap(part => (isObject(part) && isObject(part.Assign) ? Object.keys(part.Assign) : []));
}

function checkTransitions({ startAt, states }: Graph, path: string): void {
  const reached = new Set<string>();
  const open = [startAt];
  let ends = false;
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (reached.has(name)) continue;
    reached.add(name);
    const state = states.get(name);
    if (state === undefined) continue;
    const targets = targetsOf(state);
    for (const target of targets) {
      if (!states.has(target)) {
        throw new InvalidDefinitionError(`state "${name}": it goes to "${target}", which is no state beside it`);
      }
    }
    ends ||= isEnd(state);
    open.push(...targets);
  }
  const unreachable = [...states.keys()].find(name => !reached.has(name));
  if (unreachable !== undefined) throw new InvalidDefinitionError(`state "${unreachable}": nothing leads to it`);
  if (!ends) throw new InvalidDefinitionError(`${path}: no state that can be reached ends it`);
}

function targetsOf(state: State): string[] {
  const own = state.type === 'Choice' ? [...state.choices.map(({ next }) => next), state.default] : [state.next];
  return [...own, ...state.catch.map(({ next }) => next)].filter(next => next !== undefined);
}

function isEnd(state: State): boolean {
  return TERMINAL_TYPES.has(state.type) || (state.type !== 'Choice' && state.next === undefined);
}

const COMMON = ['Type', 'Comment', 'QueryLanguage'] as const;
const FLOW = ['Next', 'End', 'Assign', 'Output'] as const;
const RECOVERY = ['Retry', 'Catch'] as const;

function parseState(name: string, definition: Json, outer: DefinitionContext, assigned: ReadonlySet<string>): State {
  if (!isObject(definition)) throw new InvalidDefinitionError(`state "${name}": it is no object`);
  const language = definition.QueryLanguage ?? outer.queryLanguage;
  if (language !== 'JSONata') {
    throw new UnsupportedDefinitionError(`the query language ${String(language)} in the state "${name}": only JSONata`);
  }
  const fields = new FieldReader(definition, `state "${name}"`, { state: name, outerVariables: outer.outerVariables });
  const type = fields.text('Type');
  const withResult = ['input', 'result', 'context'] as const;
  const base = {
    name,
    next: type === 'Choice' || TERMINAL_TYPES.has(type ?? '') ? undefined : fields.transition(),
    output: fields.template(
      'Output',
      type === 'Task' || type === 'Parallel' || type === 'Map' ? withResult : undefined,
    ),
    assign: fields.assign(type === 'Task' || type === 'Parallel' || type === 'Map' ? withResult : undefined),
    retry: parseRetriers(fields),
    catch: parseCatchers(fields),
  };
  const inner: DefinitionContext = { ...outer, outerVariables: assigned, path: `state "${name}"` };
  switch (type) {
    case 'Pass':
      fields.allow(...COMMON, ...FLOW);
      return { ...base, type };
    case 'Succeed':
      fields.allow(...COMMON, 'Output');
      return { ...base, type };
    case 'Fail':
      fields.allow(...COMMON, 'Error', 'Cause');
      return { ...base, type, error: fields.template('Error'), cause: fields.template('Cause') };
    case 'Wait': {
      fields.allow(...COMMON, ...FLOW, 'Seconds', 'Timestamp');
      const seconds = fields.number('Seconds', 0);
      const timestamp = fields.template('Timestamp');
      if ((seconds === undefined) === (timestamp === undefined)) {
        throw new InvalidDefinitionError(`state "${name}": it wants exactly one of Seconds and Timestamp`);
      }
      return { ...base, type, seconds, timestamp };
    }
    case 'Choice':
      fields.allow(...COMMON, 'Assign', 'Output', 'Choices', 'Default');
      return { ...base, type, choices: parseChoices(fields), default: fields.text('Default') };
    case 'Task':
      fields.allow(...COMMON, ...FLOW, ...RECOVERY, 'Resource', 'Arguments', 'TimeoutSeconds', 'HeartbeatSeconds');
      return { ...base, type, ...parseTask(fields, name, inner) };
    case 'Parallel': {
      fields.allow(...COMMON, ...FLOW, ...RECOVERY, 'Arguments', 'Branches');
      const branches = fields.list('Branches').map((branch, index) => {
        const reader = new FieldReader(branch, `state "${name}", branch ${index}`);
        reader.allow('Comment', 'StartAt', 'States');
        return parseGraph(reader, { ...inner, path: `state "${name}", branch ${index}` });
      });
      if (branches.length === 0) throw new InvalidDefinitionError(`state "${name}": it has no Branches`);
      return { ...base, type, arguments: fields.template('Arguments'), branches };
    }
    case 'Map':
      return { ...base, type, ...parseMap(fields, name, inner, [...COMMON, ...FLOW, ...RECOVERY], parseGraph) };
    default:
      throw new UnsupportedDefinitionError(`the state type ${String(definition.Type)} (state "${name}")`);
  }
}

const INVOKE = 'arn:aws:states:::lambda:invoke';

function parseTask(fields: FieldReader, name: string, { express }: DefinitionContext) {
  const resource = fields.text('Resource') ?? '';
  const kind = taskKind(resource, name);
  if (kind === 'token' && express) {
    throw new InvalidDefinitionError(`state "${name}": express executions cannot wait for a task token`);
  }
  const heartbeatSeconds = fields.number('HeartbeatSeconds', 1);
  if (heartbeatSeconds !== undefined && kind !== 'token') {
    throw new UnsupportedDefinitionError(`HeartbeatSeconds in the state "${name}", which waits for no task token`);
  }
  const args = fields.value('Arguments');
  if (kind !== 'function') {
    if (args === undefined) throw new InvalidDefinitionError(`state "${name}": it has no Arguments`);
    if (isObject(args)) {
      new FieldReader(args, `state "${name}", Arguments`).allow('FunctionName', 'Payload');
      if (args.FunctionName === undefined) {
        throw new InvalidDefinitionError(`state "${name}": its Arguments have no FunctionName`);
      }
    }
  }
  return {
    kind,
    resource,
    arguments: fields.template('Arguments'),
    timeoutSeconds: fields.number('TimeoutSeconds', 1),
    heartbeatSeconds,
  };
}

function taskKind(resource: string, name: string): 'invoke' | 'token' | 'function' {
  if (resource === INVOKE) return 'invoke';
  if (resource === `${INVOKE}.waitForTaskToken`) return 'token';
  if (/^arn:aws:lambda:[a-z0-9-]+:\d{12}:function:[\w-]+(?::\$LATEST)?$/.test(resource)) return 'function';
  throw new UnsupportedDefinitionError(`the resource ${resource || '(none)'} in the state "${name}"`);
}

function parseChoices(fields: FieldReader) {
  const choices = fields.list('Choices').map((rule, index) => {
    const reader = fields.inside(rule, `Choices[${index}]`);
    reader.allow('Comment', 'Condition', 'Next', 'Assign', 'Output');
    const condition = reader.template('Condition');
    const next = reader.text('Next');
    if (condition === undefined || next === undefined) {
      throw new InvalidDefinitionError(`${reader.where}: it wants a Condition and a Next`);
    }
    return { condition, next, output: reader.template('Output'), assign: reader.assign() };
  });
  if (choices.length === 0) throw new InvalidDefinitionError(`${fields.where}: it has no Choices`);
  return choices;
}

function parseCatchers(fields: FieldReader): Catcher[] {
  const catchers = fields.list('Catch');
  return catchers.map((catcher, index) => {
    const reader = fields.inside(catcher, `Catch[${index}]`);
    reader.allow('Comment', 'ErrorEquals', 'Next', 'Assign', 'Output');
    const next = reader.text('Next');
    if (next === undefined) throw new InvalidDefinitionError(`${reader.where}: it has no Next`);
    const available = ['input', 'errorOutput', 'context'] as const;
    return {
      errorEquals: parseErrorNames(reader, index === catchers.length - 1),
      next,
      output: reader.template('Output', available),
      assign: reader.assign(available),
    };
  });
}

function parseRetriers(fields: FieldReader): Retrier[] {
  const retriers = fields.list('Retry');
  return retriers.map((retrier, index) => {
    const reader = fields.inside(retrier, `Retry[${index}]`);
    reader.allow(
      'Comment',
      'ErrorEquals',
      'IntervalSeconds',
      'MaxAttempts',
      'BackoffRate',
      'MaxDelaySeconds',
      'JitterStrategy',
    );
    const jitter = reader.text('JitterStrategy') ?? 'NONE';
    if (jitter !== 'FULL' && jitter !== 'NONE') {
      throw new InvalidDefinitionError(`${reader.where}: JitterStrategy is FULL or NONE`);
    }
    const intervalSeconds = reader.wholeNumber('IntervalSeconds', 1, 99_999_999) ?? 1;
    const maxDelaySeconds = reader.wholeNumber('MaxDelaySeconds', 1, 31_622_400);
    if (maxDelaySeconds !== undefined && maxDelaySeconds <= intervalSeconds) {
      throw new InvalidDefinitionError(`${reader.where}: MaxDelaySeconds is greater than IntervalSeconds`);
    }
    return {
      errorEquals: parseErrorNames(reader, index === retriers.length - 1),
      intervalSeconds,
      maxAttempts: reader.wholeNumber('MaxAttempts', 0, 99_999_999) ?? 3,
      backoffRate: reader.literalNumber('BackoffRate', 1) ?? 2,
      maxDelaySeconds,
      jitter,
    };
  });
}

function parseErrorNames(reader: FieldReader, last: boolean): string[] {
  const names = reader.list('ErrorEquals');
  if (names.length === 0 || !names.every(name => typeof name === 'string')) {
    throw new InvalidDefinitionError(`${reader.where}: ErrorEquals is a list of error names`);
  }
  if (names.includes('States.ALL') && (names.length > 1 || !last)) {
    throw new InvalidDefinitionError(`${reader.where}: States.ALL stands alone, and last`);
  }
  return names;
}
