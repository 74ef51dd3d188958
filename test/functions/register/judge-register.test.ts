import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { POWERS, type RegisterContent } from '../../../functions/contracts/register.ts';
import type { RecordedEntry } from '../../../functions/platform/ledger-projection.ts';
import {
  contactsOf,
  countingOf,
  findingsOf,
  type ReadEntry,
  type Register,
  whoMay,
} from '../../../functions/register/judge-register.ts';

const SCHOOL = 'controller/school2222222222';
const TRUST = 'controller/trust22222222222';
const HEAD = 'contact/head222222222222';
const OAK = 'tenant/oak';
const WRITTEN = '2026-11-01T09:00:00.000Z';
const COUNTS = '2026-11-08T09:00:00.000Z';
const at = (instant: string) => new Date(instant);
const LATER = at('2026-11-22T09:00:00.000Z');
const MEANWHILE = at('2026-11-08T08:59:59.999Z');

const head = (part: Partial<RegisterContent<'contact'>> = {}): RegisterContent<'contact'> => ({
  controller: SCHOOL,
  name: 'Head',
  email: 'head@oak.example',
  phone: null,
  may: ['instruct', 'receive'],
  note: null,
  ...part,
});
const controller = (): RegisterContent<'controller'> => ({ type: 'school', name: 'Oak', answers: {}, note: null });
const tenant = (of = SCHOOL): RegisterContent<'tenant'> => ({
  controller: of,
  name: 'Oak',
  startsOn: '2026-09-01',
  endsOn: null,
  note: null,
});
const words = (sha256: string, countsFrom: string) => ({
  sha256,
  versionId: `version-${sha256[0]}`,
  recordedAt: WRITTEN,
  sequence: 1,
  countsFrom,
});
/** An entry whose newest words count from `countsFrom` on, and what counted before them. */
function entry(
  id: string,
  latest: RegisterContent | undefined,
  options: { countsFrom?: string; before?: RegisterContent; part?: Partial<ReadEntry>; confirmedAt?: string } = {},
): ReadEntry {
  const { countsFrom = COUNTS, before, part, confirmedAt = WRITTEN } = options;
  const recorded: RecordedEntry = {
    latest: words('b'.repeat(64), countsFrom),
    before: before === undefined ? null : words('a'.repeat(64), WRITTEN),
    confirmedAt,
  };
  return { id, recorded, latest, before, lies: 'as recorded', ...part };
}
const register = (...entries: ReadEntry[]): Register => new Map(entries.map(one => [one.id, one]));
const settled = { countsFrom: WRITTEN };
const here = [entry(SCHOOL, controller(), settled), entry(OAK, tenant(), settled)];

