import { ParseError } from '@aws-lambda-powertools/parser/errors';
import { parser } from '@aws-lambda-powertools/parser/middleware';
import middy, { type MiddlewareObj } from '@middy/core';
import { z } from 'zod';
import { Configuration, Deployment } from '../contracts/configuration.ts';
import { RecoveryPointId, RestoreTestId } from '../contracts/identifiers.ts';
import { addMs } from './clock.ts';
import { describeError, isRetryable, PermanentError, RetryableError } from './errors.ts';
import { addToEachLine, log } from './log.ts';
import { unpackConfiguration } from './packed-configuration.ts';
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
  const wrapped = middy<z.output<I>, unknown>({ timeoutEarlyInMillis: 0 })
    .use(logContext())
    .use(errors())
    .use(parser({ schema: step.input }))
    .use(checkOutput(step.output))
    .handler((input, invocation) => step.run(input, readStepContext(invocation)));
  return (event, invocation) =>
    wrapped(event as z.output<I>, invocation as Parameters<typeof wrapped>[1]) as Promise<z.output<O>>;
}

function readStepContext(invocation: InvocationContext): StepContext {
  const { clock } = currentRuntime();
  const now = clock.now();
  const endsAt = addMs(now, invocation.getRemainingTimeInMillis() - STOP_BEFORE_END_MS);
  return { now, ...readConfiguration(), timeIsShort: () => clock.now() >= endsAt };
}

/** Puts what the lines of one invocation have in common into each of them. */
function logContext(): MiddlewareObj {
  return {
    before: ({ event, context }) => {
      const { data } = Subject.safeParse(event);
      addToEachLine({ requestId: context.awsRequestId, ...data });
    },
  };
}

/** Ids of what an invocation is about. */
const Subject = z.object({ recoveryPointId: RecoveryPointId.optional(), restoreTestId: RestoreTestId.optional() });

/** Logs how the step ended, and gives an error the name that workflows match. */
function errors(): MiddlewareObj {
  return {
    after: () => log('info', 'step done'),
    onError: request => {
      const error = request.error instanceof ParseError ? refusalOf(request.error) : request.error;
      request.error = error;
      log('error', 'step failed', { error: describeError(error), retryable: isRetryable(error) });
      if (isRetryable(error) && error?.name !== RetryableError.name) {
        request.error = new RetryableError(describeError(error), { cause: error });
      }
    },
  };
}

function refusalOf(error: ParseError): InvalidInputError {
  const { cause } = error;
  const reason = Array.isArray(cause) ? z.prettifyError(new z.ZodError(cause)) : error.message;
  return new InvalidInputError(`the step's input is not valid: ${reason}`, { cause });
}

function checkOutput(output: z.ZodType): MiddlewareObj {
  return {
    after: request => {
      request.response = output.parse(request.response);
    },
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
      configuration: parse('DAYBREAK_CONFIGURATION', z.preprocess(unpackConfiguration, Configuration)),
      deployment: parse('DAYBREAK_DEPLOYMENT', Deployment),
    };
  });
}
