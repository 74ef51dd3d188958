import type { StoredLedgerEntry } from '../../functions/contracts/ledger.ts';
import { printable } from '../../infra/command-line/printable.ts';
import { type Screen, styled } from '../../infra/command-line/screen.ts';
import type { FoundEntries } from './find-entries.ts';

const COLUMNS = ['entry', 'recorded at', 'kind', 'subject', 'who', 'what'] as const;

/** What was found, as a table; where that is wider than the screen, some lines for each entry, so that nothing is cut off. */
export function describeEntries(
  { entries, summed, upgraded, lookedAt, isComplete }: FoundEntries,
  since: Date | undefined,
  screen: Screen,
): string {
  const rows = entries.map(entry => [
    String(entry.sequence),
    entry.recordedAt,
    printable(entry.kind),
    printable(entry.subject),
    printable(entry.actor),
    printable(describeBody(entry)),
  ]);
  const nothing = `no entry matches${since === undefined ? '' : ` since ${since.toISOString()}`}`;
  const lines = entries.length === 0 ? [nothing] : table([[...COLUMNS], ...rows]);
  const fits =
    entries.length === 0 || screen.width === undefined || lines.every(line => line.length <= (screen.width ?? 0));
  const [head = '', ...rest] = fits ? lines : [];
  const shown = fits ? [styled(screen, 'bold', head), ...rest] : rows.flatMap(row => describeRow(row, screen));
  for (const { kind, entryCount, firstSequence, lastSequence } of summed) {
    const where = between(firstSequence, lastSequence);
    shown.push(`and ${entryCount} of ${printable(kind)}, ${where}: --kind ${printable(kind)} lists them`);
  }
  for (const { run, actor, entryCount, firstSequence, lastSequence } of upgraded) {
    shown.push(
      `and ${entryCount} policies put by ${printable(actor)} as the upgrade of ${run} had recorded, ${between(firstSequence, lastSequence)}: --kind tampering.seen lists them`,
    );
  }
  if (!isComplete && lookedAt !== null) {
    shown.push(`entries before ${lookedAt.firstSequence} were not looked at: give --since or a larger --limit`);
  }
  return shown.join('\n');
}

const between = (first: number, last: number): string =>
  first === last ? `entry ${first}` : `between entries ${first} and ${last}`;

/** What a person wants to know first: which rule fired on what, which test, which verdict, which error. */
function describeBody({ body }: StoredLedgerEntry): string {
  const text = (name: string, before = '') => {
    const value = body[name];
    return typeof value === 'string' && value !== '' ? [`${before}${value}`] : [];
  };
  return [
    ...text('rule', 'rule '),
    ...text('eventName'),
    ...text('errorCode', 'refused: '),
    ...text('verdict'),
    ...text('status'),
    ...text('error'),
    ...text('loss'),
    ...text('reason'),
    ...text('reference', 'see '),
    ...text('restoreTestId', 'test '),
    ...text('cloudTrailEventId', 'event '),
  ].join(', ');
}

function describeRow([sequence = '', ...cells]: readonly string[], screen: Screen): string[] {
  const [recordedAt = '', kind = '', ...others] = cells;
  const named = others.map((cell, index) => [COLUMNS[index + 3] ?? '', cell] as const);
  return [
    styled(screen, 'bold', `${sequence}  ${kind}`),
    `    ${recordedAt}`,
    ...named.filter(([, cell]) => cell !== '').map(([name, cell]) => `    ${name.padEnd(7)}  ${cell}`),
  ];
}

function table(cells: readonly (readonly string[])[]): string[] {
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)));
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ');
  return cells.map(row => line(row).trimEnd());
}
