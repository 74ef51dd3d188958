import type { DatabaseFingerprint, SequenceState } from '../contracts/fingerprint.ts';
import type { Gap, Obstacle } from '../contracts/gap.ts';
import type { Finding } from '../contracts/restore-test-record.ts';
import { CATALOG_PART, CATALOG_ROW, type CatalogMeasurement } from '../platform/fingerprint/catalog-rows.ts';
import { sqlName } from '../platform/sql-name.ts';

/**
 * Compares which tables there are. What exists on the source in both measurements must be there; what was created or
 * dropped while the snapshot was taken may be, and so may what came and went in between, which neither measurement saw.
 * @param restored the names of the copy's tables, also of those that cannot be read.
 * @param madeMeanwhile those of them that a transaction made which ran meanwhile.
 */
export function comparePresence(
  before: DatabaseFingerprint,
  after: DatabaseFingerprint,
  restored: ReadonlySet<string>,
  madeMeanwhile: ReadonlySet<string>,
): Finding[] {
  const inBefore = relationNames(before);
  const inAfter = relationNames(after);
  return [
    ...[...inBefore]
      .filter(name => inAfter.has(name) && !restored.has(name))
      .map(place => ({ kind: 'table-missing' as const, place, detail: 'the restored copy does not have it' })),
    ...[...restored]
      .filter(name => !inBefore.has(name) && !inAfter.has(name) && !madeMeanwhile.has(name))
      .map(place => ({ kind: 'table-added' as const, place, detail: 'the source does not have it' })),
  ];
}

/** The names of everything that a fingerprint saw, measured or not. */
function relationNames({ tables, unreadable }: DatabaseFingerprint): Set<string> {
  return new Set([
    ...tables.map(({ schema, table }) => sqlName(schema, table)),
    ...unreadable.map(({ schema, relation }) => sqlName(schema, relation)),
  ]);
}

/** What comparing the catalogs came to. */
export interface CatalogComparison {
  readonly rowsComparedExactly: number;
  /** The first of them, for each catalog and kind; `more` is how many others there are. */
  readonly differences: CatalogDifference[];
  /** Rows that changed more than once while the snapshot was taken, so that neither end says what the copy must hold. */
  readonly drift: { catalog: string; rowCount: number }[];
  readonly unread: { catalog: string; why: Obstacle }[];
}

export interface CatalogDifference {
  readonly catalog: string;
  readonly kind: 'missing' | 'added' | 'changed';
  /** Hexadecimal. */
  readonly keys: string[];
  more: number;
}

/** So many rows of one catalog are named for each kind of difference. */
const ROWS_NAMED = 5;

/**
 * Compares the rows of the system catalogs, key by key: where the source did not change a row, the copy must have it as it
 * was; where it did, the copy may have it as at either end. A row that is neither is drift if a transaction that ran
 * meanwhile can have made it, else it is a finding: no row below the horizon comes anew, and none that was made later
 * than the *after* measurement, or on the copy itself, is in the backup.
 */
