import type { RegisterEntryId } from '../contracts/identifiers.ts';
import {
  CONFIRMED_WITHIN_MS,
  kindOfEntry,
  type Power,
  type RegisterContent,
  type RegisterKind,
} from '../contracts/register.ts';
import { addMs, parseInstant } from '../platform/clock.ts';
import type { RecordedEntry } from '../platform/ledger-projection.ts';

/** What was read of an entry, whose words were compared with what the ledger recorded. */
export interface ReadEntry {
  readonly id: RegisterEntryId;
  /** Undefined where the ledger holds nothing of it, or that it was removed. */
  readonly recorded: RecordedEntry | undefined;
  /** The words of the newest recorded; undefined where no version with their hash is there. */
  readonly latest: RegisterContent | undefined;
  /** The same of those that counted before. */
  readonly before: RegisterContent | undefined;
  /** What lies under its key now: what was recorded last, something else, or nothing. */
  readonly lies: 'as recorded' | 'something else' | 'nothing';
}

/** The register as far as it was read. */
export type Register = ReadonlyMap<RegisterEntryId, ReadEntry>;

/** What is wrong with an entry. */
export const FINDINGS = {
  gone: 'its words are gone: nothing in the bucket has the hash that the ledger recorded; it does not count',
  altered: 'what lies there is not what the ledger recorded, which an older version still is and which counts',
  left: 'the ledger holds nothing of it, and something lies there; it does not count',
  'not-confirmed': 'nobody has confirmed it for twelve months',
  'without-controller': 'its controller is not in the register',
} as const;
export type Finding = keyof typeof FINDINGS;

/** Whether the newest words of an entry still wait to count. */
export function waits({ recorded }: Pick<ReadEntry, 'recorded'>, now: Date): boolean {
  return recorded !== undefined && now.getTime() < parseInstant(recorded.latest.countsFrom).getTime();
}

/** What counts of an entry now; undefined where nothing does: it is new, was removed, or its words are gone. */
export function countingOf(entry: ReadEntry | undefined, now: Date): RegisterContent | undefined {
  if (entry?.recorded === undefined) return undefined;
  return waits(entry, now) ? entry.before : entry.latest;
}

/** A contact as it counts now. */
export interface CountingContact {
  readonly id: RegisterEntryId;
  readonly contact: RegisterContent<'contact'>;
  /** What it may do now: what it counts with, without what newer words take away. */
  readonly may: readonly Power[];
}

/**
 * The contacts of a controller that count now, by id.
 *
 * A change counts after its cooling-off, and until then what counted before it does: so whoever slips in another address
 * receives nothing, and has to stay unseen for days. What a change takes away is gone at once, and so is an entry that was
 * removed: who is no longer trusted does nothing meanwhile. Words that are not what the ledger recorded never count.
 */
export function contactsOf(controller: RegisterEntryId, register: Register, now: Date): CountingContact[] {
  if (contentOf('controller', register.get(controller), now) === undefined) return [];
  return [...register.values()]
    .flatMap(entry => {
      const contact = contentOf('contact', entry, now);
      if (contact?.controller !== controller) return [];
      const coming = entry.latest as RegisterContent<'contact'> | undefined;
      const may = contact.may.filter(power => coming?.may.includes(power));
      return [{ id: entry.id, contact, may }];
    })
    .sort((one, other) => (one.id < other.id ? -1 : 1));
}

/** Who may do something for a tenant now: of the controller that counts as its. */
export function whoMay(power: Power, tenant: RegisterEntryId, register: Register, now: Date): CountingContact[] {
  const content = contentOf('tenant', register.get(tenant), now);
  return content === undefined
    ? []
    : contactsOf(content.controller, register, now).filter(({ may }) => may.includes(power));
}

/** What is wrong with an entry, in the order of `FINDINGS`. */
export function findingsOf(entry: ReadEntry, register: Register, now: Date): Finding[] {
  const { recorded, latest, before, lies } = entry;
  if (recorded === undefined) return lies === 'nothing' ? [] : ['left'];
  const isGone = latest === undefined || (waits(entry, now) && recorded.before !== null && before === undefined);
  const isOld = now.getTime() > addMs(parseInstant(recorded.confirmedAt), CONFIRMED_WITHIN_MS).getTime();
  // The newest words say whose it is going to be; what counts until then may say another.
  const controllers = [latest, countingOf(entry, now)].flatMap(content =>
    content !== undefined && 'controller' in content ? [content.controller] : [],
  );
  return [
    ...(isGone ? (['gone'] as const) : lies === 'as recorded' ? [] : (['altered'] as const)),
    ...(kindOfEntry(entry.id) === 'contact' && isOld ? (['not-confirmed'] as const) : []),
    ...(controllers.some(id => register.get(id)?.recorded === undefined) ? (['without-controller'] as const) : []),
  ];
}

function contentOf<Kind extends RegisterKind>(
  kind: Kind,
  entry: ReadEntry | undefined,
  now: Date,
): RegisterContent<Kind> | undefined {
  if (entry === undefined || kindOfEntry(entry.id) !== kind) return undefined;
  return countingOf(entry, now) as RegisterContent<Kind> | undefined;
}
