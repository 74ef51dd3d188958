/** The part of the Amazon States Language that Daybreak's workflows use, in JSONata. */
import type { Step } from '../access/role-names.ts';
import { STEP_DEFINITIONS } from '../steps/definitions.ts';
import { GRACE_MINUTES } from './hours.ts';

/** A JSONata expression in `{% … %}`. */
type Expression = string;
type Json = string | number | boolean | null | readonly Json[] | { readonly [name: string]: Json };
type Assignments = Readonly<Record<string, Json>>;
type Transition = { readonly Next: string } | { readonly End: true };

interface Catcher {
  readonly ErrorEquals: readonly string[];
  readonly Assign?: Assignments;
  readonly Output?: Json;
  readonly Next: string;
}

interface Retrier {
  readonly ErrorEquals: readonly string[];
  readonly IntervalSeconds: number;
  readonly BackoffRate: number;
  readonly MaxAttempts: number;
  readonly MaxDelaySeconds: number;
  /** @default none: what is waited for is as long as it says */
  readonly JitterStrategy?: 'FULL';
}

type TaskState = Transition & {
  readonly Type: 'Task';
  readonly Resource: string;
  readonly Arguments: Json;
  readonly Output?: Json;
  readonly Assign?: Assignments;
  readonly TimeoutSeconds: number | Expression;
  readonly Retry: readonly Retrier[];
  readonly Catch: readonly Catcher[];
};
type PassState = Transition & { readonly Type: 'Pass'; readonly Output?: Json; readonly Assign?: Assignments };
type WaitState = Transition & { readonly Type: 'Wait'; readonly Seconds: number | Expression };
interface ChoiceState {
  readonly Type: 'Choice';
  readonly Choices: readonly { readonly Condition: Expression; readonly Assign?: Assignments; readonly Next: string }[];
  readonly Default: string;
}
interface SucceedState {
  readonly Type: 'Succeed';
  readonly Output?: Json;
}
interface FailState {
  readonly Type: 'Fail';
  readonly Error: string;
  readonly Cause: string;
}
type ParallelState = Transition & {
  readonly Type: 'Parallel';
  readonly Branches: readonly States[];
  readonly Output?: Json;
  readonly Assign?: Assignments;
  readonly Catch: readonly Catcher[];
};
type InlineMapState = Transition & {
  readonly Type: 'Map';
  readonly Items: Expression;
  readonly MaxConcurrency: number;
  readonly ItemProcessor: States & { readonly ProcessorConfig: { readonly Mode: 'INLINE' } };
  readonly Output?: Json;
  readonly Assign?: Assignments;
  readonly Catch: readonly Catcher[];
};
type DistributedMapState = Transition & {
  readonly Type: 'Map';
  readonly ItemSelector: Json;
  readonly ItemProcessor: States & {
    readonly ProcessorConfig: { readonly Mode: 'DISTRIBUTED'; readonly ExecutionType: 'STANDARD' };
  };
  readonly MaxConcurrency: number | Expression;
  readonly ToleratedFailurePercentage: number;
  readonly Output?: Json;
  readonly Assign?: Assignments;
  readonly Catch: readonly Catcher[];
};
type MapOverItemsState = DistributedMapState & { readonly Items: Expression };
type MapOverLinesState = DistributedMapState & {
  readonly ItemReader: {
    readonly Resource: 'arn:aws:states:::s3:getObject';
    readonly ReaderConfig: { readonly InputType: 'JSONL' };
    readonly Arguments: { readonly Bucket: string; readonly Key: Expression };
  };
  readonly ResultWriter: {
    readonly Resource: 'arn:aws:states:::s3:putObject';
    readonly WriterConfig: { readonly OutputType: 'JSONL'; readonly Transformation: 'COMPACT' };
    readonly Arguments: { readonly Bucket: string; readonly Prefix: Expression };
  };
};

type State =
  | TaskState
  | PassState
  | WaitState
  | ChoiceState
  | SucceedState
  | FailState
  | ParallelState
  | InlineMapState
  | MapOverItemsState
  | MapOverLinesState;

export interface States {
  readonly StartAt: string;
  readonly States: Readonly<Record<string, State>>;
}

/** A whole definition, as `CreateStateMachine` takes it in JSON. */
export interface WorkflowDefinition extends States {
  readonly Comment: string;
  readonly QueryLanguage: 'JSONata';
  readonly TimeoutSeconds: number;
}

