import { createHash, randomUUID } from 'node:crypto';

const HASH_ALGORITHMS = new Map([
  ['MD5', 'md5'],
  ['SHA-1', 'sha1'],
  ['SHA-256', 'sha256'],
  ['SHA-384', 'sha384'],
  ['SHA-512', 'sha512'],
]);

/**
 * The functions that Step Functions adds to JSONata, by name, with their JSONata signatures.
 * https://docs.aws.amazon.com/step-functions/latest/dg/transforming-data.html#jsonata-functions
 */
export const stepFunctionsFunctions: Readonly<
  Record<string, { signature: string; implementation: (...args: never[]) => unknown }>
> = {
  partition: { signature: '<an:a>', implementation: partition },
  range: { signature: '<nnn:x>', implementation: range },
  hash: { signature: '<xs:s>', implementation: hash },
  random: { signature: '<n?:n>', implementation: random },
  uuid: { signature: '<:s>', implementation: () => randomUUID() },
  parse: { signature: '<s:x>', implementation: parse },
};

function partition(items: unknown[] | undefined, size: number): unknown[][] | undefined {
  if (items === undefined) return undefined;
  if (!Number.isInteger(size) || size < 1) throw new RangeError('the size of a partition is a positive integer');
  const parts: unknown[][] = [];
  for (let from = 0; from < items.length; from += size) parts.push(items.slice(from, from + size));
  return parts;
}

// One number alone is no array, as with every sequence of JSONata: https://docs.jsonata.org/processing#sequences
function range(first: number, last: number, step: number): number | number[] {
  if (step === 0) throw new RangeError('the step of a range is not 0');
  const count = Math.floor((last - first) / step) + 1;
  if (count > 1000) throw new RangeError('a range holds at most 1,000 numbers');
  return count === 1 ? first : Array.from({ length: Math.max(0, count) }, (_, index) => first + index * step);
}

function hash(data: unknown, algorithm: string): string {
  const name = HASH_ALGORITHMS.get(algorithm);
  if (name === undefined) throw new RangeError(`the hash algorithm ${algorithm} is not supported`);
  return createHash(name)
    .update(typeof data === 'string' ? data : JSON.stringify(data))
    .digest('hex');
}

// The same seed gives the same number; AWS does not document which (this is mulberry32).
function random(seed: number | undefined): number {
  if (seed === undefined) return Math.random();
  let state = (seed + 0x6d2b79f5) | 0;
  state = Math.imul(state ^ (state >>> 15), state | 1);
  state ^= state + Math.imul(state ^ (state >>> 7), state | 61);
  return ((state ^ (state >>> 14)) >>> 0) / 4294967296;
}

function parse(text: string | undefined): unknown {
  return text === undefined ? undefined : JSON.parse(text);
}
