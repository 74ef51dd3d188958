import { type Acceptance, type Gap, type GapTotal, MAY_PASS, type NamedGap } from '../contracts/gap.ts';
import { gapName } from '../platform/gap-name.ts';

/**
 * The gaps of one database, each once, those first that keep a test from passing, then those that were accepted. An
 * acceptance that meets no gap is a gap of its own: nobody believes in it unawares.
 * @param accepted of the whole configuration; those of other databases do not matter.
 */
export function acceptGaps(databaseId: string, gaps: readonly Gap[], accepted: readonly Acceptance[]): NamedGap[] {
  const byName = new Map(gaps.map(gap => [gapName(gap), gap]));
  const unused = accepted
    .filter(({ what }) => what.startsWith(`${databaseId}/`) && !byName.has(what))
    .map(({ what }): Gap => ({ kind: 'acceptance-unused', databaseId, what }));
  const acceptances = new Map(accepted.map(({ what, ...reasons }) => [what, reasons]));
  return [...byName.values(), ...unused]
    .map(gap => ({ name: gapName(gap), gap, accepted: acceptances.get(gapName(gap)) ?? null }))
    .sort((a, b) => rankOf(a) - rankOf(b));
}

/** Whether a test with this gap cannot pass. */
export function blocks({ gap, accepted }: NamedGap): boolean {
  return !MAY_PASS[gap.kind] && accepted === null;
}

function rankOf(named: NamedGap): number {
  if (blocks(named)) return 0;
  if (named.accepted !== null) return 1;
  return named.gap.kind === 'acceptance-unused' ? 2 : 3;
}

/** How many gaps there are of each kind, and how many rows or objects they concern. */
export function totalGaps(gaps: readonly NamedGap[]): GapTotal[] {
  const totals = new Map<Gap['kind'], GapTotal>();
  for (const { gap } of gaps) {
    const total = totals.get(gap.kind) ?? { kind: gap.kind, gapCount: 0, rowCount: 0 };
    const count = 'rowCount' in gap ? gap.rowCount : 'objectCount' in gap ? gap.objectCount : null;
    totals.set(gap.kind, {
      kind: gap.kind,
      gapCount: total.gapCount + 1,
      rowCount: total.rowCount === null || count === null ? null : total.rowCount + count,
    });
  }
  return [...totals.values()];
}
