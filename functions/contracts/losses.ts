import { z } from 'zod';

/**
 * What pulse finds, that may stay for ever, and that a person may accept by name. Nothing else is accepted: a key that is
 * disabled, a snapshot that is shared or that no recovery point names, a lock that was let go, a schedule, a rule or a policy
 * that was changed, and a chain that is broken are put right or go on sounding.
 */
export const LOSS_KINDS = {
  'snapshot-missing': 'a snapshot that a recovery point names is gone',
  'snapshot-replaced': 'another snapshot than was signed for has its name',
  'snapshot-unavailable': 'a snapshot is there, and in no state to be restored from',
  'root-manifest-gone': 'the root manifest of a recovery point is gone, or hidden by a delete marker',
  'root-manifest-altered': 'the root manifest of a recovery point is not what the ledger recorded',
  'test-record-gone': 'the record of a restore test is gone, or hidden by a delete marker',
  'test-record-altered': 'the record of a restore test is not what the ledger says',
  'object-gone': 'an object of the vault is gone, or hidden by a delete marker',
} as const;
export type LossKind = keyof typeof LOSS_KINDS;

/**
 * What tells one loss from every other of its kind, in the order of its name. Content is a hash of what was seen in the place
 * of what is lost: that it is exchanged again is another loss. What can be put right, and be lost again, has the instant at
 * which pulse missed it first (`since`): an acceptance is of that time alone.
 */
const PARTS = {
  'snapshot-missing': ['snapshotId', 'since'],
  'snapshot-replaced': ['snapshotId', 'content', 'since'],
  'snapshot-unavailable': ['snapshotId', 'status', 'since'],
  'root-manifest-gone': ['recoveryPointId', 'since'],
  'root-manifest-altered': ['recoveryPointId', 'content', 'since'],
  'test-record-gone': ['restoreTestId', 'since'],
  'test-record-altered': ['restoreTestId', 'content', 'since'],
  // After the recovery point that was the newest when it was missed first.
  'object-gone': ['recoveryPointId', 'since', 'key'],
} as const satisfies Record<LossKind, readonly Part[]>;

/** So many hexadecimal digits of a SHA-256 stand in a name. */
export const CONTENT_LENGTH = 16;

const INSTANT_ID = '\\d{8}t\\d{6}z';
const FORMS = {
  snapshotId: '[A-Za-z0-9][A-Za-z0-9-]*',
  recoveryPointId: INSTANT_ID,
  restoreTestId: INSTANT_ID,
  since: INSTANT_ID,
  status: '[a-z][a-z0-9-]*',
  /** `unnamed`: the ledger names no hash that it could be compared with. */
  content: `[0-9a-f]{${CONTENT_LENGTH}}|unnamed`,
  key: '[A-Za-z0-9][A-Za-z0-9._/-]*',
} as const;
type Part = keyof typeof FORMS;
type PartsOf<Kind extends LossKind> = (typeof PARTS)[Kind][number];

/** One loss; each kind has its own parts. */
export type Loss = { [Kind in LossKind]: { readonly kind: Kind } & Readonly<Record<PartsOf<Kind>, string>> }[LossKind];

/** What is missed now, whenever it was missed first. */
export type MissedThing = {
  [Kind in LossKind]: { readonly kind: Kind } & Readonly<
    Record<Exclude<PartsOf<Kind>, 'since' | (Kind extends 'object-gone' ? 'recoveryPointId' : never)>, string>
  >;
}[LossKind];

/** Kinds that had names without an instant: such an acceptance is of a loss that is missed under this name all the time since. */
const WITHOUT_SINCE: ReadonlySet<LossKind> = new Set(['snapshot-missing', 'snapshot-replaced']);

const kinds = Object.keys(LOSS_KINDS) as LossKind[];
const PATTERNS = new Map(
  kinds.map(kind => {
    const optional = WITHOUT_SINCE.has(kind) ? '?' : '';
    const parts = PARTS[kind].map(part => `(?:/(?<${part}>${FORMS[part]}))${part === 'since' ? optional : ''}`);
    return [kind, new RegExp(`^${[kind, ...parts].join('')}$`)];
  }),
);

/**
 * A loss by its name: `snapshot-missing/daybreak-app-20261122t023000z/20261122t091500z`,
 * `object-gone/20261122t023000z/20261122t091500z/tenants/oak/manifests/….jsonl.zst`.
 */
export const LossName = z
  .string()
  .max(256)
  .refine(name => [...PATTERNS.values()].some(pattern => pattern.test(name)), 'must be the name of a loss');

/** The name of a loss. */
export function lossName(loss: Loss): string {
  const said = loss as Readonly<Partial<Record<Part, string>>>;
  return [loss.kind, ...PARTS[loss.kind].map(part => said[part]).filter(value => value !== undefined)].join('/');
}

/** What a name that is one (`LossName`) says. @throws TypeError for any other. */
export function readLossName(name: string): Loss {
  const kind = name.slice(0, name.indexOf('/')) as LossKind;
  const groups = PATTERNS.get(kind)?.exec(name)?.groups;
  if (groups === undefined) throw new TypeError(`${name} is not the name of a loss`);
  return { kind, ...groups } as Loss;
}

/** Whatever was missed before under this name is the same thing, as long as it was missed all the time. */
export function isSameThing(missed: MissedThing, loss: Loss): boolean {
  const said = loss as Readonly<Partial<Record<string, string>>>;
  return Object.entries(missed).every(([part, value]) => said[part] === value);
}
