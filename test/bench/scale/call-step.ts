import { systemClock } from '../../../functions/platform/clock.ts';
import { type Runtime, withRuntime } from '../../../functions/platform/runtime.ts';
import type { Step } from '../../../infra/access/role-names.ts';
import { LOCAL_REGION } from '../../../infra/local/endpoint/request-handler.ts';
import type { Job } from './measurement.ts';

const CALL_MS = 15 * 60_000;
const MOST_CALLS = 1000;

type Handler = (event: unknown, context: { getRemainingTimeInMillis(): number }) => Promise<Record<string, unknown>>;

/** Each call runs as after a cold start. */
export function newRuntime({ environment, client }: Omit<Job, 'run'>): Runtime {
  return {
    environment,
    clock: systemClock,
    clientConfiguration: {
      region: LOCAL_REGION,
      ...(client && {
        endpoint: client.endpoint,
        credentials: { accessKeyId: client.accessKeyId, secretAccessKey: client.secretAccessKey },
        forcePathStyle: true,
      }),
    },
    writeLine: line => {
      const { level, message } = JSON.parse(line) as { level?: string; message?: string };
      if (level === 'error') process.stderr.write(`${message}: ${line}\n`);
    },
    instances: new Map(),
  };
}

/** Calls a step until it is done. @returns how often, and the largest input or output. */
export async function callStep(job: Omit<Job, 'run'>, step: Step, event: Record<string, unknown>) {
  const { handler } = (await import(new URL(`../../../functions/${step}.ts`, import.meta.url).href)) as {
    handler: Handler;
  };
  let [input, payloadBytes] = [event, 0];
  for (let invocations = 1; invocations <= MOST_CALLS; invocations++) {
    const output = await withRuntime(newRuntime(job), () =>
      handler(input, { getRemainingTimeInMillis: () => CALL_MS }),
    );
    for (const payload of [input, output]) {
      payloadBytes = Math.max(payloadBytes, Buffer.byteLength(JSON.stringify(payload)));
    }
    const { cursor = null, done = true } = output;
    if (cursor === null && done !== false) return { invocations, payloadBytes };
    input = cursor === null ? input : { ...input, cursor };
  }
  throw new Error(`${step} was not done after ${MOST_CALLS} calls`);
}
