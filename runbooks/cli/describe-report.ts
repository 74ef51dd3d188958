import type { LedgerReport } from '../../functions/evidence/ledger-report.ts';
import { printable } from '../../infra/command-line/printable.ts';
import { type Screen, styled } from '../../infra/command-line/screen.ts';

/** The report as text for a person. */
export function describeReport(report: LedgerReport, targetName: string, screen: Screen): string {
  const { newestHead, unsignedTail, problems, problemCount, first } = report;
  const lines = [
    `${report.verified ? styled(screen, 'green', 'VERIFIED') : styled(screen, 'red', 'BROKEN')}  ledger of ${targetName}`,
    '',
    `  entries         ${report.entryCount}${report.lastRecordedAt === null ? '' : `, the newest of ${report.lastRecordedAt}`}`,
    `  newest hash     ${report.lastEntrySha256 ?? 'none'}`,
    `  signed heads    ${report.headCount}${newestHead === null ? '' : `, the newest over entry ${newestHead.sequence}, of ${newestHead.signedAt}`}`,
    `  signed entries  ${report.signedFrom === null ? 'none' : `from ${report.signedFrom} on`}`,
    `  segments        ${report.segmentCount} closed`,
    `  unsigned tail   ${unsignedTail.entryCount === 0 ? 'none' : `${unsignedTail.entryCount} entries, the oldest since ${describeAge(unsignedTail.ageMs)}`}`,
    `  checked at      ${report.checkedAt}`,
  ];
  if (first === null) return lines.join('\n');
  lines.push('', `First: ${printable(first.detail)} (${first.reason})`);
  if (problemCount > 1) {
    lines.push(
      `All ${problemCount} problems${problemCount > problems.length ? `, the first ${problems.length} of them` : ''}:`,
    );
    for (const { detail, reason } of problems) lines.push(`  - ${printable(detail)} (${reason})`);
  }
  lines.push('', 'What to do: runbooks/ledger-broken.md');
  return lines.join('\n');
}

function describeAge(ageMs: number): string {
  const minutes = Math.floor(ageMs / 60_000);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h`;
}
