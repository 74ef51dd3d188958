import { currentRuntime } from './runtime.ts';

type LogValue = string | number | boolean | null | undefined | readonly string[];

/**
 * Writes one structured line (JSON) to the function's log. Fields hold counts, durations, states and the ids of tenants,
 * recovery points and resources; never rows, file names, secrets, task tokens or anything personal.
 */
export function log(level: 'info' | 'warn' | 'error', message: string, fields: Record<string, LogValue> = {}): void {
  const { clock, environment, writeLine } = currentRuntime();
  writeLine(
    JSON.stringify({
      level,
      time: clock.now().toISOString(),
      function: environment.AWS_LAMBDA_FUNCTION_NAME,
      message,
      ...fields,
    }),
  );
}
