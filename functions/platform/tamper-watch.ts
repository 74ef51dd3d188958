import { CloudTrailClient, GetTrailStatusCommand, TrailNotFoundException } from '@aws-sdk/client-cloudtrail';
import { DescribeRuleCommand, EventBridgeClient, ResourceNotFoundException } from '@aws-sdk/client-eventbridge';
import { PermanentError, RetryableError } from './errors.ts';
import { awsClient } from './runtime.ts';

/** CloudTrail or EventBridge refused the request for a lasting reason. */
export class TamperWatchServiceError extends PermanentError {}

async function call<T>(what: string, send: () => Promise<T>): Promise<T> {
  try {
    return await send();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const { $metadata: { httpStatusCode: status = 500 } = {} } = cause as { $metadata?: { httpStatusCode?: number } };
    const text = `${what}: ${cause.name}: ${cause.message}`;
    throw status >= 500 || status === 429 || /Throttling/.test(cause.name)
      ? new RetryableError(text, { cause })
      : new TamperWatchServiceError(text, { cause });
  }
}

/** Whether a trail records, and could deliver what it recorded last; undefined where there is none of that name. */
export function isTrailLogging(trailArn: string): Promise<boolean | undefined> {
  return call('the trail', async () => {
    try {
      const client = awsClient(CloudTrailClient);
      const { IsLogging, LatestDeliveryError } = await client.send(new GetTrailStatusCommand({ Name: trailArn }));
      return IsLogging === true && !LatestDeliveryError;
    } catch (error) {
      if (error instanceof TrailNotFoundException) return undefined;
      throw error;
    }
  });
}

/** Whether a rule of the default bus is enabled; undefined where there is none of that name. */
export function isRuleEnabled(name: string): Promise<boolean | undefined> {
  return call(`the rule ${name}`, async () => {
    try {
      const { State } = await awsClient(EventBridgeClient).send(new DescribeRuleCommand({ Name: name }));
      return State !== 'DISABLED';
    } catch (error) {
      if (error instanceof ResourceNotFoundException) return undefined;
      throw error;
    }
  });
}
