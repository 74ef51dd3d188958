import { currentRuntime } from './runtime.ts';

type LogValue = string | number | boolean | null | undefined | readonly string[];
type LogFields = Readonly<Record<string, LogValue>>;

/**
 * Writes one structured line (JSON) to the function's log. Fields hold counts, durations, states and the ids of tenants,
 * recovery points and resources; never rows, file names, secrets, task tokens or anything personal.
 */
export function log(level: 'info' | 'warn' | 'error', message: string, fields: LogFields = {}): void {
  const { clock, environment, writeLine, instances } = currentRuntime();
  writeLine(
    JSON.stringify({
      level,
      time: clock.now().toISOString(),
      function: environment.AWS_LAMBDA_FUNCTION_NAME,
      ...(instances.get(addToEachLine) as LogFields | undefined),
      message,
      ...fields,
    }),
  );
}

/** Has each line of this invocation, which is the only one in its runtime, say this as well: ids alone, as for `log`. */
export function addToEachLine(fields: LogFields): void {
  currentRuntime().instances.set(addToEachLine, fields);
}
