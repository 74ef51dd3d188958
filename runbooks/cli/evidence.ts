import { parseArgs } from 'node:util';
import { currentRuntime, withRuntime } from '../../functions/platform/runtime.ts';
import { openTarget } from './open-target.ts';
import { printable } from './printable.ts';
import { readTarget, TARGET_OPTIONS, withLocalDefault } from './read-target.ts';
import { EXIT, parse, UsageError } from './usage.ts';

// What talks to AWS is loaded only once the command line is known to be right.

/** `daybreak evidence verify`. Prints the report; the exit code says whether the ledger is verified. */
export async function verifyEvidence(parameters: string[]): Promise<number> {
  const options = { ...TARGET_OPTIONS, json: { type: 'boolean' } } as const;
  const { values } = parse(() => parseArgs({ args: withLocalDefault(parameters), options }));
  const target = readTarget(values);
  const { vaultBucket, evidenceBucket, workBucket } = target;
  const { ledgerKeyArn, entryKeyArn, signingKeyArn } = target.keys;
  if (ledgerKeyArn === undefined || entryKeyArn === undefined) {
    throw new UsageError('--evidence-bucket: to verify, give --ledger-key ARN and --entry-key ARN as well');
  }
  const place = {
    vaultBucket,
    evidenceBucket,
    workBucket,
    ledgerKeyArn,
    entryKeyArn,
    ...(signingKeyArn && { signingKeyArn }),
  };
  const [{ verifyLedger }, { describeReport }] = await Promise.all([
    import('../../functions/evidence/verify-ledger.ts'),
    import('./describe-report.ts'),
  ]);
  const runtime = await openTarget(target);
  const report = await withRuntime(runtime, () => verifyLedger(place, currentRuntime().clock.now()));
  print(values.json ? JSON.stringify(report, null, 2) : describeReport(report, target.name));
  return report.verified ? EXIT.done : EXIT.broken;
}

/** `daybreak evidence show`. Lists the newest entries, whose chain it checks only among themselves. */
export async function showEvidence(parameters: string[]): Promise<number> {
  const options = { ...TARGET_OPTIONS, json: { type: 'boolean' }, limit: { type: 'string', default: '20' } } as const;
  const { values } = parse(() => parseArgs({ args: withLocalDefault(parameters), options }));
  const limit = Number(values.limit);
  if (!Number.isSafeInteger(limit) || limit < 1) {
    throw new UsageError(`--limit ${values.limit}: give a whole number from 1`);
  }
  const target = readTarget(values);
  const { listEntries } = await import('./list-entries.ts');
  const entries = await withRuntime(await openTarget(target), () => listEntries(target.evidenceBucket, limit));
  if (values.json) {
    print(JSON.stringify(entries, null, 2));
    return EXIT.done;
  }
  const rows = entries.map(({ sequence, recordedAt, kind, subject, body }) => [
    String(sequence),
    recordedAt,
    kind,
    subject,
    [body.verdict, body.status, body.error].find(result => typeof result === 'string') ?? '',
  ]);
  print(table([['entry', 'recorded at', 'kind', 'subject', 'result'], ...rows]));
  return EXIT.done;
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

function table(rows: readonly (readonly string[])[]): string {
  const cells = rows.map(row => row.map(printable));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)));
  return cells
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
