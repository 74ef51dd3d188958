import type { z } from 'zod';
import { NotImplementedLocally } from './service.ts';

/**
 * The properties of `what`, e.g. `a trail`, as its schema has them.
 * @param invalid makes the error for properties that AWS would refuse. @default zod's own
 * @throws NotImplementedLocally naming a property that the schema does not know.
 */
export function readProperties<T extends z.ZodType>(
  schema: T,
  properties: unknown,
  what: string,
  invalid: (error: z.ZodError) => Error = error => error,
): z.output<T> {
  const parsed = schema.safeParse(properties);
  if (parsed.success) return parsed.data;
  const unknown = parsed.error.issues.find(issue => issue.code === 'unrecognized_keys');
  if (unknown === undefined) throw invalid(parsed.error);
  throw new NotImplementedLocally(`the property ${[...unknown.path, unknown.keys[0]].join('.')} of ${what}`);
}
