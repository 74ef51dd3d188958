import { GetScheduleCommand, ResourceNotFoundException, SchedulerClient } from '@aws-sdk/client-scheduler';
import { PermanentError, RetryableError } from './errors.ts';
import { awsClient } from './runtime.ts';

/** EventBridge Scheduler refused the request for a lasting reason. */
export class ScheduleServiceError extends PermanentError {}

/** Whether a schedule of the default group is enabled; undefined where there is none of that name. */
export async function isScheduleEnabled(name: string): Promise<boolean | undefined> {
  try {
    const { State } = await awsClient(SchedulerClient).send(new GetScheduleCommand({ Name: name }));
    return State === 'ENABLED';
  } catch (cause) {
    if (cause instanceof ResourceNotFoundException) return undefined;
    if (!(cause instanceof Error)) throw cause;
    const { $metadata: { httpStatusCode: status = 500 } = {} } = cause as { $metadata?: { httpStatusCode?: number } };
    const text = `schedule ${name}: ${cause.name}: ${cause.message}`;
    throw status >= 500 || status === 429
      ? new RetryableError(text, { cause })
      : new ScheduleServiceError(text, { cause });
  }
}
