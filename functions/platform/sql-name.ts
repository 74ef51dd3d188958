/**
 * A name of several parts (schema and table, say) as PostgreSQL prints it: a part is quoted where it would not mean itself
 * without. No two names look alike: `"a.b".c` and `a."b.c"` are two. So it can be a key, and read by a person.
 */
export function sqlName(...parts: readonly string[]): string {
  return parts.map(quoteWhereNeeded).join('.');
}

/** Key words stay as they are: they do not make two names one. */
function quoteWhereNeeded(identifier: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(identifier) ? identifier : `"${identifier.replaceAll('"', '""')}"`;
}
