import { expect, it } from 'vitest';
import { findAbandoned } from '../../../functions/restore-test/find-abandoned.ts';

const now = new Date('2026-11-05T12:00:00Z');
const rule = { namePrefix: 'daybreak-test-', abandonedAfterMs: 6 * 60 * 60 * 1000 };
const left = {
  instanceId: 'daybreak-test-app-261105030000',
  resourceId: 'db-1',
  status: 'available',
  createdAt: new Date('2026-11-05T06:00:00Z'),
  purpose: 'restore-test',
  restoreTestId: '20261105t030000z',
};

it.each([
  ['removes what a dead test left', left, 'remove', 'restore test 20261105t030000z left it behind'],
  [
    'keeps a younger one',
    { ...left, createdAt: new Date('2026-11-05T06:00:00.001Z') },
    'keep',
    'a test may still be using it',
  ],
  [
    'keeps another name with our tags',
    { ...left, instanceId: 'app' },
    'keep',
    'its name is not that of a restore test',
  ],
  [
    'keeps our name without the purpose',
    { ...left, purpose: undefined },
    'keep',
    'its tags do not say that a restore test made it',
  ],
  [
    'keeps our name without the test',
    { ...left, restoreTestId: undefined },
    'keep',
    'its tags do not say that a restore test made it',
  ],
  ['knows one that is going', { ...left, status: 'deleting' }, 'going', 'restore test 20261105t030000z left it behind'],
  [
    'keeps one that its own test is deleting',
    { ...left, status: 'deleting', createdAt: now },
    'keep',
    'a test may still be using it',
  ],
  [
    'keeps one that is still being created, whenever its test was to start',
    { ...left, status: 'creating', createdAt: undefined },
    'keep',
    'it is still being created',
  ],
  [
    'removes one that failed before it had an age, by the instant of its test',
    { ...left, status: 'incompatible-restore', createdAt: undefined },
    'remove',
    'restore test 20261105t030000z left it behind',
  ],
  [
    'keeps one that just failed so',
    { ...left, status: 'incompatible-restore', createdAt: undefined, restoreTestId: '20261105t060001z' },
    'keep',
    'a test may still be using it',
  ],
  [
    'keeps one without an age whose test is no instant',
    { ...left, createdAt: undefined, restoreTestId: 'mine' },
    'keep',
    'it has no age, and its tag names no instant',
  ],
])('%s', (_name, instance, action, reason) => {
  expect(findAbandoned([instance], rule, now)).toEqual([{ instance, action, reason }]);
});