/** What a workflow's definition refers to. */
export interface WorkflowReferences {
  /** The ARN of the function of a step, e.g. of `backup/plan`. */
  readonly functionArn: (step: Step) => string;
  readonly workBucket: string;
  /** How many functions the maps call at the same time, whatever stands in them. */
  readonly atOnce: { readonly tenants: number; readonly databases: number };
}

/** So much longer than its function a task may take, so that Lambda's own limit speaks first. */
const TASK_MINUTES_MORE = 1;
/** Past its end a task gets so long for each attempt that is left to it, and no more. */
const LEAST_SECONDS = 60;

/**
 * A function that nobody called for weeks has lost what Lambda had set up for it, and refuses its first invocations while it
 * gets that again: 40 to 106 seconds where it was seen. It was not called, so that an attempt takes no time. Ten minutes in
 * all, which CDK's own framework waits, too. What needs somebody's hand (`CodeArtifactUserFailedException`, limits of
 * interfaces and addresses, keys) is not here.
 * https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
 * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
 * https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html (`ResourceConflictException`: "currently in the
 * following state: Pending")
 * https://github.com/aws-solutions-library-samples/accelerated-intelligent-document-processing-on-aws/issues/801 (how Step
 * Functions spells it, and how long it took)
 * https://github.com/aws/aws-cdk/pull/22612 ("All lambda functions can become inactive eventually")
 */
const WAKING: Retrier = {
  ErrorEquals: [
    'Lambda.ResourceNotReadyException',
    'Lambda.ResourceConflictException',
    'Lambda.CodeArtifactUserPendingException',
    'Lambda.CodeArtifactUserDeletedException',
    'Lambda.ENINotReadyException',
    'Lambda.EC2ThrottledException',
    'Lambda.EC2UnexpectedException',
  ],
  IntervalSeconds: 20,
  BackoffRate: 2,
  MaxAttempts: 7,
  MaxDelaySeconds: 120,
};

/**
 * What says nothing of whether the function ran: Step Functions gave up waiting for Lambda, or Lambda named no error, as of
 * a function that ran out of memory or time. It may be one that wakes, so that the tries outlast that: ten minutes in all,
 * too. But each may be a whole run, which as likely ends the same way: so they are three, and no more.
 * https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception ("These include
 * out-of-memory errors and function timeouts")
 */
const UNKNOWN: Retrier = {
  ErrorEquals: ['Lambda.ClientExecutionTimeoutException', 'Lambda.Unknown'],
  IntervalSeconds: 60,
  BackoffRate: 3,
  MaxAttempts: 3,
  MaxDelaySeconds: 360,
};

/**
 * What a step itself calls passing, and what Lambda could not start.
 * https://docs.aws.amazon.com/step-functions/latest/dg/sfn-best-practices.html#bp-lambda-serviceexception
 */
const PASSING: Retrier = {
  ErrorEquals: ['RetryableError', 'Lambda.ServiceException', 'Lambda.AWSLambdaException', 'Lambda.SdkClientException'],
  IntervalSeconds: 5,
  BackoffRate: 2,
  MaxAttempts: 5,
  MaxDelaySeconds: 120,
  JitterStrategy: 'FULL',
};

/** A function that was killed (its time ran out, its sandbox was lost), because every step may run twice. */
const KILLED: Retrier = {
  ErrorEquals: ['Sandbox.Timedout', 'Runtime.ExitError', 'States.Timeout'],
  IntervalSeconds: 5,
  BackoffRate: 2,
  MaxAttempts: 2,
  MaxDelaySeconds: 120,
  JitterStrategy: 'FULL',
};

/**
 * The account's functions are all busy, the supplier's app's with them: up to a quarter of an hour until one is over. The
 * function was not called, so that an attempt takes no time.
 * https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html
 */
const THROTTLED: Retrier = {
  ErrorEquals: ['Lambda.TooManyRequestsException'],
  // Few and far between: each is three events of a history that ends at 25,000.
  IntervalSeconds: 15,
  BackoffRate: 2,
  MaxAttempts: 7,
  MaxDelaySeconds: 240,
  JitterStrategy: 'FULL',
};
/** What has an end waits for its turn until then, beyond these few minutes, in states of its own (`invokeInTurn`). */
const THROTTLED_FOR_A_MOMENT: Retrier = { ...THROTTLED, MaxAttempts: 4 };
/** Between two of its turns. */
const SECONDS_BETWEEN_TURNS = 240;

/** Why something was given up that found no function of the account free until its hour. */
export const NO_FUNCTION_FREE = 'NoFunctionFreeError';

