import { queryFailure } from './failure.ts';
import { isObject, type Json, type JsonObject } from './json.ts';
import {
  compileTemplate,
  type Evaluate,
  InvalidDefinitionError,
  isQuery,
  type QueryPlace,
  UnsupportedDefinitionError,
} from './query.ts';

const JSONPATH_FIELDS = new Set([
  'InputPath',
  'OutputPath',
  'ResultPath',
  'ResultSelector',
  'Parameters',
  'Result',
  'Variable',
  'ItemsPath',
  'SecondsPath',
  'TimestampPath',
  'TimeoutSecondsPath',
  'HeartbeatSecondsPath',
  'ErrorPath',
  'CausePath',
  'MaxConcurrencyPath',
  'ToleratedFailureCountPath',
  'ToleratedFailurePercentagePath',
  'MaxItemsPath',
  'BucketPath',
]);

const VARIABLE_NAME = /^[\p{ID_Start}_][\p{ID_Continue}]{0,79}$/u;

type Available = QueryPlace['available'];
const BEFORE_RESULT: Available = ['input', 'context'];

/** Reads the fields of one object of a definition, each of the type that it must have. */
export class FieldReader {
  /** Names the object in messages: `state "Plan", Catch[0]`. */
  readonly where: string;
  readonly #object: JsonObject;
  readonly #state: string;
  readonly #prefix: string;
  readonly #outerVariables: ReadonlySet<string>;

  constructor(
    object: Json,
    where: string,
    place: { state?: string; outerVariables?: ReadonlySet<string>; prefix?: string } = {},
  ) {
    this.where = where;
    if (!isObject(object)) throw new InvalidDefinitionError(`${where}: it is no object`);
    this.#object = object;
    this.#state = place.state ?? '';
    this.#outerVariables = place.outerVariables ?? new Set();
    this.#prefix = place.prefix ?? '';
  }

  /** A reader of an object inside this one, `name` being its place. */
  inside(object: Json, name: string): FieldReader {
    const prefix = `${this.#prefix}${name}/`;
    const place = { state: this.#state, outerVariables: this.#outerVariables, prefix };
    return new FieldReader(object, `${this.where}, ${name}`, place);
  }

  /** @throws UnsupportedDefinitionError for the first field that is not among `names`. */
  allow(...names: readonly string[]): void {
    for (const field of Object.keys(this.#object)) {
      if (names.includes(field)) continue;
      const jsonPath = JSONPATH_FIELDS.has(field) || field.endsWith('.$') ? ' (JSONPath only)' : '';
      throw new UnsupportedDefinitionError(`the field ${field}${jsonPath} in ${this.where}`);
    }
  }

  value(field: string): Json | undefined {
    return Object.hasOwn(this.#object, field) ? this.#object[field] : undefined;
  }

  text(field: string): string | undefined {
    const value = this.value(field);
    if (value !== undefined && typeof value !== 'string') this.#refuse(field, 'text');
    return value as string | undefined;
  }

  object(field: string): JsonObject | undefined {
    const value = this.value(field);
    if (value !== undefined && !isObject(value)) this.#refuse(field, 'an object');
    return value as JsonObject | undefined;
  }

  list(field: string): Json[] {
    const value = this.value(field);
    if (value !== undefined && !Array.isArray(value)) this.#refuse(field, 'a list');
    return (value ?? []) as Json[];
  }

  literalNumber(field: string, least: number, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.value(field);
    if (isQuery(value)) throw new UnsupportedDefinitionError(`a query in the field ${field} in ${this.where}`);
    if (value !== undefined && (typeof value !== 'number' || value < least || value > most)) {
      this.#refuse(field, `a number from ${least} to ${most}`);
    }
    return value as number | undefined;
  }

  wholeNumber(field: string, least: number, most: number): number | undefined {
    const value = this.literalNumber(field, least, most);
    if (value !== undefined && !Number.isInteger(value)) this.#refuse(field, 'a whole number');
    return value;
  }

  /** A template; its queries see `available` of `$states`. */
  template(field: string, available: Available = BEFORE_RESULT): Evaluate | undefined {
    const value = this.value(field);
    return value === undefined ? undefined : compileTemplate(value, this.#place(field, available));
  }

  /** A number from `least`, as a literal or a query; whole unless `fraction`. */
  number(field: string, least: number, options: { most?: number; fraction?: boolean } = {}): Evaluate | undefined {
    const { most = 99_999_999, fraction = false } = options;
    const isFitting = (value: Json): boolean =>
      typeof value === 'number' && value >= least && value <= most && (fraction || Number.isInteger(value));
    const value = this.value(field);
    if (value === undefined) return undefined;
    if (!isQuery(value)) {
      if (!isFitting(value)) this.#refuse(field, `a ${fraction ? '' : 'whole '}number from ${least} to ${most}`);
      return () => value;
    }
    const evaluate = compileTemplate(value, this.#place(field, BEFORE_RESULT));
    return async environment => {
      const result = await evaluate(environment);
      if (isFitting(result)) return result;
      throw queryFailure(value.slice(2, -2).trim(), field, `returned no number from ${least} to ${most}`);
    };
  }

  /** `Assign`: an object of variables that no enclosing graph assigns. */
  assign(available: Available = BEFORE_RESULT): Evaluate | undefined {
    const variables = this.object('Assign');
    for (const name of Object.keys(variables ?? {})) {
      if (!VARIABLE_NAME.test(name) || name === 'states') {
        throw new InvalidDefinitionError(`${this.where}: "${name}" cannot be the name of a variable`);
      }
      if (this.#outerVariables.has(name)) {
        throw new InvalidDefinitionError(`${this.where}: it assigns $${name}, which belongs to an enclosing scope`);
      }
    }
    return this.template('Assign', available);
  }

  /** Where the state goes: its Next, or undefined where it Ends. */
  transition(): string | undefined {
    const next = this.text('Next');
    const end = this.value('End');
    if (end !== undefined && typeof end !== 'boolean') this.#refuse('End', 'true or false');
    if ((next === undefined) === (end !== true)) {
      throw new InvalidDefinitionError(`${this.where}: it wants exactly one of Next and "End": true`);
    }
    return next;
  }

  #place(field: string, available: Available): QueryPlace {
    return { state: this.#state, field: `${this.#prefix}${field}`, available };
  }

  #refuse(field: string, wanted: string): never {
    throw new InvalidDefinitionError(`${this.where}: ${field} is not ${wanted}`);
  }
}
