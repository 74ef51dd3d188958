import { Option } from 'commander';
import { RegisterEntryId } from '../../functions/contracts/identifiers.ts';
import { KEY_ALIASES } from '../../functions/contracts/policies.ts';
import {
  kindOfEntry,
  POWERS,
  REGISTER_CONTENTS,
  REGISTER_KINDS,
  type RegisterContent,
  type RegisterKind,
} from '../../functions/contracts/register.ts';
import { RetryableError } from '../../functions/platform/errors.ts';
import { currentRuntime, withRuntime } from '../../functions/platform/runtime.ts';
import type { Recorder } from '../../functions/register/keep-entry.ts';
import type { RegisterPlace } from '../../functions/register/read-register.ts';
import { EXIT, UsageError } from '../../infra/command-line/failure.ts';
import { printable } from '../../infra/command-line/printable.ts';
import { openTarget } from './open-target.ts';
import { readTarget, recordingAccount, TARGET_OPTIONS, type Target, type TargetOptions } from './read-target.ts';
import type { Answer, Verb, VerbGroup } from './verb.ts';

const BUCKET = 'daybreak-evidence-ACCOUNT-eu-west-2';
const NOTE = new Option('--note <text>', 'anything else');
const CONTROLLER = 'controller/abcdefgh234567xy';

interface Kind {
  readonly what: string;
  /** An id of one. */
  readonly id: string;
  /** The options that its words are given by. */
  readonly words: readonly Option[];
  /** Those words that it may be without. */
  readonly optional: readonly string[];
  /** How one is added. */
  readonly example: string;
}

const KINDS: Readonly<Record<RegisterKind, Kind>> = {
  controller: {
    what: 'a school, or a trust with many',
    id: CONTROLLER,
    words: [
      new Option('--type <type>', 'what it is').choices(['school', 'trust']),
      new Option('--name <name>', 'its name'),
      new Option(
        '--answer <question=answer...>',
        'what it answered once, for later requests: data-format=CSV; without an answer it is taken away',
      ),
      NOTE,
    ],
    optional: ['note'],
    example: '--type school --name Oakfield',
  },
  tenant: {
    what: 'a school whose data the application holds, and its contract',
    id: 'tenant/oak',
    words: [
      new Option('--controller <id>', 'whose data it is'),
      new Option('--name <name>', 'its name'),
      new Option('--starts-on <day>', 'the first day of its contract'),
      new Option('--ends-on <day>', 'the last day, once it is known'),
      NOTE,
    ],
    optional: ['endsOn', 'note'],
    example: `--id tenant/oak --controller ${CONTROLLER} --name Oakfield --starts-on 2026-09-01`,
  },
  contact: {
    what: 'a person of a controller, and what that person may do',
    id: 'contact/abcdefgh234567xy',
    words: [
      new Option('--controller <id>', 'whose contact it is; it does not change'),
      new Option('--name <name>', 'the name of the person'),
      new Option('--email <address>', 'the address'),
      new Option('--phone <number>', 'the number, with its country: +447700900123'),
      new Option('--may <power...>', 'instruct, receive what is handed over, be reached out of hours').choices(POWERS),
      NOTE,
    ],
    optional: ['phone', 'note'],
    example: `--controller ${CONTROLLER} --name Head --email head@oakfield.example --may instruct receive`,
  },
  person: {
    what: 'one of your own people, who stands in the ledger by an id',
    id: 'person/staff-7',
    words: [new Option('--name <name>', 'the name'), new Option('--email <address>', 'the address'), NOTE],
    optional: ['email', 'note'],
    example: '--id person/staff-7 --name Sam',
  },
  text: {
    what: 'words about an incident, a hold or a request, which the ledger points to by an id',
    id: 'text/abcdefgh234567xy',
    words: [new Option('--about <id>', 'the id of what it is about'), new Option('--text <text>', 'the words')],
    optional: [],
    example: '--about INC-42 --text Restored',
  },
};
/** Kinds whose ids are given: they are called something elsewhere already. */
const WITH_GIVEN_IDS: readonly RegisterKind[] = ['tenant', 'person'];
const BY = new Option('--by <id>', 'who does it: an id, not a name; it stays in the ledger').makeOptionMandatory();

