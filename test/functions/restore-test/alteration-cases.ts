import fc from 'fast-check';
import { sqlName } from '../../../functions/platform/sql-name.ts';

/** What becomes of a table on the source while its snapshot is taken. */
interface TableState {
  /**
   * What the measurements show of a row that the copy lost: that this one is missing (`row`), that there are too few
   * (`count`), or nothing, so that a loss is not excluded.
   */
  readonly loss: 'row' | 'count' | 'open';
  /** The measurement that another session's lock keeps from the table. */
  readonly locked?: 'before' | 'after';
  /** It is made only after the first measurement. */
  readonly created?: true;
  readonly beforeCopy?: (table: TestTable) => string;
  readonly afterCopy?: (table: TestTable) => string;
}

/** A table of the source. Rows have the ids 1 to `rowCount`; `a`, `b` and `c` are three of them. */
export interface TestTable {
  readonly name: string;
  /** An index of it: its name, and that with its schema. */
  readonly index: { readonly name: string; readonly qualified: string };
  readonly rowCount: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

const reload = (table: TestTable) => `BEGIN; CREATE TEMP TABLE kept ON COMMIT DROP AS TABLE ${table.name};
  TRUNCATE ${table.name}; INSERT INTO ${table.name} TABLE kept; COMMIT`;
const rewrite = ({ name }: TestTable) => `UPDATE ${name} SET note = note || '.'`;

export const STATES = {
  quiet: { loss: 'row' },
  // The row of the update, that of the deletion, and those that the copy alters are different ones.
  drifting: {
    loss: 'row',
    beforeCopy: ({ name, rowCount, c }) =>
      `INSERT INTO ${name} SELECT g, g, 'new' FROM generate_series(${rowCount + 1}, ${rowCount + 3}) g;
       UPDATE ${name} SET note = 'edited' WHERE id = ${c}`,
    afterCopy: ({ name, rowCount }) =>
      `INSERT INTO ${name} SELECT g, g, 'newer' FROM generate_series(${rowCount + 4}, ${rowCount + 6}) g;
       DELETE FROM ${name} WHERE id = ${rowCount + 2}`,
  },
  'locked in before': { loss: 'row', locked: 'before' },
  'locked in after': { loss: 'open', locked: 'after' },
  'redefined by an index': { loss: 'row', beforeCopy: ({ name }) => `CREATE INDEX ON ${name} (mark)` },
  'redefined by a grant': { loss: 'row', afterCopy: ({ name }) => `GRANT SELECT ON ${name} TO PUBLIC` },
  'redefined by a column, early': { loss: 'row', beforeCopy: ({ name }) => `ALTER TABLE ${name} ADD extra int` },
  'redefined by a column, late': { loss: 'open', afterCopy: ({ name }) => `ALTER TABLE ${name} ADD extra int` },
  'rewritten, early': { loss: 'count', beforeCopy: rewrite },
  'vacuumed in full': { loss: 'row', beforeCopy: ({ name }) => `VACUUM (FULL) ${name}` },
  'truncated and reloaded, early': { loss: 'open', beforeCopy: reload },
  'truncated and reloaded, late': { loss: 'open', afterCopy: reload },
  'created meanwhile': { loss: 'open', created: true },
  'dropped meanwhile': { loss: 'open', afterCopy: ({ name }) => `DROP TABLE ${name}` },
} as const satisfies Record<string, TableState>;

/** What is done to a table of the copy. */
export const ALTERATIONS = {
  nothing: () => '',
  'a row changed': ({ name, a }) => `UPDATE ${name} SET mark = mark + 1 WHERE id = ${a}`,
  'a row missing': ({ name, a }) => `DELETE FROM ${name} WHERE id = ${a}`,
  'a row added': ({ name, rowCount }) => `INSERT INTO ${name} VALUES (${rowCount + 1000}, 0, 'planted')`,
  'two values swapped': ({ name, a, b }) =>
    `UPDATE ${name} t SET mark = o.mark FROM ${name} o WHERE t.id IN (${a}, ${b}) AND o.id IN (${a}, ${b}) AND t.id <> o.id`,
  'table deleted from': ({ name }) => `DELETE FROM ${name}`,
  'table truncated': ({ name }) => `TRUNCATE ${name}`,
  'table missing': ({ name }) => `DROP TABLE ${name}`,
} as const satisfies Record<string, (table: TestTable) => string>;

/**
 * What is done on the copy to a table of which no row is altered, and the catalog that must show it, under the name of the
 * table or of its index. An index of a table that the source made or dropped meanwhile may have come or gone with it.
 */
export const SCHEMA_ALTERATIONS: Readonly<
  Record<
    string,
    {
      readonly catalog: string;
      readonly of?: 'index';
      readonly notIn?: readonly (keyof typeof STATES)[];
      readonly alter: (table: TestTable) => string;
    }
  >
> = {
  'a default changed': {
    catalog: 'pg_attrdef',
    alter: ({ name }) => `ALTER TABLE ${name} ALTER school_id SET DEFAULT 2`,
  },
  // Those of the foreign key, which is then not enforced any more.
  'triggers disabled': { catalog: 'pg_trigger', alter: ({ name }) => `ALTER TABLE ${name} DISABLE TRIGGER ALL` },
  'a privilege granted': { catalog: 'pg_class', alter: ({ name }) => `GRANT DELETE ON ${name} TO PUBLIC` },
  'an index dropped': {
    catalog: 'pg_index',
    of: 'index',
    notIn: ['created meanwhile', 'dropped meanwhile'],
    alter: ({ index }) => `DROP INDEX ${index.qualified}`,
  },
};

export interface AlterationCase {
  readonly state: keyof typeof STATES;
  readonly alteration: keyof typeof ALTERATIONS;
  readonly table: TestTable;
}

/**
 * Every state with every alteration, each with a table of its own. The seed decides how many rows it has, and which of them
 * the cases are about.
 */
export function alterationCases(seed: number): AlterationCase[] {
  const sizes = fc.record({ rowCount: fc.integer({ min: 12, max: 1400 }), order: fc.infiniteStream(fc.nat()) });
  const states = Object.keys(STATES) as (keyof typeof STATES)[];
  const alterations = Object.keys(ALTERATIONS) as (keyof typeof ALTERATIONS)[];
  const pairs = states.flatMap(state => alterations.map(alteration => ({ state, alteration })));
  return fc.sample(sizes, { seed, numRuns: pairs.length }).flatMap(({ rowCount, order }, at) => {
    const pair = pairs[at];
    if (pair === undefined) return [];
    const ids = new Set<number>();
    for (const number of order) {
      ids.add((number % rowCount) + 1);
      if (ids.size === 3) break;
    }
    const [a = 1, b = 2, c = 3] = ids;
    // Names that a dot would join to the same: of two cases, each has one.
    const [schema, prefix] = at % 2 === 0 ? ['a.b', ''] : ['a', 'b.'];
    const name = sqlName(schema, `${prefix}t${at >> 1}`);
    const indexName = `${prefix}i${at >> 1}`;
    const index = { name: sqlName(indexName), qualified: sqlName(schema, indexName) };
    return [{ ...pair, table: { name, index, rowCount, a, b, c } }];
  });
}
