import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listTenants } from '../../../../functions/platform/fingerprint/tenants.ts';
import { TestDatabase } from '../../../fixtures/database.ts';

let source: TestDatabase;

beforeAll(async () => {
  source = await TestDatabase.create({
    schema: `
      CREATE EXTENSION citext;
      CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
      CREATE DOMAIN code AS char(8);
      CREATE DOMAIN short_code AS code CHECK (VALUE <> 'x');
      CREATE TABLE by_text (id text PRIMARY KEY);
      INSERT INTO by_text VALUES ('Oak'), ('oak'), ('oak '), (''), ('a b'), ('a/b'), (U&'\\00C4'), (U&'A\\0308'), (U&'\\+01F3EB'),
        ('_aaaaaaaaaaaaaaaaaaaaaaaaaa'), ('jo@stmarys.example'), (repeat('x', 300));
      CREATE TABLE by_citext (id citext);
      INSERT INTO by_citext VALUES ('Oak'), ('OAK'), ('oak '), ('ÉCOLE'), (NULL), (NULL);
      CREATE TABLE by_char (id short_code PRIMARY KEY);
      INSERT INTO by_char VALUES ('Oak'), ('oak'), ('a b'), ('');
      CREATE TABLE by_collation (id text COLLATE any_case PRIMARY KEY);
      INSERT INTO by_collation VALUES ('Oak'), ('elm');
      CREATE TABLE by_number (id numeric PRIMARY KEY);
      INSERT INTO by_number VALUES (1.0), (20);
      CREATE TABLE by_uuid (id uuid PRIMARY KEY);
      INSERT INTO by_uuid VALUES ('3F2504E0-4F89-41D3-9A0C-0305E82C3301');
      CREATE TABLE by_json (id json);
      INSERT INTO by_json VALUES ('{}');
      CREATE TABLE by_nothing (id text);
      INSERT INTO by_nothing VALUES (NULL);
    `,
  });
}, 120_000);
afterAll(() => source.remove());

const tenantsOf = (rootTable: string) => listTenants(source.asReader().query, { rootTable, rootColumn: 'id' });
const same = (id: string) => ({ id, comparedAs: id });

describe('the tenants of a root table', () => {
  it('are any texts, each for itself', async () => {
    const ids = [
      '',
      'A\u0308',
      'Oak',
      '_aaaaaaaaaaaaaaaaaaaaaaaaaa',
      'a b',
      'a/b',
      'jo@stmarys.example',
      'oak',
      'oak ',
      'x'.repeat(300),
      '\u00C4',
      '🏫',
    ];
    expect(await tenantsOf('by_text')).toEqual({ comparison: 'exact', tenants: ids.map(same), rowsWithoutId: 0 });
  });

  it('are one where the column takes letters of either case for the same, and rows without an id are counted', async () => {
    const [row] = await source.execute<{ lowered: string }>(`SELECT lower('ÉCOLE') AS lowered`);
    expect(await tenantsOf('by_citext')).toEqual({
      comparison: 'ignores-case',
      tenants: [
        { id: 'OAK', comparedAs: 'oak' },
        { id: 'oak ', comparedAs: 'oak ' },
        { id: 'ÉCOLE', comparedAs: row?.lowered },
      ],
      rowsWithoutId: 2,
    });
  });

  it('come without the blanks that char(n) is filled up with, also through domains', async () => {
    expect(await tenantsOf('by_char')).toEqual({
      comparison: 'ignores-trailing-blanks',
      tenants: ['', 'Oak', 'a b', 'oak'].map(same),
      rowsWithoutId: 0,
    });
  });

  it('are known by their text alone where a collation decides', async () => {
    expect(await tenantsOf('by_collation')).toEqual({
      comparison: 'unknown',
      tenants: ['Oak', 'elm'].map(same),
      rowsWithoutId: 0,
    });
  });

  it.each([
    ['by_number', ['1.0', '20']],
    ['by_uuid', ['3f2504e0-4f89-41d3-9a0c-0305e82c3301']],
  ])('are what the server prints: %s', async (table, ids) => {
    expect(await tenantsOf(table)).toEqual({ comparison: 'exact', tenants: ids.map(same), rowsWithoutId: 0 });
  });

  it.each([
    ['by_json', 'values cannot be compared'],
    ['by_nothing', 'has no rows with an id'],
  ])('are refused where there are none: %s', async (table, message) => {
    await expect(tenantsOf(table)).rejects.toMatchObject({
      name: 'TenantRootError',
      message: expect.stringContaining(message),
    });
  });
});
