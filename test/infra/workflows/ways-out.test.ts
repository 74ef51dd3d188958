import { describe, expect, it } from 'vitest';
import { DEFINITIONS } from '../../../infra/workflows/definitions.ts';
import { AT_ONCE } from '../../../infra/workflows/hours.ts';
import type { Graph, State } from './definition-graph.ts';

const references = {
  functionArn: (step: string) => `arn:aws:lambda:eu-west-2:111122223333:function:${step}`,
  workBucket: 'work',
  atOnce: AT_ONCE,
};
const definitionOf = (name: keyof typeof DEFINITIONS): Graph =>
  JSON.parse(JSON.stringify(DEFINITIONS[name](references)));

/** A state of a definition, and the map or branches that it stands in. */
interface Place {
  readonly graph: Graph;
  readonly name: string;
  readonly state: State;
  /** Undefined in the definition itself. */
  readonly inside: Place | undefined;
}

function placesIn(graph: Graph, inside?: Place): Place[] {
  return Object.entries(graph.States).flatMap(([name, state]) => {
    const place = { graph, name, state, inside };
    const inner = [...(state.ItemProcessor ? [state.ItemProcessor] : []), ...(state.Branches ?? [])];
    return [place, ...inner.flatMap(one => placesIn(one, place))];
  });
}

const at = ({ graph, inside }: Place, name: string): Place => ({
  graph,
  name,
  state: graph.States[name] as State,
  inside,
});

/** Where the run goes on once a state is left; nowhere where that ends it. */
function after(place: Place): Place[] {
  const { state, inside } = place;
  if (state.Type === 'Fail') return afterError(place);
  const nexts = [state.Next, state.Default, ...(state.Choices ?? []).map(({ Next }) => Next)];
  const ahead = nexts.filter(next => next !== undefined).map(next => at(place, next));
  return ahead.length > 0 || inside === undefined ? ahead : after(inside);
}

/** Where the run goes on after an error of a state: by its own catcher of everything, or by that of what it stands in. */
function afterError(place: Place): Place[] {
  const { state, inside } = place;
  const catcher = state.Catch?.find(({ ErrorEquals }) => ErrorEquals.includes('States.ALL'));
  if (catcher !== undefined) return [at(place, catcher.Next)];
  if (inside === undefined) return [];
  return inside.state.ToleratedFailurePercentage === 100 ? after(inside) : afterError(inside);
}

/** Whether each way on from here passes one of these states. */
function reaches(from: readonly Place[], goals: readonly string[], seen: ReadonlySet<string> = new Set()): boolean {
  if (from.length === 0) return false;
  return from
    .filter(({ name }) => !seen.has(name))
    .every(place => goals.includes(place.name) || reaches(after(place), goals, new Set([...seen, place.name])));
}

/** The states whose error ends the run before it came to one of the goals. */
function lost(definition: Graph, goals: readonly string[], among: (place: Place) => boolean): string[] {
  return placesIn(definition)
    .filter(place => among(place) && !reaches(afterError(place), goals))
    .map(({ name }) => name);
}

/** What runs between these two states of the definition itself, with all that stands in it. */
function between(definition: Graph, first: string, last: string): (place: Place) => boolean {
  const names = new Set<string>();
  const queue = [first];
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (name === last || names.has(name)) continue;
    names.add(name);
    const state = definition.States[name] as State;
    queue.push(...after({ graph: definition, name, state, inside: undefined }).map(next => next.name));
  }
  const outermost = (place: Place): string => (place.inside === undefined ? place.name : outermost(place.inside));
  return place => names.has(outermost(place));
}

/**
 * States that Step Functions lets catch nothing: where an expression of theirs fails, the run ends. It is recorded by a rule
 * then (`monitoring/stopped-runs.test.ts`), and what it restored is removed by the hourly janitor.
 * https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html
 */
const CATCH_NOTHING = ['Pass', 'Choice', 'Wait', 'Succeed', 'Fail'];
/** What a task waits in while every function is busy (`invokeInTurn`). */
const WAITS_FOR_TURN = /(?:MayWait|WaitsForTurn)$/;
const typesOf = (definition: Graph, names: readonly string[]) => names.map(name => definition.States[name]?.Type ?? '');

