import { z } from 'zod';
import type { UnreadableRelation } from '../contracts/fingerprint.ts';
import type { Acceptance, Gap } from '../contracts/gap.ts';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { VerifyDatabaseInput, VerifyDatabaseOutput } from '../contracts/restore-test.ts';
import type { DatabaseVerification, Finding } from '../contracts/restore-test-record.ts';
import { databaseTestKey, fingerprintKey } from '../contracts/vault-layout.ts';
import { sha256Hex } from '../platform/canonical-json.ts';
import { addMs } from '../platform/clock.ts';
import { isDeadlineOver } from '../platform/deadline.ts';
import { PermanentError } from '../platform/errors.ts';
import { findDatabase } from '../platform/find-configured.ts';
import { listMadeWithin, listRelations, listSequences, nameOf } from '../platform/fingerprint/catalog.ts';
import { readCatalogs } from '../platform/fingerprint/catalogs-file.ts';
import {
  encode,
  FingerprintUnreadableError,
  openFingerprint,
  readFile,
} from '../platform/fingerprint/fingerprint-file.ts';
import { listInstanceDatabases } from '../platform/fingerprint/instance-databases.ts';
import { handler as step } from '../platform/handler.ts';
import { log } from '../platform/log.ts';
import { type Database, DatabaseQueryError, DatabaseUnavailableError, openDatabase } from '../platform/postgres.ts';
import { readRootManifest } from '../platform/root-manifest.ts';
import { currentRuntime } from '../platform/runtime.ts';
import { readBytesIfThere, writeBytes } from '../platform/s3.ts';
import { acceptGaps, totalGaps } from './accept-gaps.ts';
import { catalogCheck, type ReadCatalogs } from './check-catalog.ts';
import { listForeignKeyChecks } from './check-foreign-keys.ts';
import { type Check, CheckResult, judgeFailure } from './check-result.ts';
import { listStructureChecks } from './check-structure.ts';
import { cameAndWent, ranMeanwhile, type Source, tableChecks, unreadRows } from './check-tables.ts';
import { comparePresence, compareSequences } from './compare-catalog.ts';
import { Hydration } from './hydrate.ts';
import { judgeInstance, provedBeside } from './judge-instance.ts';
import { keepWithin } from './keep-within.ts';

/** The recovery point holds no fingerprints of this database, so that there is nothing to compare with. */
export class NothingToCompareError extends PermanentError {}

const Progress = z.strictObject({
  /** By subject and name of the check. */
  results: z.record(z.string(), CheckResult),
  /** How often the server broke the connection while it made a check. */
  breaks: z.record(z.string(), z.int()),
});
type Progress = z.infer<typeof Progress>;

const SAVE_EVERY_MS = 30_000;
const BREAKS_ALLOWED = 2;
/** How long a server may take to come back after it broke a connection. */
const RECOVERY_ATTEMPTS = 60;
const RECOVERY_PAUSE_MS = 2_000;
/** Of findings, and of gaps; fewer where there are many databases (`keepWithin`). */
const ENTRIES_KEPT = 30;

/**
 * Verifies a restored database against the fingerprints of its source: every table's rows, the schema, the sequences;
 * then what must hold within it: foreign keys, indexes, pages. Whatever cannot be read is a finding or is named, and
 * the rest goes on. It stops when its time is short; a later call goes on with the checks that are not made yet. What is not
 * made at the deadline is named and left: rows and catalogs come first, then foreign keys, the structure of files last.
 */
export const handler = step({
  input: VerifyDatabaseInput,
  output: VerifyDatabaseOutput,
  run: async (input, { configuration, deployment, timeIsShort }) => {
    const { restoreTestId, recoveryPointId, databaseId, endpoint } = input;
    const found = await readFingerprints(deployment, recoveryPointId, databaseId);
    if (Array.isArray(found)) return { done: true, verification: nothingVerified(databaseId, found) };

    const hydration = await readFile(
      deployment.workBucket,
      databaseTestKey(restoreTestId, databaseId, endpoint.resourceId, 'hydration'),
      Hydration,
    );
    const firstTouchXid = hydration && BigInt(hydration.firstTouchXid);
    const key = databaseTestKey(restoreTestId, databaseId, endpoint.resourceId, 'verification');
    const progress = (await readFile(deployment.workBucket, key, Progress)) ?? { results: {}, breaks: {} };
    const save = async () => {
      await writeBytes(deployment.workBucket, key, encode(progress));
    };
    const openKey = databaseTestKey(restoreTestId, databaseId, endpoint.resourceId, 'open-check');
    // Of thousands of tables one alone was begun.
    let kept: Promise<Buffer | undefined> | undefined;
    const openCheck = {
      read: () => {
        kept ??= readBytesIfThere(deployment.workBucket, openKey);
        return kept;
      },
      save: async (content: Buffer) => {
        await writeBytes(deployment.workBucket, openKey, content);
        kept = Promise.resolve(content);
      },
    };

    const isLate = () => isDeadlineOver(input.deadlineAt);
    const configured = findDatabase(configuration, databaseId);
    const database = openDatabase(endpoint, configured);
    try {
      const verification = await verifyDatabase(
        database,
        { ...found.source, firstTouchXid },
        {
          progress,
          save,
          openCheck,
          timeIsShort,
          isLate,
          accepted: configuration.accepted,
          openOther: databaseName => openDatabase(endpoint, { ...configured, databaseName }),
          proved: provedBeside(databaseId, found.recoveryPoint, configuration),
          readCatalogs: (moment, sha256) =>
            readCatalogs({ vaultBucket: deployment.vaultBucket, recoveryPointId, databaseId, moment }, sha256),
        },
      );
      const kept = verification && keepWithin(shorten(verification), configuration.databases.length);
      return { done: kept !== undefined, verification: kept ?? null };
    } finally {
      await database.close();
    }
  },
});

