import { z } from 'zod';
import { readProperties } from '../read-properties.ts';
import { TemplateError } from './intrinsics.ts';
import type { DeploymentTarget } from './resources.ts';

type Created = { readonly ref: string; readonly attributes: Readonly<Record<string, string>> };

const Permission = z.strictObject({
  Action: z.literal('lambda:InvokeFunction'),
  FunctionName: z.string(),
  Principal: z.enum(['events.amazonaws.com', 'logs.amazonaws.com']),
  SourceArn: z.string(),
  SourceAccount: z.string().optional(),
});
const InvokeConfig = z.strictObject({
  FunctionName: z.string(),
  Qualifier: z.literal('$LATEST'),
  MaximumRetryAttempts: z.int().min(0).max(2),
  MaximumEventAgeInSeconds: z.int().min(60).max(21_600),
  DestinationConfig: z.strictObject({ OnFailure: z.strictObject({ Destination: z.string() }) }),
});
const Queue = z.strictObject({
  QueueName: z.string(),
  SqsManagedSseEnabled: z.literal(true),
  MessageRetentionPeriod: z.int().optional(),
  Tags: z.unknown().optional(),
});

/** Creates the resources by which tampering is noticed. @returns by type, what creates one of it from its properties. */
export function watchResources(
  target: DeploymentTarget,
): Readonly<Record<string, (properties: unknown, logicalId: string) => Created>> {
  const read = <T extends z.ZodType>(schema: T, properties: unknown, logicalId: string): z.output<T> =>
    readProperties(
      schema,
      properties,
      logicalId,
      error => new TemplateError(`${logicalId}: ${z.prettifyError(error)}`),
    );
  const nameIn = (arn: string) => arn.slice(arn.lastIndexOf(':') + 1);
  const named = (properties: unknown, name: string) => String((properties as Record<string, unknown>)[name]);
  return {
    'AWS::CloudTrail::Trail': properties => {
      const Arn = target.trail.putTrail(properties);
      return { ref: named(properties, 'TrailName'), attributes: { Arn } };
    },
    'AWS::Events::Rule': properties => {
      const Arn = target.events.putRule(properties);
      return { ref: named(properties, 'Name'), attributes: { Arn } };
    },
    'AWS::Logs::SubscriptionFilter': properties => {
      target.logs.putSubscriptionFilter(properties);
      return { ref: named(properties, 'FilterName'), attributes: {} };
    },
    'AWS::Logs::MetricFilter': properties => {
      target.logs.putMetricFilter(properties);
      return { ref: named(properties, 'FilterName'), attributes: {} };
    },
    'AWS::Lambda::Permission': (properties, logicalId) => {
      const { FunctionName, Principal, SourceArn } = read(Permission, properties, logicalId);
      target.invocations.putPermission(logicalId, {
        functionName: nameIn(FunctionName),
        service: Principal,
        sourceArn: SourceArn,
      });
      return { ref: logicalId, attributes: {} };
    },
    'AWS::Lambda::EventInvokeConfig': (properties, logicalId) => {
      const configuration = read(InvokeConfig, properties, logicalId);
      const { FunctionName, MaximumRetryAttempts, MaximumEventAgeInSeconds, DestinationConfig } = configuration;
      target.invocations.configure({
        functionName: nameIn(FunctionName),
        maximumRetryAttempts: MaximumRetryAttempts,
        maximumEventAgeMs: MaximumEventAgeInSeconds * 1000,
        onFailure: DestinationConfig.OnFailure.Destination,
      });
      return { ref: nameIn(FunctionName), attributes: {} };
    },
    'AWS::SQS::Queue': (properties, logicalId) => {
      const { QueueName } = read(Queue, properties, logicalId);
      const Arn = `arn:aws:sqs:eu-west-2:${target.accountId}:${QueueName}`;
      target.queues.createQueue(Arn);
      const ref = `https://sqs.eu-west-2.amazonaws.com/${target.accountId}/${QueueName}`;
      return { ref, attributes: { Arn, QueueName } };
    },
  };
}
