import { z } from 'zod';
import { RegisterEntryId } from './identifiers.ts';

/**
 * The register: who the controllers are, whose words count, and every free text and name of a person that other capabilities
 * point to. It lies in a bucket of its own and can be deleted; the ledger holds ids and salted hashes of it.
 */

/** What an entry may be about. A `person` is one of the supplier's, who stands in the ledger by id; a `text` is anybody's words. */
export const REGISTER_KINDS = ['controller', 'tenant', 'contact', 'person', 'text'] as const;
export type RegisterKind = (typeof REGISTER_KINDS)[number];

/** What a controller's contact is entrusted with. */
export const POWERS = ['instruct', 'receive', 'out-of-hours'] as const;
export type Power = (typeof POWERS)[number];

/**
 * Letters of any script. Not what ends or clears a line, nor halves of a character, nor what makes text read in another order
 * than it is written in. https://www.unicode.org/reports/tr9/#Explicit_Directional_Embeddings
 */
const NOT_TEXT = '\\p{Cc}\\p{Cs}\\u202a-\\u202e\\u2066-\\u2069';
const text = (longest: number) =>
  z
    .string()
    .normalize('NFC')
    .trim()
    .min(1, 'must not be empty')
    .max(longest, `must have ${longest} characters at most`);
const Line = text(200).regex(new RegExp(`^[^${NOT_TEXT}\\u2028\\u2029]*$`, 'u'), 'must be one line of text');
const Words = text(10_000).regex(
  new RegExp(`^(?:\\n|[^${NOT_TEXT}])*$`, 'u'),
  'must be text, without control characters',
);

/** A day in Europe/London. */
const Day = z.iso.date('must be a day: 2026-09-01');
const Email = z.email('must be an e-mail address').max(254);
/** https://www.itu.int/rec/T-REC-E.164 */
const Phone = z.string().regex(/^\+[1-9]\d{6,14}$/, 'must be a number with its country, without spaces: +447700900123');
const Note = Words.nullable().default(null);

const idOf = (kind: RegisterKind) =>
  RegisterEntryId.refine(
    id => id.startsWith(`${kind}/`),
    `must be the id of a ${kind}, as register ${kind} show has it`,
  );

const Controller = z.strictObject({
  type: z.enum(['school', 'trust']),
  name: Line,
  /** What it answered once, by a name for the question: in which form it wants its data back, what it keeps itself. */
  answers: z.record(z.string().regex(/^[a-z][a-z0-9-]{0,39}$/, 'must have names like data-format'), Words).default({}),
  note: Note,
});

const Tenant = z
  .strictObject({
    controller: idOf('controller'),
    name: Line,
    /** The contract's first and last day. */
    startsOn: Day,
    endsOn: Day.nullable().default(null),
    note: Note,
  })
  .refine(({ startsOn, endsOn }) => endsOn === null || endsOn >= startsOn, {
    path: ['endsOn'],
    error: 'must not be before the contract begins',
  });

const Contact = z.strictObject({
  /** For all tenants of this controller. It stays what it is: another controller's contact is another entry. */
  controller: idOf('controller'),
  name: Line,
  email: Email,
  phone: Phone.nullable().default(null),
  /** What it may do. */
  may: z
    .array(z.enum(POWERS))
    .min(1, 'must name what the contact may do')
    .refine(powers => new Set(powers).size === powers.length, 'must name each once'),
  note: Note,
});

const Person = z.strictObject({ name: Line, email: Email.nullable().default(null), note: Note });

const Text = z.strictObject({
  /** The id of what it is about, e.g. an incident's or a hold's. */
  about: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,63}$/, 'must be an id of letters, digits and . _ / -'),
  text: Words,
});

/** What an entry of each kind says. */
export const REGISTER_CONTENTS = {
  controller: Controller,
  tenant: Tenant,
  contact: Contact,
  person: Person,
  text: Text,
} as const satisfies Record<RegisterKind, z.ZodType>;
export type RegisterContent<Kind extends RegisterKind = RegisterKind> = z.infer<(typeof REGISTER_CONTENTS)[Kind]>;

/** The kind of the entry with this id. */
export const kindOfEntry = (id: RegisterEntryId): RegisterKind => id.slice(0, id.indexOf('/')) as RegisterKind;

/** What changed words wait before they count: what decides for a controller. A person's name and a text decide nothing. */
export const COOLED_KINDS: readonly RegisterKind[] = ['controller', 'tenant', 'contact'];

/** A contact is to be confirmed within twelve months, one of them leap. */
export const CONFIRMED_WITHIN_MS = 366 * 24 * 60 * 60 * 1000;

/** `entries/<id>.json` of the register's bucket: canonical JSON, whose SHA-256 the ledger holds. */
export const RegisterDocument = z.strictObject({
  version: z.literal(1),
  /** So that the words of one entry are not those of another. */
  entry: RegisterEntryId,
  /** 32 random bytes, drawn for this version of this entry: who guesses its words cannot check the guess by the ledger. */
  salt: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  content: z.unknown(),
});
