import { randomUUID } from 'node:crypto';
import { StateFailure, Stopped } from '../../workflows/language/failure.ts';
import type { DistributedMap, MapState } from '../../workflows/language/graph.ts';
import type { Json } from '../../workflows/language/json.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import { AccessDenied } from '../service.ts';
import { beginExecution, type Execution } from './execution.ts';
import type { Attempt, Interpreter } from './interpreter.ts';
import { readItems } from './item-reader.ts';
import { itemsOf, selectItem } from './map-items.ts';
import { transformResults, writeResults } from './result-writer.ts';
import { runTogether } from './run-together.ts';

const DISTRIBUTED_CONCURRENCY = 10_000;
const EXPRESS_LIMIT_MS = 5 * 60 * 1000;

/** One child of a map run. `execution` is missing while it has not begun. */
export interface MapChild {
  readonly input: Json;
  execution?: Execution;
}

/**
 * Runs a Map state in distributed mode: each item is an execution of its own, and the state fails when more of them fail
 * than it tolerates.
 * https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
 */
export async function runDistributedMap(
  interpreter: Interpreter,
  state: MapState,
  distributed: DistributedMap,
  attempt: Attempt,
): Promise<Json> {
  const { surroundings } = interpreter;
  const { frame } = attempt;
  const environment = interpreter.environment(attempt);
  authorizeChildren(interpreter, attempt);
  const wanted = (await state.maxConcurrency?.(environment)) as number | undefined;
  const toleratedCount = (await distributed.toleratedFailureCount?.(environment)) as number | undefined;
  const toleratedPercentage = (await distributed.toleratedFailurePercentage?.(environment)) as number | undefined;
  const { items, source } =
    distributed.reader === undefined
      ? { items: await itemsOf(interpreter, state, attempt), source: 'STATE_DATA' }
      : await readItems(interpreter, distributed.reader, attempt);
  const children: MapChild[] = [];
  for (const [index, value] of items.entries()) {
    const map = { Item: { Index: index, Value: value, Source: source } };
    children.push({ input: await selectItem(interpreter, state, attempt, map) });
  }
  frame.record('MapStateStarted', { length: children.length });
  const mapRun = new MapRun(attempt, distributed);
  frame.record('MapRunStarted', { mapRunArn: mapRun.arn });

  let failures = 0;
  const exceeds = () =>
    (toleratedCount === undefined && toleratedPercentage === undefined && failures > 0) ||
    failures > (toleratedCount ?? Number.POSITIVE_INFINITY) ||
    (failures / children.length) * 100 > (toleratedPercentage ?? 100);
  const limit = Math.min(wanted || DISTRIBUTED_CONCURRENCY, DISTRIBUTED_CONCURRENCY);
  const stopped = await runTogether(children.length, limit, frame, async (index, cancellation) => {
    const child = children[index] as MapChild;
    const scoped = cancellation.child();
    child.execution = mapRun.begin(child.input, surroundings.clock.now(), scoped);
    const path = [...frame.path, { state: state.name, index }];
    await surroundings.runChild(
      state.processor,
      child.execution,
      path,
      distributed.express ? EXPRESS_LIMIT_MS : undefined,
    );
    scoped.release();
    frame.cancellation.check();
    if (child.execution.status === 'FAILED' || child.execution.status === 'TIMED_OUT') failures++;
    if (exceeds()) throw new ThresholdExceeded();
  }).then(
    () => undefined,
    (error: unknown) => error,
  );
  if (stopped !== undefined && !(stopped instanceof ThresholdExceeded)) throw stopped;

  const written =
    distributed.writer?.arguments === undefined
      ? undefined
      : await writeResults(interpreter, distributed.writer, children, mapRun.arn, attempt);
  if (stopped !== undefined) {
    const failure = new StateFailure(
      'States.ExceedToleratedFailureThreshold',
      'The specified tolerated failure threshold was exceeded',
    );
    frame.record('MapRunFailed', { error: failure.error, cause: failure.reason });
    frame.record('MapStateFailed');
    throw failure;
  }
  frame.record('MapRunSucceeded');
  frame.record('MapStateSucceeded');
  return written ?? transformResults(children, distributed.writer?.transformation ?? 'COMPACT');
}

class ThresholdExceeded extends Stopped {}

/** A map run: names its children's executions. */
class MapRun {
  readonly arn: string;
  readonly #attempt: Attempt;
  readonly #name: string;
  readonly #prefix: string;
  readonly #express: boolean;

  constructor(attempt: Attempt, { label, express }: DistributedMap) {
    const { execution } = attempt.frame;
    const accountId = execution.stateMachineArn.split(':')[4];
    this.#attempt = attempt;
    this.#express = express;
    this.#prefix = `arn:aws:states:${LOCAL_REGION}:${accountId}`;
    this.#name = `${execution.stateMachineName}/${label}`;
    this.arn = `${this.#prefix}:mapRun:${this.#name}:${randomUUID()}`;
  }

  begin(input: Json, startDate: Date, cancellation: Execution['cancellation']): Execution {
    const { execution } = this.#attempt.frame;
    const name = randomUUID();
    const arn = this.#express
      ? `${this.#prefix}:express:${this.#name}:${name}:${randomUUID()}`
      : `${this.#prefix}:execution:${this.#name}:${name}`;
    return beginExecution(
      {
        arn,
        name,
        rootArn: execution.rootArn,
        stateMachineName: this.#name,
        stateMachineArn: `${this.#prefix}:stateMachine:${this.#name}`,
        roleArn: execution.roleArn,
        input,
        startDate,
        mapRunArn: this.arn,
      },
      cancellation,
    );
  }
}

// A map run starts its children with the role of the state machine.
// https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
function authorizeChildren({ surroundings }: Interpreter, { frame }: Attempt): void {
  const { roleArn, stateMachineArn } = frame.execution;
  const resource = stateMachineArn.replace(/\/[^/]*$/, '');
  try {
    surroundings.authorizer.authorize({
      principal: { kind: 'role', arn: roleArn },
      action: 'states:StartExecution',
      resource,
      context: {},
    });
  } catch (cause) {
    if (!(cause instanceof AccessDenied)) throw cause;
    throw new StateFailure('States.Permissions', cause.message, { cause });
  }
}