/** The fingerprints, if they are those that the signed root manifest names; else what is wrong with them. */
async function readFingerprints(
  deployment: { vaultBucket: string; signingKeyArn: string },
  recoveryPointId: string,
  databaseId: string,
): Promise<{ source: Pick<Source, 'before' | 'after' | 'digests'>; recoveryPoint: RecoveryPoint } | Finding[]> {
  const root = await readRootManifest(deployment, recoveryPointId);
  const hashes = root?.recoveryPoint.databases.find(database => database.databaseId === databaseId)?.fingerprints;
  if (!root || !hashes) {
    throw new NothingToCompareError(
      `recovery point ${recoveryPointId} has no fingerprints of database ${databaseId}; test one that is good`,
    );
  }
  const findings: Finding[] = [];
  const read = async (moment: 'before' | 'after') => {
    const place = fingerprintKey(recoveryPointId, databaseId, moment);
    const bytes = await readBytesIfThere(deployment.vaultBucket, place);
    if (bytes !== undefined && sha256Hex(bytes) === hashes[moment]) {
      return openFingerprint(bytes, deployment.vaultBucket, { recoveryPointId, databaseId, moment });
    }
    const detail = bytes === undefined ? 'it is missing' : 'its SHA-256 is not the one that was signed';
    findings.push({ kind: 'fingerprint-altered', place, detail });
    return undefined;
  };
  const [before, after] = [await read('before'), await read('after')];
  if (!before || !after) return findings;
  if (before.index.seeds.join() === after.index.seeds.join()) {
    const digests = { before: before.readDigests, after: after.readDigests };
    return { source: { before: before.index, after: after.index, digests }, recoveryPoint: root.recoveryPoint };
  }
  throw new FingerprintUnreadableError(`the fingerprints of ${recoveryPointId} were taken under different seeds`);
}

interface VerificationRun {
  readonly progress: Progress;
  readonly save: () => Promise<void>;
  /** What the check that was begun has come to. */
  readonly openCheck: { read: () => Promise<Buffer | undefined>; save: (content: Buffer) => Promise<void> };
  readonly timeIsShort: () => boolean;
  /** Whether the deadline is over: what is not checked yet is named, and left. */
  readonly isLate: () => boolean;
}

/**
 * Makes the checks that `progress` does not hold yet.
 * @returns all that they came to; undefined when the time was too short for all.
 */
