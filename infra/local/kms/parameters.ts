import { z } from 'zod';
import { KeyOperationError, NotImplementedLocally } from '../service.ts';
import type { Caller } from './access.ts';

/** One operation of KMS: what it takes, and what it does. */
export interface Operation {
  run(parameters: unknown, caller: Caller): object;
}

/**
 * Makes an operation that reads its parameters first.
 * A parameter that the schema does not have is refused by name: AWS might act upon it.
 */
export function operation<S extends z.ZodType>(
  name: string,
  schema: S,
  run: (parameters: z.output<S>, caller: Caller) => object,
): Operation {
  return {
    run(parameters, caller) {
      const parsed = schema.safeParse(parameters);
      if (parsed.success) return run(parsed.data, caller);
      const unknown = parsed.error.issues.find(issue => issue.code === 'unrecognized_keys');
      if (unknown !== undefined) {
        throw new NotImplementedLocally(
          `the parameter ${[...unknown.path, unknown.keys[0] ?? ''].join('.')} of kms:${name}`,
        );
      }
      const problems = parsed.error.issues.map(
        ({ path, message }) => `Value at '${path.join('.')}' failed to satisfy constraint: ${message}`,
      );
      throw new KeyOperationError(
        'ValidationException',
        `${problems.length} validation error${problems.length > 1 ? 's' : ''} detected: ${problems.join('; ')}`,
      );
    },
  };
}

/** Base64 in JSON, as bytes; `minimum` and `maximum` count bytes. */
export const blob = (minimum: number, maximum: number) =>
  z
    .base64()
    .transform(text => Buffer.from(text, 'base64'))
    .refine(bytes => bytes.byteLength >= minimum && bytes.byteLength <= maximum, {
      error: `Member must have length between ${minimum} and ${maximum}`,
    });

export const KeyId = z.string().min(1).max(2048);
export const EncryptionContextMap = z.record(z.string(), z.string()).refine(
  context => {
    const bytes = Object.entries(context).reduce((sum, pair) => sum + Buffer.byteLength(pair.join('')), 0);
    return bytes <= 8192;
  },
  { error: 'the encryption context is longer than 8192 bytes' },
);
/** Grants take effect at once here, so that a token adds nothing. */
export const GrantTokens = z.array(z.string().min(1).max(8192)).max(10).optional();
export const Description = z.string().max(8192);
export const AliasName = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[a-zA-Z0-9/_-]+$/, 'Member must satisfy regular expression pattern: ^[a-zA-Z0-9/_-]+$');
export const Tags = z.array(z.strictObject({ TagKey: z.string(), TagValue: z.string() }));
export const Limit = (maximum: number) => z.int().min(1).max(maximum).optional();
export const Marker = z.string().min(1).max(1024).optional();

const MAX_TAGS = 50;
const TAG_CHARACTERS = /^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u;

/**
 * Adds tags to those that a key has, or replaces their values.
 * @throws KeyOperationError TagException, LimitExceededException
 */
export function mergeTags(present: ReadonlyMap<string, string>, added: z.output<typeof Tags>): Map<string, string> {
  const tags = new Map(present);
  const names = new Set<string>();
  for (const { TagKey, TagValue } of added) {
    const wrong =
      TagKey.length < 1 ||
      TagKey.length > 128 ||
      TagValue.length > 256 ||
      !TAG_CHARACTERS.test(TagKey + TagValue) ||
      /^aws:/i.test(TagKey) ||
      names.has(TagKey);
    if (wrong) throw new KeyOperationError('TagException', `the tag ${TagKey} is not valid or stands twice`);
    names.add(TagKey);
    tags.set(TagKey, TagValue);
  }
  if (tags.size > MAX_TAGS) throw new KeyOperationError('LimitExceededException', `more than ${MAX_TAGS} tags`);
  return tags;
}

/** The condition keys of a request that sets tags. */
export function tagConditions(tags: z.output<typeof Tags>): Record<string, string | readonly string[]> {
  if (tags.length === 0) return {};
  return {
    'aws:TagKeys': tags.map(({ TagKey }) => TagKey),
    ...Object.fromEntries(tags.map(({ TagKey, TagValue }) => [`aws:RequestTag/${TagKey}`, TagValue])),
  };
}

/** One page of a list, and the marker of the next. @throws KeyOperationError InvalidMarkerException */
export function pageOf<T>(
  items: readonly T[],
  { Limit, Marker }: { Limit?: number | undefined; Marker?: string | undefined },
  defaultLimit: number,
): { page: readonly T[]; Truncated: boolean; NextMarker?: string } {
  const from = Marker === undefined ? 0 : Number(Buffer.from(Marker, 'base64url').toString());
  if (!Number.isSafeInteger(from) || from < 0) {
    throw new KeyOperationError('InvalidMarkerException', 'the marker is not one that a list gave');
  }
  const to = from + (Limit ?? defaultLimit);
  const page = items.slice(from, to);
  return to < items.length
    ? { page, Truncated: true, NextMarker: Buffer.from(String(to)).toString('base64url') }
    : { page, Truncated: false };
}
