import { describe, expect, it } from 'vitest';
import {
  CLOCK_SKEW_MS,
  CLOSED_FOR_GOOD_MS,
  LATEST_BACKUP_MS,
  LATEST_CLOSING_MS,
} from '../../../functions/platform/scheduled-instant.ts';
import type { Step } from '../../../infra/access/role-names.ts';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';
import { DEFINITIONS } from '../../../infra/workflows/definitions.ts';
import { AT_ONCE, DAILY_BACKUP, GRACE_MINUTES, RESTORE_TEST } from '../../../infra/workflows/hours.ts';
import { type Graph, graphsIn, nextOf, type Retrier, type State, statesIn } from './definition-graph.ts';

const ARN = 'arn:aws:lambda:eu-west-2:111122223333:function:';
const references = { functionArn: (step: Step) => `${ARN}${step}`, workBucket: 'work', atOnce: AT_ONCE };

/** Where a choice leads once an instant has passed; undefined where it does not ask for the time. */
const onceLate = ({ Type, Choices = [] }: State): string | undefined =>
  Type !== 'Choice'
    ? undefined
    : Choices.find(({ Condition }) =>
        /^{% \$toMillis\(\$states\.context\.State\.EnteredTime\) > \$toMillis\(\$\w*[eE]ndsAt\) %}$/.test(Condition),
      )?.Next;

/** What is reached from these states, through those that `through` lets. */
function reachable({ States }: Graph, from: readonly string[], through: (state: State) => boolean): Set<string> {
  const seen = new Set<string>();
  const queue = [...from];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    const state = States[name] as State;
    if (seen.has(name) || !through(state)) continue;
    seen.add(name);
    queue.push(...nextOf(state));
  }
  return seen;
}

/** States that can be entered for ever: round a way on which nothing asks for the time, or on from where it was too late. */
function endless(graph: Graph): string[] {
  return Object.entries(graph.States).flatMap(([name, state]) => {
    const late = onceLate(state);
    const again =
      late === undefined
        ? reachable(graph, nextOf(state), other => onceLate(other) === undefined)
        : reachable(graph, [late], () => true);
    return again.has(name) ? [name] : [];
  });
}

/** The longest that the waits between a retrier's attempts may be, with the worst luck of the jitter. */
const delaySeconds = ({ IntervalSeconds, BackoffRate, MaxAttempts, MaxDelaySeconds }: Retrier): number =>
  Array.from({ length: MaxAttempts }, (_, index) =>
    Math.min(MaxDelaySeconds, IntervalSeconds * BackoffRate ** index),
  ).reduce((sum, delay) => sum + delay, 0);

/** A function that Lambda throttles, or that wakes, is not called: such an attempt is over at once. */
const isRefusal = ({ ErrorEquals: [first = ''] }: Retrier): boolean =>
  ['Lambda.TooManyRequestsException', 'Lambda.ResourceNotReadyException'].includes(first);

const SECONDS_BETWEEN_TURNS = 240;
const waitsForTurn = ({ ErrorEquals }: { ErrorEquals: readonly string[] }) =>
  ErrorEquals.includes('Lambda.TooManyRequestsException');

