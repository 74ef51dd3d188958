import type { z } from 'zod';

/** Reads a stored document of a known form; undefined for anything else, however it was made. */
export function parseDocument<T extends z.ZodType>(schema: T, bytes: Buffer): z.output<T> | undefined {
  try {
    return schema.safeParse(JSON.parse(bytes.toString('utf8'))).data;
  } catch {
    // No JSON, or JSON that nests so deeply that walking it overflows the stack.
    return undefined;
  }
}
