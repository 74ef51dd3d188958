import { afterAll, beforeAll, expect, it } from 'vitest';
import { killUpgrades } from './killed-upgrades.ts';
import { countStates, PoliciesAccount } from './policies-account.ts';

const TENANTS = ['oak', 'elm', 'ash'];

let own: PoliciesAccount;
beforeAll(async () => {
  own = await PoliciesAccount.create(TENANTS);
});
afterAll(() => own?.account.cloud.close());

it.each(['request', 'response'] as const)(
  'locks nobody out, whichever %s an upgrade was killed at, and is finished by the next run',
  async lost => {
    await killUpgrades(own, lost);
    expect(Object.keys(countStates(await own.check()))).toEqual(['current']);
  },
);
