import {
  CreateScheduleCommand,
  DeleteScheduleCommand,
  GetScheduleCommand,
  type GetScheduleCommandInput,
  ListScheduleGroupsCommand,
  ListSchedulesCommand,
  ResourceNotFoundException,
  SchedulerClient,
} from '@aws-sdk/client-scheduler';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { localClientConfiguration } from '../../../../infra/local/endpoint/request-handler.ts';
import { parseSchedule } from '../../../../infra/local/scheduler/expression.ts';
import { LocalScheduler } from '../../../../infra/local/scheduler/service.ts';
import { AccessDenied } from '../../../../infra/local/service.ts';
import { StatesError } from '../../../../infra/local/states/states-error.ts';

const LONDON = 'Europe/London';
const DAY_MS = 24 * 60 * 60 * 1000;

function timesAfter(expression: string, from: string, count: number, zone = LONDON): string[] {
  const next = parseSchedule(expression, zone, new Date(from));
  const times: string[] = [];
  for (let time = next(new Date(from)); time && times.length < count; time = next(time)) times.push(time.toISOString());
  return times;
}

describe('when a schedule fires', () => {
  it.each<[string, string, string, string[]]>([
    [
      '02:30 on the day that clocks go forward',
      'cron(30 2 * * ? *)',
      '2026-03-28T03:00:00Z',
      ['2026-03-29T01:30:00.000Z', '2026-03-30T01:30:00.000Z'],
    ],
    [
      '02:30 on the day that clocks go back',
      'cron(30 2 * * ? *)',
      '2026-10-24T03:00:00Z',
      ['2026-10-25T02:30:00.000Z', '2026-10-26T02:30:00.000Z'],
    ],
    [
      '01:30, which spring skips',
      'cron(30 1 * * ? *)',
      '2026-03-28T00:00:00Z',
      ['2026-03-28T01:30:00.000Z', '2026-03-30T00:30:00.000Z'],
    ],
    [
      '01:30, which autumn repeats',
      'cron(30 1 * * ? *)',
      '2026-10-24T01:00:00Z',
      ['2026-10-25T00:30:00.000Z', '2026-10-26T01:30:00.000Z'],
    ],
    [
      '01:30, asked between its two occurrences',
      'cron(30 1 * * ? *)',
      '2026-10-25T01:00:00Z',
      ['2026-10-26T01:30:00.000Z'],
    ],
    [
      'each quarter of an hour in autumn, without the repetition',
      'cron(0/15 * * * ? *)',
      '2026-10-25T00:20:00Z',
      ['2026-10-25T00:30:00.000Z', '2026-10-25T00:45:00.000Z', '2026-10-25T02:00:00.000Z'],
    ],
    [
      'each quarter of an hour in spring',
      'cron(0/15 * * * ? *)',
      '2026-03-29T00:40:00Z',
      ['2026-03-29T00:45:00.000Z', '2026-03-29T01:00:00.000Z'],
    ],
    [
      'the first Monday of a month',
      'cron(0 9 ? * 2#1 *)',
      '2026-03-29T00:00:00Z',
      ['2026-04-06T08:00:00.000Z', '2026-05-04T08:00:00.000Z'],
    ],
    [
      'Sundays by number, as AWS counts them',
      'cron(0 9 ? * 1 *)',
      '2026-11-22T10:00:00Z',
      ['2026-11-29T09:00:00.000Z'],
    ],
    ['weekdays by name', 'cron(0 9 ? * MON-FRI *)', '2026-11-20T10:00:00Z', ['2026-11-23T09:00:00.000Z']],
    ['the last day of a month', 'cron(0 9 L * ? *)', '2026-01-31T10:00:00Z', ['2026-02-28T09:00:00.000Z']],
    ['a year that is over', 'cron(0 9 1 1 ? 2025)', '2026-01-01T00:00:00Z', []],
    ['at a local time', 'at(2026-07-01T12:00:00)', '2026-01-01T00:00:00Z', ['2026-07-01T11:00:00.000Z']],
    ['at a local time that is over', 'at(2025-07-01T12:00:00)', '2026-01-01T00:00:00Z', []],
    [
      'every 12 hours, also over a clock change',
      'rate(12 hours)',
      '2026-03-28T12:00:00Z',
      ['2026-03-29T00:00:00.000Z', '2026-03-29T12:00:00.000Z'],
    ],
    [
      'every day of 24 hours',
      'rate(1 day)',
      '2026-03-28T12:00:00Z',
      ['2026-03-29T12:00:00.000Z', '2026-03-30T12:00:00.000Z'],
    ],
  ])('%s', (_name, expression, from, expected) => {
    expect(timesAfter(expression, from, Math.max(1, expected.length))).toEqual(expected);
  });

  it('02:30 in London comes exactly once on each day for ten years', () => {
    const next = parseSchedule('cron(30 2 * * ? *)', LONDON, new Date(0));
    const day = new Intl.DateTimeFormat('en-CA', {
      timeZone: LONDON,
      dateStyle: 'short',
      timeStyle: 'short',
      hourCycle: 'h23',
    });
    let time = new Date('2025-12-31T12:00:00Z');
    const days: string[] = [];
    while (days.length < 3652) {
      time = next(time) ?? time;
      days.push(day.format(time));
    }
    const expected = Array.from({ length: 3652 }, (_, index) => {
      const date = new Date(Date.UTC(2026, 0, 1) + index * DAY_MS);
      return `${date.toISOString().slice(0, 10)}, 02:30`;
    });
    expect(days).toEqual(expected);
  });

  it('the next time is always later, and none is left out from wherever one asks', () => {
    const next = parseSchedule('cron(0/20 * * * ? *)', LONDON, new Date(0));
    fc.assert(
      fc.property(fc.integer({ min: Date.UTC(2026, 2, 28), max: Date.UTC(2026, 2, 31) }), fromMs => {
        const first = next(new Date(fromMs))?.getTime() ?? 0;
        expect(first).toBeGreaterThan(fromMs);
        expect(first - fromMs).toBeLessThanOrEqual(20 * 60 * 1000);
        expect(next(new Date(first - 1))?.getTime()).toBe(first);
      }),
    );
  });

  it.each([
    ['cron(30 2 * * *)', 'it wants six fields'],
    ['cron(30 2 * * * *)', 'exactly one of day of month and day of week is ?'],
    ['cron(30 2 ? * ? *)', 'exactly one of day of month and day of week is ?'],
    ['cron(61 2 * * ? *)', 'it does not parse'],
    ['rate(0 hours)', 'it wants a number and minutes, hours or days'],
    ['rate(5 seconds)', 'it wants a number and minutes, hours or days'],
    ['at(tomorrow)', 'it wants yyyy-mm-ddThh:mm:ss'],
    ['every(day)', 'the local cloud does not implement the schedule expression every(day)'],
  ])('refuses %s', (expression, message) => {
    expect(() => parseSchedule(expression, LONDON, new Date(0))).toThrow(message);
  });

  it('refuses a time zone that does not exist', () => {
    expect(() => parseSchedule('cron(30 2 * * ? *)', 'Europe/Nowhere', new Date(0))).toThrow('there is no time zone');
  });
});

