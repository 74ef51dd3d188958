import { expect } from 'vitest';
import type { Decision } from '../../../functions/contracts/decisions.ts';
import type { RegisterContent } from '../../../functions/contracts/register.ts';
import { registerEntryKey } from '../../../functions/contracts/vault-layout.ts';
import { append } from '../../../functions/evidence/append.ts';
import { describeDecision } from '../../../functions/evidence/describe-decision.ts';
import { readLedgerState } from '../../../functions/platform/ledger.ts';
import { currentRuntime, withRuntime } from '../../../functions/platform/runtime.ts';
import { listVersions } from '../../../functions/platform/s3-listing.ts';
import { assessRegister } from '../../../functions/pulse/assess-register.ts';
import { contactsOf, findingsOf, type Register } from '../../../functions/register/judge-register.ts';
import {
  addEntry,
  changeEntry,
  confirmEntry,
  EntryNotAsAskedError,
  removeEntry,
} from '../../../functions/register/keep-entry.ts';
import { readRegister } from '../../../functions/register/read-register.ts';
import { stepRuntime } from '../../fixtures/step-runtime.ts';

const BY = 'staff-7';
export const DAY_MS = 86_400_000;
const school: RegisterContent<'controller'> = { type: 'school', name: 'Oakfield', answers: {}, note: null };

export class ConnectionLostError extends Error {}

/** A register and a ledger, both empty, in local services. */
async function openRegister() {
  const runtime = stepRuntime();
  runtime.s3.createBucket({ name: 'register', versioning: 'Enabled' });
  const { deployment: place, clock } = runtime;
  // One warm runtime: an SDK client is slow to make.
  const warm = await runtime.run(async () => currentRuntime());
  const run = <T>(work: () => Promise<T>): Promise<T> => withRuntime(warm, work);
  /** What the recording workflow does. */
  const record = async (decision: Decision): Promise<void> => {
    await append(describeDecision(decision, undefined, clock.now(), { coolingOffDays: 7 }), clock.now(), place);
  };
  const content = (controller: string, part: Partial<RegisterContent<'contact'>> = {}): RegisterContent<'contact'> => ({
    controller,
    name: 'Ada Ní Bhriain',
    email: 'head@oakfield.example',
    phone: null,
    may: ['instruct', 'receive'],
    note: null,
    ...part,
  });
  const edit = (part: Partial<RegisterContent<'contact'>>) => (before: RegisterContent) =>
    ({ ...before, ...part }) as RegisterContent;
  return {
    ...runtime,
    place,
    record,
    content,
    add: (kind: 'controller' | 'contact' | 'text', what: RegisterContent, recorder = record) =>
      run(() => addEntry(place, { kind, id: null, content: what, by: BY }, recorder)),
    addTenant: (what: RegisterContent<'tenant'>) =>
      run(() => addEntry(place, { kind: 'tenant', id: 'tenant/oak', content: what, by: BY }, record)),
    change: (id: string, part: Partial<RegisterContent<'contact'>>, recorder = record) =>
      run(() => changeEntry(place, { id, edit: edit(part), by: BY }, recorder)),
    confirm: (id: string) => run(() => confirmEntry(place, { id, by: BY, on: '2026-11-22' }, record)),
    remove: (id: string, recorder = record) => run(() => removeEntry(place, { id, by: BY }, recorder)),
    read: () => run(() => readRegister(place, clock.now())),
    state: () => run(() => readLedgerState(place)),
    /** What pulse finds. */
    altered: () =>
      run(async () => {
        const { register } = await readLedgerState(place);
        return assessRegister(register, await Array.fromAsync(listVersions('register', '')), clock.now());
      }),
    hide: (id: string) => runtime.remove('register', registerEntryKey(id)),
    /** Puts something in an entry's place, as whoever may write there. */
    put: async (id: string, body: Buffer | string) => {
      await runtime.put('register', registerEntryKey(id), body);
    },
  };
}
export type Opened = Awaited<ReturnType<typeof openRegister>>;
export type OpenedSchool = Awaited<ReturnType<typeof openSchool>>;

/** A school with one contact, both of which count. */
export async function openSchool() {
  const own = await openRegister();
  const { id: controller } = await own.add('controller', school);
  const { id: head } = await own.add('contact', own.content(controller));
  own.clock.advance(8 * DAY_MS);
  return { ...own, controller, head };
}

