/** What passes between states: JSON, never changed once it exists. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json;
}

export function isObject(value: unknown): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** Bytes of the value's JSON in UTF-8, which is what Step Functions' payload limits count. */
export function jsonByteCount(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value));
}

/**
 * A copy of what a query returned that is plain JSON: without the marks that JSONata keeps on its sequences, and without
 * members that are undefined.
 * @throws TypeError for functions and whatever else JSON cannot hold.
 */
export function toPlainJson(value: unknown): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('a number that JSON cannot hold');
    return value;
  }
  if (Array.isArray(value)) return value.map(toPlainJson);
  if (typeof value === 'object') {
    // JSONata's own functions are objects with this mark.
    if ('_jsonata_function' in value || '_jsonata_lambda' in value) throw new TypeError('a function');
    const copy: Record<string, Json> = {};
    for (const [key, part] of Object.entries(value)) {
      if (part !== undefined) setOwn(copy, key, toPlainJson(part));
    }
    return copy;
  }
  throw new TypeError(`a value of type ${typeof value}`);
}

/** Sets a property also when it is called `__proto__`. */
export function setOwn(target: Record<string, Json>, key: string, value: Json): void {
  if (key === '__proto__') {
    Object.defineProperty(target, key, { value, enumerable: true, writable: true, configurable: true });
  } else {
    target[key] = value;
  }
}