describe('whose words count', () => {
  it.each<[string, ReadEntry, Date, readonly string[] | undefined, string | undefined]>([
    ['nothing of a new contact that cools off', entry(HEAD, head()), MEANWHILE, undefined, undefined],
    ['a new contact from then on', entry(HEAD, head()), at(COUNTS), ['instruct', 'receive'], 'head@oak.example'],
    [
      'the former address while another one cools off',
      entry(HEAD, head({ email: 'thief@elsewhere.example' }), { before: head() }),
      MEANWHILE,
      ['instruct', 'receive'],
      'head@oak.example',
    ],
    [
      'the new address from then on',
      entry(HEAD, head({ email: 'new@oak.example' }), { before: head() }),
      LATER,
      ['instruct', 'receive'],
      'new@oak.example',
    ],
    [
      'no power that is only coming',
      entry(HEAD, head({ may: ['instruct', 'receive'] }), { before: head({ may: ['instruct'] }) }),
      MEANWHILE,
      ['instruct'],
      'head@oak.example',
    ],
    [
      'no power that is being taken away',
      entry(HEAD, head({ may: ['out-of-hours'] }), { before: head() }),
      MEANWHILE,
      [],
      'head@oak.example',
    ],
    [
      'no power where the words that are coming are gone',
      entry(HEAD, undefined, { before: head() }),
      MEANWHILE,
      [],
      'head@oak.example',
    ],
    ['nothing where the words are gone', entry(HEAD, undefined), LATER, undefined, undefined],
    [
      'nothing that the ledger does not hold',
      entry(HEAD, head(), { part: { recorded: undefined, latest: undefined } }),
      LATER,
      undefined,
      undefined,
    ],
    [
      'what was recorded, whatever lies in its place',
      entry(HEAD, head(), { part: { lies: 'something else' } }),
      LATER,
      ['instruct', 'receive'],
      'head@oak.example',
    ],
  ])('%s', (_name, contact, now, may, email) => {
    const [found] = contactsOf(SCHOOL, register(...here, contact), now);
    expect([found?.may, found?.contact.email]).toEqual([may, email]);
  });

  it('nobody’s of a controller that does not count, or of another one', () => {
    const contact = entry(HEAD, head(), settled);
    expect(contactsOf(SCHOOL, register(contact), LATER)).toEqual([]);
    expect(contactsOf(SCHOOL, register(entry(SCHOOL, controller()), contact), MEANWHILE)).toEqual([]);
    expect(contactsOf(TRUST, register(...here, contact, entry(TRUST, controller(), settled)), LATER)).toEqual([]);
    // An entry of another kind in the place of a controller is none.
    expect(contactsOf(OAK, register(...here, entry(HEAD, head({ controller: OAK }), settled)), LATER)).toEqual([]);
  });

  it('for a school those of the controller that counts as its, until another one does', () => {
    const other = 'contact/other22222222222';
    const moved = register(
      entry(SCHOOL, controller(), settled),
      entry(TRUST, controller(), settled),
      entry(OAK, tenant(TRUST), { before: tenant(SCHOOL) }),
      entry(HEAD, head(), settled),
      entry(other, head({ controller: TRUST, may: ['instruct'] }), settled),
    );
    const ids = (now: Date) => POWERS.map(power => whoMay(power, OAK, moved, now).map(({ id }) => id));
    expect(ids(MEANWHILE)).toEqual([[HEAD], [HEAD], []]);
    expect(ids(at(COUNTS))).toEqual([[other], [], []]);
    expect(whoMay('instruct', 'tenant/elm', moved, LATER)).toEqual([]);
  });

  it('never more while a change cools off than before it, and never more than after it', () => {
    const powers = fc.subarray([...POWERS]);
    fc.assert(
      fc.property(powers, powers, fc.boolean(), (before, after, isGone) => {
        const coming = isGone ? undefined : head({ may: after, email: 'new@oak.example' });
        const changed = register(...here, entry(HEAD, coming, { before: head({ may: before }) }));
        const [meanwhile] = contactsOf(SCHOOL, changed, MEANWHILE);
        expect(meanwhile?.contact.email).toBe('head@oak.example');
        expect(meanwhile?.may.every(power => before.includes(power) && after.includes(power) && !isGone)).toBe(true);
        const [later] = contactsOf(SCHOOL, changed, LATER);
        expect(later?.may).toEqual(isGone ? undefined : after);
      }),
    );
  });
});

describe('what is wrong with an entry', () => {
  const YEAR_LATER = at('2027-11-02T09:00:00.000Z');
  it.each<[string, ReadEntry, Date, readonly string[]]>([
    ['nothing', entry(HEAD, head()), LATER, []],
    ['its words are gone', entry(HEAD, undefined), LATER, ['gone']],
    [
      'what counts until then is gone',
      entry(HEAD, head(), { before: head(), part: { before: undefined } }),
      MEANWHILE,
      ['gone'],
    ],
    [
      'the same, once it counts no more',
      entry(HEAD, head(), { before: head(), part: { before: undefined } }),
      LATER,
      [],
    ],
    ['something else lies there', entry(HEAD, head(), { part: { lies: 'something else' } }), LATER, ['altered']],
    ['it is hidden', entry(HEAD, head(), { part: { lies: 'nothing' } }), LATER, ['altered']],
    [
      'it was never recorded',
      entry(HEAD, undefined, { part: { recorded: undefined, lies: 'something else' } }),
      LATER,
      ['left'],
    ],
    ['it is not there at all', entry(HEAD, undefined, { part: { recorded: undefined, lies: 'nothing' } }), LATER, []],
    ['nobody confirmed it for twelve months', entry(HEAD, head()), at('2027-11-02T09:00:00.001Z'), ['not-confirmed']],
    ['twelve months are not over', entry(HEAD, head()), YEAR_LATER, []],
    [
      'it was confirmed since',
      entry(HEAD, head(), { confirmedAt: LATER.toISOString() }),
      at('2027-11-10T00:00:00Z'),
      [],
    ],
    ['a controller need not be confirmed', entry(SCHOOL, controller()), at('2030-01-01T00:00:00Z'), []],
    ['its controller is not there', entry(HEAD, head({ controller: TRUST })), LATER, ['without-controller']],
    [
      'its controller is going to be one that is not there',
      entry(OAK, tenant(TRUST), { before: tenant() }),
      MEANWHILE,
      ['without-controller'],
    ],
  ])('%s', (_name, one, now, findings) => {
    expect(findingsOf(one, register(...here.filter(({ id }) => id !== one.id), one), now)).toEqual(findings);
  });

  it('counts nothing whose words are not there, at any time', () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), fc.boolean(), (now, hadWords) => {
        const gone = entry(HEAD, undefined, hadWords ? { before: head(), part: { before: undefined } } : {});
        expect(countingOf(gone, now)).toBeUndefined();
      }),
    );
  });
});
