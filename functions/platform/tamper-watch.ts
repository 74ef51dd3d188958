import { CloudTrailClient, GetTrailStatusCommand, TrailNotFoundException } from '@aws-sdk/client-cloudtrail';
import { DescribeRuleCommand, EventBridgeClient, ResourceNotFoundException } from '@aws-sdk/client-eventbridge';
import { PermanentError } from './errors.ts';
import { awsClient } from './runtime.ts';
import { callService } from './service-call.ts';

/** CloudTrail or EventBridge refused the request for a lasting reason. */
export class TamperWatchServiceError extends PermanentError {}

/** Whether a trail records, and could deliver what it recorded last; undefined where there is none of that name. */
export function isTrailLogging(trailArn: string): Promise<boolean | undefined> {
  return callService('the trail', TamperWatchServiceError, async () => {
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
  return callService(`the rule ${name}`, TamperWatchServiceError, async () => {
    try {
      const { State } = await awsClient(EventBridgeClient).send(new DescribeRuleCommand({ Name: name }));
      return State !== 'DISABLED';
    } catch (error) {
      if (error instanceof ResourceNotFoundException) return undefined;
      throw error;
    }
  });
}