export const findings = (own: Opened, register: Register) =>
  Object.fromEntries(
    [...register.values()]
      .map(entry => [entry.id, findingsOf(entry, register, own.clock.now())] as const)
      .filter(([, found]) => found.length > 0),
  );
export const addresses = (own: Opened, register: Register, controller: string) =>
  contactsOf(controller, register, own.clock.now()).map(({ contact }) => contact.email);

/**
 * Stops at each of these requests in turn, before it or after it was carried out, and does the same again.
 * @returns how many requests there were.
 */
export async function stopAtEach(
  isStopped: (method: string) => boolean,
  act: (own: OpenedSchool) => Promise<unknown>,
  expectDone: (own: OpenedSchool) => Promise<void>,
): Promise<number> {
  for (let stopAt = 1; ; stopAt++) {
    for (const isCarriedOut of [false, true]) {
      const own = await openSchool();
      let count = 0;
      own.intercept(async (request, next) => {
        if (!isStopped(request.method) || ++count !== stopAt) return next();
        if (isCarriedOut) await next();
        throw new ConnectionLostError('the process was killed');
      });
      const ended = await act(own).then(
        () => 'done',
        () => 'stopped',
      );
      own.intercept(undefined);
      if (count < stopAt) {
        expect(ended).toBe('done');
        return stopAt - 1;
      }
      // What counted before counts until it is done again, or what was done counts.
      expect(addresses(own, await own.read(), own.controller)).toEqual(
        (await own.state()).register[own.head] === undefined ? [] : ['head@oakfield.example'],
      );
      if (ended === 'stopped') await act(own).catch(tolerate);
      await expectDone(own);
    }
  }
}
/** The act was done already, and says so. */
function tolerate(error: unknown): void {
  if (!(error instanceof EntryNotAsAskedError)) throw error;
}

/** The kinds of the ledger's entries. */
export const recordedKinds = async (own: Opened): Promise<string[]> =>
  Promise.all(
    (await own.list('evidence', 'ledger/')).map(
      async key => JSON.parse((await own.get('evidence', key)).toString('utf8')).kind,
    ),
  );

/** Acts that an editor does again when he was stopped, and what is then so. */
export const ACTS: Readonly<
  Record<string, { act: (own: OpenedSchool) => Promise<unknown>; done: (own: OpenedSchool) => Promise<void> }>
> = {
  'changes once': {
    act: own => own.change(own.head, { email: 'new@oakfield.example' }),
    done: async own => {
      expect(findings(own, await own.read())).toEqual({});
      expect(await recordedKinds(own)).toHaveLength(3);
      own.clock.advance(7 * DAY_MS);
      expect(addresses(own, await own.read(), own.controller)).toEqual(['new@oakfield.example']);
    },
  },
  'adds one entry': {
    act: async own => {
      // Unless it was recorded: then register show has it.
      const isThere = [...(await own.read()).values()].some(
        ({ latest }) => latest !== undefined && 'email' in latest && latest.email === DEPUTY,
      );
      if (!isThere) await own.add('contact', own.content(own.controller, { email: DEPUTY }));
    },
    done: async own => {
      expect(findings(own, await own.read())).toEqual({});
      expect(await own.list('register', 'entries/contact/')).toHaveLength(2);
      expect(await recordedKinds(own)).toHaveLength(3);
    },
  },
  'puts back what was written over': {
    act: async own => {
      const isFirst = (await own.altered()).length === 0 && (await recordedKinds(own)).length === 2;
      if (isFirst) {
        await own.put(own.head, '{}');
        own.clock.advance(DAY_MS);
      }
      await own.change(own.head, {});
    },
    done: async own => {
      expect(findings(own, await own.read())).toEqual({});
      expect(await own.altered()).toEqual([]);
      expect((await recordedKinds(own)).slice(2)).toEqual(['register.put-back']);
    },
  },
  'removes it, words and all': {
    act: own => own.remove(own.head),
    done: async own => {
      expect(findings(own, await own.read())).toEqual({});
      expect(await own.list('register', 'entries/contact/')).toEqual([]);
      expect((await recordedKinds(own)).filter(kind => kind === 'register.removed')).toHaveLength(1);
    },
  },
};
const DEPUTY = 'deputy@oakfield.example';
