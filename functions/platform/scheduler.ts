import { GetScheduleCommand, ResourceNotFoundException, SchedulerClient } from '@aws-sdk/client-scheduler';
import { PermanentError } from './errors.ts';
import { awsClient } from './runtime.ts';
import { callService } from './service-call.ts';

/** EventBridge Scheduler refused the request for a lasting reason. */
export class ScheduleServiceError extends PermanentError {}

/** Whether a schedule of the default group is enabled; undefined where there is none of that name. */
export function isScheduleEnabled(name: string): Promise<boolean | undefined> {
  return callService(`schedule ${name}`, ScheduleServiceError, async () => {
    try {
      const { State } = await awsClient(SchedulerClient).send(new GetScheduleCommand({ Name: name }));
      return State === 'ENABLED';
    } catch (error) {
      if (error instanceof ResourceNotFoundException) return undefined;
      throw error;
    }
  });
}
