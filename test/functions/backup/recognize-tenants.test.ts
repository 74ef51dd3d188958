import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeFolders, recognizeTenants } from '../../../functions/backup/recognize-tenants.ts';
import { isPlainId } from '../../../functions/contracts/identifiers.ts';
import type { GivenTenantName, RootTenants, TenantIdComparison } from '../../../functions/contracts/tenant-names.ts';

const DRAWN = `_${'a'.repeat(26)}`;
const fold = (comparison: TenantIdComparison, id: string) =>
  comparison === 'ignores-case' ? id.toLowerCase() : comparison === 'ignores-trailing-blanks' ? id.trimEnd() : id;
const database = (comparison: TenantIdComparison, ...ids: string[]): RootTenants => ({
  comparison,
  tenants: ids.map(id => ({ id, comparedAs: fold(comparison, id) })),
  rowsWithoutId: 0,
});
const given = (comparison: TenantIdComparison, id: string, name: string): GivenTenantName => ({
  version: 1,
  comparison,
  comparedAs: fold(comparison, id),
  id,
  name,
});

function recognize(
  known: Partial<Omit<Parameters<typeof recognizeTenants>[0], 'previousNames'>> & { previous?: string[] },
) {
  const { previous = [], ...rest } = known;
  const found = recognizeTenants({
    databases: [],
    given: [],
    folders: [],
    newTenantLimit: 1000,
    previousNames: new Set(previous),
    ...rest,
  });
  return {
    ...found,
    named: found.tenants.map(({ name, folders }) => [name, [...folders].sort()]),
    toGive: found.tenants.flatMap(({ name, ids }) =>
      ids.filter(({ isNamed }) => !isNamed).map(({ comparedAs }) => [comparedAs, name]),
    ),
  };
}

describe('a plain id', () => {
  it('is its own name, and nothing is kept of it', () => {
    const found = recognize({ databases: [database('exact', 'Oak', 'a', 'a-b', 'ab', 'oak')] });
    expect(found.named).toEqual(['Oak', 'a', 'a-b', 'ab', 'oak'].map(id => [id, [id]]));
    expect(found.toGive).toEqual([]);
  });

  it('is a tenant where a folder alone knows it', () => {
    expect(recognize({ folders: ['oak', 'Oak'] }).named).toEqual([
      ['Oak', ['Oak']],
      ['oak', ['oak']],
    ]);
  });
});

describe('an odd id', () => {
  const ids = [
    '',
    '..',
    'a b',
    'jo@stmarys.example',
    'stmarys.sch.uk',
    'x'.repeat(300),
    '\u00C4',
    'A\u0308',
    '🏫',
    DRAWN,
    '_x',
  ];

  it('is to be given a name of its own, and its folder is the tenant’s', () => {
    const found = recognize({ databases: [database('exact', ...ids)], folders: [...ids, 'plain'] });
    expect(found.named).toEqual([...ids.map(id => [null, [id]]), ['plain', ['plain']]]);
    expect(found.toGive).toEqual(ids.map(id => [id, null]));
    expect(found.strangeFolderCount).toBe(0);
  });

  it('keeps the name that it was given', () => {
    const found = recognize({ databases: [database('exact', 'a b')], given: [given('exact', 'a b', DRAWN)] });
    expect(found.named).toEqual([[DRAWN, ['a b']]]);
    expect(found.toGive).toEqual([]);
  });

  it('keeps it when no database knows it any more, as long as a folder or a recovery point does', () => {
    const names = [given('exact', 'a b', DRAWN)];
    expect(recognize({ given: names, folders: ['a b'] }).named).toEqual([[DRAWN, ['a b']]]);
    expect(recognize({ given: names, previous: [DRAWN] }).named).toEqual([[DRAWN, ['a b']]]);
    expect(recognize({ given: names }).named).toEqual([]);
  });

  it('with a slash in it has no folder: that would lie in another tenant’s', () => {
    const found = recognize({ databases: [database('exact', 'a', 'a/b')] });
    expect(found.named).toEqual([
      ['a', ['a']],
      [null, []],
    ]);
  });
});

