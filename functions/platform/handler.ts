import { z } from 'zod';
import { Configuration, Deployment } from '../contracts/configuration.ts';
import { addMs } from './clock.ts';
import { describeError, isRetryable, PermanentError, RetryableError } from './errors.ts';
import { log } from './log.ts';
import { currentRuntime, oncePerRuntime } from './runtime.ts';

/** What a step knows beside its input. */
export interface StepContext {
  /** The instant at which the step began. */
  readonly now: Date;
  readonly configuration: Configuration;
  readonly deployment: Deployment;
  /** True from one minute before the function's time ends: stop, keep what is done, and return a cursor. */
  timeIsShort(): boolean;
}

interface InvocationContext {
  getRemainingTimeInMillis(): number;
}

/** The step's input does not have the shape that its contract names. */
export class InvalidInputError extends PermanentError {}

/** The function's environment does not hold a valid configuration. */
export class InvalidConfigurationError extends PermanentError {}

const STOP_BEFORE_END_MS = 60_000;

/**
 * Wraps a step as a Lambda handler: parses the input, runs the step, checks its output, and logs how it ended. Errors
 * are thrown, never returned; a retryable one always leaves under the name `RetryableError`, because Step Functions
 * matches names exactly and knows no class hierarchy.
 */
export function handler<I extends z.ZodType, O extends z.ZodType>(step: {
  input: I;
  output: O;
  run: (input: z.output<I>, context: StepContext) => Promise<z.input<O>>;
}): (event: unknown, context: InvocationContext) => Promise<z.output<O>> {
  return async (event, invocation) => {
    const now = currentRuntime().clock.now();
    const endsAt = addMs(now, invocation.getRemainingTimeInMillis() - STOP_BEFORE_END_MS);
    try {
      const parsed = step.input.safeParse(event);
      if (!parsed.success)
        throw new InvalidInputError(`the step's input is not valid: ${z.prettifyError(parsed.error)}`);
      const { configuration, deployment } = readConfiguration();
      const timeIsShort = () => currentRuntime().clock.now() >= endsAt;
      const output = await step.run(parsed.data, { now, configuration, deployment, timeIsShort });
      log('info', 'step done');
      return step.output.parse(output);
    } catch (error) {
      log('error', 'step failed', { error: describeError(error), retryable: isRetryable(error) });
      if (isRetryable(error) && !(error instanceof Error && error.name === RetryableError.name)) {
        throw new RetryableError(describeError(error), { cause: error });
      }
      throw error;
    }
  };
}

/**
 * The configuration and the names of the deployed resources, from the function's environment.
 * @throws InvalidConfigurationError when a variable is missing or does not parse.
 */
export function readConfiguration(): { configuration: Configuration; deployment: Deployment } {
  return oncePerRuntime(readConfiguration, ({ environment }) => {
    const parse = <T extends z.ZodType>(name: string, schema: T): z.output<T> => {
      try {
        return schema.parse(JSON.parse(environment[name] ?? ''));
      } catch (cause) {
        throw new InvalidConfigurationError(
          `the environment variable ${name} is missing or not valid; deploy the workflow stack again`,
          { cause },
        );
      }
    };
    return {
      configuration: parse('DAYBREAK_CONFIGURATION', Configuration),
      deployment: parse('DAYBREAK_DEPLOYMENT', Deployment),
    };
  });
}