/** What may be over after a while, though a few tries did not outlast it; that every function is busy is another matter. */
const PASSING_ERRORS = [WAKING, UNKNOWN, PASSING, KILLED].flatMap(({ ErrorEquals }) => ErrorEquals);
/** So long a call waits for such an error to pass, where its part does not end before: each try may be a whole run. */
const PASSING_HOURS = 1;

/** What a call was refused by since it was last answered: `since` is null while every function is busy, for nobody was asked. */
const NOT_REFUSED = { since: null, error: null, cause: null };

/**
 * What `invokeInTurn` finds assigned: whoever stands in these states assigns it in the first of them.
 * @param variable in a branch another one than outside, for an inner scope cannot assign what an outer one does.
 */
export function notRefused(variable = 'refused'): Assignments {
  return { [variable]: NOT_REFUSED };
}

type Call = Transition & {
  Payload: Json;
  Assign?: Assignments;
  Catch: readonly Catcher[];
  /** How often to try again while the step says that it may pass. @default 5, about three minutes */
  attempts?: number;
};

/**
 * Calls the function of a step. Its output, unless said otherwise, is what the function returned.
 * @param state.endsAt the variable with the instant at which the call is given up; by default only the function's own time
 * ends it. With it, what finds every function of the account busy has to be caught (`catchBusy`).
 */
export function invoke({ functionArn }: WorkflowReferences, step: Step, state: Call & { endsAt?: string }): TaskState {
  const { Payload, attempts = PASSING.MaxAttempts, endsAt, ...rest } = state;
  const seconds = (STEP_DEFINITIONS[step].limits.timeoutMinutes + TASK_MINUTES_MORE) * 60;
  return {
    Type: 'Task',
    Resource: 'arn:aws:states:::lambda:invoke',
    Arguments: { FunctionName: functionArn(step), Payload },
    Output: '{% $states.result.Payload %}',
    // https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_stepfunctions.Timeout.html: "a positive integer"
    TimeoutSeconds:
      endsAt === undefined
        ? seconds
        : `{% $max([${LEAST_SECONDS}, $min([${seconds}, $floor(($toMillis($${endsAt}) - $millis()) / 1000)])]) %}`,
    Retry: [
      WAKING,
      UNKNOWN,
      { ...PASSING, MaxAttempts: attempts },
      KILLED,
      endsAt === undefined ? THROTTLED : THROTTLED_FOR_A_MOMENT,
    ],
    ...rest,
  };
}

/**
 * The states in which the function of a step is called, and in which the call waits for its turn while every function of the
 * account is busy, until the instant in the variable `endsAt`. From then on it is as if the call had failed by
 * `NO_FUNCTION_FREE`, for whatever catches everything. New accounts run ten functions at a time, which the supplier's app
 * shares, so that one may be free only once another long part is done. In the same way it waits, for an hour at most, while
 * the call fails by what may pass, and then fails by the last such error. What it catches by its name is its own matter.
 * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
 * @param name the task's, and what the names of the other two begin with.
 * @param state.late where it goes on when it was not answered until the end. @default where every error leads
 * @param state.refused the variable that `notRefused` assigned.
 */
export function invokeInTurn(
  name: string,
  references: WorkflowReferences,
  step: Step,
  state: Call & { endsAt: string; late?: string; refused?: string },
): States['States'] {
  const { late, refused = 'refused', ...call } = state;
  const [waits, mayWait] = [`${name}WaitsForTurn`, `${name}MayWait`];
  const catcher = state.Catch.find(({ ErrorEquals }) => ErrorEquals.includes('States.ALL'));
  if (catcher === undefined) throw new TypeError(`${name} does not catch everything`);
  const answered = notRefused(refused);
  const givenUp = { ...asIfFailed(catcher.Assign ?? {}, refused), ...answered };
  const since = `$${refused}.since`;
  // The task is entered again with the input that it had.
  const Output = '{% $states.input %}';
  const passing = {
    since: `{% ${since} != null ? ${since} : ${ENTERED_AT} %}`,
    error: '{% $states.errorOutput.Error %}',
    cause: BEGINNING_OF_CAUSE,
  };
  const mayPass = catchPassing(mayWait, { [refused]: passing }, state.Catch);
  return {
    [name]: invoke(references, step, {
      ...call,
      Assign: { ...call.Assign, ...answered },
      Catch: [
        {
          ...catchBusy(mayWait, { [refused]: { since: null, error: NO_FUNCTION_FREE, cause: NONE_WAS_FREE } }),
          Output,
        },
        ...(mayPass.ErrorEquals.length > 0 ? [{ ...mayPass, Output }] : []),
        ...state.Catch.map(one => ({ ...one, Assign: { ...one.Assign, ...answered } })),
      ],
    }),
    [mayWait]: {
      Type: 'Choice',
      Choices: [
        { Condition: isPast(state.endsAt), Assign: givenUp, Next: late ?? catcher.Next },
        {
          Condition: `{% ${since} != null ? $toMillis($states.context.State.EnteredTime) - $toMillis(${since}) > ${PASSING_HOURS * 60 * 60 * 1000} : false %}`,
          Assign: givenUp,
          Next: catcher.Next,
        },
      ],
      Default: waits,
    },
    [waits]: { Type: 'Wait', Seconds: SECONDS_BETWEEN_TURNS, Next: name },
  };
}

