import type { RegisterEntryId } from '../../functions/contracts/identifiers.ts';
import { kindOfEntry, POWERS, type RegisterContent, type RegisterKind } from '../../functions/contracts/register.ts';
import {
  contactsOf,
  countingOf,
  FINDINGS,
  type Finding,
  findingsOf,
  type Register,
  waits,
  whoMay,
} from '../../functions/register/judge-register.ts';
import { printable } from '../../infra/command-line/printable.ts';
import { type Screen, styled } from '../../infra/command-line/screen.ts';

/** An entry as it is shown. */
export interface ShownEntry {
  readonly id: RegisterEntryId;
  /** What counts now; null where nothing does. */
  readonly counts: RegisterContent | null;
  /** What will count, and from when on. */
  readonly waits: { readonly countsFrom: string; readonly content: RegisterContent | null } | null;
  readonly confirmedAt: string | null;
  /** Of a contact: what it may do now. */
  readonly may?: readonly string[];
  /** Of a tenant: the contacts that may do each thing for it now. */
  readonly whoMay?: Readonly<Record<string, readonly RegisterEntryId[]>>;
  readonly findings: readonly Finding[];
}

/** Entries of a kind, by id. */
export function registerData(kind: RegisterKind, register: Register, now: Date): ShownEntry[] {
  return [...register.values()]
    .filter(({ id, recorded, lies }) => kindOfEntry(id) === kind && (recorded !== undefined || lies !== 'nothing'))
    .map(entry => {
      const { id, recorded, latest } = entry;
      const counts = countingOf(entry, now) ?? null;
      const isWaiting = waits(entry, now) && recorded !== undefined;
      return {
        id,
        counts,
        waits: isWaiting ? { countsFrom: recorded.latest.countsFrom, content: latest ?? null } : null,
        confirmedAt: recorded?.confirmedAt ?? null,
        ...(kind === 'contact' && { may: mayOf(id, counts as RegisterContent<'contact'> | null, register, now) }),
        ...(kind === 'tenant' && {
          whoMay: Object.fromEntries(
            POWERS.map(power => [power, whoMay(power, id, register, now).map(contact => contact.id)]),
          ),
        }),
        findings: findingsOf(entry, register, now),
      };
    });
}

/** The same for a person to read. */
export function describeRegister(kind: RegisterKind, entries: readonly ShownEntry[], screen: Screen): string {
  if (entries.length === 0) return `there is no ${kind} in the register`;
  return entries.flatMap(entry => describe(entry, screen)).join('\n');
}

function mayOf(
  id: RegisterEntryId,
  counts: RegisterContent<'contact'> | null,
  register: Register,
  now: Date,
): readonly string[] {
  if (counts === null) return [];
  return contactsOf(counts.controller, register, now).find(contact => contact.id === id)?.may ?? [];
}

function describe(entry: ShownEntry, screen: Screen): string[] {
  const { id, counts, waits: coming, confirmedAt, may, whoMay: powers, findings } = entry;
  const line = (name: string, text: string) => `    ${name.padEnd(WIDTH)}  ${text}`;
  return [
    styled(screen, 'bold', id),
    ...(counts === null ? [line('counts', 'nothing')] : words(counts).map(([name, text]) => line(name, text))),
    ...(may === undefined ? [] : [line('may now', may.join(', ') || 'nothing')]),
    ...Object.entries(powers ?? {}).map(([power, ids]) => line(power, ids.join(', ') || 'nobody')),
    ...(coming === null
      ? []
      : [
          line('from', coming.countsFrom),
          ...(coming.content === null ? [] : words(coming.content).map(([name, text]) => line(`  ${name}`, text))),
        ]),
    ...(confirmedAt === null ? [] : [line('confirmed', confirmedAt)]),
    ...findings.map(finding => line(finding, `${FINDINGS[finding]}: see docs/register.md`)),
  ];
}

const WIDTH = Math.max(...Object.keys(FINDINGS).map(({ length }) => length));

/** Each of the words on a line of its own: no text of somebody else's ends a line. */
function words(content: RegisterContent): [name: string, text: string][] {
  return Object.entries(content).flatMap(([name, value]): [string, string][] => {
    if (value === null) return [];
    if (typeof value === 'string' || Array.isArray(value)) return [[name, printable([value].flat().join(', '))]];
    return Object.entries(value as Record<string, string>).map(([part, text]) => [part, printable(text)]);
  });
}
