import { DAILY_BACKUP } from './hours.ts';
import {
  catchAll,
  catchBusy,
  catchLate,
  catchPassing,
  ENTERED_AT,
  invoke,
  isPast,
  longerThan,
  mapOverItems,
  NO_FUNCTION_FREE,
  type States,
  untilAskingAgain,
  type WorkflowReferences,
} from './states-language.ts';

/** What is made of each instance: its snapshot, then the copy of that under the vault key. */
type Thing = 'Snapshot' | 'Copy';

const ASKED = {
  Snapshot: {
    all: 'Snapshots',
    variable: 'snapshots',
    order: 'CreateSnapshot',
    step: 'backup/create-snapshot',
    endsAt: 'snapshotEndsAt',
    lateFailure: 'SnapshotTimedOutError',
  },
  Copy: {
    all: 'Copies',
    variable: 'copies',
    order: 'CopySnapshot',
    step: 'backup/copy-snapshot',
    endsAt: 'partEndsAt',
    lateFailure: 'CopyTimedOutError',
  },
} as const;

/**
 * The states in which RDS is asked for a snapshot of each instance, or for its copy, in rounds: each round asks for what is
 * not ordered yet, and about what is not there yet, with no more functions at a time than the configuration says. Between two
 * rounds no function runs, so that one instance that is slow or refuses holds up no other, all are made at the same time, and
 * each was asked about shortly before it was too late.
 *
 * Leaves in the variable `snapshots` or `copies` one entry for each instance: `{ instanceId, measuredAt, takenAt, failure }`.
 * @param state.instances JSONata of the instances, as `backup/plan` has them.
 * @param state.measuredAt JSONata of when the first of the databases of the map's item was measured; null where none was.
 */
export function askInRounds(
  references: WorkflowReferences,
  thing: Thing,
  state: { instances: string; measuredAt: string; Next: string; failed: string; failure: string },
): States {
  const { endsAt, variable, all, lateFailure } = ASKED[thing];
  const pending = `pending${thing}`;
  const asked = `asked${thing}`;
  const since = `since${thing}`;
  /** What the last round knows of the map's item; null before the first one. */
  const known = (field: string) =>
    `{% ($own := $${asked}[instanceId = $states.context.Map.Item.Value.instanceId]; $exists($own) ? $own.${field} : null) %}`;
  const entry = (failure: string) =>
    `{'instanceId': $own.instanceId, 'measuredAt': $own.measuredAt, 'takenAt': $own.takenAt, 'failure': ${failure}}`;
  return {
    StartAt: `Begin${all}`,
    States: {
      [`Begin${all}`]: {
        Type: 'Pass',
        Assign: {
          [pending]: `{% [${state.instances}] %}`,
          [variable]: [],
          [asked]: [],
          [since]: `{% ${ENTERED_AT} %}`,
        },
        Next: `AskFor${all}`,
      },
      [`AskFor${all}`]: mapOverItems({
        Items: `{% $${pending} %}`,
        alongside: {
          measuredAt: state.measuredAt,
          snapshotId: known('snapshotId'),
          refusedSince: known('refusedSince'),
          why: known('why'),
          endsAt: `{% $${endsAt} %}`,
        },
        maxConcurrency: references.atOnce.databases,
        processor: askInstance(references, thing),
        Assign: { [asked]: '{% [$states.result] %}' },
        Catch: catchAll(state.failed, state.failure),
        Next: `${all}Asked`,
      }),
      // Whatever a child that failed left in the result: an instance without an outcome has this one.
      [`${all}Asked`]: {
        Type: 'Pass',
        Assign: {
          [variable]: `{% [$${variable}, $${pending}.($in := instanceId; $own := $${asked}[instanceId = $in]; $count($own) != 1 ? {'instanceId': $in, 'measuredAt': null, 'takenAt': null, 'failure': 'NoResultError'} : $own.settled ? ${entry('$own.failure')})] %}`,
          [pending]: `{% [$${pending}[instanceId in $${asked}[settled = false].instanceId]] %}`,
        },
        Next: `Are${all}Done`,
      },
      [`Are${all}Done`]: {
        Type: 'Choice',
        Choices: [
          { Condition: `{% $count($${pending}) = 0 %}`, Next: state.Next },
          {
            Condition: isPast(endsAt),
            Assign: {
              [variable]: `{% [$${variable}, $${asked}[settled = false].($own := $; ${entry(`$own.why != null ? $own.why : '${lateFailure}'`)})] %}`,
            },
            Next: state.Next,
          },
        ],
        Default: `WaitFor${all}`,
      },
      [`WaitFor${all}`]: { Type: 'Wait', Seconds: untilAskingAgain(since), Next: `AskFor${all}` },
    },
  };
}