export function compareCatalogs(
  { before, after }: { before: CatalogMeasurement; after: CatalogMeasurement },
  restored: CatalogMeasurement,
): CatalogComparison {
  const comparison = { rowsComparedExactly: 0, differences: [], drift: [], unread: [] } as {
    -readonly [K in keyof CatalogComparison]: CatalogComparison[K];
  };
  const [befores, afters] = [before, after].map(({ catalogs }) => new Map(catalogs.map(c => [c.catalog, c])));
  for (const copy of restored.catalogs) {
    const ends = [befores?.get(copy.catalog), afters?.get(copy.catalog)];
    const [first, last] = ends;
    // A catalog that an extension brings is an object of pg_class, and compared there.
    if (!first || !last) continue;
    const why = first.obstacle ?? last.obstacle ?? copy.obstacle;
    if (why !== null || [first, last].some(({ columns }) => columns.join('\n') !== copy.columns.join('\n'))) {
      comparison.unread.push({ catalog: copy.catalog, why: why ?? 'redefined' });
      continue;
    }
    const differences = new Map<CatalogDifference['kind'], CatalogDifference>();
    let drift = 0;
    mergeRows([first.rows, last.rows, copy.rows], (was, became, found, key) => {
      const outcome = judgeRow(was, became, found);
      if (outcome === 'same') {
        if (found) comparison.rowsComparedExactly += 1;
      } else if (outcome === 'drift') {
        drift += 1;
      } else {
        const difference = differences.get(outcome) ?? { catalog: copy.catalog, kind: outcome, keys: [], more: 0 };
        differences.set(outcome, difference);
        if (difference.keys.length < ROWS_NAMED) difference.keys.push(key());
        else difference.more += 1;
      }
    });
    comparison.differences.push(...differences.values());
    if (drift > 0) comparison.drift.push({ catalog: copy.catalog, rowCount: drift });
  }
  for (const { catalog, obstacle } of [...before.catalogs, ...after.catalogs]) {
    const seen = restored.catalogs.some(copy => copy.catalog === catalog);
    if (!seen && befores?.has(catalog) && afters?.has(catalog) && !comparison.unread.some(u => u.catalog === catalog)) {
      comparison.unread.push({ catalog, why: obstacle ?? 'unreadable' });
    }
  }
  return comparison;
}

/** One row of a catalog, as far as it is compared; undefined where there is none. */
export type CatalogRow = { readonly hash: string; readonly part: keyof typeof CATALOG_PART } | undefined;

/** What a restored row is, held against the source's two ends: see `compareCatalogs`. */
export function judgeRow(
  before: CatalogRow,
  after: CatalogRow,
  restored: CatalogRow,
): 'same' | 'drift' | CatalogDifference['kind'] {
  const unchanged = before !== undefined && before.hash === after?.hash && after.part !== 'recent';
  if (restored === undefined) {
    if (before === undefined || after === undefined) return 'same';
    return unchanged ? 'missing' : 'drift';
  }
  if (restored.hash === before?.hash || restored.hash === after?.hash) return 'same';
  const kind = before === undefined && after === undefined ? 'added' : 'changed';
  switch (restored.part) {
    case 'later':
      return kind;
    case 'settled':
      return before === undefined ? 'added' : 'changed';
    case 'recent':
      return unchanged ? 'changed' : 'drift';
    case 'unknown':
      return unchanged || kind === 'added' ? kind : 'drift';
  }
}

const PARTS = Object.keys(CATALOG_PART) as (keyof typeof CATALOG_PART)[];

/** Calls `visit` once for each key that any of the three, each sorted by key, has. */
function mergeRows(
  sides: [Buffer, Buffer, Buffer],
  visit: (before: CatalogRow, after: CatalogRow, restored: CatalogRow, key: () => string) => void,
): void {
  const { key, hash, length } = CATALOG_ROW;
  const at = [0, 0, 0];
  const keyAt = (side: number) => sides[side]?.subarray(at[side], (at[side] ?? 0) + key) ?? Buffer.alloc(0);
  const rowAt = (side: number): CatalogRow => {
    const [rows, start] = [sides[side], at[side] ?? 0];
    const part = PARTS[rows?.[start + key + hash] ?? 0];
    return rows && part && { hash: rows.toString('latin1', start + key, start + key + hash), part };
  };
  for (;;) {
    const open = [0, 1, 2].filter(side => (at[side] ?? 0) < (sides[side]?.length ?? 0));
    const [start, ...others] = open;
    if (start === undefined) return;
    let smallest = keyAt(start);
    for (const side of others) if (keyAt(side).compare(smallest) < 0) smallest = keyAt(side);
    const here = open.filter(side => keyAt(side).equals(smallest));
    const [before, after, restored] = [0, 1, 2].map(side => (here.includes(side) ? rowAt(side) : undefined));
    visit(before, after, restored, () => smallest.toString('hex'));
    for (const side of here) at[side] = (at[side] ?? 0) + length;
  }
}

