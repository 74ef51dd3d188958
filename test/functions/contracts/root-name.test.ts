import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DatabaseConfiguration } from '../../../functions/contracts/configuration.ts';
import { readColumnName, readTableName, splitRoot } from '../../../functions/contracts/root-name.ts';

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
const name = fc.string({ minLength: 1, maxLength: 15, unit: 'grapheme' }).filter(text => !text.includes('\0'));

describe('readTableName', () => {
  it.each([
    ['school', [['public', 'school']]],
    ['the schools', [['public', 'the schools']]],
    [
      'app.school',
      [
        ['public', 'app.school'],
        ['app', 'school'],
      ],
    ],
    ['"app"."school"', [['app', 'school']]],
    ['"app".School', [['app', 'School']]],
    ['"app.school"', [['public', 'app.school']]],
    ['"My.App".my.school', [['My.App', 'my.school']]],
    ['"na""me"', [['public', 'na"me']]],
    ['" a "', [['public', ' a ']]],
    ['"two\nlines"', [['public', 'two\nlines']]],
    [
      'My.App.School',
      [
        ['public', 'My.App.School'],
        ['My', 'App.School'],
        ['My.App', 'School'],
      ],
    ],
  ])('reads %j', (text, readings) => {
    expect(readTableName(text)).toEqual({ readings: readings.map(([schema, table]) => ({ schema, table })) });
  });

  it.each([
    ['', 'has an empty part'],
    ['.', 'has an empty part'],
    ['a.', 'has an empty part'],
    ['.a', 'has an empty part'],
    ['a..b', 'has an empty part'],
    ['""', 'has an empty part'],
    ['a.""', 'has an empty part'],
    ['"a', 'has double quotes that do not enclose a whole part; each quote inside them is doubled'],
    ['a"', 'has double quotes that do not enclose a whole part; each quote inside them is doubled'],
    ['a"b"', 'has double quotes that do not enclose a whole part; each quote inside them is doubled'],
    ['"a"b', 'has double quotes that do not enclose a whole part; each quote inside them is doubled'],
    ['"a" ."b"', 'has double quotes that do not enclose a whole part; each quote inside them is doubled'],
    ['"a""', 'has double quotes that do not enclose a whole part; each quote inside them is doubled'],
    ['"""', 'has double quotes that do not enclose a whole part; each quote inside them is doubled'],
    ['"a"."b"."c"', 'has more parts than a schema and a table'],
    ['a.\0', 'holds a NUL'],
    ['"\0"', 'holds a NUL'],
    ['a\nb', 'has a control character outside double quotes'],
    [' a', 'has a plain part that begins or ends with a blank; put it into double quotes'],
    ['a. b', 'has a plain part that begins or ends with a blank; put it into double quotes'],
    ['x'.repeat(64), 'has a part of more than 63 bytes, which PostgreSQL cuts'],
    [`a."${'é'.repeat(32)}"`, 'has a part of more than 63 bytes, which PostgreSQL cuts'],
    ['"'.repeat(1_000_001), 'is longer than 400 characters'],
    ['a.'.repeat(1_000_000), 'is longer than 400 characters'],
  ])('refuses %j', (text, problem) => {
    expect(readTableName(text)).toEqual({ problem });
    expect(DatabaseConfiguration.shape.rootTable.safeParse(text).success).toBe(false);
  });

  it('reads whatever SQL can quote, in exactly one way', () => {
    fc.assert(
      fc.property(name, name, (schema, table) => {
        fc.pre(Buffer.byteLength(schema) <= 63 && Buffer.byteLength(table) <= 63);
        expect(readTableName(`${quote(schema)}.${quote(table)}`)).toEqual({ readings: [{ schema, table }] });
        expect(readColumnName(quote(table))).toEqual({ name: table });
      }),
    );
  });

  it('answers to any text, and never with a name that PostgreSQL would cut', () => {
    const text = fc.oneof(fc.string(), fc.stringMatching(/^["a.\0 ]{0,30}$/));
    fc.assert(
      fc.property(text, given => {
        const read = readTableName(given);
        const names = 'problem' in read ? [] : read.readings.flatMap(({ schema, table }) => [schema, table]);
        for (const found of names) {
          expect(found).not.toMatch(/^$|\0/);
          expect(Buffer.byteLength(found)).toBeLessThanOrEqual(63);
        }
      }),
    );
  });
});

describe('readColumnName', () => {
  it.each([
    ['id', { name: 'id' }],
    ['School Id', { name: 'School Id' }],
    ['a.b', { name: 'a.b' }],
    ['"a.b"', { name: 'a.b' }],
    ['"Id"', { name: 'Id' }],
    ['"a"."b"', { problem: 'has more parts than a column' }],
    ['x'.repeat(64), { problem: 'is longer than 63 bytes, which PostgreSQL cuts' }],
    ['"', { problem: 'has double quotes that do not enclose a whole part; each quote inside them is doubled' }],
  ])('reads %j', (text, expected) => {
    expect(readColumnName(text)).toEqual(expected);
  });
});

describe('splitRoot', () => {
  it.each([
    ['school.id', 'school', 'id'],
    ['the schools.id', 'the schools', 'id'],
    ['My.App.School.Id', 'My.App.School', 'Id'],
    ['"My.App"."School"."Id"', '"My.App"."School"', '"Id"'],
    ['"a.b"."c.d"', '"a.b"', '"c.d"'],
    ['app.school."a""."".b"', 'app.school', '"a""."".b"'],
  ])('splits %j before its last part', (text, rootTable, rootColumn) => {
    expect(splitRoot(text)).toEqual({ rootTable, rootColumn });
  });

  it.each([
    ['school', 'names a table or a column, not both'],
    ['"school.id"', 'names a table or a column, not both'],
    ['"a"."b"."c"."d"', 'has more parts than a schema and a table'],
    ['school.', 'has an empty part'],
    [`school.${'x'.repeat(64)}`, 'is longer than 63 bytes, which PostgreSQL cuts'],
  ])('refuses %j', (text, problem) => {
    expect(splitRoot(text)).toEqual({ problem });
  });
});