const FUNCTION = 'arn:aws:lambda:eu-west-2:111122223333:function:start';
const ROLE = 'arn:aws:iam::111122223333:role/schedule';
const MACHINE = 'arn:aws:states:eu-west-2:111122223333:stateMachine:machine';
const target = (fields: object = {}) => ({
  Arn: FUNCTION,
  RoleArn: ROLE,
  Input: '{"at":"<aws.scheduler.scheduled-time>","attempt":"<aws.scheduler.attempt-number>"}',
  ...fields,
});
const schedule = (fields: object = {}) => ({
  Name: 'daily',
  ScheduleExpression: 'cron(30 2 * * ? *)',
  ScheduleExpressionTimezone: LONDON,
  FlexibleTimeWindow: { Mode: 'OFF' },
  Target: target(),
  ...fields,
});

type Answer = 'ok' | 'function-error' | 'refused';

function localScheduler(answers: Answer[] = []) {
  const clock = new LocalClock({ startsAt: new Date('2026-11-22T00:00:00.000Z'), flow: 'manual' });
  const calls: unknown[] = [];
  const denied = new Set<string>();
  const scheduler = new LocalScheduler({
    clock,
    accountId: '111122223333',
    authorizer: {
      authorize: ({ action, resource, principal }) => {
        if (denied.has(action)) throw new AccessDenied(`${principal.arn} may not ${action} on ${resource}`);
      },
    },
    lambda: {
      invoke: async (name, payload, { arn }) => {
        const at = clock.now().toISOString();
        calls.push([name, payload, arn, at]);
        const answer = answers.shift() ?? 'ok';
        if (answer === 'refused') throw new AccessDenied('no');
        return answer === 'ok'
          ? { requestId: 'r', payload: null }
          : { requestId: 'r', functionError: { errorType: 'Broken', errorMessage: 'message' } };
      },
    },
    states: {
      describeStateMachine: nameOrArn => {
        if (nameOrArn !== MACHINE) throw new StatesError('StateMachineDoesNotExist', 'no machine');
        return { arn: MACHINE } as never;
      },
      startExecution: input => {
        calls.push(input);
        return {} as never;
      },
    },
  });
  const invocations: unknown[] = [];
  scheduler.onInvocation(({ scheduledTime, attempts, failure }) => {
    invocations.push([scheduledTime.toISOString(), attempts, failure]);
  });
  return { calls, clock, denied, invocations, scheduler };
}

