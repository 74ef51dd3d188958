import type { Gap, SchemaName } from '../contracts/gap.ts';
import { sqlName } from './sql-name.ts';

const nameOf = ({ schema, name }: SchemaName) => sqlName(schema, name);

/**
 * The name of a gap, by which a person may accept it: database, kind, obstacle where there are several, and what it
 * concerns. Two gaps have one name only if they differ in nothing but counts.
 */
export function gapName(gap: Gap): string {
  return `${gap.databaseId}/${[gap.kind, ...namesOf(gap)].join(':')}`;
}

function namesOf(gap: Gap): string[] {
  switch (gap.kind) {
    case 'table-of-no-end':
    case 'table-not-bounded':
    case 'rows-unreadable':
      return [gap.why, nameOf(gap.table)];
    case 'unlogged-table':
    case 'foreign-table':
    case 'unpopulated-view':
      return [nameOf(gap.table)];
    case 'other-database':
    case 'system-database':
      return [sqlName(gap.name)];
    case 'catalog-drift':
      return [sqlName(gap.catalog)];
    case 'catalog-unread':
      return [gap.why, sqlName(gap.catalog)];
    case 'sequence-of-no-end':
    case 'sequence-not-bounded':
    case 'sequence-unread':
      return [nameOf(gap.sequence)];
    case 'check-not-made':
      return [gap.why, gap.subject, gap.name];
    case 'acceptance-unused':
      return [gap.what];
    case 'large-objects':
    case 'drift':
    case 'amcheck-missing':
      return [];
  }
}