describe.each([
  [
    'daily-backup',
    [
      'Begin',
      'BeginSnapshots',
      'SnapshotsAsked',
      'AreSnapshotsDone',
      'WaitForSnapshots',
      'SnapshotsTaken',
      'AreFilesBackedUp',
      'IsGood',
    ],
  ],
  [
    'restore-test',
    [
      'Begin',
      'CanStart',
      'DatabasesTested',
      'ObjectsTested',
      'BeginTearDown',
      'IsTornDown',
      'WaitForTearDown',
      'HasPassed',
    ],
  ],
] as const)('an error in %s', (name, uncaught) => {
  const definition = definitionOf(name);
  const ends = new Set(['Record', 'RecordFailure', 'Good', 'Incomplete', 'Passed', 'NotPassed', 'Failed']);

  it('is recorded, whichever state it is of', () => {
    const found = lost(definition, ['Record', 'RecordFailure'], place => !ends.has(place.name));
    expect(found.filter(name => !WAITS_FOR_TURN.test(name))).toEqual(uncaught);
    expect(CATCH_NOTHING).toEqual(expect.arrayContaining(typesOf(definition, found)));
    // What cannot be recorded at its end says so in another entry.
    expect(reaches(afterError(at({ graph: definition } as Place, 'Record')), ['RecordFailure'])).toBe(true);
  });

  it('is found where a state lacks its way out', () => {
    for (const { name: state } of placesIn(definition).filter(({ state: { Catch } }) => Catch !== undefined)) {
      if (ends.has(state)) continue;
      const broken = JSON.parse(JSON.stringify(definition), (key, value) =>
        key === state ? { ...value, Catch: undefined, ToleratedFailurePercentage: undefined } : value,
      ) as Graph;
      const found = lost(
        broken,
        ['Record', 'RecordFailure'],
        place => place.inside === undefined && !ends.has(place.name),
      );
      const isOutermost = definition.States[state] !== undefined;
      expect(found.includes(state), state).toBe(isOutermost);
    }
  });
});

describe('an error in a restore test', () => {
  const definition = definitionOf('restore-test');

  it('leads to tear-down from wherever something may have been restored', () => {
    const restoring = between(definition, 'TestSnapshots', 'BeginTearDown');
    expect(
      placesIn(definition)
        .filter(restoring)
        .map(({ name }) => name),
    ).toEqual(
      expect.arrayContaining(['RestoreDatabase', 'VerifyDatabase', 'PlanObjects', 'TestObjects', 'VerifyObjects']),
    );
    const found = lost(definition, ['TearDown'], restoring);
    const others = found.filter(name => !WAITS_FOR_TURN.test(name));
    expect(others).toEqual(['DatabasesTested', 'ObjectsTested']);
    expect(typesOf(definition, others)).toEqual(['Pass', 'Pass']);
  });

  it('leads there from a tenant’s objects because the map tolerates it, or else catches it', () => {
    const [verify] = placesIn(definition).filter(({ name }) => name === 'VerifyObjects') as [Place];
    expect(afterError(verify).map(({ name }) => name)).toEqual(['ObjectsNotVerified']);
    const uncaught = { ...verify, state: { ...verify.state, Catch: [] } };
    expect(afterError(uncaught).map(({ name }) => name)).toEqual(['ObjectsTested']);
    const map = verify.inside as Place;
    const strict = { ...map, state: { ...map.state, ToleratedFailurePercentage: 0 } };
    expect(afterError({ ...uncaught, inside: strict }).map(({ name }) => name)).toEqual(['BeginTearDown']);
  });
});

it('lets no error of one part of remove-abandoned end the other, or the run without a cause', () => {
  const definition = definitionOf('remove-abandoned');
  const inBranches = placesIn(definition).filter(({ inside }) => inside !== undefined);
  const uncaught = inBranches.filter(place => afterError(place).some(({ inside }) => inside === undefined));
  expect([...new Set(uncaught.map(({ state }) => state.Type))].sort()).toEqual(['Choice', 'Pass', 'Wait']);
  // Even then both are said to have failed.
  for (const place of uncaught) expect(afterError(place).map(({ name }) => name)).toEqual(['NotFinished']);
});
