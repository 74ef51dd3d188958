import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import {
  MASKED_COLUMNS,
  OMITTED_CATALOGS,
  OMITTED_COLUMNS,
  OMITTED_ROWS,
} from '../../../../functions/platform/fingerprint/catalog-omissions.ts';

const docs = readFileSync(new URL('../../../../docs/compared.md', import.meta.url), 'utf8');
/** The rows of the table under a heading, without its own head. */
const tableUnder = (heading: string) =>
  (docs.split(`## ${heading}\n`)[1]?.split('\n## ')[0] ?? '')
    .split('\n')
    .filter(line => /^\| (?!---)/.test(line))
    .slice(1);
const code = (names: readonly string[]) => names.map(name => `\`${name}\``).join(', ');

it.each<[string, string[]]>([
  [
    'Catalogs left out',
    Object.entries(OMITTED_CATALOGS).map(([catalog, reason]) => `| ${code([catalog])} | ${reason} |`),
  ],
  [
    'Columns left out',
    OMITTED_COLUMNS.map(({ catalog, columns, reason }) => `| ${code([catalog])} | ${code(columns)} | ${reason} |`),
  ],
  [
    'Columns compared in part',
    MASKED_COLUMNS.map(({ catalog, column, reason }) => `| ${code([catalog])} | ${code([column])} | ${reason} |`),
  ],
  ['Rows left out', OMITTED_ROWS.map(({ catalogs, what, reason }) => `| ${code(catalogs)} | ${what} | ${reason} |`)],
])('%s: the documentation has what the code leaves out, and nothing else', (heading, lines) => {
  expect(tableUnder(heading)).toEqual(lines);
});