export async function verifyDatabase(
  database: Database,
  source: Source,
  run: VerificationRun & {
    readonly accepted: readonly Acceptance[];
    /** Opens another database of the copy’s instance. */
    readonly openOther: (databaseName: string) => Database;
    /** The names of databases of the instance that tests prove; undefined where another one’s test tells of the rest. */
    readonly proved: ReadonlySet<string> | undefined;
    readonly readCatalogs: ReadCatalogs;
  },
): Promise<DatabaseVerification | undefined> {
  const { query } = database;
  const { databaseId } = source.before;
  const present = await listRelations(query);
  const tables = tableChecks(source, present.relations);
  const foreignKeys = await listForeignKeyChecks(query, databaseId);
  const structure = await listStructureChecks(query, databaseId);
  const catalogs = catalogCheck(source, run.readCatalogs);
  const checks = [...tables, catalogs, ...foreignKeys.checks, ...structure.checks];
  const finished = await makeChecks(database, checks, run);
  await run.save();
  if (!finished) return undefined;

  const restored = [
    ...present.relations,
    ...present.unreadable.map(({ schema, relation: table }) => ({ schema, table })),
  ];
  const names = new Set(restored.map(nameOf));
  const madeMeanwhile = await listMadeWithin(query, ranMeanwhile(source));
  const sequences = compareSequences(
    databaseId,
    source.before.sequences,
    source.after.sequences,
    await listSequences(query),
  );
  const unread = judgeUnread(source, present.unreadable, new Set(tables.map(({ name }) => name)));
  const results = checks.map(check => run.progress.results[idOf(check)] ?? CheckResult.parse({}));
  const sum = (pick: (result: CheckResult) => number) => results.reduce((total, result) => total + pick(result), 0);
  const completed = (subject: Check['subject']) =>
    checks.filter(check => check.subject === subject && run.progress.results[idOf(check)]?.completed).length;
  const driftRowCount = sum(result => result.driftRowCount);
  const gaps = acceptGaps(
    databaseId,
    [
      ...unread.gaps,
      ...lostBetween(source, names),
      ...cameAndWent(source, restored, madeMeanwhile),
      ...(run.proved === undefined
        ? []
        : judgeInstance(
            databaseId,
            [
              source.before.instanceDatabases,
              source.after.instanceDatabases,
              await listInstanceDatabases(query, run.openOther),
            ],
            run.proved,
          )),
      ...sequences.gaps,
      ...results.flatMap(result => result.gaps),
      ...foreignKeys.gaps,
      ...structure.gaps,
      ...(driftRowCount > 0 ? [{ kind: 'drift' as const, databaseId, rowCount: driftRowCount }] : []),
    ],
    run.accepted,
  );
  const findings = withoutRepetition([
    ...comparePresence(source.before, source.after, names, madeMeanwhile),
    ...unread.findings,
    ...sequences.findings,
    // A catalog may differ in many rows for one cause: it shall not push out what else was found.
    ...results.filter((_, index) => checks[index] !== catalogs).flatMap(result => result.findings),
    ...(run.progress.results[idOf(catalogs)]?.findings ?? []),
  ]);
  return {
    databaseId,
    tableCount: tables.length,
    rowCount: sum(({ rowCount }) => rowCount),
    rowsExpected: sum(({ rowsExpected }) => rowsExpected) + unreadRows(source, present.unreadable),
    rowsComparedExactly: sum(({ rowsComparedExactly }) => rowsComparedExactly),
    driftRowCount,
    foreignKeysChecked: completed('foreign-key'),
    indexesChecked: completed('index'),
    heapRelationsChecked: structure.heapsCheckable ? completed('heap') : null,
    gaps,
    gapTotals: totalGaps(gaps),
    findings,
    findingCount: findings.length,
  };
}

/** As much of a verification as a state of the workflow can hold: the totals count all. */
export function shorten(verification: DatabaseVerification): DatabaseVerification {
  return {
    ...verification,
    gaps: verification.gaps.filter(({ accepted }, index) => index < ENTRIES_KEPT || accepted !== null),
    findings: verification.findings.slice(0, ENTRIES_KEPT),
  };
}

/**
 * Tables that only one measurement of the source saw, and that the copy does not have. The snapshot may lie before they
 * were created, or after they were dropped; that they were lost is not excluded.
 */
function lostBetween({ before, after }: Source, restored: ReadonlySet<string>): Gap[] {
  const seenOnce = (tables: Source['before']['tables'], other: Source['before']) => {
    const seen = new Set([
      ...other.tables.map(nameOf),
      ...other.unreadable.map(({ schema, relation }) => nameOf({ schema, table: relation })),
    ]);
    return tables.filter(table => !seen.has(nameOf(table)) && !restored.has(nameOf(table)));
  };
  return [...seenOnce(before.tables, after), ...seenOnce(after.tables, before)].map(({ schema, table, rowCount }) => ({
    kind: 'table-not-bounded',
    databaseId: before.databaseId,
    table: { schema, name: table },
    why: 'absent',
    rowCount,
  }));
}

const idOf = ({ subject, name }: Check) => `${subject} ${name}`;

