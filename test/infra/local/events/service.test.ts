import { EventBridgeClient, TestEventPatternCommand } from '@aws-sdk/client-eventbridge';
import { afterAll, describe, expect, it } from 'vitest';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { LocalCloud } from '../../../../infra/local/cloud.ts';

const clock = new LocalClock({ startsAt: new Date('2026-01-01T00:00:00Z'), flow: 'manual' });
const cloud = new LocalCloud({ clock });
afterAll(() => cloud.close());

const EVENT = {
  id: 'e',
  account: cloud.accountId,
  source: 'aws.rds',
  time: '2026-01-01T00:00:00Z',
  region: 'eu-west-2',
  resources: [],
  'detail-type': 'AWS API Call via CloudTrail',
  detail: { eventName: 'DeleteDBSnapshot' },
};
const PATTERN = { source: ['aws.rds'], detail: { eventName: ['DeleteDBSnapshot'] } };

function test(event: object, pattern: unknown, principal = cloud.root) {
  const client = new EventBridgeClient(cloud.clientConfiguration(principal));
  const input = { Event: JSON.stringify(event), EventPattern: JSON.stringify(pattern) };
  return client.send(new TestEventPatternCommand(input));
}

describe('TestEventPattern', () => {
  it('says whether an event matches', async () => {
    expect(await test(EVENT, PATTERN)).toMatchObject({ Result: true });
    expect(await test({ ...EVENT, source: 'aws.s3' }, PATTERN)).toMatchObject({ Result: false });
  });

  it.each([
    ['that is none', {}],
    ['that is too long', { source: ['x'.repeat(4100)] }],
  ])('refuses a pattern %s', async (_title, pattern) => {
    await expect(test(EVENT, pattern)).rejects.toMatchObject({ name: 'InvalidEventPatternException' });
  });

  it('answers no event that lacks what AWS wants of it, and nobody who may not ask', async () => {
    const { resources: _resources, ...incomplete } = EVENT;
    await expect(test(incomplete, PATTERN)).rejects.toThrow('TestEventPattern of an event without resources');
    const stranger = { kind: 'role', arn: `arn:aws:iam::${cloud.accountId}:role/stranger` } as const;
    cloud.iam.putRole({ arn: stranger.arn, policies: [] });
    await expect(test(EVENT, PATTERN, stranger)).rejects.toMatchObject({ name: 'AccessDeniedException' });
  });
});
