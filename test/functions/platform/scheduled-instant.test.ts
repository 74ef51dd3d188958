import { expect, it } from 'vitest';
import { madeAt } from '../../../functions/platform/scheduled-instant.ts';

const createdAt = new Date('2026-11-05T03:20:00.000Z');

it.each([
  ['as AWS says', createdAt, '20261105t030000z', createdAt],
  ['at the instant of its id, where AWS does not say', undefined, '20261105t030000z', new Date('2026-11-05T03:00:00Z')],
  ['never, by an id that is no instant', undefined, '20269905t030000z', undefined],
  ['never, by a tag that somebody else wrote', undefined, 'mine', undefined],
  ['never, by nothing', undefined, undefined, undefined],
])('was made %s', (_name, created, id, expected) => {
  expect(madeAt(created, id)).toEqual(expected);
});
