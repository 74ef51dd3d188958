import { Metrics } from '@aws-lambda-powertools/metrics';
import { currentRuntime } from './runtime.ts';

/** The CloudWatch namespace of every metric that Daybreak publishes. */
export const METRIC_NAMESPACE = 'Daybreak';

/** The value of the dimension `service` that every metric has beside its own dimensions. */
export const METRIC_SERVICE = 'daybreak';

type MetricUnit = 'Count' | 'Bytes' | 'Milliseconds' | 'Percent';

/**
 * Publishes metrics in CloudWatch's Embedded Metric Format: one log line, no API call.
 * @param dimensions at most a database id, a bucket id or a workflow's name; never a tenant (each would be a paid metric).
 */
export function publishMetrics(
  dimensions: Record<string, string>,
  values: Record<string, { unit: MetricUnit; value: number }>,
): void {
  const metrics = new Metrics({ namespace: METRIC_NAMESPACE, serviceName: METRIC_SERVICE, singleMetric: false });
  metrics.addDimensions(dimensions);
  for (const [name, { unit, value }] of Object.entries(values)) metrics.addMetric(name, unit, value);
  const { clock, writeLine } = currentRuntime();
  const document = metrics.serializeMetrics();
  writeLine(JSON.stringify({ ...document, _aws: { ...document._aws, Timestamp: clock.now().getTime() } }));
}
