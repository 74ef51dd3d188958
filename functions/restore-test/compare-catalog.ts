import type { DatabaseFingerprint, SequenceState } from '../contracts/fingerprint.ts';
import type { Gap } from '../contracts/gap.ts';
import type { Finding } from '../contracts/restore-test-record.ts';
import { sqlName } from '../platform/sql-name.ts';

/**
 * Compares which tables there are. What exists on the source in both measurements must be there; what was created or
 * dropped while the snapshot was taken may be.
 * @param restored the names of the copy's tables, also of those that cannot be read.
 */
export function comparePresence(
  before: DatabaseFingerprint,
  after: DatabaseFingerprint,
  restored: ReadonlySet<string>,
): Finding[] {
  const inBefore = relationNames(before);
  const inAfter = relationNames(after);
  return [
    ...[...inBefore]
      .filter(name => inAfter.has(name) && !restored.has(name))
      .map(place => ({ kind: 'table-missing' as const, place, detail: 'the restored copy does not have it' })),
    ...[...restored]
      .filter(name => !inBefore.has(name) && !inAfter.has(name))
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

/** Compares what is not inside a table: views, functions, types, extensions, the definitions of sequences. */
export function compareSchema(
  before: DatabaseFingerprint,
  after: DatabaseFingerprint,
  restoredSha256: string,
): { findings: Finding[]; gaps: Gap[] } {
  if ([before.schemaSha256, after.schemaSha256].includes(restoredSha256)) return { findings: [], gaps: [] };
  if (before.schemaSha256 !== after.schemaSha256) {
    const { databaseId } = before;
    return { findings: [], gaps: [{ kind: 'catalog-drift', databaseId, catalog: 'pg_catalog', rowCount: null }] };
  }
  const detail = 'views, functions, types, extensions, sequences or privileges are not those of the source';
  return { findings: [{ kind: 'schema-changed', place: 'schema', detail }], gaps: [] };
}

/** A restored sequence that is behind would give out numbers again. It may be ahead: PostgreSQL logs 32 in advance. */
export function compareSequences(
  before: readonly SequenceState[],
  after: readonly SequenceState[],
  restored: readonly SequenceState[],
): Finding[] {
  const byName = (states: readonly SequenceState[]) =>
    new Map(states.map(state => [sqlName(state.schema, state.sequence), state]));
  const [befores, restoreds] = [byName(before), byName(restored)];
  return after.flatMap(end => {
    const place = sqlName(end.schema, end.sequence);
    const start = befores.get(place);
    if (start === undefined || start.lastValue === null || end.lastValue === null) return [];
    if (start.increment !== end.increment) return [];
    const direction = BigInt(end.increment) < 0n ? -1n : 1n;
    const [first, last] = [BigInt(start.lastValue) * direction, BigInt(end.lastValue) * direction];
    // It was set back on the source meanwhile where `last` is the smaller.
    const least = first < last ? first : last;
    const found = restoreds.get(place)?.lastValue ?? null;
    if (found !== null && BigInt(found) * direction >= least) return [];
    const detail = found === null ? 'it has no value yet' : 'it would give out numbers again';
    return [{ kind: 'sequence-behind' as const, place, detail }];
  });
}
