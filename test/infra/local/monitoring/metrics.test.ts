import { describe, expect, it } from 'vitest';
import { publishMetrics } from '../../../../functions/platform/metrics.ts';
import { withRuntime } from '../../../../functions/platform/runtime.ts';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { isMetricDocument, LocalMetrics } from '../../../../infra/local/monitoring/metrics.ts';

const NOW = new Date('2026-11-22T02:30:00.000Z');
const localMetrics = () => {
  const clock = new LocalClock({ startsAt: NOW, flow: 'manual' });
  return { clock, metrics: new LocalMetrics({ clock }) };
};
const document = (fields: object = {}, directive: object = {}) => ({
  _aws: {
    Timestamp: NOW.getTime(),
    CloudWatchMetrics: [{ Namespace: 'N', Dimensions: [['d']], Metrics: [{ Name: 'M', Unit: 'Count' }], ...directive }],
  },
  d: 'value',
  M: 1,
  ...fields,
});

describe('metrics', () => {
  it('takes in what the functions publish', async () => {
    const { clock, metrics } = localMetrics();
    const lines: string[] = [];
    const writeLine = (line: string) => void lines.push(line);
    await withRuntime({ environment: {}, clock, clientConfiguration: {}, writeLine, instances: new Map() }, async () =>
      publishMetrics({ database: 'main' }, { Rows: { unit: 'Count', value: 12 } }),
    );
    expect(lines).toHaveLength(1);
    const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
    expect(isMetricDocument(line)).toBe(true);
    metrics.ingest(line);
    const [metric] = metrics.listMetrics();
    expect(metric).toMatchObject({
      namespace: 'Daybreak',
      name: 'Rows',
      values: [{ value: 12, unit: 'Count', timestamp: NOW }],
    });
    expect(metrics.getMetric('Daybreak', 'Rows', metric?.dimensions ?? {})).toEqual(metric?.values);
  });

  it('keeps dimensions apart, in whatever order they come', () => {
    const { metrics } = localMetrics();
    metrics.ingest(document({ e: 'other', M: [1, 2] }, { Dimensions: [['d', 'e'], [], ['e']] }));
    metrics.ingest(document({ e: 'other', M: 3 }, { Dimensions: [['e', 'd']] }));
    const values = (dimensions: Record<string, string>) =>
      metrics.getMetric('N', 'M', dimensions).map(({ value }) => value);
    expect(values({ d: 'value', e: 'other' })).toEqual([1, 2, 3]);
    expect(values({ e: 'other', d: 'value' })).toEqual([1, 2, 3]);
    expect(values({})).toEqual([1, 2]);
    expect(values({ e: 'other' })).toEqual([1, 2]);
    expect(values({ d: 'value' })).toEqual([]);
  });

  it.each<[string, object, string]>([
    ['no timestamp', { ...document(), _aws: { CloudWatchMetrics: [] } }, '_aws wants a Timestamp'],
    ['no namespace', document({}, { Namespace: '' }), 'a metric directive has no Namespace'],
    ['no metric', document({}, { Metrics: [] }), 'a directive holds 1 to 100 Metrics'],
    [
      'too many metrics',
      document({}, { Metrics: Array(101).fill({ Name: 'M' }) }),
      'a directive holds 1 to 100 Metrics',
    ],
    ['a dimension without a value', document({ d: undefined }), 'the dimension d has no text as its value'],
    ['a dimension that is no text', document({ d: 7 }), 'the dimension d has no text as its value'],
    [
      'too many dimensions',
      document({}, { Dimensions: [Array(31).fill('d')] }),
      'a dimension set holds at most 30 names',
    ],
    ['a metric without a value', document({ M: undefined }), 'the metric M has no number as its value'],
    ['a metric that is text', document({ M: '1' }), 'the metric M has no number as its value'],
    ['an unknown unit', document({}, { Metrics: [{ Name: 'M', Unit: 'Rows' }] }), 'M: there is no unit Rows'],
    [
      'a time long ago',
      { ...document(), _aws: { ...document()._aws, Timestamp: 0 } },
      'M: its time is more than two weeks ago',
    ],
  ])('refuses what CloudWatch drops: %s', (_name, broken, message) => {
    const { metrics } = localMetrics();
    expect(() => metrics.ingest(broken as Record<string, unknown>)).toThrow(message);
    expect(metrics.listMetrics()).toEqual([]);
  });
});
