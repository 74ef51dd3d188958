/** One way to read the name of a table. */
export interface TableReading {
  readonly schema: string;
  readonly table: string;
}

/** What is wrong with a name, as the end of a sentence that begins with the name. */
export interface NameProblem {
  readonly problem: string;
}

interface NamePart {
  readonly name: string;
  readonly quoted: boolean;
  readonly begin: number;
}

/** PostgreSQL cuts a longer name without an error, and would find another table. */
const LONGEST_NAME_BYTES = 63;
/** More than three quoted names can have, each character of them a doubled quote. */
const LONGEST_TEXT = 400;
const PART = /(?:"((?:[^"\0]|"")*)"|([^."\p{Cc}]+))(\.|$)/uy;

/**
 * Reads the name of a table: `table` (in `public`) or `schema.table`. Each part is plain, and then means itself, upper case
 * and blanks too, or in double quotes with each quote of its own doubled, as SQL writes it. A dot in a plain part may also
 * belong to a name, so that `My.App.School` has several readings; the database knows which one is there.
 */
export function readTableName(text: string): { readonly readings: readonly TableReading[] } | NameProblem {
  const parts = splitName(text);
  if ('problem' in parts) return parts;
  const readings: TableReading[] = [];
  for (let split = 0; split < parts.length; split++) {
    const schema = split === 0 ? 'public' : joinParts(parts.slice(0, split));
    const table = joinParts(parts.slice(split));
    if (schema !== undefined && table !== undefined) readings.push({ schema, table });
  }
  if (readings.length > 0) return { readings };
  return parts.length > 2
    ? { problem: 'has more parts than a schema and a table' }
    : { problem: `has a part of more than ${LONGEST_NAME_BYTES} bytes, which PostgreSQL cuts` };
}

/** Reads the name of a column: plain, dots included, or in double quotes. */
export function readColumnName(text: string): { readonly name: string } | NameProblem {
  const parts = splitName(text);
  if ('problem' in parts) return parts;
  const name = joinParts(parts);
  if (name !== undefined) return { name };
  return parts.length > 1
    ? { problem: 'has more parts than a column' }
    : { problem: `is longer than ${LONGEST_NAME_BYTES} bytes, which PostgreSQL cuts` };
}

/** Splits `TABLE.COLUMN` or `SCHEMA.TABLE.COLUMN` before its last part, and keeps both as they were written. */
export function splitRoot(text: string): { readonly rootTable: string; readonly rootColumn: string } | NameProblem {
  const parts = splitName(text);
  if ('problem' in parts) return parts;
  const begin = parts.at(-1)?.begin ?? 0;
  if (begin === 0) return { problem: 'names a table or a column, not both' };
  const [rootTable, rootColumn] = [text.slice(0, begin - 1), text.slice(begin)];
  for (const read of [readTableName(rootTable), readColumnName(rootColumn)]) if ('problem' in read) return read;
  return { rootTable, rootColumn };
}

function splitName(text: string): readonly NamePart[] | NameProblem {
  if (text.length > LONGEST_TEXT) return { problem: `is longer than ${LONGEST_TEXT} characters` };
  if (text.includes('\0')) return { problem: 'holds a NUL' };
  const parts: NamePart[] = [];
  for (let begin = 0; ; begin = PART.lastIndex) {
    PART.lastIndex = begin;
    const found = PART.exec(text);
    if (found === null) return { problem: describeBadPart(text, begin) };
    const [, quoted, plain = '', separator] = found;
    const name = quoted?.replaceAll('""', '"') ?? plain;
    if (name === '') return { problem: 'has an empty part' };
    if (plain.trim() !== plain)
      return { problem: 'has a plain part that begins or ends with a blank; put it into double quotes' };
    parts.push({ name, quoted: quoted !== undefined, begin });
    if (separator === '') return parts;
  }
}

function describeBadPart(text: string, begin: number): string {
  if (begin === text.length || text[begin] === '.') return 'has an empty part';
  if (/^[^".]*\p{Cc}/u.test(text.slice(begin))) return 'has a control character outside double quotes';
  return 'has double quotes that do not enclose a whole part; each quote inside them is doubled';
}

function joinParts(parts: readonly NamePart[]): string | undefined {
  if (parts.length > 1 && parts.some(({ quoted }) => quoted)) return undefined;
  const name = parts.map(part => part.name).join('.');
  return new TextEncoder().encode(name).length <= LONGEST_NAME_BYTES ? name : undefined;
}
