import { DescribeDBSnapshotAttributesCommand, RDSClient } from '@aws-sdk/client-rds';
import { beforeEach, expect, it } from 'vitest';
import { readShares } from '../../../functions/pulse/read-shares.ts';
import { PULSE_INTERVAL_MS } from '../../../functions/pulse/rotate-sample.ts';
import { mockClientHere } from '../../fixtures/mock-client.ts';

const rds = mockClientHere(RDSClient);
const NOW = new Date('2026-12-01T09:00:00.000Z');
const pulses = (count: number) => new Date(NOW.getTime() + count * PULSE_INTERVAL_MS);
const NEWEST = '20261201t023000z';
const snapshots = Array.from({ length: 450 }, (_, index) => `daybreak-app-${index}-20261101t023000z`);
const newest = ['a', 'b', 'c'].map(id => `daybreak-${id}-${NEWEST}`);
const all = [...snapshots, ...newest];
const share = (id: string | undefined, ...accounts: string[]) =>
  rds.on(DescribeDBSnapshotAttributesCommand, id === undefined ? {} : { DBSnapshotIdentifier: id }).resolves({
    DBSnapshotAttributesResult: { DBSnapshotAttributes: [{ AttributeName: 'restore', AttributeValues: accounts }] },
  });
const asked = () =>
  rds.commandCalls(DescribeDBSnapshotAttributesCommand).map(call => call.args[0].input.DBSnapshotIdentifier);

beforeEach(() => {
  rds.reset();
  share(undefined);
});

it('asks about the newest and those shared before each time, and about every other one in turn', async () => {
  const before = snapshots.slice(7, 8);
  const seen = new Set<string | undefined>();
  for (let pulse = 0; pulse < 5; pulse++) {
    rds.resetHistory();
    await readShares(all, before, NEWEST, pulses(pulse));
    expect(asked()).toEqual(expect.arrayContaining([...before, ...newest]));
    expect(asked().length).toBeLessThanOrEqual(104);
    for (const id of asked()) seen.add(id);
  }
  expect([...seen].sort()).toEqual(all.toSorted());
});

it('finds what is shared beside one that gives no answer, and misses none that went meanwhile', async () => {
  const [first = '', second = '', third = ''] = newest;
  const fails = (id: string, name: string) =>
    rds
      .on(DescribeDBSnapshotAttributesCommand, { DBSnapshotIdentifier: id })
      .rejects(Object.assign(new Error(name), { name }));
  fails(first, 'AccessDenied');
  fails(second, 'DBSnapshotNotFoundFault');
  share(third, 'all');
  const { shared, unread } = await readShares(newest, [], NEWEST, NOW);
  expect(shared).toEqual([third]);
  expect(unread.map(({ snapshotId }) => snapshotId)).toEqual([first]);
});