describe('a schedule', () => {
  it('calls its target under its role when the clock has come there, again and again', async () => {
    const { calls, clock, invocations, scheduler } = localScheduler();
    expect(scheduler.createSchedule(schedule())).toBe(
      'arn:aws:scheduler:eu-west-2:111122223333:schedule/default/daily',
    );
    expect(scheduler.nextInvocations('daily', 2).map(time => time.toISOString())).toEqual([
      '2026-11-22T02:30:00.000Z',
      '2026-11-23T02:30:00.000Z',
    ]);
    await clock.advance(2 * DAY_MS);
    expect(calls).toEqual([
      [FUNCTION, { at: '2026-11-22T02:30:00Z', attempt: '1' }, ROLE, '2026-11-22T02:30:00.000Z'],
      [FUNCTION, { at: '2026-11-23T02:30:00Z', attempt: '1' }, ROLE, '2026-11-23T02:30:00.000Z'],
    ]);
    expect(invocations).toEqual([
      ['2026-11-22T02:30:00.000Z', 1, null],
      ['2026-11-23T02:30:00.000Z', 1, null],
    ]);
  });

  it('never makes time jump', async () => {
    const { calls, clock, scheduler } = localScheduler();
    scheduler.createSchedule(schedule());
    await clock.sleep(60_000);
    for (let turn = 0; turn < 10; turn++) await new Promise(setImmediate);
    expect(clock.now().toISOString()).toBe('2026-11-22T00:01:00.000Z');
    expect(calls).toEqual([]);
  });

  it('fires by hand, once, for the time that it is told', async () => {
    const { calls, scheduler } = localScheduler(['refused']);
    scheduler.createSchedule(schedule({ State: 'DISABLED' }));
    const time = new Date('2026-01-01T02:30:00Z');
    expect(await scheduler.fire('daily', time)).toMatchObject({
      schedule: 'daily',
      attempts: 1,
      failure: 'AccessDenied: no',
    });
    expect(await scheduler.fire('daily', time)).toMatchObject({ scheduledTime: time, failure: null });
    expect(calls.map(call => (call as unknown[])[1])).toEqual(
      Array(2).fill({ at: '2026-01-01T02:30:00Z', attempt: '1' }),
    );
  });

  it('tries again what the target refused, as often as its retry policy says', async () => {
    const { calls, clock, invocations, scheduler } = localScheduler(['refused', 'refused', 'refused']);
    scheduler.createSchedule(schedule({ Target: target({ RetryPolicy: { MaximumRetryAttempts: 1 } }) }));
    await clock.advance(3 * 60 * 60 * 1000);
    expect(calls.map(call => (call as unknown[])[3])).toEqual(['2026-11-22T02:30:00.000Z', '2026-11-22T02:31:00.000Z']);
    expect(invocations).toEqual([['2026-11-22T02:30:00.000Z', 2, 'AccessDenied: no']]);
  });

  it('ends its attempts at the event’s greatest age', async () => {
    const { calls, clock, scheduler } = localScheduler(Array<Answer>(10).fill('refused'));
    scheduler.createSchedule(schedule({ Target: target({ RetryPolicy: { MaximumEventAgeInSeconds: 120 } }) }));
    await clock.advance(3 * 60 * 60 * 1000);
    expect(calls).toHaveLength(3);
  });

  it('lets Lambda try a failing function twice more, after one and two minutes', async () => {
    const { calls, clock, invocations, scheduler } = localScheduler(Array<Answer>(5).fill('function-error'));
    scheduler.createSchedule(schedule());
    await clock.advance(3 * 60 * 60 * 1000);
    expect(calls.map(call => (call as unknown[])[3])).toEqual([
      '2026-11-22T02:30:00.000Z',
      '2026-11-22T02:31:00.000Z',
      '2026-11-22T02:33:00.000Z',
    ]);
    expect(invocations).toEqual([['2026-11-22T02:30:00.000Z', 3, 'Broken: message']]);
  });

  it('starts an execution as a universal target, with permission', async () => {
    const { calls, denied, scheduler } = localScheduler();
    const input = JSON.stringify({
      StateMachineArn: MACHINE,
      Name: '<aws.scheduler.execution-id>',
      Input: '{"scheduledAt":"<aws.scheduler.scheduled-time>"}',
    });
    const universal = { Arn: 'arn:aws:scheduler:::aws-sdk:sfn:startExecution', Input: input };
    scheduler.createSchedule(schedule({ Target: target(universal) }));
    const { executionId, failure } = await scheduler.fire('daily', new Date('2026-01-01T02:30:00Z'));
    expect(failure).toBeNull();
    expect(calls).toEqual([
      { stateMachine: MACHINE, name: executionId, input: { scheduledAt: '2026-01-01T02:30:00Z' } },
    ]);
    denied.add('states:StartExecution');
    expect((await scheduler.fire('daily', new Date(0))).failure).toBe(
      `AccessDenied: ${ROLE} may not states:StartExecution on ${MACHINE}`,
    );
  });

  it('is replaced by one of the same name', async () => {
    const { calls, clock, scheduler } = localScheduler();
    scheduler.createSchedule(schedule());
    scheduler.createSchedule(schedule({ ScheduleExpression: 'cron(0 5 * * ? *)' }));
    await clock.advance(DAY_MS);
    expect(calls.map(call => (call as unknown[])[3])).toEqual(['2026-11-22T05:00:00.000Z']);
  });

  it.each([
    [
      'a flexible window',
      schedule({ FlexibleTimeWindow: { Mode: 'FLEXIBLE', MaximumWindowInMinutes: 5 } }),
      'the flexible time window of the schedule daily',
    ],
    ['a start date', schedule({ StartDate: '2026-01-01T00:00:00Z' }), 'the property StartDate of a schedule'],
    ['a group', schedule({ GroupName: 'other' }), 'schedule groups (other)'],
    [
      'another target',
      schedule({ Target: target({ Arn: 'arn:aws:sqs:eu-west-2:111122223333:q' }) }),
      'the schedule target arn:aws:sqs',
    ],
    [
      'a dead-letter queue',
      schedule({ Target: target({ DeadLetterConfig: {} }) }),
      'the property DeadLetterConfig of the target',
    ],
    ['no role', schedule({ Target: { Arn: FUNCTION } }), 'a schedule has no RoleArn'],
    ['no name', schedule({ Name: undefined }), 'a schedule has no Name'],
  ])('refuses %s by name', (_name, properties, message) => {
    expect(() => localScheduler().scheduler.createSchedule(properties)).toThrow(message);
  });
});

