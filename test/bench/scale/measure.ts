import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';
import type { RunnableLoad } from './loads.ts';
import type { Calls, MeasuredLoad, Measurement } from './measurement.ts';
import { runChild } from './run-child.ts';

const NO_CALLS: Calls = { reads: 0, writes: 0, pages: 0, deletes: 0, keyRequests: 0, signatures: 0 };

/** Runs a load with a quarter of its items, then with all. */
export async function measureLoad(load: RunnableLoad): Promise<MeasuredLoad> {
  const { step, what, items, time, mayGrowMib } = load;
  const quarter = await measureOnce(load, Math.ceil(items / 4));
  const whole = await measureOnce(load, items);
  return { step, what, items, time, ...(mayGrowMib !== undefined && { mayGrowMib }), quarter, whole };
}

async function measureOnce(load: RunnableLoad, items: number): Promise<Measurement> {
  const { memoryMib } = STEP_DEFINITIONS[load.step].limits;
  if ('part' in load) {
    const run = { kind: 'part', part: load.part, items } as const;
    return { items, calls: NO_CALLS, ...(await runChild({ run, environment: {}, client: null }, memoryMib)) };
  }
  const { event, environment, world } = await load.prepare(items);
  try {
    world.takeCalls();
    const run = { kind: 'step', step: load.step, event } as const;
    const measured = await runChild({ run, environment, client: world.client }, memoryMib);
    return { items, calls: world.takeCalls(), ...measured };
  } finally {
    await world.close();
  }
}
