import jsonata from 'jsonata';
import { LocalClock } from '../../infra/local/clock.ts';
import { type Execution, LocalStates } from '../../infra/local/states/service.ts';
import type { Json, JsonObject } from '../../infra/workflows/language/json.ts';
import { printRows } from './print-rows.ts';

/**
 * What the interpreter of Step Functions costs: the time to run a Map over 10,000 items, as a multiple of the time that
 * JSONata alone takes to evaluate the same queries. `node test/bench/states.ts`
 */

const ITEMS = Array.from({ length: 10_000 }, (_, index) => ({ n: index }));
const QUERIES = ['$states.input.n + 1', "$states.input > 5 ? 'big' : 'small'"];
const STATES: JsonObject = {
  A: { Type: 'Pass', Output: `{% ${QUERIES[0]} %}`, Next: 'B' },
  B: { Type: 'Pass', Output: `{% ${QUERIES[1]} %}`, End: true },
};

const clock = new LocalClock({ startsAt: new Date('2026-01-01T00:00:00Z'), flow: 'manual' });
const states = new LocalStates({
  clock,
  authorizer: { authorize() {} },
  accountId: '111122223333',
  lambda: { invoke: () => Promise.reject(new Error('nothing is invoked')) },
  clientConfiguration: () => ({}),
});

async function run(config: JsonObject, items: Json): Promise<Execution> {
  const stateMachine = states.createStateMachine({
    name: 'bench',
    roleArn: 'arn:aws:iam::111122223333:role/bench',
    definition: {
      QueryLanguage: 'JSONata',
      StartAt: 'Map',
      States: {
        Map: { Type: 'Map', ItemProcessor: { ProcessorConfig: config, StartAt: 'A', States: STATES }, End: true },
      },
    },
  });
  const execution = await states.waitForExecution(states.startExecution({ stateMachine, input: items }).arn);
  if (execution.status !== 'SUCCEEDED') throw new Error(`${execution.error}: ${execution.cause}`);
  return execution;
}

async function queryAlone(): Promise<void> {
  const [first, second] = QUERIES.map(query => jsonata(query));
  for (const input of ITEMS) {
    const sum: unknown = await first?.evaluate(undefined, { states: { input } });
    await second?.evaluate(undefined, { states: { input: sum } });
  }
}

/** The least of five runs, in milliseconds. */
async function measure(work: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < 5; round++) {
    const begun = performance.now();
    await work();
    least = Math.min(least, performance.now() - begun);
  }
  return least;
}

const alone = await measure(queryAlone);
// An inline map of 10,000 items passes the limit of 25,000 events: four of 2,500 count instead.
const inline = await measure(async () => {
  for (let from = 0; from < ITEMS.length; from += 2500) await run({ Mode: 'INLINE' }, ITEMS.slice(from, from + 2500));
});
const distributed = await measure(() => run({ Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' }, ITEMS));

const row = (name: string, ms: number): [string, string] => [name, `${ms.toFixed(0)} ms, ${(ms / alone).toFixed(2)} x`];
printRows('State machine interpreter', [
  row('JSONata alone, 20,000 queries', alone),
  row('inline maps of 10,000 items', inline),
  row('distributed map of 10,000 items', distributed),
]);