async function makeChecks(
  database: Database,
  checks: readonly Check[],
  { progress, save, openCheck, timeIsShort, isLate }: VerificationRun,
): Promise<boolean> {
  const clock = currentRuntime().clock;
  let saveAt = addMs(clock.now(), SAVE_EVERY_MS);
  const open = checks.filter(check => !(idOf(check) in progress.results));
  const mustStop = () => timeIsShort() || isLate();
  for (const check of open) {
    const id = idOf(check);
    while (!(id in progress.results)) {
      if (isLate()) {
        progress.results[id] = leave(check);
        break;
      }
      if (timeIsShort()) return false;
      await waitUntilAvailable(database);
      try {
        const result = await database.cancelWhen(mustStop, () =>
          check.run(database, {
            hasWholeCall: check === open[0],
            timeIsShort: mustStop,
            read: openCheck.read,
            save: async (content, options) => {
              if (options?.atOnce || clock.now() >= saveAt) await openCheck.save(content());
            },
          }),
        );
        // Not finished: it goes on, or is left at once.
        if (result === undefined && isLate()) continue;
        if (result === undefined) return false;
        progress.results[id] = CheckResult.parse(result);
      } catch (error) {
        if (error instanceof DatabaseUnavailableError) {
          progress.breaks[id] = (progress.breaks[id] ?? 0) + 1;
          await save();
          if (progress.breaks[id] < BREAKS_ALLOWED) continue;
          const detail = 'the server ended the connection whenever it was read';
          progress.results[id] = CheckResult.parse({
            rowsExpected: check.rowsExpected,
            findings: [{ kind: 'unreadable', place: check.name, detail }],
            completed: false,
          });
        } else if (error instanceof DatabaseQueryError) {
          // A check that a whole run of the function is not enough for would never end.
          if (error.sqlState === CANCELLED && check !== open[0] && !isLate()) return false;
          progress.results[id] = judgeFailure(check, error.sqlState);
        } else {
          throw error;
        }
        log('warn', 'a check could not be made', {
          check: id,
          sqlState: error instanceof DatabaseQueryError ? error.sqlState : 'connection lost',
        });
      }
    }
    if (clock.now() >= saveAt) {
      await save();
      saveAt = addMs(clock.now(), SAVE_EVERY_MS);
    }
  }
  return true;
}

/** A check that the deadline left no time for. */
function leave(check: Check): CheckResult {
  return CheckResult.parse({
    rowsExpected: check.rowsExpected,
    gaps: [check.gap('out-of-time')],
    completed: false,
  });
}

const CANCELLED = '57014';

// A backend that crashes takes all others with it, and the server recovers first.
async function waitUntilAvailable(database: Database): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await database.query('SELECT 1');
      return;
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError) || attempt === RECOVERY_ATTEMPTS) throw error;
      await currentRuntime().clock.sleep(RECOVERY_PAUSE_MS);
    }
  }
}

/**
 * What no measurement could read, on the source or on the copy, and what holds no rows after a restore; not what was
 * compared after all. That a table holds no rows after a restore is believed of the source alone: a copy that says so of a
 * table which the source measured is another table.
 */
function judgeUnread(
  { before, after }: Source,
  restored: readonly UnreadableRelation[],
  compared: ReadonlySet<string>,
): { gaps: Gap[]; findings: Finding[] } {
  const { databaseId } = before;
  const ofSource = [...before.unreadable, ...after.unreadable];
  const isOfSource = ({ schema, relation, reason }: UnreadableRelation) =>
    ofSource.some(other => other.schema === schema && other.relation === relation && other.reason === reason);
  const [unlike, like] = partition(restored, entry => entry.reason in HOLDS_NO_ROWS && !isOfSource(entry));
  return {
    // Of entries with one name the last is kept: what was counted before the snapshot is what a restore loses.
    gaps: [...like, ...after.unreadable, ...before.unreadable]
      .filter(({ schema, relation }) => !compared.has(nameOf({ schema, table: relation })))
      .map(relation => gapOf(databaseId, relation)),
    findings: unlike.map(({ schema, relation, reason }) => ({
      kind: 'schema-changed' as const,
      place: nameOf({ schema, table: relation }),
      detail: `it is ${HOLDS_NO_ROWS[reason]}, and was not on the source`,
    })),
  };
}

const HOLDS_NO_ROWS: Partial<Record<UnreadableRelation['reason'], string>> = {
  unlogged: 'unlogged',
  'foreign-table': 'a foreign table',
  'unpopulated-view': 'not populated',
};

function partition<T>(entries: readonly T[], isFirst: (entry: T) => boolean): [T[], T[]] {
  return [entries.filter(isFirst), entries.filter(entry => !isFirst(entry))];
}

function gapOf(databaseId: string, { schema, relation, reason, rowCount }: UnreadableRelation): Gap {
  const table = { schema, name: relation };
  switch (reason) {
    case 'unlogged':
      return { kind: 'unlogged-table', databaseId, table, rowCount };
    case 'foreign-table':
    case 'unpopulated-view':
      return { kind: reason, databaseId, table };
    case 'large-objects':
      return { kind: 'large-objects', databaseId, objectCount: rowCount };
    default:
      return { kind: 'rows-unreadable', databaseId, table, why: reason };
  }
}

function withoutRepetition(findings: readonly Finding[]): Finding[] {
  return [...new Map(findings.map(finding => [JSON.stringify([finding.kind, finding.place]), finding])).values()];
}

function nothingVerified(databaseId: string, findings: Finding[]): DatabaseVerification {
  return {
    databaseId,
    tableCount: 0,
    rowCount: 0,
    rowsExpected: 0,
    rowsComparedExactly: 0,
    driftRowCount: 0,
    foreignKeysChecked: 0,
    indexesChecked: 0,
    heapRelationsChecked: null,
    gaps: [],
    gapTotals: [],
    findings,
    findingCount: findings.length,
  };
}