const NONE_WAS_FREE = 'no function of the account was free until its hour: see concurrency in DEPLOYING.md';

/** What a catcher assigns, of the error that the call was last refused by. */
function asIfFailed(assigned: Assignments, refused: string): Assignments {
  return Object.fromEntries(
    Object.entries(assigned).map(([variable, value]) => [
      variable,
      typeof value === 'string'
        ? value
            .replaceAll('$states.errorOutput.Error', `$${refused}.error`)
            .replaceAll('$states.errorOutput.Cause', `$${refused}.cause`)
        : value,
    ]),
  );
}

/**
 * Any error leads to `next`, with the error's name in a variable, and the beginning of its cause in another one that ends
 * with `Cause`: a function's error is JSON that begins with its name and message. A map's iterations need a variable of their own: what
 * an outer scope assigns, an inner one cannot.
 * https://docs.aws.amazon.com/step-functions/latest/dg/workflow-variables.html
 */
export function catchAll(next: string, variable = 'failure'): readonly Catcher[] {
  return [
    {
      ErrorEquals: ['States.ALL'],
      Assign: { [variable]: '{% $states.errorOutput.Error %}', [`${variable}Cause`]: BEGINNING_OF_CAUSE },
      Next: next,
    },
  ];
}

/** The same for what has an end: what is late leads to `timedOut`, any other error to `next`. */
export function catchLate(timedOut: string, next: string, variable: string): readonly Catcher[] {
  return [{ ErrorEquals: ['States.Timeout'], Next: timedOut }, ...catchAll(next, variable)];
}

/** What finds every function of the account busy, after a few tries, leads to `next`. */
export function catchBusy(next: string, Assign: Assignments): Catcher {
  return { ErrorEquals: ['Lambda.TooManyRequestsException'], Assign, Next: next };
}

/** What may pass, and did not in a few tries, leads to `next`, but for what one of `others` catches by its name. */
export function catchPassing(next: string, Assign: Assignments, others: readonly Catcher[] = []): Catcher {
  const own = others.flatMap(({ ErrorEquals }) => ErrorEquals);
  return { ErrorEquals: PASSING_ERRORS.filter(name => !own.includes(name)), Assign, Next: next };
}

/** So much of a cause is kept: enough for a message, and short of the stack that follows it. */
const BEGINNING_OF_CAUSE =
  "{% $exists($states.errorOutput.Cause) ? $substring($states.errorOutput.Cause, 0, 600) : '' %}";

/**
 * JSONata for an execution's name and the milliseconds of its start. The name alone, and with it the ARN, is not enough: it is free
 * again 90 days after its execution ended, and who starts one by hand gives it the same name again. The events of its status have
 * the same two, the start in milliseconds, too. That both are the same to the millisecond is nowhere promised: where they differ, a
 * failure that the workflow recorded itself is recorded a second time from its event, and none is lost.
 * https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html#StepFunctions-StartExecution-request-name
 * https://docs.aws.amazon.com/step-functions/latest/dg/eventbridge-integration.html
 */
export const THIS_RUN =
  "$states.context.Execution.Name & '/' & $string($toMillis($states.context.Execution.StartTime))";

/** When the present state was entered, always with milliseconds (Step Functions leaves them out when they are zero). */
export const ENTERED_AT = '$fromMillis($toMillis($states.context.State.EnteredTime))';

/** Milliseconds from the instant in the variable `since` until the present state was entered. */
export function elapsedMs(since: string): string {
  return `($toMillis($states.context.State.EnteredTime) - $toMillis($${since}))`;
}

/** The instant so many hours after the execution was started. */
export function afterStart(hours: number): Expression {
  return `{% $fromMillis($toMillis($states.context.Execution.StartTime) + ${hours * 60 * 60 * 1000}) %}`;
}

