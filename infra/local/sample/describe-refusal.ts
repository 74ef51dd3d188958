import pg from 'pg';
import { PermanentError } from '../../../functions/platform/errors.ts';

/** PostgreSQL refused a part of the dump. The message holds the line, what was refused, and names; never a row. */
export class DumpRefusedError extends PermanentError {}

const NAME = '(?:"(?:[^"]|"")*"|[^\\s"(;,.]+)';
const RELATION = `${NAME}(?:\\.${NAME})?`;

/** How statements that touch a relation begin, so that it is named. */
const BEGINNINGS = [
  `COPY\\s+${RELATION}`,
  `INSERT\\s+INTO\\s+${RELATION}`,
  `ALTER\\s+TABLE\\s+(?:ONLY\\s+)?${RELATION}`,
  `REFRESH\\s+MATERIALIZED\\s+VIEW\\s+${RELATION}`,
  `CREATE\\s+(?:UNIQUE\\s+)?INDEX\\s+${RELATION}\\s+ON\\s+(?:ONLY\\s+)?${RELATION}`,
  `ALTER\\s+EVENT\\s+TRIGGER\\s+${NAME}`,
  '[A-Z]+(?:\\s+[A-Z]+)?',
].map(beginning => new RegExp(`^${beginning}`, 'i'));

/** What PostgreSQL says of things that are not there, or may not be used so, and where it names them. */
const ABOUT_NAMES = [
  /^function (\S+)\(.*\) does not exist$/,
  /^relation "(.+)" does not exist$/,
  /^column "(.+)" of relation "(.+)" does not exist$/,
  /^column "(.+)" does not exist$/,
  /^column (\S+) does not exist$/,
  /^(?:schema|type|text search configuration|text search dictionary|collation|tablespace) "(.+)" does not exist$/,
  /^column "(.+)" is a generated column$/,
  /^cannot insert a non-DEFAULT value into column "(.+)"$/,
  /^permission denied for [a-z ]+ (\S+)$/,
];

const GENERATED = 'dump it with pg_dump, which leaves the values of such columns out';
const REMEDIES: Readonly<Record<string, string>> = {
  '428C9': GENERATED,
  '22021': 'bytes that are not UTF-8 are in it; dump with pg_dump --encoding=UTF8',
  '53100': 'the disk is full',
};

/**
 * Says what PostgreSQL refused, and why. Its own words can hold values, and so can the text of a statement and the context
 * of an error. Of them only those are repeated that name something, where the name stands in SQL that holds no values, or
 * in the source of a function that is there; functions are looked up. The error is not the cause, which would carry all
 * of it along.
 * @param refused.line of the dump, where the error is.
 */
export async function describeRefusal(
  client: pg.Client,
  error: pg.DatabaseError,
  { sql, line }: { sql: string; line: number },
): Promise<DumpRefusedError> {
  const { code = '', message, schema, table, constraint, column } = error;
  const names = Object.entries({ schema, table, column, constraint }).filter(([, name]) => name !== undefined);
  const place = names.length > 0 ? ` (${names.map(([kind, name]) => `${kind} ${name}`).join(', ')})` : '';
  const begins = BEGINNINGS.map(beginning => beginning.exec(sql)?.[0]).find(text => text !== undefined);
  const what = begins?.replaceAll(/\s+/g, ' ') ?? 'the statement';

  const functions = await findFunctions(client, error.where ?? '');
  const holdsValues = /^(?:COPY|INSERT|UPDATE|DELETE|SELECT|WITH|DO)\b/i.test(sql);
  const ofStatement = !holdsValues && error.where === undefined && (/^(?:42|0A)/.test(code) || /^SET\s/i.test(sql));
  const trusted = [holdsValues ? headerOf(sql) : sql, ...functions.map(({ source }) => source)];
  const why = ofStatement || isAboutNames(message, trusted) ? `: ${message}` : '';
  const inside = functions[0] === undefined ? '' : ` in the function ${functions[0].name}`;
  const unqualified = inside !== '' && why !== '' && /^(?:42|3F)/.test(code) && code !== '42501';
  const remedy = unqualified
    ? 'name it there with its schema, or set the function’s search_path, and dump again: dumps are loaded with an empty one'
    : /^tablespace "/.test(message)
      ? 'dump with pg_dump --no-tablespaces'
      : / is a generated column$/.test(message)
        ? GENERATED
        : REMEDIES[code];
  return new DumpRefusedError(
    `line ${line} of the dump: PostgreSQL refused ${what} with SQLSTATE ${code}${place}${why}${inside}${remedy === undefined ? '' : `; ${remedy}`}`,
  );
}

/** The part of a COPY or INSERT that names a table and its columns. */
function headerOf(sql: string): string {
  if (/^COPY\s/i.test(sql)) return sql;
  return (
    new RegExp(
      `^INSERT\\s+INTO\\s+${RELATION}\\s*(?:\\((?:"(?:[^"]|"")*"|[^")])*\\)\\s*)?(?=VALUES|OVERRIDING)`,
      'i',
    ).exec(sql)?.[0] ?? ''
  );
}

function isAboutNames(message: string, trusted: readonly string[]): boolean {
  const found = ABOUT_NAMES.map(pattern => pattern.exec(message)).find(match => match !== null);
  return found?.slice(1).every(name => trusted.some(text => holdsWord(text, name))) ?? false;
}

function holdsWord(text: string, word: string): boolean {
  return new RegExp(`(?<![\\p{L}\\p{N}_$])${RegExp.escape(word)}(?![\\p{L}\\p{N}_$])`, 'u').test(text);
}

/** The functions that the error came through and that are there, the innermost first. */
async function findFunctions(client: pg.Client, where: string): Promise<{ name: string; source: string }[]> {
  const found: { name: string; source: string }[] = [];
  for (const text of where.split('\n')) {
    const name = /^(?:PL\/\w+|SQL) function (?:"(.+?)"|(.+?\)))(?= |$)/.exec(text);
    const wanted = name?.[1] ?? name?.[2];
    if (wanted === undefined) continue;
    try {
      const { rows } = await client.query<{ name: string; source: string }>(
        `SELECT pg_catalog.format('%I.%I(%s)', n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)) AS name,
                coalesce(p.prosrc, '') || coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), '') AS source
           FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
          WHERE p.oid = pg_catalog.to_regprocedure($1) OR p.proname = $1 ORDER BY p.oid LIMIT 1`,
        [wanted],
      );
      found.push(...rows);
    } catch (refused) {
      // In a transaction that has failed nothing can be looked up.
      if (!(refused instanceof pg.DatabaseError)) throw refused;
    }
  }
  return found;
}
