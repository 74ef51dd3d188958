import { expect, it } from 'vitest';
import { ACTS, stopAtEach } from './open-register.ts';

it.each(Object.entries(ACTS))(
  'whoever is stopped at any request %s, when he does it again',
  async (_name, { act, done }) => {
    expect(await stopAtEach(() => true, act, done)).toBeGreaterThan(8);
  },
  600_000,
);