/** The condition that the instant in the variable `endsAt` had passed when the present state was entered. */
export function isPast(endsAt: string): Expression {
  return `{% $toMillis($states.context.State.EnteredTime) > $toMillis($${endsAt}) %}`;
}

/** When a step stops by itself that is given up at the instant in the variable `endsAt`. */
export function deadlineBefore(endsAt: string): Expression {
  return `{% $fromMillis($toMillis($${endsAt}) - ${GRACE_MINUTES * 60 * 1000}) %}`;
}

/** The condition that more than `hours` have passed since the instant in the variable `since`. */
export function longerThan(hours: number, since: string): Expression {
  return `{% ${elapsedMs(since)} > ${hours * 60 * 60 * 1000} %}`;
}

/**
 * How long to wait before asking again for what began at the instant in the variable `since`: the longer it took, the
 * longer. An execution's history ends at 25,000 events, and asking once costs nine, or many more while functions are
 * refused: `test/infra/workflows/history.test.ts` counts them.
 */
export function untilAskingAgain(since: string): Expression {
  const elapsed = elapsedMs(since);
  return `{% ${elapsed} < 600000 ? 30 : ${elapsed} < 3600000 ? 120 : 300 %}`;
}

const DISTRIBUTED = { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' } as const;

/**
 * A distributed map over items that the execution holds, whose children together have more to tell than one history holds:
 * each has its own. A child that fails never stops the others. The state's result is a list: the outputs of the children
 * that succeeded, and of any other its execution as Step Functions describes it. So whoever reads the list looks for each
 * item's output in it, by the item's own name, and says what has none.
 * https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html ("or a JSON array passed from a previous step")
 * https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html ("COMPACT - returns the output of the child
 * workflow executions. Default when ResultWriter is not specified"; "If a child workflow execution fails, Step Functions returns
 * its execution result unchanged")
 * https://docs.aws.amazon.com/step-functions/latest/dg/maprun-fail-threshold.html
 */
export function mapOverItems(
  state: Transition & {
    Items: Expression;
    /** What each child gets beside its item (`item`): it sees no variable of the execution. */
    alongside: { readonly [name: string]: Json };
    /**
     * https://docs.aws.amazon.com/cdk/api/v2/docs/aws-cdk-lib.aws_stepfunctions.MapBaseOptions.html ("A JSONata expression that
     * evaluates to an integer, specifying the maximum concurrency dynamically")
     */
    maxConcurrency: number | Expression;
    processor: States;
    Output?: Json;
    Assign?: Assignments;
    Catch: readonly Catcher[];
  },
): MapOverItemsState {
  const { alongside, maxConcurrency, processor, ...rest } = state;
  return {
    Type: 'Map',
    ItemSelector: { item: '{% $states.context.Map.Item.Value %}', ...alongside },
    ItemProcessor: { ProcessorConfig: DISTRIBUTED, ...processor },
    MaxConcurrency: maxConcurrency,
    ToleratedFailurePercentage: 100,
    ...rest,
  };
}

/** A distributed map over the lines of a file in the work bucket; a child's failure never stops the others. */
export function mapOverLines(
  state: Transition & {
    workBucket: string;
    itemsKey: Expression;
    /** What each child gets beside its line (`item`): it sees no variable of the execution. */
    alongside: { readonly [name: string]: Json };
    resultsPrefix: Expression;
    maxConcurrency: number;
    processor: States;
    Output?: Json;
    Assign?: Assignments;
    Catch: readonly Catcher[];
  },
): MapOverLinesState {
  const { workBucket, itemsKey, alongside, resultsPrefix, maxConcurrency, processor, ...rest } = state;
  return {
    Type: 'Map',
    ItemReader: {
      Resource: 'arn:aws:states:::s3:getObject',
      ReaderConfig: { InputType: 'JSONL' },
      Arguments: { Bucket: workBucket, Key: itemsKey },
    },
    ItemSelector: { item: '{% $states.context.Map.Item.Value %}', ...alongside },
    ItemProcessor: { ProcessorConfig: DISTRIBUTED, ...processor },
    MaxConcurrency: maxConcurrency,
    ToleratedFailurePercentage: 100,
    ResultWriter: {
      Resource: 'arn:aws:states:::s3:putObject',
      WriterConfig: { OutputType: 'JSONL', Transformation: 'COMPACT' },
      Arguments: { Bucket: workBucket, Prefix: resultsPrefix },
    },
    ...rest,
  };
}
