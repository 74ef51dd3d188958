import type { CheckObstacle, Gap, Obstacle, SchemaName } from '../contracts/gap.ts';
import { sqlName } from '../platform/sql-name.ts';

const nameOf = ({ schema, name }: SchemaName) => sqlName(schema, name);

const OBSTACLES: Readonly<Record<Obstacle | CheckObstacle, string>> = {
  'permission-denied': 'the reader may not read it',
  'row-level-security': 'row-level security hides rows from the reader',
  locked: 'another session held its lock',
  unreadable: 'PostgreSQL did not give it',
  'out-of-time': 'the time for it was over',
  redefined: 'its definition changed while the snapshot was taken',
  rewritten: 'it was rewritten while the snapshot was taken',
  absent: 'it was created or dropped while the snapshot was taken',
  'no-check-exists': 'no check exists for an index of its type',
  'not-valid-on-source': 'it is not valid on the source either',
  'not-walked': 'PostgreSQL does not walk it in its order',
};

/** One sentence for a person, without the database's id. */
export function describeGap(gap: Gap): string {
  switch (gap.kind) {
    case 'table-of-no-end':
      return `no row of ${nameOf(gap.table)} was compared: ${OBSTACLES[gap.why]}`;
    case 'table-not-bounded':
      return `${gap.rowCount === null ? 'rows' : countOf(gap.rowCount, 'row')} of ${nameOf(gap.table)} may be lost or altered: ${OBSTACLES[gap.why]}`;
    case 'rows-unreadable':
      return `the rows of ${nameOf(gap.table)} were not read: ${OBSTACLES[gap.why]}`;
    case 'large-objects':
      return `${gap.objectCount === null ? 'large objects' : countOf(gap.objectCount, 'large object')} were not read`;
    case 'other-database':
      return `database ${sqlName(gap.name)} of the same instance is not proved: ${
        gap.tableCount === null
          ? 'the reader cannot see what is in it'
          : `it has ${countOf(gap.tableCount, 'table')} of its own`
      }`;
    case 'catalog-drift':
      return `${gap.rowCount === null ? 'entries' : countOf(gap.rowCount, 'entry', 'entries')} of ${sqlName(gap.catalog)} changed while the snapshot was taken, and are neither what they were nor what they became`;
    case 'catalog-unread':
      return `catalog ${sqlName(gap.catalog)} was not compared: ${OBSTACLES[gap.why]}`;
    case 'sequence-of-no-end':
      return `sequence ${nameOf(gap.sequence)} may stand at any value: it was defined anew, or cycled, while the snapshot was taken`;
    case 'sequence-not-bounded':
      return `sequence ${nameOf(gap.sequence)}: it was set back, begun anew, made or dropped while the snapshot was taken`;
    case 'sequence-unread':
      return `sequence ${nameOf(gap.sequence)} was not compared: ${OBSTACLES['permission-denied']}`;
    case 'drift':
      return `${countOf(gap.rowCount, 'row')} that changed meanwhile`;
    case 'unlogged-table':
      return `unlogged ${nameOf(gap.table)}${gap.rowCount === null ? '' : ` (${countOf(gap.rowCount, 'row')})`}`;
    case 'foreign-table':
      return `foreign table ${nameOf(gap.table)}: its rows are on another server`;
    case 'unpopulated-view':
      return `materialized view ${nameOf(gap.table)}, as on the source`;
    case 'system-database':
      return `database ${sqlName(gap.name)}`;
    case 'check-not-made':
      return `${gap.subject} ${gap.name}: ${OBSTACLES[gap.why]}`;
    case 'amcheck-missing':
      return 'the structure of pages, as amcheck is missing or closed to the reader: run its grants on the source';
    case 'acceptance-unused':
      return `the configuration accepts ${gap.what}, and there is no such gap: take it out`;
  }
}

/** `1 row`, `5,000 rows`. */
export function countOf(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-GB')} ${count === 1 ? one : many}`;
}