interface Naming extends TargetOptions {
  readonly id: string;
}
interface Acting extends Naming {
  readonly by: string;
}
/** Words as options give them. */
type Given = Readonly<Record<string, string | readonly string[] | undefined>>;

/** `daybreak register <kind>`, for each kind. */
export const register: readonly VerbGroup[] = REGISTER_KINDS.map(kind => ({
  name: `register ${kind}`,
  summary: 'who the controllers are, whose words count, and texts that can be deleted',
  verbs: verbsOf(kind),
}));

function verbsOf(kind: RegisterKind): Verb[] {
  const { what, words, optional, id, example } = KINDS[kind];
  const named = `--evidence-bucket ${BUCKET} --id ${id}`;
  const call = (verb: string, rest: string) => `daybreak register ${kind} ${verb} ${rest}`;
  const ID = new Option('--id <id>', `the entry: ${id}`);
  const clear = new Option('--clear <name...>', 'what is no longer so').choices(optional.map(flagOf));
  const add: Verb<TargetOptions & { id?: string; by: string }> = {
    name: 'add',
    summary: `add ${what}`,
    examples: [{ command: call('add', `--evidence-bucket ${BUCKET} ${example} --by staff-7`), what: 'a new one' }],
    options: [...TARGET_OPTIONS, ...(WITH_GIVEN_IDS.includes(kind) ? [ID] : []), ...words, BY],
    run: options => addOne(kind, options),
  };
  const change: Verb<Acting & { clear?: readonly string[] }> = {
    name: 'change',
    summary: 'change what is given; with nothing given, put back what the ledger recorded',
    examples: [
      {
        command: call('change', `${named} --${kind === 'text' ? 'text' : 'name'} New --by staff-7`),
        what: 'its words',
      },
    ],
    options: [...TARGET_OPTIONS, ID, ...words, ...(optional.length > 0 ? [clear] : []), BY],
    run: options => changeOne(kind, options),
  };
  const remove: Verb<Acting> = {
    name: 'remove',
    summary: 'remove it: it counts no more, and its words are gone after 35 days',
    examples: [{ command: call('remove', `${named} --by staff-7`), what: 'the entry, or what was left of one' }],
    options: [...TARGET_OPTIONS, ID, BY],
    run: options => removeOne(kind, options),
  };
  const confirm: Verb<Acting> = {
    name: 'confirm',
    summary: 'record that somebody asked, and it is still right',
    examples: [{ command: call('confirm', `${named} --by staff-7`), what: 'today' }],
    options: [...TARGET_OPTIONS, ID, BY],
    run: options => confirmOne(kind, options),
  };
  const show: Verb<TargetOptions & { id?: string }> = {
    name: 'show',
    summary: 'what counts now, what waits, and what is wrong: compared with the ledger',
    examples: [
      { command: call('show', `--evidence-bucket ${BUCKET}`), what: 'all of them' },
      { command: call('show', `--evidence-bucket ${BUCKET} --id ${id} --json`), what: 'one, as JSON' },
    ],
    options: [...TARGET_OPTIONS, ID],
    run: options => showAll(kind, options),
  };
  return [add, change, remove, confirm, show];
}

async function addOne(kind: RegisterKind, options: TargetOptions & { id?: string; by: string }): Promise<Answer> {
  const id = WITH_GIVEN_IDS.includes(kind) ? readId(kind, options.id) : null;
  const content = readWords(kind, {}, options as unknown as Given);
  return act(options, async (place, record) => {
    const { addEntry } = await import('../../functions/register/keep-entry.ts');
    const kept = await addEntry(place, { kind, id, content, by: options.by }, record);
    return describeKept(kept.id, kept.recorded.latest);
  });
}

