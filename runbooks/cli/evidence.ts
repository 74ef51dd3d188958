import { Option } from 'commander';
import { LedgerKind } from '../../functions/contracts/ledger.ts';
import { addMs } from '../../functions/platform/clock.ts';
import { currentRuntime, withRuntime } from '../../functions/platform/runtime.ts';
import { EXIT, UsageError } from '../../infra/command-line/failure.ts';
import { openTarget } from './open-target.ts';
import { KEY_OPTIONS, readTarget, TARGET_OPTIONS, type TargetOptions } from './read-target.ts';
import type { Answer, Verb, VerbGroup } from './verb.ts';

const BUCKET = 'daybreak-evidence-ACCOUNT-eu-west-2';

const verify: Verb<TargetOptions> = {
  name: 'verify',
  summary: 'check the whole ledger: every entry, head and segment',
  examples: [
    { command: 'daybreak evidence verify --local', what: 'the ledger of the last npm start on this machine' },
    {
      command: `daybreak evidence verify --evidence-bucket ${BUCKET} --ledger-key ARN --entry-key ARN --profile audit`,
      what: 'that of an account, as the profile audit',
    },
  ],
  options: [...TARGET_OPTIONS, ...KEY_OPTIONS],
  run: verifyEvidence,
};

/** All kinds, and what several begin with: `tampering` is `tampering.seen` and `tampering.refused`. */
const KINDS = [...new Set(LedgerKind.options.flatMap(kind => [kind.replace(/\..*$/, ''), kind]))].sort();
const FEWEST_KINDS: readonly string[] = [];

interface ShowOptions extends TargetOptions {
  readonly limit?: string;
  readonly kind: readonly string[];
  readonly since?: string;
  readonly subject?: string;
}

const show: Verb<ShowOptions> = {
  name: 'show',
  summary: 'list the newest entries, newest last: when, what, of what, by whom, which rule, which test',
  examples: [
    { command: 'daybreak evidence show --local', what: 'the newest 20 entries of the last npm start' },
    {
      command: `daybreak evidence show --evidence-bucket ${BUCKET} --since 24h`,
      what: 'all of the last 24 hours',
    },
    {
      command: `daybreak evidence show --evidence-bucket ${BUCKET} --kind tampering --since 7d --json`,
      what: 'what tampering was seen or refused in a week, as JSON',
    },
    {
      command: `daybreak evidence show --evidence-bucket ${BUCKET} --subject 20261122t023000z`,
      what: 'what became of a recovery point',
    },
  ],
  options: [
    ...TARGET_OPTIONS,
    new Option('--kind <kind...>', 'only of these kinds')
      .choices(KINDS)
      .default(FEWEST_KINDS, 'all, keys of tenants only counted'),
    new Option('--since <when>', 'only what was recorded since an instant or a day (UTC), or in the last 30m, 24h, 7d'),
    new Option('--subject <id>', 'only what is about this tenant, recovery point or resource'),
    new Option('--limit <number>', 'the newest so many (20, or all where --since is given)'),
  ],
  run: showEvidence,
};

export const evidence: VerbGroup = { name: 'evidence', summary: 'read and check the ledger', verbs: [verify, show] };

async function verifyEvidence(options: TargetOptions): Promise<Answer> {
  const target = readTarget(options);
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
  return {
    exitCode: report.verified ? EXIT.done : EXIT.failed,
    data: report,
    text: screen => describeReport(report, target.name, screen),
  };
}

async function showEvidence({ kind: kinds, subject, ...options }: ShowOptions): Promise<Answer> {
  const limit = readLimit(options.limit, options.since);
  const target = readTarget(options);
  const runtime = await openTarget(target);
  const since = options.since === undefined ? undefined : readSince(options.since, runtime.clock.now());
  const [{ findEntries }, { describeEntries }] = await Promise.all([
    import('./find-entries.ts'),
    import('./describe-entries.ts'),
  ]);
  const filter = { kinds, subject, since, limit };
  const found = await withRuntime(runtime, () => findEntries(target.evidenceBucket, filter));
  return {
    exitCode: EXIT.done,
    data: { since: since?.toISOString() ?? null, ...found },
    text: screen => describeEntries(found, since, screen),
  };
}

function readLimit(limit: string | undefined, since: string | undefined): number | undefined {
  if (limit === undefined) return since === undefined ? 20 : undefined;
  if (/^[1-9]\d{0,8}$/.test(limit)) return Number(limit);
  throw new UsageError(`--limit ${limit}: give a whole number from 1`);
}

const UNITS_MS = { m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** @throws UsageError for what is no time. */
function readSince(text: string, now: Date): Date {
  const [, count, unit] = /^(\d{1,5})([mhd])$/.exec(text) ?? [];
  if (count !== undefined) return addMs(now, -Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS]);
  const isInstant = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?Z)?$/.test(text);
  const since = new Date(isInstant ? text : Number.NaN);
  // The 31st of February would be read as the 3rd of March.
  if (Number.isNaN(since.getTime()) || !since.toISOString().startsWith(text.slice(0, 10))) {
    throw new UsageError(
      `--since ${text}: give a day, an instant in UTC, or how long ago: 2026-11-22, 2026-11-22T03:00Z, 24h`,
    );
  }
  return since;
}