describe('the API', () => {
  const setUp = () => {
    const { scheduler, denied } = localScheduler();
    const root = { kind: 'root', arn: 'arn:aws:iam::111122223333:root' } as const;
    const client = new SchedulerClient({ ...localClientConfiguration({ scheduler }, root), maxAttempts: 1 });
    const get = (input: GetScheduleCommandInput) => client.send(new GetScheduleCommand(input));
    return { scheduler, denied, client, get };
  };

  it('tells what a schedule is, and whether it is enabled', async () => {
    const { scheduler, get } = setUp();
    scheduler.createSchedule(schedule());
    expect(await get({ Name: 'daily', GroupName: 'default' })).toMatchObject({
      Arn: 'arn:aws:scheduler:eu-west-2:111122223333:schedule/default/daily',
      State: 'ENABLED',
      CreationDate: new Date('2026-11-22T00:00:00.000Z'),
      FlexibleTimeWindow: { Mode: 'OFF' },
      Target: { Arn: FUNCTION, RoleArn: ROLE },
    });
    scheduler.createSchedule(schedule({ State: 'DISABLED' }));
    expect((await get({ Name: 'daily' })).State).toBe('DISABLED');
  });

  it('refuses as AWS does, and names what is not implemented', async () => {
    const { scheduler, denied, client, get } = setUp();
    scheduler.createSchedule(schedule());
    await expect(get({ Name: 'other' })).rejects.toThrow(ResourceNotFoundException);
    await expect(get({ Name: 'daily', GroupName: 'mine' })).rejects.toThrow('schedule groups (mine)');
    await expect(client.send(new ListScheduleGroupsCommand({}))).rejects.toThrow(
      'the local cloud does not implement the EventBridge Scheduler request GET /schedule-groups',
    );
    await expect(client.send(new ListSchedulesCommand({ State: 'ENABLED' }))).rejects.toThrow(
      'the local cloud does not implement the parameter State of ListSchedules',
    );
    denied.add('scheduler:GetSchedule');
    await expect(get({ Name: 'daily' })).rejects.toMatchObject({ name: 'AccessDeniedException' });
  });

  it('creates, lists and deletes schedules', async () => {
    const { scheduler, client, get } = setUp();
    const once = {
      Name: 'once',
      ScheduleExpression: 'at(2026-11-23T00:00:00)',
      FlexibleTimeWindow: { Mode: 'OFF' as const },
      Target: { Arn: FUNCTION, RoleArn: ROLE, Input: '{"a":1}' },
    };
    await client.send(new CreateScheduleCommand(once));
    scheduler.createSchedule(schedule());
    expect((await get({ Name: 'once' })).Target?.Input).toBe('{"a":1}');
    expect(scheduler.nextInvocations('once', 2)).toEqual([new Date('2026-11-23T00:00:00Z')]);
    await expect(client.send(new CreateScheduleCommand(once))).rejects.toMatchObject({ name: 'ConflictException' });
    await expect(
      client.send(new CreateScheduleCommand({ ...once, Name: 'wrong', ScheduleExpression: 'at(now)' })),
    ).rejects.toMatchObject({ name: 'ValidationException' });
    const list = async (NamePrefix?: string) =>
      ((await client.send(new ListSchedulesCommand({ NamePrefix }))).Schedules ?? []).map(({ Name }) => Name);
    expect([await list(), await list('on')]).toEqual([['once', 'daily'], ['once']]);
    await client.send(new DeleteScheduleCommand({ Name: 'once' }));
    expect(await list()).toEqual(['daily']);
    await expect(client.send(new DeleteScheduleCommand({ Name: 'once' }))).rejects.toThrow(ResourceNotFoundException);
  });
});
