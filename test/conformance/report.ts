import type { Json, ServiceTitle } from './case.ts';
import type { CleanUp } from './clean-up.ts';
import type { Outcome, Verdict } from './run-cases.ts';

/** The JSON report: everything that the lines on the terminal say, and each case in full. */
export interface Report {
  readonly target: string;
  readonly run: string;
  readonly startedAt: string;
  readonly counts: Readonly<Record<Verdict, number>>;
  readonly cases: readonly Outcome[];
  readonly cleanUp: CleanUp;
}

/**
 * The report as others may read it: it names no account, no role and no profile. What it tells of is this suite's own, and
 * nothing of a school was looked at.
 */
export function forOthers(report: Report): Report {
  const { target, ...rest } = report;
  return { ...(withoutNames(rest) as Omit<Report, 'target'>), target: target.replace(/, .*/, '') };
}

function withoutNames(value: unknown): unknown {
  if (typeof value === 'string') {
    return value
      .replaceAll(/arn:aws:(?:iam|sts)::\d{12}:[^\s"']*/g, 'SOMEBODY')
      .replaceAll(/(?<![\da-f-])\d{12}(?![\da-f])/g, 'ACCOUNT');
  }
  if (Array.isArray(value)) return value.map(withoutNames);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, withoutNames(inner)]));
}

const VERDICTS: readonly Verdict[] = ['same', 'different', 'could not be tried'];
const MAX_DIFFERENCES = 12;

export function count(outcomes: readonly Outcome[]): Record<Verdict, number> {
  const of = (verdict: Verdict) => outcomes.filter(outcome => outcome.verdict === verdict).length;
  return { same: of('same'), different: of('different'), 'could not be tried': of('could not be tried') };
}

/** One line as the case ends; more where it differs. */
export function describeOutcome(outcome: Outcome): string {
  const { verdict, service, name, notes, reason } = outcome;
  const mark = verdict === 'same' ? 'same       ' : verdict === 'different' ? 'DIFFERENT  ' : 'not tried  ';
  const remarks = [...notes, ...(reason === null ? [] : [reason])];
  const line = `${mark}${service}: ${name}${remarks.length === 0 ? '' : ` (${remarks.join('; ')})`}`;
  return verdict === 'different' ? [line, ...describeDifference(outcome)].join('\n') : line;
}

/** What differs, what rests on it, and the page that decides. */
function describeDifference({ expected, observed, restsOn, page }: Outcome): string[] {
  const differences = compare(expected, observed, '');
  const shown = differences.slice(0, MAX_DIFFERENCES).map(text => `             ${text}`);
  const more = differences.length - shown.length;
  return [
    ...shown,
    ...(more > 0 ? [`             and ${more} more; --json FILE has them all`] : []),
    `             rests on it: ${restsOn}`,
    `             decided by:  ${page}`,
  ];
}

function compare(expected: Json | undefined, observed: Json | undefined, path: string): string[] {
  if (isRecord(expected) && isRecord(observed)) {
    const names = [...new Set([...Object.keys(expected), ...Object.keys(observed)])];
    return names.flatMap(name => compare(expected[name], observed[name], path === '' ? name : `${path} / ${name}`));
  }
  const [wanted, found] = [expected, observed].map(value => (value === undefined ? 'nothing' : JSON.stringify(value)));
  return wanted === found ? [] : [`${path === '' ? '' : `${path}: `}documented ${wanted}, observed ${found}`];
}

function isRecord(value: Json | undefined): value is Readonly<Record<string, Json>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** How many cases of each service had which verdict. */
export function describeTable(outcomes: readonly Outcome[]): string {
  const services = [...new Set(outcomes.map(({ service }) => service))];
  const cells = (name: string, of: readonly Outcome[]) => [
    name,
    ...VERDICTS.map(verdict => String(count(of)[verdict])),
  ];
  const of = (service: ServiceTitle) => outcomes.filter(outcome => outcome.service === service);
  const rows = [
    ['', 'same', 'different', 'not tried'],
    ...services.map(service => cells(service, of(service))),
    cells('in all', outcomes),
  ];
  return rows
    .map(([first = '', ...rest]) => [first.padEnd(24), ...rest.map(text => text.padStart(11))].join(''))
    .join('\n');
}

/** What became of what was made. */
export function describeCleanUp({ removed, pending, left, unseen }: CleanUp): string {
  return [
    `Cleaned up: ${removed.length} removed${pending.length + left.length + unseen.length === 0 ? ', nothing is left' : ''}`,
    ...pending.map(text => `  goes by itself  ${text}`),
    ...unseen.map(text => `  not looked at   ${text}`),
    ...left.map(text => `  STILL THERE     ${text}`),
  ].join('\n');
}
