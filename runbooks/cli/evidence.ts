import { parseArgs } from 'node:util';
import { verifyLedger } from '../../functions/evidence/verify-ledger.ts';
import { currentRuntime, withRuntime } from '../../functions/platform/runtime.ts';
import { describeReport } from './describe-report.ts';
import { listEntries } from './list-entries.ts';
import { openTarget, type TargetOptions } from './target.ts';
import { EXIT, UsageError } from './usage.ts';

const OPTIONS = {
  local: { type: 'string' },
  'evidence-bucket': { type: 'string' },
  'signing-key': { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

/** `daybreak evidence verify`. Prints the report; the exit code says whether the ledger is verified. */
export async function verifyEvidence(parameters: string[]): Promise<number> {
  const { values } = parse(() => parseArgs({ args: withLocalDefault(parameters), options: OPTIONS }));
  const target = openTarget(targetOptions(values));
  const report = await withRuntime(target.runtime, () => verifyLedger(target, currentRuntime().clock.now()));
  print(values.json ? JSON.stringify(report, null, 2) : describeReport(report, target.name));
  return report.verified ? EXIT.done : EXIT.broken;
}

/** `daybreak evidence show`. Lists the newest entries, unverified. */
export async function showEvidence(parameters: string[]): Promise<number> {
  const options = { ...OPTIONS, limit: { type: 'string', default: '20' } } as const;
  const { values } = parse(() => parseArgs({ args: withLocalDefault(parameters), options }));
  const limit = Number(values.limit);
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new UsageError(`--limit ${values.limit}: give a whole number from 1`);
  const target = openTarget(targetOptions(values));
  const entries = await withRuntime(target.runtime, () => listEntries(target.evidenceBucket, limit));
  if (values.json) {
    print(JSON.stringify(entries, null, 2));
    return EXIT.done;
  }
  const rows = entries.map(({ sequence, recordedAt, kind, subject, body }) => [
    String(sequence),
    recordedAt,
    kind,
    subject,
    typeof body.verdict === 'string' ? body.verdict : typeof body.status === 'string' ? body.status : '',
  ]);
  print(table([['entry', 'recorded at', 'kind', 'subject', 'result'], ...rows]));
  return EXIT.done;
}

function targetOptions(values: {
  local?: string | undefined;
  'evidence-bucket'?: string | undefined;
  'signing-key'?: string | undefined;
}): TargetOptions {
  return { local: values.local, evidenceBucket: values['evidence-bucket'], signingKey: values['signing-key'] };
}

/** `--local` may stand without a directory, which `parseArgs` does not know. */
function withLocalDefault(parameters: readonly string[]): string[] {
  return parameters.map((parameter, index) => {
    const next = parameters[index + 1];
    return parameter === '--local' && (next === undefined || next.startsWith('-')) ? '--local=.daybreak' : parameter;
  });
}

function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message.split(/[.\n]/)[0] : error}; see daybreak help`);
  }
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

// What stands in the ledger is printed as data: a control character in it must not reach the terminal.
function table(rows: readonly (readonly string[])[]): string {
  const printable = rows.map(row => row.map(cell => cell.replaceAll(/\p{C}/gu, '?')));
  const widths = (printable[0] ?? []).map((_, column) => Math.max(...printable.map(row => row[column]?.length ?? 0)));
  return printable
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