/** How long a task may take at the worst, from now on, once the instant that ends it has passed; or at all. */
function worstMinutes({ TimeoutSeconds = 0, Retry = [], Catch = [] }: State): number {
  const [, least] = /^{% \$max\(\[(\d+), /.exec(String(TimeoutSeconds)) ?? [];
  const seconds = least === undefined ? Number(TimeoutSeconds) : Number(least);
  const attempts = Retry.filter(retrier => !isRefusal(retrier)).reduce((sum, retrier) => sum + retrier.MaxAttempts, 0);
  const delays = Retry.reduce((sum, retrier) => sum + delaySeconds(retrier), 0);
  // Whoever waits for its turn has begun to just before.
  const turn = Catch.some(waitsForTurn) ? SECONDS_BETWEEN_TURNS : 0;
  return ((attempts + 1) * seconds + delays + turn) / 60;
}

const workflows = Object.entries(DEFINITIONS).map(
  ([name, define]) => [name, JSON.parse(JSON.stringify(define(references)))] as [string, Graph],
);

describe.each(workflows)('the deadlines of %s', (_name, definition) => {
  it('let no state be entered again and again without asking for the time', () => {
    expect(graphsIn(definition).flatMap(endless)).toEqual([]);
  });

  it('are how long whatever has one waits for a function to be free, and no longer', () => {
    const graphs = graphsIn(definition);
    for (const { States } of graphs) {
      for (const [name, { Type, TimeoutSeconds, Catch = [] }] of Object.entries(States)) {
        if (Type !== 'Task' || typeof TimeoutSeconds === 'number') continue;
        const [, endsAt = ''] = /\$toMillis\(\$(\w+)\) -/.exec(TimeoutSeconds ?? '') ?? [];
        const busy = Catch[0];
        expect(busy?.ErrorEquals, name).toEqual(['Lambda.TooManyRequestsException']);
        const mayWait = States[busy?.Next ?? ''] as State;
        // What asks about an instance comes round again by itself.
        if (mayWait.Type === 'Pass') continue;
        expect(mayWait.Choices?.[0]?.Condition, name).toContain(`> $toMillis($${endsAt})`);
        const wait = States[mayWait.Default ?? ''] as State;
        expect([wait.Seconds, wait.Next], name).toEqual([SECONDS_BETWEEN_TURNS, name]);
      }
    }
  });

  it('are not missed by a task that nobody ends, or by an error that nobody catches', () => {
    const callers = statesIn(definition).filter(([, { Type }]) => ['Task', 'Map', 'Parallel'].includes(Type));
    for (const [name, { Catch = [] }] of callers) {
      expect(
        Catch.flatMap(({ ErrorEquals }) => ErrorEquals),
        name,
      ).toContain('States.ALL');
    }
    for (const [name, { Type, TimeoutSeconds, Arguments }] of callers) {
      if (Type !== 'Task') continue;
      const step = (Arguments?.FunctionName ?? '').slice(ARN.length) as Step;
      const seconds = (STEP_DEFINITIONS[step].limits.timeoutMinutes + 1) * 60;
      if (typeof TimeoutSeconds === 'number') expect(TimeoutSeconds, name).toBe(seconds);
      else expect(TimeoutSeconds, name).toMatch(new RegExp(`^{% \\$max\\(\\[60, \\$min\\(\\[${seconds}, `));
    }
  });
});

const [, dailyBackup] = workflows.find(([name]) => name === 'daily-backup') as [string, Graph];

/** The tasks that end at an instant of this name. */
function endingAt(definition: Graph, endsAt: string): [string, State][] {
  return statesIn(definition).filter(([, { TimeoutSeconds }]) => String(TimeoutSeconds).includes(`$${endsAt})`));
}
function worstOf(tasks: readonly [string, State][]): number {
  expect(tasks).not.toEqual([]);
  return Math.max(...tasks.map(([, task]) => worstMinutes(task)));
}
/** Of one round of questions about instances, begun after a wait that began just before the end: each task of a child, in turn. */
const ROUND_WAIT_MINUTES = 5;
function worstRound(definition: Graph, name: string): number {
  const found = graphsIn(definition).find(({ States }) => States[name])?.States[name]?.ItemProcessor;
  const tasks = Object.values(found?.States ?? {}).filter(({ Type }) => Type === 'Task');
  expect(tasks.length).toBeGreaterThan(1);
  return tasks.reduce((sum, task) => sum + worstMinutes(task), ROUND_WAIT_MINUTES);
}

/** So long until each of many children, of which none has time left, has said so. */
const DRAIN_MINUTES = 15;
/** One whole attempt each to conclude and to record is what closing is given. */
const CLOSING_MINUTES = 2 * 16;
/** And another one to record why that was not possible. */
const RECORDING_MINUTES = 16;
const withoutEnd = (definition: Graph) =>
  statesIn(definition)
    .filter(([, { Type, TimeoutSeconds }]) => Type === 'Task' && typeof TimeoutSeconds === 'number')
    .map(([name]) => name);

describe('the daily backup', () => {
  const minutes = Object.fromEntries(Object.entries(DAILY_BACKUP).map(([name, value]) => [name, value * 60])) as Record<
    keyof typeof DAILY_BACKUP,
    number
  >;

  it('has an end for each task', () => {
    expect(withoutEnd(dailyBackup)).toEqual([]);
  });

  it('closes its recovery point, or records why not, before it is stopped', () => {
    expect(minutes.measuredHours + worstOf(endingAt(dailyBackup, 'measureEndsAt'))).toBeLessThan(minutes.snapshotHours);
    const snapshots = worstRound(dailyBackup, 'AskForSnapshots') + DRAIN_MINUTES;
    expect(minutes.snapshotHours + snapshots).toBeLessThan(minutes.partHours);
    // Copies are awaited beside the files, which have until then.
    const copies = worstRound(dailyBackup, 'AskForCopies') + DRAIN_MINUTES;
    expect(minutes.partHours + copies).toBeLessThan(minutes.lookedForHours);
    const parts = [...endingAt(dailyBackup, 'partEndsAt'), ...endingAt(dailyBackup, 'endsAt')];
    const { Complete, Record } = dailyBackup.States as Record<string, State>;
    expect(minutes.partHours + worstOf(parts) + DRAIN_MINUTES).toBeLessThan(minutes.settledHours);
    // The children that settle are drained before it is too late to look for what vanished.
    const settling = minutes.settledHours + worstOf(endingAt(dailyBackup, 'endsAt')) + DRAIN_MINUTES;
    expect(settling).toBeLessThan(minutes.lookedForHours - GRACE_MINUTES);
    const looking = worstOf(endingAt(dailyBackup, 'lookEndsAt'));
    expect(minutes.lookedForHours + looking + CLOSING_MINUTES).toBeLessThan(minutes.closedHours);
    const closing = worstMinutes(Complete as State) + worstMinutes(Record as State);
    expect(minutes.closedHours + closing + RECORDING_MINUTES).toBeLessThan(minutes.recordedHours);
    expect(minutes.recordedHours + worstOf(endingAt(dailyBackup, 'recordEndsAt'))).toBeLessThan(minutes.timeoutHours);
  });

  it('has no run left that closes a recovery point, redriven or not, when the janitor may judge its snapshots', () => {
    const latestEndMs = LATEST_BACKUP_MS + minutes.timeoutHours * 60_000 + CLOCK_SKEW_MS;
    expect(latestEndMs).toBeLessThan(LATEST_CLOSING_MS);
    const longestCallMs =
      Math.max(
        ...(['backup/complete', 'backup/copy-snapshot'] as const).map(
          step => STEP_DEFINITIONS[step].limits.timeoutMinutes,
        ),
      ) * 60_000;
    expect(LATEST_CLOSING_MS + longestCallMs + CLOCK_SKEW_MS).toBeLessThan(CLOSED_FOR_GOOD_MS);
  });

  it('leaves a step that stops by itself time to say so', () => {
    expect(GRACE_MINUTES).toBeGreaterThan(STEP_DEFINITIONS['backup/fingerprint'].limits.timeoutMinutes);
    expect(GRACE_MINUTES).toBeGreaterThan(STEP_DEFINITIONS['backup/back-up-tenant'].limits.timeoutMinutes);
  });
});

const [, restoreTest] = workflows.find(([name]) => name === 'restore-test') as [string, Graph];

describe('the restore test', () => {
  const minutes = Object.fromEntries(Object.entries(RESTORE_TEST).map(([name, value]) => [name, value * 60])) as Record<
    keyof typeof RESTORE_TEST,
    number
  >;

  it('has an end for each task', () => {
    expect(withoutEnd(restoreTest)).toEqual([]);
  });

  it('concludes, or records why not, before it is stopped', () => {
    const late = (endsAt: string) => worstOf(endingAt(restoreTest, endsAt));
    expect(minutes.restoredHours + late('restoreEndsAt')).toBeLessThan(minutes.databaseHours);
    expect(minutes.hydratedHours + late('hydrateEndsAt')).toBeLessThan(minutes.databaseHours);
    expect(minutes.databaseHours + late('databaseEndsAt')).toBeLessThan(minutes.objectHours);
    const objects = Math.max(late('objectEndsAt'), late('endsAt'));
    expect(minutes.objectHours + objects + DRAIN_MINUTES).toBeLessThan(minutes.tornDownHours);
    expect(minutes.tornDownHours + late('tearDownEndsAt') + CLOSING_MINUTES).toBeLessThan(minutes.closedHours);
    const { Conclude, Record } = restoreTest.States as Record<string, State>;
    const closing = worstMinutes(Conclude as State) + worstMinutes(Record as State);
    expect(minutes.closedHours + closing + RECORDING_MINUTES).toBeLessThan(minutes.recordedHours);
    expect(minutes.recordedHours + late('recordEndsAt')).toBeLessThan(minutes.timeoutHours);
  });
});

describe('a decision', () => {
  it('is recorded or refused before its workflow is stopped', () => {
    const decision = JSON.parse(JSON.stringify(DEFINITIONS['record-decision'](references))) as Graph & {
      TimeoutSeconds: number;
    };
    const tasks = Object.values(decision.States).filter(({ Type }) => Type === 'Task');
    expect(tasks).toHaveLength(2);
    const minutes = tasks.reduce((sum, task) => sum + worstMinutes(task), 0);
    expect(minutes * 60).toBeLessThan(decision.TimeoutSeconds);
  });
});