it('a folder with an odd name that no database knows is nobody’s, and counted', () => {
  const found = recognize({
    databases: [database('exact', 'oak')],
    folders: ['.well-known', '_tmp', 'St Mary', DRAWN],
  });
  expect(found.named).toEqual([['oak', ['oak']]]);
  expect(found.strangeFolderCount).toBe(4);
  expect(found.ownerOf('St Mary')).toBeUndefined();
});

describe('ids that the database compares as equal', () => {
  it('are one tenant, with every folder that is called like it', () => {
    const found = recognize({ databases: [database('ignores-case', 'Oak')], folders: ['Oak', 'OAK', 'oak', 'oaks'] });
    expect(found.named).toEqual([
      ['Oak', ['OAK', 'Oak', 'oak']],
      ['oaks', ['oaks']],
    ]);
    expect(found.toGive).toEqual([['oak', 'Oak']]);
  });

  it('keep the name when the id is written in another way', () => {
    const found = recognize({
      databases: [database('ignores-case', 'OAK')],
      given: [given('ignores-case', 'Oak', 'Oak')],
      previous: ['Oak'],
      folders: ['oak'],
    });
    expect(found.named).toEqual([['Oak', ['OAK', 'Oak', 'oak']]]);
    expect(found.toGive).toEqual([]);
  });

  it('take over the name that a recovery point has, from before names were given', () => {
    expect(recognize({ databases: [database('ignores-case', 'OAK')], previous: ['Oak'] }).toGive).toEqual([
      ['oak', 'Oak'],
    ]);
  });

  it('leave what were two tenants two names, and the folders to the one', () => {
    const found = recognize({ databases: [database('ignores-case', 'oak')], previous: ['Oak', 'oak'] });
    expect(found.named).toEqual([
      ['Oak', []],
      ['oak', ['oak']],
    ]);
    const listed = recognize({
      databases: [database('ignores-case', 'oak')],
      previous: ['Oak', 'oak'],
      folders: ['Oak', 'oak'],
    });
    expect(listed.named).toEqual([
      ['Oak', []],
      ['oak', ['Oak', 'oak']],
    ]);
  });

  it('may differ in trailing blanks, and in nothing else', () => {
    const found = recognize({
      databases: [database('ignores-trailing-blanks', 'ab', 'a b')],
      folders: ['ab', 'ab      ', 'AB', 'a b  '],
    });
    expect(found.named).toEqual([
      ['ab', ['ab', 'ab      ']],
      [null, ['a b', 'a b  ']],
      ['AB', ['AB']],
    ]);
  });

  it('are folded by ASCII letters alone: what becomes of others is the database’s own', () => {
    const found = recognize({ databases: [database('ignores-case', 'École')], folders: ['éCOLE', 'ÉCOLE', 'École'] });
    expect(found.named).toEqual([[null, ['École', 'éCOLE']]]);
    expect(found.strangeFolderCount).toBe(1);
  });
});

it('where a collation decides, a folder is a tenant’s to the letter alone', () => {
  const found = recognize({ databases: [database('unknown', 'Oak', 'a b')], folders: ['oak', 'A B'] });
  expect(found.named).toEqual([
    ['Oak', ['Oak']],
    [null, ['a b']],
    ['oak', ['oak']],
  ]);
  expect(found.strangeFolderCount).toBe(1);
});

describe('several databases', () => {
  it('mean one tenant by one text', () => {
    const found = recognize({
      databases: [database('ignores-case', 'a b', 'oak'), database('exact', 'a b', 'oak'), database('exact', 'a b')],
    });
    expect(found.named).toEqual([
      [null, ['a b']],
      ['oak', ['oak']],
    ]);
  });

  it('mean one tenant by texts that one of them takes for the same, unless the other one has two of them', () => {
    const ids = ['oak', 'jo@example.org', 'Elm', 'elm'];
    const found = recognize({
      databases: [database('ignores-case', 'OAK', 'Jo@example.org', 'ELM'), database('exact', ...ids)],
    });
    expect(found.named).toEqual([
      ['oak', ['OAK', 'oak']],
      [null, ['Jo@example.org', 'jo@example.org']],
      ['Elm', ['Elm']],
      ['elm', ['elm']],
      ['ELM', ['ELM']],
    ]);
  });

  it('keep apart what one of them tells apart', () => {
    const found = recognize({
      databases: [database('ignores-case', 'oak'), database('exact', 'Oak', 'oak')],
      folders: ['Oak', 'oak', 'OAK'],
    });
    expect(found.named).toEqual([
      ['Oak', ['Oak']],
      ['oak', ['OAK', 'oak']],
    ]);
  });
});

