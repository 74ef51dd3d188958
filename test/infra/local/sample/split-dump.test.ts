import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DumpFormatError } from '../../../../infra/local/sample/dump-input.ts';
import { splitDump } from '../../../../infra/local/sample/split-dump.ts';

async function* inChunks(text: string | Buffer, size: number): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function split(source: AsyncIterable<Uint8Array>): Promise<{ sql: string; line: number; data?: string }[]> {
  const parts: { sql: string; line: number; data?: string }[] = [];
  for await (const part of splitDump(source)) {
    if (part.kind === 'mark') continue;
    if (part.kind === 'statement') {
      parts.push({ sql: part.sql, line: part.line });
      continue;
    }
    const chunks: Buffer[] = [];
    for await (const chunk of part.data) chunks.push(Buffer.from(chunk));
    parts.push({ sql: part.sql, line: part.line, data: Buffer.concat(chunks).toString() });
  }
  return parts;
}

const splitText = (text: string, chunkSize = 1 << 20) => split(inChunks(text, chunkSize));

describe('splitDump', () => {
  it.each([
    ['a semicolon in a string', `SELECT 'a;b';`, [`SELECT 'a;b'`]],
    ['a doubled quote', `SELECT 'it''s;';SELECT 2;`, [`SELECT 'it''s;'`, 'SELECT 2']],
    ['a backslash before a quote in a plain string', `SELECT 'a\\';SELECT 2;`, [`SELECT 'a\\'`, 'SELECT 2']],
    ['a backslash before a quote in an E string', `SELECT E'a\\';b';`, [`SELECT E'a\\';b'`]],
    ['a doubled quote before a backslash in an E string', `SELECT e'a''\\';b';`, [`SELECT e'a''\\';b'`]],
    ['an E string behind a name that ends in e', `SELECT type'a\\';SELECT 2;`, [`SELECT type'a\\'`, 'SELECT 2']],
    ['a quoted name', `SELECT 1 AS "a""; --" ;`, ['SELECT 1 AS "a""; --" ']],
    ['a dollar quote', 'DO $$ BEGIN; $x$ ; END $$;', ['DO $$ BEGIN; $x$ ; END $$']],
    ['a tagged dollar quote', `DO $body$ $$ ; ' $body$;`, [`DO $body$ $$ ; ' $body$`]],
    ['a dollar within a name', 'SELECT a$b$; SELECT 2;', ['SELECT a$b$', 'SELECT 2']],
    ['a parameter', 'SELECT $1; SELECT $2;', ['SELECT $1', 'SELECT $2']],
    ['a line comment', `SELECT 1 -- it's; one\n;`, [`SELECT 1 -- it's; one\n`]],
    ['nested comments', 'SELECT /* a; /* b; */ c; */ 1;', ['SELECT /* a; /* b; */ c; */ 1']],
    [
      'parentheses',
      'CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2);',
      ['CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)'],
    ],
    [
      'an SQL-standard body',
      'CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END; SELECT 3;',
      [
        'CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT 2; END',
        'SELECT 3',
      ],
    ],
    [
      'a policy, and functions, that are named begin',
      'CREATE POLICY begin ON t; CREATE FUNCTION begin(begin int, atomic int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT begin AS atomic FROM begin; END; CREATE PROCEDURE public.begin() LANGUAGE sql AS $$SELECT 1;$$; SELECT 1;',
      [
        'CREATE POLICY begin ON t',
        'CREATE FUNCTION begin(begin int, atomic int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT begin AS atomic FROM begin; END',
        'CREATE PROCEDURE public.begin() LANGUAGE sql AS $$SELECT 1;$$',
        'SELECT 1',
      ],
    ],
    [
      'words that begin like FUNCTION',
      'CREATE FOREIGN TABLE begin (a int) SERVER s; CREATE OR REPLACE PROCEDURAL LANGUAGE begin; SELECT 1;',
      ['CREATE FOREIGN TABLE begin (a int) SERVER s', 'CREATE OR REPLACE PROCEDURAL LANGUAGE begin', 'SELECT 1'],
    ],
    ['a transaction', 'BEGIN; SELECT 1; END;', ['BEGIN', 'SELECT 1', 'END']],
    ['comments and blanks between', '-- a;\n\n/* b; /* c */ */ ;;\n SELECT 1;', ['SELECT 1']],
    ['the commands of pg_dump', '\\restrict abc;\nSELECT 1;\n\\unrestrict abc', ['SELECT 1']],
    ['an empty dump', '', []],
  ])('splits at %s', async (_what, text, expected) => {
    for (const chunkSize of [1, 7, 1 << 20]) {
      expect((await splitText(text, chunkSize)).map(({ sql }) => sql)).toEqual(expected);
    }
  });

  it('follows standard_conforming_strings', async () => {
    const text = `SET standard_conforming_strings = off;SELECT 'a\\';b';SET standard_conforming_strings = on;SELECT '\\';`;
    expect((await splitText(text)).map(({ sql }) => sql)).toEqual([
      'SET standard_conforming_strings = off',
      `SELECT 'a\\';b'`,
      'SET standard_conforming_strings = on',
      `SELECT '\\'`,
    ]);
  });

  it('numbers the lines of statements and data', async () => {
    const text = '-- one\n\nSELECT\n1;\nCOPY t FROM stdin;\na\nb\n\\.\n\nSELECT 2;\n';
    expect(await splitText(text)).toEqual([
      { sql: 'SELECT\n1', line: 3 },
      { sql: 'COPY t FROM stdin', line: 5, data: 'a\nb\n' },
      { sql: 'SELECT 2', line: 10 },
    ]);
  });

  it('passes data on unaltered up to the line with the mark, wherever the chunks end', async () => {
    const line = fc.oneof(fc.constantFrom('', '\\\\.', 'a\\.', '\\.a', "';", '$$', '\\N', ' \\.'), fc.string());
    const lines = fc.array(line.map(text => text.replaceAll(/[\r\n]/g, ' ')).filter(text => text !== '\\.'));
    await fc.assert(
      fc.asyncProperty(lines, fc.integer({ min: 1, max: 9 }), async (rows, chunkSize) => {
        const data = rows.map(row => `${row}\n`).join('');
        const parts = await splitText(`COPY "t;" ("a FROM stdin") FROM stdin;\n${data}\\.\nSELECT 1;`, chunkSize);
        expect(parts.map(part => part.data)).toEqual([data, undefined]);
      }),
      { numRuns: 200 },
    );
  });

  it('splits a real dump alike in chunks of any size', async () => {
    const file = join(import.meta.dirname, '../../../fixtures/dumps/school.sql');
    const whole = await split(createReadStream(file));
    expect(whole).toHaveLength(78);
    expect(whole.filter(({ data }) => data !== undefined)).toHaveLength(4);
    for (const highWaterMark of [1, 100, 4096])
      expect(await split(createReadStream(file, { highWaterMark }))).toEqual(whole);
  });

  it.each([
    ['\\connect other', /line 2 holds the psql command \\connect: dump one database/],
    ['SELECT 1 \\gexec', /line 2 holds the psql command \\gexec/],
    ["SELECT 'abc", /ends inside the statement of line 2/],
    ['SELECT 1', /ends inside the statement of line 2/],
    ['DO $a$ $b$;', /ends inside the statement of line 2/],
    ['/* abc', /ends inside the comment of line 2/],
    ['COPY t FROM stdin;\nsecret\n', /ends inside the data of the COPY of line 2/],
    ['COPY t FROM stdin;\nsecret\n\\.', /ends inside the data of the COPY of line 2/],
    ['COPY t FROM stdin; SELECT 1;\n\\.\n', /line 2 goes on after a COPY statement/],
  ])('refuses %j with its line', async (text, message) => {
    const splitting = splitText(`SELECT 0;\n${text}`);
    await expect(splitting).rejects.toThrow(message);
    await expect(splitting).rejects.toBeInstanceOf(DumpFormatError);
    await expect(splitting).rejects.not.toThrow(/secret/);
  });

  it('sees the marks of pg_dump between statements alone', async () => {
    const mark = '-- PostgreSQL database dump complete';
    const text = `--\n-- PostgreSQL database dump\n--\r\nSELECT '\n${mark}\n';\n/*\n${mark}\n*/ SELECT 1\n${mark}\n;
COPY t FROM stdin;\n${mark}\n\\.\n ${mark}\r\n-- PostgreSQL database cluster dump\n${mark} not\n${mark}`;
    for (const chunkSize of [1, 7, 1 << 20]) {
      const marks: unknown[] = [];
      for await (const part of splitDump(inChunks(text, chunkSize))) {
        if (part.kind === 'mark') marks.push(part.mark);
        if (part.kind === 'copy') for await (const _ of part.data);
      }
      expect(marks).toEqual(['begins', 'complete', 'cluster', 'complete']);
    }
  });

  it('refuses NUL bytes, which would end a statement on its way to the server', async () => {
    await expect(splitText("SELECT 1;\nSELECT 'a\0';")).rejects.toThrow(
      'the statement of line 2 holds a NUL byte: the file is damaged',
    );
  });

  it('refuses statements that are not UTF-8', async () => {
    await expect(split(inChunks(Buffer.from("SELECT '\xe9';", 'latin1'), 100))).rejects.toThrow(
      'the statement of line 1 is not UTF-8: use pg_dump --encoding=UTF8',
    );
  });
});
