import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { REGISTER_CONTENTS, type RegisterContent, type RegisterKind } from '../../../functions/contracts/register.ts';
import { registerEntryKey } from '../../../functions/contracts/vault-layout.ts';
import { append } from '../../../functions/evidence/append.ts';
import { describeDecision } from '../../../functions/evidence/describe-decision.ts';
import { writeBytes } from '../../../functions/platform/s3.ts';
import { addEntry, type Recorder } from '../../../functions/register/keep-entry.ts';
import { printable } from '../../../infra/command-line/printable.ts';
import { createDaybreak, describeEnd } from '../../../runbooks/cli/program.ts';
import { VERB_GROUPS } from '../../../runbooks/cli/verb-groups.ts';
import { type LocalLedger, openLedger } from '../../functions/evidence/local-ledger.ts';
import { runHere } from '../../infra/command-line/run-here.ts';

const directory = mkdtempSync(join(tmpdir(), 'daybreak-register-'));
const DAY_MS = 86_400_000;
const BUCKET = 'daybreak-evidence-111122223333-eu-west-2';
let ledger: LocalLedger;
let school: string;
let head: string;

const daybreak = (...words: string[]) => runHere(createDaybreak(VERB_GROUPS), words, describeEnd);
const show = (kind: RegisterKind, ...more: string[]) =>
  daybreak('register', kind, 'show', '--local', directory, ...more);

function add(kind: RegisterKind, content: RegisterContent, id: string | null = null): Promise<string> {
  const { deployment, clock, run } = ledger;
  const record: Recorder = async decision => {
    await append(describeDecision(decision, undefined, clock.now(), { coolingOffDays: 7 }), clock.now(), deployment);
  };
  return run(async () => (await addEntry(deployment, { kind, id, content, by: 'staff-7' }, record)).id);
}

beforeAll(async () => {
  ledger = await openLedger({ directory });
  ledger.s3.createBucket({ name: 'register', versioning: 'Enabled' });
  school = await add('controller', { type: 'school', name: 'Oakfield', answers: { 'data-format': 'CSV' }, note: null });
  head = await add('contact', {
    controller: school,
    // It is a name as people have them; what marks its direction is not shown.
    name: 'نور\u200f Ní Bhriain',
    email: 'head@oakfield.example',
    phone: null,
    may: ['instruct', 'out-of-hours'],
    note: 'one line\nand another',
  });
  const contract = { name: 'Oak', startsOn: '2026-09-01', endsOn: null, note: null };
  await add('tenant', { controller: school, ...contract }, 'tenant/oak');
  vi.useFakeTimers({ toFake: ['Date'], now: ledger.clock.now().getTime() + 8 * DAY_MS });
  writeFileSync(join(directory, 'deployment.json'), JSON.stringify(ledger.deployment));
});
afterAll(() => {
  vi.useRealTimers();
  ledger.s3.close();
  rmSync(directory, { recursive: true });
});

describe('daybreak register show', () => {
  it('says who a contact is and what it may do now, on lines that nobody else ends', async () => {
    const { exitCode, stdout, stderr } = await show('contact');
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout.split('\n').map(line => line.trim().split(/ {2,}/))).toEqual([
      [head],
      ['controller', school],
      ['name', 'نور? Ní Bhriain'],
      ['email', 'head@oakfield.example'],
      ['may', 'instruct, out-of-hours'],
      ['note', 'one line?and another'],
      ['may now', 'instruct, out-of-hours'],
      ['confirmed', '2026-11-22T03:00:00.000Z'],
      [''],
    ]);
    const { entries } = JSON.parse((await show('contact', '--id', head, '--json')).stdout);
    expect(entries[0]).toMatchObject({ id: head, waits: null, may: ['instruct', 'out-of-hours'], findings: [] });
    expect(entries[0].counts.name).toBe('نور\u200f Ní Bhriain');
  });

  it('says who may do what for a school', async () => {
    const { entries } = JSON.parse((await show('tenant', '--json')).stdout);
    expect(entries).toMatchObject([
      { id: 'tenant/oak', whoMay: { instruct: [head], receive: [], 'out-of-hours': [head] }, findings: [] },
    ]);
    expect((await show('tenant')).stdout).toMatch(/\n {4}receive +nobody\n/);
    expect((await show('controller')).stdout).toMatch(/\n {4}data-format +CSV\n/);
    expect(await show('person')).toMatchObject({ exitCode: 0, stdout: 'there is no person in the register\n' });
  });

  it('ends with 1 and names what is wrong, where somebody else wrote there', async () => {
    const left = registerEntryKey('text/left222222222222');
    await ledger.run(() => writeBytes('register', left, Buffer.from('\u001b[2J')));
    const { exitCode, stdout } = await show('text');
    expect(exitCode).toBe(1);
    expect(stdout).toMatch(/^text\/left222222222222\n {4}counts +nothing\n {4}left +the ledger holds nothing of it/);
    expect(stdout).not.toContain('\u001b');
  });

  it.each([
    ['contact', 'contact/nobody2222222222', 'there is no such entry'],
    ['contact', 'tenant/oak', '--id: give the id of a contact'],
    ['tenant', 'tenant/../contact', '--id: give the id of a tenant'],
    ['tenant', 'tenant/oak\u001b[2J', '--id: give the id of a tenant'],
  ] as const)('of a %s refuses the id %j', async (kind, id, message) => {
    const { exitCode, stdout, stderr } = await show(kind, '--id', id);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
    expect(stderr).not.toContain('\u001b');
  });
});