describe('new tenants', () => {
  it('are let in up to a limit, those of databases first; the folders of the rest are nobody else’s', () => {
    const found = recognize({
      databases: [database('exact', 'z', 'z z')],
      folders: ['a', 'b', 'c', 'z z'],
      previous: ['b'],
      newTenantLimit: 1,
    });
    expect(found.named).toEqual([
      ['b', ['b']],
      ['z', ['z']],
    ]);
    expect(found.postponed).toHaveLength(3);
    expect(found.ownerOf('z z')).toBeUndefined();
    expect(describeFolders([], found.postponed)).toEqual({ tenants: [], postponed: ['z z'] });
  });
});

describe('whatever ids, folders and names there are', () => {
  const text = fc.constantFrom(
    'oak',
    'Oak',
    'OAK',
    'oak ',
    'a',
    'a b',
    'A b',
    'a/b',
    '',
    '..',
    'é',
    'É',
    DRAWN,
    '_x',
    'constructor',
  );
  const comparisons = fc.constantFrom<TenantIdComparison>(
    'exact',
    'ignores-case',
    'ignores-trailing-blanks',
    'unknown',
  );
  const databases = fc.array(
    fc
      .tuple(comparisons, fc.uniqueArray(text))
      .map(([comparison, ids]) =>
        database(comparison, ...new Map(ids.map(id => [fold(comparison, id), id] as const)).values()),
      ),
    { maxLength: 3 },
  );

  /** One run: what was recognized, and the names that it gave. */
  function run(
    known: { databases: RootTenants[]; given: GivenTenantName[]; previous: string[]; folders: string[] },
    at: number,
  ) {
    const found = recognize(known);
    let drawn = 0;
    const named = found.tenants.map(tenant => ({
      ...tenant,
      name: tenant.name ?? `_${'abcdefghij'[at]}${'bcdefghijklmnop'[drawn++]}${'z'.repeat(24)}`,
    }));
    const names = named.flatMap(({ name, ids }) =>
      ids.filter(({ isNamed }) => !isNamed).map(({ isNamed: _, ...id }) => ({ version: 1 as const, ...id, name })),
    );
    return { ...found, named, given: [...known.given, ...names] };
  }

  it('no two ids of a database share a name, no folder has two owners, and a second run changes no name', () => {
    fc.assert(
      fc.property(databases, fc.uniqueArray(text), fc.uniqueArray(text), (roots, folders, earlier) => {
        const previous = earlier.filter(isPlainId);
        const first = run({ databases: roots, given: [], previous, folders }, 0);
        const nameOf = ({ named }: typeof first, comparison: TenantIdComparison, comparedAs: string) =>
          named.filter(({ ids }) => ids.some(id => id.comparison === comparison && id.comparedAs === comparedAs));
        for (const { comparison, tenants } of roots) {
          const names = tenants.flatMap(({ comparedAs }) =>
            nameOf(first, comparison, comparedAs).map(({ name }) => name),
          );
          expect(names).toHaveLength(tenants.length);
          expect(new Set(names).size).toBe(names.length);
          if (comparison === 'exact') {
            for (const [index, { id }] of tenants.entries()) if (isPlainId(id)) expect(names[index]).toBe(id);
          }
        }
        const owned = first.named.flatMap(tenant => [...tenant.folders]);
        expect(new Set(owned).size).toBe(owned.length);
        expect(folders.filter(folder => !owned.includes(folder))).toHaveLength(first.strangeFolderCount);
        expect(new Set(first.named.map(({ name }) => name)).size).toBe(first.named.length);

        const second = run(
          { databases: roots, given: first.given, previous: first.named.map(({ name }) => name), folders },
          1,
        );
        expect(second.given).toEqual(first.given);
        for (const { comparison, tenants } of roots) {
          for (const { comparedAs } of tenants) {
            const [before, after] = [first, second].map(found => nameOf(found, comparison, comparedAs)[0]);
            expect(after?.name).toBe(before?.name);
            expect(folders.filter(folder => after?.folders.has(folder))).toEqual(
              folders.filter(folder => before?.folders.has(folder)),
            );
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
