import { describe, expect, it } from 'vitest';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { AsynchronousInvocations } from '../../../../infra/local/lambda/asynchronous.ts';
import { LambdaServiceError } from '../../../../infra/local/lambda/errors.ts';
import type { InvocationOutcome } from '../../../../infra/local/lambda/service.ts';
import { LocalMetrics } from '../../../../infra/local/monitoring/metrics.ts';
import { LocalQueues } from '../../../../infra/local/sqs/queues.ts';

const QUEUE = 'arn:aws:sqs:eu-west-2:111122223333:undelivered';
const FUNCTION = 'arn:aws:lambda:eu-west-2:111122223333:function:f';
const RULE = { service: 'events.amazonaws.com', sourceArn: 'arn:aws:events:eu-west-2:111122223333:rule/r' };

/** Sends one event to a function that answers so, and lets six hours pass. */
async function outcomeOf(answer: (call: number) => InvocationOutcome) {
  const clock = new LocalClock({ startsAt: new Date('2026-01-01T00:00:00.000Z'), flow: 'manual' });
  const queues = new LocalQueues({ clock, metrics: new LocalMetrics({ clock }) });
  queues.createQueue(QUEUE);
  const callsAtSeconds: number[] = [];
  const startMs = clock.now().getTime();
  const invocations = new AsynchronousInvocations({
    clock,
    queues,
    invoke: async () => {
      callsAtSeconds.push((clock.now().getTime() - startMs) / 1000);
      return answer(callsAtSeconds.length);
    },
  });
  invocations.putPermission('p', { functionName: 'f', ...RULE });
  invocations.configure({
    functionName: 'f',
    maximumRetryAttempts: 2,
    maximumEventAgeMs: 6 * 60 * 60_000,
    onFailure: QUEUE,
  });
  invocations.enqueue(FUNCTION, { a: 1 }, RULE);
  await invocations.settle();
  for (let minute = 0; minute < 6 * 60 + 1; minute++) {
    await clock.advance(60_000);
    await invocations.settle();
  }
  return { callsAtSeconds, left: queues.receiveAll(QUEUE) };
}

const done = { requestId: 'r', payload: null };
const refuse = (code: string, status: number) => {
  throw new LambdaServiceError(code, status, 'no');
};

describe('an event for a function', () => {
  it.each([
    ['ResourceNotReadyException', 502],
    ['CodeArtifactUserPendingException', 409],
    ['TooManyRequestsException', 429],
  ])('outlasts %s', async (code, status) => {
    const { callsAtSeconds, left } = await outcomeOf(call => (call < 9 ? refuse(code, status) : done));
    expect(callsAtSeconds).toEqual([0, 1, 3, 7, 15, 31, 63, 127, 255]);
    expect(left).toEqual([]);
  });

  it('is left in the queue once it is too old', async () => {
    const { callsAtSeconds, left } = await outcomeOf(() => refuse('ServiceException', 500));
    expect(callsAtSeconds.slice(-2).map(at => at > 5.8 * 3600 && at <= 6 * 3600)).toEqual([true, true]);
    expect(left).toEqual([
      {
        version: '1.0',
        requestContext: { condition: 'EventAgeExceeded' },
        requestPayload: { a: 1 },
        responsePayload: { errorType: 'ServiceException', errorMessage: 'no' },
      },
    ]);
  });

  it('is tried three times where the function fails, or will never run', async () => {
    const functionError = { errorType: 'SomeError', errorMessage: 'no' };
    for (const answer of [() => ({ requestId: 'r', functionError }), () => refuse('ResourceNotFoundException', 404)]) {
      const { callsAtSeconds, left } = await outcomeOf(answer);
      expect(callsAtSeconds).toEqual([0, 60, 180]);
      expect(left).toMatchObject([{ requestContext: { condition: 'RetriesExhausted' } }]);
    }
  });
});
