import type { Json } from '../../workflows/language/json.ts';
import type { LocalClock } from '../clock.ts';
import type { LocalStates } from './service.ts';
import { StatesError } from './states-error.ts';

/** What a request says, as it was parsed. */
export type Parameters = Readonly<Record<string, unknown>>;

/** One operation of the API. */
export interface Operation {
  readonly parameters: readonly string[];
  /** The resource that the caller must be allowed the operation on. */
  readonly resource: (states: LocalStates, parameters: Parameters) => string;
  readonly answer: (states: LocalStates, parameters: Parameters, clock: LocalClock) => object | Promise<object>;
}

export function text(name: string, value: unknown): string {
  if (typeof value !== 'string' || value === '') throw new StatesError('ValidationException', `${name} is missing`);
  return value;
}

export function optionalText(name: string, value: unknown): string | undefined {
  return value === undefined ? undefined : text(name, value);
}

export function parseJson(code: string, value: string): Json {
  try {
    return JSON.parse(value) as Json;
  } catch {
    throw new StatesError(code, 'it is no JSON');
  }
}

export function seconds(date: Date): number {
  return date.getTime() / 1000;
}
