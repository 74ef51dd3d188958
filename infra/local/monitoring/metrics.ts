import type { LocalClock } from '../clock.ts';

/** One published value of a metric. */
export interface MetricValue {
  readonly timestamp: Date;
  readonly value: number;
  readonly unit: string;
}

/** A metric with all its values, in the order in which they arrived. */
export interface Metric {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: Readonly<Record<string, string>>;
  readonly values: readonly MetricValue[];
}

/** A document in the Embedded Metric Format that CloudWatch would drop, with what is wrong in it. */
export class InvalidMetricError extends Error {
  override readonly name = 'InvalidMetricError';
}

type Document = Readonly<Record<string, unknown>>;

const UNITS = new Set(
  (
    'Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits Gigabits ' +
    'Terabits Percent Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second ' +
    'Bits/Second Kilobits/Second Megabits/Second Gigabits/Second Terabits/Second Count/Second None'
  ).split(' '),
);
const DAY_MS = 24 * 60 * 60 * 1000;

/** Whether a log line is meant as metrics: CloudWatch looks for this member. */
export function isMetricDocument(line: Document): boolean {
  return isRecord(line._aws);
}

/**
 * CloudWatch's metrics: what the functions published, for reading back.
 * https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
 */
export class LocalMetrics {
  readonly #clock: LocalClock;
  /** `inOrder` while values arrived in the order of their times. */
  readonly #metrics = new Map<string, Metric & { values: MetricValue[]; inOrder: boolean }>();

  constructor(options: { clock: LocalClock }) {
    this.#clock = options.clock;
  }

  /**
   * Takes in one document of the Embedded Metric Format.
   * @throws InvalidMetricError, where CloudWatch would silently drop it.
   */
  ingest(document: Document): void {
    const { Timestamp: timestampMs, CloudWatchMetrics: directives } = isRecord(document._aws) ? document._aws : {};
    if (typeof timestampMs !== 'number' || !Array.isArray(directives)) {
      throw new InvalidMetricError('_aws wants a Timestamp and CloudWatchMetrics');
    }
    const timestamp = new Date(timestampMs);
    for (const directive of directives as unknown[]) {
      if (!isRecord(directive) || typeof directive.Namespace !== 'string' || directive.Namespace === '') {
        throw new InvalidMetricError('a metric directive has no Namespace');
      }
      if (!Array.isArray(directive.Metrics) || directive.Metrics.length === 0 || directive.Metrics.length > 100) {
        throw new InvalidMetricError(`${directive.Namespace}: a directive holds 1 to 100 Metrics`);
      }
      const dimensionSets = directive.Dimensions ?? [[]];
      if (!Array.isArray(dimensionSets)) throw new InvalidMetricError(`${directive.Namespace}: Dimensions is no list`);
      for (const names of dimensionSets as unknown[]) {
        const dimensions = readDimensions(document, names);
        for (const metric of directive.Metrics as unknown[]) {
          const { name, unit, values } = readMetric(document, metric);
          for (const value of values) this.put(directive.Namespace, name, dimensions, { timestamp, value, unit });
        }
      }
    }
  }

  /** Adds one value. @throws InvalidMetricError for a time, unit or value that CloudWatch refuses. */
  put(namespace: string, name: string, dimensions: Readonly<Record<string, string>>, value: MetricValue): void {
    const ageMs = this.#clock.now().getTime() - value.timestamp.getTime();
    if (!(ageMs < 14 * DAY_MS && ageMs > -2 * 60 * 60 * 1000)) {
      throw new InvalidMetricError(`${name}: its time is more than two weeks ago, or more than two hours ahead`);
    }
    if (!UNITS.has(value.unit)) throw new InvalidMetricError(`${name}: there is no unit ${value.unit}`);
    if (!Number.isFinite(value.value)) throw new InvalidMetricError(`${name}: its value is no number`);
    const key = keyOf(namespace, name, dimensions);
    const metric = this.#metrics.get(key) ?? { namespace, name, dimensions, values: [], inOrder: true };
    if ((metric.values.at(-1)?.timestamp ?? value.timestamp) > value.timestamp) metric.inOrder = false;
    metric.values.push(value);
    this.#metrics.set(key, metric);
  }

  /** The values of a metric with exactly these dimensions; none when nothing was published. */
  getMetric(namespace: string, name: string, dimensions: Readonly<Record<string, string>>): readonly MetricValue[] {
    return this.#metrics.get(keyOf(namespace, name, dimensions))?.values ?? [];
  }

  /** Those of them that are not older than `since`. */
  valuesSince(
    namespace: string,
    name: string,
    dimensions: Readonly<Record<string, string>>,
    since: Date,
  ): readonly MetricValue[] {
    const metric = this.#metrics.get(keyOf(namespace, name, dimensions));
    if (metric === undefined) return [];
    if (!metric.inOrder) return metric.values.filter(({ timestamp }) => timestamp >= since);
    let first = metric.values.length;
    while ((metric.values[first - 1]?.timestamp ?? -1) >= since) first--;
    return metric.values.slice(first);
  }

  listMetrics(): readonly Metric[] {
    return [...this.#metrics.values()].map(({ namespace, name, dimensions, values }) => ({
      namespace,
      name,
      dimensions,
      values,
    }));
  }
}

function readDimensions(document: Document, names: unknown): Record<string, string> {
  if (!Array.isArray(names) || names.length > 30)
    throw new InvalidMetricError('a dimension set holds at most 30 names');
  return Object.fromEntries(
    (names as unknown[]).map(name => {
      const value = typeof name === 'string' ? document[name] : undefined;
      if (typeof name !== 'string' || typeof value !== 'string' || value === '') {
        throw new InvalidMetricError(`the dimension ${String(name)} has no text as its value`);
      }
      return [name, value];
    }),
  );
}

function readMetric(document: Document, metric: unknown): { name: string; unit: string; values: number[] } {
  if (!isRecord(metric) || typeof metric.Name !== 'string') throw new InvalidMetricError('a metric has no Name');
  const value = document[metric.Name];
  const values = Array.isArray(value) ? (value as unknown[]) : [value];
  if (values.length > 100 || !values.every(one => typeof one === 'number')) {
    throw new InvalidMetricError(`the metric ${metric.Name} has no number as its value`);
  }
  return { name: metric.Name, unit: typeof metric.Unit === 'string' ? metric.Unit : 'None', values };
}

function keyOf(namespace: string, name: string, dimensions: Readonly<Record<string, string>>): string {
  return JSON.stringify([namespace, name, Object.entries(dimensions).sort(([a], [b]) => (a < b ? -1 : 1))]);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}
