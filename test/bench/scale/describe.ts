import type { SupplierSize } from '../../../infra/cost/estimate.ts';
import { PRICES_AS_OF } from '../../../infra/cost/prices.ts';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';
import { atBuiltFor, functionMs, type MeasuredLoad } from './measurement.ts';
import {
  ASSUMPTIONS,
  databaseRates,
  KEY_REQUESTS_PER_SECOND,
  type Projected,
  project,
  projectMonth,
  type Rate,
  type Rates,
} from './project.ts';

const MIB = 1024 ** 2;
const whole = (value: number) => Math.round(value).toLocaleString('en-GB');
/** Three digits that count. */
const short = (value: number) =>
  value >= 100 ? whole(value) : value.toLocaleString('en-GB', { maximumSignificantDigits: 3 });
const table = (headings: readonly string[], rows: readonly (readonly string[])[]): string =>
  [headings, headings.map(() => '---'), ...rows].map(cells => `| ${cells.join(' | ')} |`).join('\n');

/** Each load against its step's budget, as Markdown. */
export function describeLoads(loads: readonly MeasuredLoad[]): string {
  return table(
    ['step', 'load', 'built for', 'measured with', 'computes, s', 'calls', 'memory, MiB', '/tmp, MiB', 'payload, KiB'],
    loads.map(load => {
      const { step, what, time, whole: all, quarter } = load;
      const { limits, builtFor } = STEP_DEFINITIONS[step];
      const { memoryMib, spoolMib, timeoutMinutes } = limits;
      const seconds = (cpuMs: number) => short(functionMs(step, cpuMs) / 1000);
      const limit =
        typeof time === 'object'
          ? ` of ${time.withinMs / 1000}`
          : time === 'one-call'
            ? `; ${seconds(atBuiltFor(load, all.cpuMs))} of ${timeoutMinutes * 60} for all`
            : '';
      const { reads, writes, deletes, keyRequests, signatures } = all.calls;
      const calls =
        reads + writes + deletes === 0
          ? ''
          : `${whole(reads + writes + deletes)} S3, ${whole(keyRequests + signatures)} KMS`;
      return [
        `\`${step}\``,
        what,
        `${whole(builtFor.items)} ${builtFor.of}`,
        whole(all.items),
        `${seconds(all.cpuMs)}${limit}`,
        calls,
        `${quarter.peakMib}, ${all.peakMib} of ${whole(memoryMib)}`,
        all.spoolBytes === 0
          ? ''
          : `${short(all.spoolBytes / MIB)}; ${short(atBuiltFor(load, all.spoolBytes) / MIB)} of ${whole(spoolMib)} for all`,
        all.payloadBytes === 0 ? '' : `${short(all.payloadBytes / 1024)} of ${builtFor.payloadBytes / 1024}`,
      ];
    }),
  );
}

const RATE_NAMES: Readonly<Record<keyof Rates, string>> = {
  unchanged: 'an unchanged object',
  copied: 'an object that is copied',
  found: 'an object that is found in the vault',
  restored: 'an object that is restored and compared',
};
const RATE_HEADINGS = ['for each of 1,000', 'computes, ms', 'pages', 'reads', 'writes', 'KMS requests'];

/** The rates that a projection rests on, each for 1,000 objects; `readRates` reads them back. */
export function describeRates(rates: Rates): string {
  const row = ({ cpuMs, calls }: Rate) =>
    [cpuMs, calls.pages, calls.reads, calls.writes, calls.keyRequests].map(value => (value * 1000).toFixed(0));
  return table(
    RATE_HEADINGS,
    Object.entries(RATE_NAMES).map(([name, text]) => [text, ...row(rates[name as keyof Rates])]),
  );
}

/** The rates that stand in a page. @throws Error where they do not. */
export function readRates(page: string): Rates {
  const rate = (name: keyof Rates): Rate => {
    const line = page.split('\n').find(candidate => candidate.startsWith(`| ${RATE_NAMES[name]} |`));
    const numbers =
      line
        ?.split('|')
        .slice(2, -1)
        .map(cell => Number(cell) / 1000) ?? [];
    const [cpuMs = Number.NaN, pages = 0, reads = 0, writes = 0, keyRequests = 0] = numbers;
    if (Number.isNaN(cpuMs)) throw new Error(`the page has no rate of ${RATE_NAMES[name]}`);
    return { cpuMs, calls: { pages, reads, writes, keyRequests, deletes: 0, signatures: 0 } };
  };
  return { unchanged: rate('unchanged'), copied: rate('copied'), found: rate('found'), restored: rate('restored') };
}

/** What the rates come to for a supplier, as Markdown. */
export function describeProjection(rates: Rates, size: SupplierSize & { readonly tables: number }): string {
  const runs = project(rates, size);
  const { lines, firstUsd } = projectMonth(size);
  const usd = lines.reduce((sum, line) => sum + line.usd, 0);
  const hours = (value: number, { hoursGiven }: Projected) =>
    value > hoursGiven ? `**${short(value)}, over ${hoursGiven}**` : short(value);
  return [
    `${whole(size.schools)} schools, ${whole(size.files)} files of ${whole(size.filesGb)} GB, ${whole(size.changedFilesPerDay)} changed a day, ${whole(size.tables)} tables with ${whole(size.databaseGb)} GB.`,
    '',
    table(
      [
        'run',
        'hours',
        'hours where one school has all files',
        'S3 reads',
        'S3 writes',
        'KMS requests',
        'a second',
        'USD',
      ],
      runs.map(run => [
        run.what,
        hours(run.hours, run),
        hours(run.hoursOfOne, run),
        whole(run.calls.reads),
        whole(run.calls.writes),
        whole(run.calls.keyRequests),
        `${whole(run.keyRequestsPerSecond)} of ${whole(KEY_REQUESTS_PER_SECOND)}`,
        short(run.usd),
      ]),
    ),
    '',
    table(
      ['database', 'hours', 'MB a second that it takes'],
      databaseRates(size).map(rate => [rate.what, short(rate.hours), short(rate.mbPerSecond)]),
    ),
    '',
    table(
      ['a month, of what grows with the size', 'USD'],
      [
        ...lines.filter(line => line.usd >= 5).map(line => [line.what, short(line.usd)]),
        ['**all**', `**${whole(usd)}**`],
      ],
    ),
    '',
    `The first backup adds ${whole(firstUsd)} USD, once. Prices of eu-west-2 as of ${PRICES_AS_OF}.`,
  ].join('\n');
}

/** What was not measured. */
export function describeAssumptions(): string {
  const { pageMs, requestMs, childMs, contentMbPerSecond } = ASSUMPTIONS;
  return `A page of 1,000 keys takes ${pageMs} ms, any other request ${requestMs} ms, a child execution ${childMs / 1000} s; a function reads ${contentMbPerSecond} MB of content a second.`;
}