async function changeOne(kind: RegisterKind, options: Acting & { clear?: readonly string[] }): Promise<Answer> {
  const id = readId(kind, options.id);
  const { controller } = options as unknown as Given;
  return act(options, async (place, record) => {
    const { changeEntry } = await import('../../functions/register/keep-entry.ts');
    const edit = (content: RegisterContent) => {
      if (
        kind === 'contact' &&
        controller !== undefined &&
        'controller' in content &&
        content.controller !== controller
      ) {
        throw new UsageError('--controller: a contact stays its controller’s; remove it, and add it to the other one');
      }
      return readWords(kind, content, options as unknown as Given, options.clear);
    };
    const kept = await changeEntry(place, { id, edit, by: options.by }, record);
    return describeKept(kept.id, kept.recorded.latest);
  });
}

async function removeOne(kind: RegisterKind, options: Acting): Promise<Answer> {
  const id = readId(kind, options.id);
  return act(options, async (place, record) => {
    const { removeEntry } = await import('../../functions/register/keep-entry.ts');
    const { wasRecorded } = await removeEntry(place, { id, by: options.by }, record);
    const was = wasRecorded ? 'removed, and counts no more' : 'was in no entry of the ledger';
    return { data: { id, wasRecorded }, text: `${id}: ${was}; its words are hidden now, and gone after 35 days` };
  });
}

async function confirmOne(kind: RegisterKind, options: Acting): Promise<Answer> {
  const id = readId(kind, options.id);
  return act(options, async (place, record) => {
    const { confirmEntry } = await import('../../functions/register/keep-entry.ts');
    const on = currentRuntime().clock.now().toISOString().slice(0, 10);
    const { recorded } = await confirmEntry(place, { id, by: options.by, on }, record);
    return { data: { id, ...recorded }, text: `${id}: confirmed at ${recorded.confirmedAt}` };
  });
}

async function showAll(kind: RegisterKind, options: TargetOptions & { id?: string }): Promise<Answer> {
  const target = readTarget(options);
  const asked = options.id === undefined ? undefined : readId(kind, options.id);
  const [{ readRegister }, { describeRegister, registerData }, runtime] = await Promise.all([
    import('../../functions/register/read-register.ts'),
    import('./describe-register.ts'),
    openTarget(target),
  ]);
  return withRuntime(runtime, async () => {
    const now = runtime.clock.now();
    // Whose contact somebody is, and who may do what for a school, is decided by other entries.
    const others: readonly RegisterKind[] =
      kind === 'tenant' ? ['controller', 'contact'] : kind === 'contact' ? ['controller'] : [];
    const all = await readRegister(await placeOf(target), now, id => {
      const of = kindOfEntry(id);
      return of === kind ? asked === undefined || id === asked : others.includes(of);
    });
    const data = registerData(kind, all, now);
    if (asked !== undefined && data.length === 0) throw new UsageError(`--id ${asked}: there is no such entry`);
    return {
      exitCode: data.every(({ findings }) => findings.length === 0) ? EXIT.done : EXIT.failed,
      data: { entries: data },
      text: screen => describeRegister(kind, data, screen),
    };
  });
}

/** Does something to an entry, in the account whose workflow records it. */
async function act(
  options: TargetOptions & { by: string },
  work: (place: RegisterPlace, record: Recorder) => Promise<{ data: unknown; text: string }>,
): Promise<Answer> {
  const target = readTarget(options);
  const account = recordingAccount(target);
  const [{ Decision }, { recordDecision }, runtime] = await Promise.all([
    import('../../functions/contracts/decisions.ts'),
    import('./record-decision.ts'),
    openTarget(target),
  ]);
  if (!/^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$/.test(options.by)) {
    throw new UsageError('--by: must be an id of letters, digits and . _ / -');
  }
  const record: Recorder = async decision => {
    const result = await recordDecision(account, Decision.parse(decision));
    if ('error' in result)
      throw new NotRecordedError(`not recorded${result.hasEnded ? '' : ' yet'}: ${result.error}; run it again`);
  };
  const { EntryChangedMeanwhileError, EntryNotAsAskedError } = await import('../../functions/register/keep-entry.ts');
  return withRuntime(runtime, async () => {
    try {
      const { data, text } = await work(await placeOf(target), record);
      return { exitCode: EXIT.done, data, text: () => text };
    } catch (error) {
      if (error instanceof EntryNotAsAskedError) throw new UsageError(error.message);
      if (!(error instanceof EntryChangedMeanwhileError || error instanceof NotRecordedError)) throw error;
      const { message } = error;
      return { exitCode: EXIT.failed, data: { error: message }, text: () => printable(message) };
    }
  });
}