/**
 * A restored sequence that is behind would give out numbers again; one that is far ahead was altered. What the copy gives
 * out next lies between what the source would have given *before*, and the last value that its WAL held *after*:
 * PostgreSQL logs numbers in advance (`log_cnt` of them are left), and recovery goes on behind these.
 * A sequence that was set back, or begun anew (another file), or that cycles and moved, is bounded on one side or none.
 * https://github.com/postgres/postgres/blob/REL_17_STABLE/src/backend/commands/sequence.c (nextval_internal)
 */
export function compareSequences(
  databaseId: string,
  before: readonly SequenceState[],
  after: readonly SequenceState[],
  restored: readonly SequenceState[],
): { findings: Finding[]; gaps: Gap[] } {
  const nameOf = ({ schema, sequence }: SequenceState) => sqlName(schema, sequence);
  const [befores, afters] = [before, after].map(states => new Map(states.map(state => [nameOf(state), state])));
  const findings: Finding[] = [];
  const gaps: Gap[] = [];
  for (const copy of restored) {
    const place = nameOf(copy);
    const [start, end] = [befores?.get(place), afters?.get(place)];
    const sequence = { schema: copy.schema, name: copy.sequence };
    if ([start, end, copy].some(state => state?.value === null)) {
      gaps.push({ kind: 'sequence-unread', databaseId, sequence });
      continue;
    }
    const bounds = boundsOf(start, end, copy);
    const next = nextOf(copy);
    if (bounds.least !== undefined && next < bounds.least) {
      findings.push({ kind: 'sequence-behind', place, detail: 'it would give out numbers again' });
    } else if (bounds.most !== undefined && next > bounds.most) {
      findings.push({ kind: 'sequence-ahead', place, detail: 'it is further than the source had come, or had logged' });
    }
    const open = [bounds.least, bounds.most].filter(bound => bound === undefined).length;
    if (open > 0) gaps.push({ kind: open === 2 ? 'sequence-of-no-end' : 'sequence-not-bounded', databaseId, sequence });
  }
  return { findings, gaps };
}

interface Bounds {
  readonly least?: bigint;
  readonly most?: bigint;
}

function boundsOf(before: SequenceState | undefined, after: SequenceState | undefined, copy: SequenceState): Bounds {
  // A sequence that neither end has is a finding of the catalogs.
  if (!before && !after) return {};
  if (!before || !after) return before ? { least: nextOf(before) } : after ? { most: lastLoggedOf(after) } : {};
  const definition = ({ increment, minimum, maximum, cycle }: SequenceState) =>
    [increment, minimum, maximum, cycle].join();
  if (definition(before) !== definition(after)) return {};
  if (before.fileNode !== after.fileNode) {
    if (copy.fileNode === before.fileNode && !before.cycle) return { least: nextOf(before) };
    return copy.fileNode === after.fileNode && !after.cycle ? { most: lastLoggedOf(after) } : {};
  }
  const bounds = { least: nextOf(before), most: lastLoggedOf(after) };
  if (nextOf(before) === nextOf(after)) return bounds;
  if (before.cycle) return {};
  return nextOf(after) < nextOf(before) ? { least: nextOf(after) } : bounds;
}

/** The number that a sequence gives out next, in its own direction: larger is later. */
function nextOf(state: SequenceState): bigint {
  return aheadOf(state, 0n);
}

/** The same, if the server recovered now and went on behind what it had logged. */
function lastLoggedOf(state: SequenceState): bigint {
  return aheadOf(state, BigInt(state.value?.logCount ?? 0));
}

function aheadOf({ increment, value }: SequenceState, numbers: bigint): bigint {
  const step = BigInt(increment);
  const next = BigInt(value?.lastValue ?? 0) + step * (numbers + (value?.isCalled ? 1n : 0n));
  return step < 0n ? -next : next;
}