/** One instance in one round. It never waits for RDS, and never fails for what may pass. */
function askInstance(references: WorkflowReferences, thing: Thing): States {
  const { order, step } = ASKED[thing];
  const describe = `Describe${thing}`;
  const [begin, what, isAvailable] = [`Ask${thing}`, `Is${thing}Ordered`, `Is${thing}Available`];
  const [notYet, mayPass, failed] = [`${thing}NotYet`, `Is${thing}Refused`, `${thing}Failed`];
  const done = thing === 'Snapshot' ? 'Snapshotted' : 'Copied';
  const output = (settled: boolean, takenAt: string | null, failure: string | null, why: string | null) => ({
    instanceId: '{% $instance.instanceId %}',
    measuredAt: '{% $measuredAt %}',
    snapshotId: '{% $snapshotId %}',
    refusedSince: why === null ? null : '{% $refusedSince %}',
    settled,
    takenAt,
    failure,
    why,
  });
  const others = catchLate(notYet, failed, 'instanceFailure');
  const refused = {
    why: '{% $states.errorOutput.Error %}',
    refusedSince: `{% $refusedSince != null ? $refusedSince : ${ENTERED_AT} %}`,
  };
  // What was in the way is over.
  const answered = { refusedSince: null, why: null };
  const Catch = [
    // Nobody was asked: this is no time of refusals.
    catchBusy(notYet, { why: NO_FUNCTION_FREE, refusedSince: null }),
    catchPassing(mayPass, refused, others),
    ...others,
  ];
  const instanceOnly = {
    recoveryPointId: '{% $instance.recoveryPointId %}',
    instanceId: '{% $instance.instanceId %}',
  };
  return {
    StartAt: begin,
    States: {
      [begin]: {
        Type: 'Pass',
        Assign: {
          instance: '{% $states.input.item %}',
          measuredAt: '{% $states.input.measuredAt %}',
          snapshotId: '{% $states.input.snapshotId %}',
          refusedSince: '{% $states.input.refusedSince %}',
          endsAt: '{% $states.input.endsAt %}',
          why: '{% $states.input.why %}',
          takenAt: null,
        },
        Next: what,
      },
      [what]: {
        Type: 'Choice',
        Choices: [
          { Condition: isPast('endsAt'), Next: notYet },
          { Condition: '{% $snapshotId != null %}', Next: describe },
        ],
        Default: order,
      },
      [order]: invoke(references, step, {
        Payload: { ...instanceOnly, measuredAt: '{% $measuredAt %}' },
        Assign: { snapshotId: '{% $states.result.Payload.snapshotId %}', ...answered },
        endsAt: 'endsAt',
        Catch,
        Next: describe,
      }),
      [describe]: invoke(references, 'backup/describe-snapshot', {
        Payload: { snapshotId: '{% $snapshotId %}' },
        Assign: { takenAt: '{% $states.result.Payload.takenAt %}', ...answered },
        endsAt: 'endsAt',
        Catch,
        Next: isAvailable,
      }),
      [isAvailable]: {
        Type: 'Choice',
        Choices: [
          {
            Condition: '{% $states.input.available %}',
            Next: thing === 'Snapshot' ? done : 'DeleteIntermediate',
          },
        ],
        Default: notYet,
      },
      ...(thing === 'Copy' && {
        DeleteIntermediate: invoke(references, 'backup/delete-intermediate', {
          Payload: instanceOnly,
          endsAt: 'endsAt',
          Catch,
          Next: done,
        }),
      }),
      [done]: { Type: 'Pass', Output: output(true, '{% $takenAt %}', null, null), End: true },
      [mayPass]: {
        Type: 'Choice',
        Choices: [
          {
            Condition: longerThan(DAILY_BACKUP.refusedHours, 'refusedSince'),
            Assign: { instanceFailure: '{% $why %}' },
            Next: failed,
          },
        ],
        Default: notYet,
      },
      [notYet]: { Type: 'Pass', Output: output(false, null, null, '{% $why %}'), End: true },
      [failed]: { Type: 'Pass', Output: output(true, null, '{% $instanceFailure %}', null), End: true },
    },
  };
}