/** The words are in the bucket, and the ledger does not know of them: they do not count. */
class NotRecordedError extends RetryableError {}

/** Where the ledger's keys were not named, they are found by their aliases. */
async function placeOf({ evidenceBucket, workBucket, registerBucket, keys }: Target): Promise<RegisterPlace> {
  const { findKey } = await import('../../functions/platform/kms.ts');
  const arnOf = async (given: string | undefined, name: 'ledger-key' | 'entry-key') => {
    const arn = given ?? (await findKey(KEY_ALIASES[name]))?.arn;
    if (arn === undefined) throw new UsageError(`there is no key ${KEY_ALIASES[name]} in this account`);
    return arn;
  };
  const [ledgerKeyArn, entryKeyArn] = await Promise.all([
    arnOf(keys.ledgerKeyArn, 'ledger-key'),
    arnOf(keys.entryKeyArn, 'entry-key'),
  ]);
  return { evidenceBucket, workBucket, registerBucket, ledgerKeyArn, entryKeyArn };
}

function readId(kind: RegisterKind, given: string | undefined): RegisterEntryId {
  const { data } = RegisterEntryId.safeParse(given);
  if (data !== undefined && kindOfEntry(data) === kind) return data;
  throw new UsageError(`--id: give the id of a ${kind}, like ${KINDS[kind].id}; register ${kind} show has them`);
}

/**
 * The words of an entry: those that there were, and over them those that are given.
 * @throws UsageError naming the option, and never what was given.
 */
function readWords(kind: RegisterKind, before: object, given: Given, cleared: readonly string[] = []): RegisterContent {
  const words: Record<string, unknown> = { ...before };
  for (const option of KINDS[kind].words) {
    const name = option.attributeName();
    if (name === 'answer' || given[name] === undefined) continue;
    words[name] = given[name];
  }
  if (kind === 'controller' && Array.isArray(given.answer))
    words.answers = readAnswers(words.answers ?? {}, given.answer);
  for (const name of KINDS[kind].optional.filter(name => cleared.includes(flagOf(name)))) words[name] = null;
  const parsed = REGISTER_CONTENTS[kind].safeParse(words);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const name = String(issue?.path[0]);
  const isMissing = words[name] === undefined;
  const flag = name === 'answers' ? 'answer' : flagOf(name);
  throw new UsageError(`--${flag}: ${isMissing ? 'is needed' : issue?.message}`);
}

function readAnswers(before: object, given: readonly string[]): Record<string, string> {
  const answers = new Map<string, string>(Object.entries(before));
  for (const one of given) {
    const [, question, answer] = /^([a-z][a-z0-9-]{0,39})=(.*)$/s.exec(one) ?? [];
    if (question === undefined) throw new UsageError('--answer: give a question and its answer: data-format=CSV');
    if (answer) answers.set(question, answer);
    else answers.delete(question);
  }
  return Object.fromEntries(answers);
}

function flagOf(name: string): string {
  return name.replaceAll(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
}

function describeKept(
  id: RegisterEntryId,
  latest: { sequence: number; recordedAt: string; countsFrom: string },
): { data: unknown; text: string } {
  const { sequence, recordedAt, countsFrom } = latest;
  const counts = countsFrom > recordedAt ? `counts from ${countsFrom} on; what it takes away, at once` : 'counts now';
  return { data: { id, sequence, recordedAt, countsFrom }, text: `${id}: entry ${sequence} of the ledger; ${counts}` };
}
