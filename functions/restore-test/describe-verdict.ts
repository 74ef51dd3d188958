import type { GapKind, GapTotal, NamedGap } from '../contracts/gap.ts';
import type { RestoreTestRecord } from '../contracts/restore-test-record.ts';
import { countOf, describeGap } from './describe-gap.ts';

/** Of one kind in one database so many are named; of more, their number is. */
const NAMED = 5;

type Heading = 'not compared' | 'empty after a restore' | 'not checked' | 'note';

/** Under which heading of the line a kind stands, and what several of it are called. */
const KINDS: Readonly<Record<GapKind, { heading: Heading; many: string; counted?: string }>> = {
  'table-of-no-end': { heading: 'not compared', many: 'tables without a usable measurement' },
  'table-not-bounded': { heading: 'not compared', many: 'tables that may have lost rows', counted: 'row' },
  'rows-unreadable': { heading: 'not compared', many: 'tables that could not be read' },
  'large-objects': { heading: 'not compared', many: 'sets of large objects', counted: 'large object' },
  'other-database': { heading: 'not compared', many: 'other databases of the same instance' },
  'catalog-drift': { heading: 'not compared', many: 'catalogs that changed meanwhile', counted: 'entry' },
  'catalog-unread': { heading: 'not compared', many: 'catalogs' },
  'sequence-of-no-end': { heading: 'not compared', many: 'sequences of which nothing bounds the value' },
  'sequence-not-bounded': { heading: 'not compared', many: 'sequences that were set back or begun anew meanwhile' },
  'sequence-unread': { heading: 'not compared', many: 'sequences that could not be read' },
  drift: { heading: 'not compared', many: 'sets of rows that changed meanwhile', counted: 'row' },
  'foreign-table': { heading: 'not compared', many: 'foreign tables, whose rows are on other servers' },
  'system-database': { heading: 'not compared', many: 'databases of the system' },
  'unlogged-table': { heading: 'empty after a restore', many: 'unlogged tables', counted: 'row' },
  'unpopulated-view': { heading: 'empty after a restore', many: 'materialized views that are so on the source' },
  'check-not-made': { heading: 'not checked', many: 'foreign keys, indexes or heaps' },
  'amcheck-missing': { heading: 'not checked', many: 'databases without amcheck' },
  'acceptance-unused': { heading: 'note', many: 'accepted gaps that are not there' },
};
const HEADINGS: readonly Heading[] = ['not compared', 'empty after a restore', 'not checked', 'note'];

/**
 * The line of a verdict: what was not compared, what will be empty after a restore, and what a person accepted stand in
 * it, so that nobody has to look for them: `passed; not compared: 12 rows that changed meanwhile; empty after a restore:
 * unlogged public.cache (5,000 rows)`.
 */
export function describeVerdict({
  verdict,
  databases,
  objects,
}: Pick<RestoreTestRecord, 'verdict' | 'databases' | 'objects'>): string {
  const phrases = new Map<string, string[]>();
  const say = (heading: string, texts: readonly string[]) => {
    if (texts.length > 0) phrases.set(heading, [...(phrases.get(heading) ?? []), ...texts]);
  };
  for (const { databaseId, gaps, gapTotals } of databases) {
    const of = databases.length > 1 ? ` of ${databaseId}` : '';
    for (const heading of HEADINGS) {
      const totals = gapTotals.filter(({ kind }) => KINDS[kind].heading === heading);
      say(
        heading,
        totals.flatMap(total => describeKind(total, gaps)).map(text => `${text}${of}`),
      );
    }
    say(
      'accepted',
      gaps.flatMap(({ gap, accepted }) =>
        accepted === null
          ? []
          : [`${describeGap(gap)}${of} (${[accepted.reason, accepted.reference].filter(Boolean).join(', ')})`],
      ),
    );
  }
  const byListingAlone = objects.objectCount - objects.objectsRestored;
  if (byListingAlone > 0) {
    say('not compared', [
      `the content of ${countOf(byListingAlone, 'file')} of ${objects.objectCount.toLocaleString('en-GB')}`,
    ]);
  }
  return [
    verdict,
    ...[...HEADINGS, 'accepted'].flatMap(heading => {
      const texts = phrases.get(heading);
      return texts === undefined ? [] : [heading === 'note' ? texts.join('; ') : `${heading}: ${texts.join(', ')}`];
    }),
  ].join('; ');
}

/** What was accepted stands under its own heading. */
function describeKind({ kind, gapCount, rowCount }: GapTotal, gaps: readonly NamedGap[]): string[] {
  const ofKind = gaps.filter(({ gap }) => gap.kind === kind);
  const open = ofKind.filter(({ accepted }) => accepted === null);
  const openCount = gapCount - (ofKind.length - open.length);
  if (openCount <= NAMED && openCount === open.length) return open.map(({ gap }) => describeGap(gap));
  const { many, counted } = KINDS[kind];
  const count = counted === undefined || rowCount === null ? '' : ` (${countOf(rowCount, counted, pluralOf(counted))})`;
  return [`${openCount.toLocaleString('en-GB')} ${many}${count}`];
}

function pluralOf(word: string): string {
  return word === 'entry' ? 'entries' : `${word}s`;
}