describe('words that are no words', () => {
  const CONTACT = {
    '--controller': 'controller/abcdefgh234567xy',
    '--name': 'Head',
    '--email': 'head@oakfield.example',
    '--may': 'instruct',
  };
  const TENANT = {
    '--id': 'tenant/oak',
    '--controller': 'controller/abcdefgh234567xy',
    '--name': 'Oak',
    '--starts-on': '2026-09-01',
  };
  it.each<[string, RegisterKind, Record<string, string>, Record<string, string>, string]>([
    ['an escape', 'contact', CONTACT, { '--name': 'SECRET\u001b[2J' }, '--name: must be one line of text'],
    ['a line’s end', 'contact', CONTACT, { '--name': 'SECRET\nmay: instruct' }, '--name: must be one line of text'],
    ['another line’s end', 'contact', CONTACT, { '--name': 'SECRET\u2028x' }, '--name: must be one line of text'],
    [
      'a text that reads backwards',
      'contact',
      CONTACT,
      { '--name': 'SECRET\u202exe.txt' },
      '--name: must be one line of text',
    ],
    ['half a character', 'contact', CONTACT, { '--name': 'SECRET\ud800' }, '--name: must be one line of text'],
    ['too much', 'contact', CONTACT, { '--name': 'SECRET'.repeat(40) }, '--name: must have 200 characters at most'],
    ['nothing but spaces', 'contact', CONTACT, { '--name': '   ' }, '--name: must not be empty'],
    ['no address', 'contact', CONTACT, { '--email': 'SECRET@' }, '--email: must be an e-mail address'],
    ['two addresses', 'contact', CONTACT, { '--email': 'a@b.example\nBcc: SECRET@b.example' }, '--email: must be an'],
    ['no number', 'contact', CONTACT, { '--phone': 'SECRET' }, '--phone: must be a number with its country'],
    [
      'a controller that is none',
      'contact',
      CONTACT,
      { '--controller': 'SECRET' },
      '--controller: must be the id of an entry',
    ],
    [
      'a controller of another kind',
      'contact',
      CONTACT,
      { '--controller': 'tenant/SECRET' },
      '--controller: must be the id of a controller',
    ],
    ['a note that clears the screen', 'contact', CONTACT, { '--note': 'SECRET\u009b2J' }, '--note: must be text'],
    ['a day that is none', 'tenant', TENANT, { '--starts-on': '2026-02-31' }, '--starts-on: must be a day'],
    [
      'a contract that ends before it begins',
      'tenant',
      TENANT,
      { '--ends-on': '2026-08-31' },
      '--ends-on: must not be before',
    ],
    [
      'a question that is none',
      'controller',
      { '--type': 'trust', '--name': 'Oak' },
      { '--answer': 'Data Format=SECRET' },
      '--answer: give a question and its answer',
    ],
    [
      'a question without an answer',
      'controller',
      { '--type': 'trust', '--name': 'Oak' },
      { '--answer': 'SECRET' },
      '--answer: give a question and its answer',
    ],
    [
      'a person’s name for an id',
      'person',
      { '--id': 'person/Jane Smith', '--name': 'Jane' },
      {},
      '--id: give the id of a person',
    ],
    [
      'an actor who is named',
      'text',
      { '--about': 'INC-42', '--text': 'Words' },
      { '--by': 'Jane SECRET' },
      '--by: must be an id',
    ],
  ])('%s: is refused in one line, which does not say it again', async (_name, kind, given, change, message) => {
    const words = Object.entries({ '--by': 'staff-7', ...given, ...change }).map(([flag, value]) => `${flag}=${value}`);
    const { exitCode, stdout, stderr } = await daybreak(
      'register',
      kind,
      'add',
      `--evidence-bucket=${BUCKET}`,
      ...words,
    );
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr.startsWith(`daybreak: ${message}`)).toBe(true);
    expect(stderr.trimEnd()).toBe(printable(stderr.trimEnd()));
    expect(stderr).not.toContain('SECRET');
  });

  it.each(['--name', '--email', '--may'])('is told that %s is needed', async missing => {
    const words = Object.entries({ ...CONTACT, '--by': 'staff-7' }).filter(([flag]) => flag !== missing);
    const { stderr } = await daybreak('register', 'contact', 'add', `--evidence-bucket=${BUCKET}`, ...words.flat());
    expect(stderr).toBe(`daybreak: ${missing}: is needed\n`);
  });

  it('are recorded by a workflow, which a state at rest does not run', async () => {
    const words = Object.entries({ ...CONTACT, '--by': 'staff-7' }).flat();
    const { exitCode, stderr } = await daybreak('register', 'contact', 'add', '--local', directory, ...words);
    expect(exitCode).toBe(2);
    expect(stderr).toContain('a decision is recorded by a workflow');
  });

  it('are never kept, whatever is given: a name has one line, and reads in the order in which it is written', () => {
    const given = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: 'grapheme' }));
    fc.assert(
      fc.property(given, name => {
        const { data } = REGISTER_CONTENTS.person.safeParse({ name });
        if (data === undefined) return;
        expect(data.name).toBe(name.normalize('NFC').trim());
        expect(data.name).not.toMatch(/[\p{Cc}\p{Cs}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u);
        expect(REGISTER_CONTENTS.person.parse(data)).toEqual(data);
      }),
    );
    for (const name of ['Siân Ó Súilleabháin', '李小龍', 'نور', 'O’Brien-Łukasz', 'வாசுகி', 'क्‍ष', '👩🏽‍🏫 Ms A']) {
      expect(REGISTER_CONTENTS.person.parse({ name }).name).toBe(name.normalize('NFC'));
    }
  });
});
