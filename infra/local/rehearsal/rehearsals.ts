/** A thing that can be broken on purpose. */
interface Rehearsal {
  /** What is done, as somebody with too many rights, or by mistake, would do it. */
  readonly what: string;
  /** The id of the alarm that has to sound. Its page is the one that is rehearsed. */
  readonly alarm: string;
  /** By page, how the row of its table begins that fits what was done. A page that such a row leads to is gone through too. */
  readonly decide: Readonly<Record<string, string>>;
  /** Commands of the pages that do not fit what was done, by how they begin, and why. */
  readonly judged: Readonly<Record<string, string>>;
  /** Commands, by how they begin, that say no until it is repaired, and what their page says of that. */
  readonly refuses: Readonly<Record<string, string>>;
}

/** What `npm start -- --rehearse` can break: the one list of it. */
export const REHEARSALS = {
  'snapshot-deleted': {
    what: 'somebody deletes the snapshot of the newest recovery point',
    alarm: 'snapshot-missing',
    decide: { 'vault-altered.md': 'a snapshot is `missing`' },
    judged: {
      'aws s3api list-object-versions': 'it is for what is gone from a bucket: here a snapshot is gone',
    },
    refuses: {},
  },
  'key-disabled': {
    what: "somebody disables a school's key",
    alarm: 'key-unusable',
    decide: { 'key-unusable.md': '`Disabled`, and nobody decided it' },
    judged: {},
    refuses: {},
  },
  'schedule-stopped': {
    what: 'somebody disables the schedule of the daily backup',
    alarm: 'schedule-stopped',
    decide: { 'schedule-stopped.md': 'one is `DISABLED`' },
    judged: {},
    refuses: {},
  },
  'ledger-entry-hidden': {
    what: 'somebody lifts the policy of the evidence bucket, and deletes the newest entry of the ledger',
    alarm: 'ledger-broken',
    decide: { 'ledger-broken.md': '`delete-marker`' },
    judged: {
      'npm run daybreak -- evidence verify --local': 'it is for a local state at rest, and this one is running',
    },
    refuses: { 'npm run daybreak -- evidence verify --evidence-bucket': 'delete-marker' },
  },
  'backup-failed': {
    what: 'somebody stops the daily backup while it runs',
    alarm: 'backup-failed',
    decide: { 'backup-failed.md': '`ABORTED`' },
    judged: {},
    refuses: {},
  },
  'pulse-dead': {
    what: 'somebody disables the schedule of pulse',
    alarm: 'pulse-silent',
    decide: {
      'pulse-silent.md': 'the schedule is not there, or `DISABLED`',
      'schedule-stopped.md': 'one is `DISABLED`',
    },
    judged: {},
    refuses: {},
  },
} as const satisfies Readonly<Record<string, Rehearsal>>;

export type RehearsalName = keyof typeof REHEARSALS;
export const REHEARSAL_NAMES = Object.keys(REHEARSALS) as readonly RehearsalName[];

/** The rehearsal of a name. */
export const rehearsalOf = (name: RehearsalName): Rehearsal => REHEARSALS[name];
