import { writeFileSync } from 'node:fs';
import { ListBucketsCommand } from '@aws-sdk/client-s3';
import { EXIT } from '../../infra/command-line/failure.ts';
import type { ConformanceArguments } from './arguments.ts';
import { type ConformanceCase, readObstacle, UnreachableError } from './case.ts';
import { cleanUp } from './clean-up.ts';
import type { Connection } from './connect.ts';
import { PREFIX } from './names.ts';
import { count, describeCleanUp, describeOutcome, describeTable, type Report } from './report.ts';
import { CASES, type Outcome, runCases } from './run-cases.ts';
import { Scratch } from './scratch.ts';

type Asked = Pick<ConformanceArguments, 'rds' | 'roleArn' | 'only' | 'jsonFile'>;

/**
 * Runs the suite against a connection, removes what it made, and prints both.
 * @param options.stopped asked between cases: true ends the run, which is cleaned up all the same.
 * @returns the exit code.
 * @throws UnreachableError
 */
export async function runConformance(
  connection: Connection,
  asked: Asked,
  options: { print: (line: string) => void; stopped?: () => boolean; cases?: readonly ConformanceCase[] },
): Promise<number> {
  const { print } = options;
  const scratch = new Scratch(connection);
  const startedAt = scratch.now().toISOString();
  const text = asked.only?.toLowerCase() ?? '';
  const cases = (options.cases ?? CASES).filter(one => `${one.service} ${one.name}`.toLowerCase().includes(text));
  const needs = new Set<'rds' | 'role'>();
  if (asked.rds) needs.add('rds');
  if (connection.roleArn !== undefined) needs.add('role');
  print(`Against ${connection.name}, run ${scratch.run}, ${cases.length} cases`);
  try {
    await checkReach(scratch);
    let outcomes: Outcome[] = [];
    let removal: Awaited<ReturnType<typeof cleanUp>>;
    const run = runCases(scratch, cases, {
      asked: needs,
      onOutcome: outcome => print(describeOutcome(outcome)),
      ...(options.stopped === undefined ? {} : { stopped: options.stopped }),
    });
    try {
      outcomes = await run;
    } finally {
      print('Cleaning up');
      removal = await cleanUp(scratch, { run: scratch.run });
      print(describeCleanUp(removal));
    }
    print(`\n${describeTable(outcomes)}`);
    const counts = count(outcomes);
    if (asked.jsonFile !== undefined) {
      const report: Report = {
        target: connection.name,
        run: scratch.run,
        startedAt,
        counts,
        cases: outcomes,
        cleanUp: removal,
      };
      writeFileSync(asked.jsonFile, `${JSON.stringify(report, null, 2)}\n`);
    }
    if (options.stopped?.()) return EXIT.interrupted;
    return counts.different === 0 && removal.left.length === 0 ? EXIT.done : EXIT.failed;
  } finally {
    scratch.close();
  }
}

/** Removes what earlier runs left. @returns the exit code. @throws UnreachableError */
export async function cleanUpAll(connection: Connection, print: (line: string) => void): Promise<number> {
  const scratch = new Scratch(connection);
  try {
    await checkReach(scratch);
    const removal = await cleanUp(scratch);
    for (const text of removal.removed) print(`removed ${text}`);
    print(describeCleanUp(removal));
    return removal.left.length === 0 ? EXIT.done : EXIT.failed;
  } finally {
    scratch.close();
  }
}

// The first call tells whether there are credentials and somebody who takes them, before anything is made.
async function checkReach({ s3 }: Scratch): Promise<void> {
  try {
    await s3.send(new ListBucketsCommand({ Prefix: PREFIX }));
  } catch (error) {
    const obstacle = readObstacle(error);
    if (obstacle instanceof UnreachableError) throw obstacle;
    if (obstacle === undefined) {
      throw new UnreachableError(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    }
  }
}
