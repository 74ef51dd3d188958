import { createHash } from 'node:crypto';
import { z } from 'zod';
import { AcceptedLoss, WithdrawnAcceptance } from '../contracts/decisions.ts';
import {
  InstantText,
  idOfInstant,
  RecoveryPointId,
  RegisterEntryId,
  RestoreTestId,
  Sha256,
} from '../contracts/identifiers.ts';
import { NO_ENTRY_SHA256, type StoredLedgerEntry } from '../contracts/ledger.ts';
import { LossName, readLossName } from '../contracts/losses.ts';
import { ObjectLosses } from '../contracts/recovery-point.ts';
import { Verdict } from '../contracts/restore-test-record.ts';
import { addMs, parseInstant } from './clock.ts';
import { LedgerBrokenError } from './ledger-entry.ts';

const RecordedRecoveryPoint = z.strictObject({
  recoveryPointId: RecoveryPointId,
  status: z.enum(['good', 'incomplete']),
  /** The instant at which the ledger recorded it. */
  recordedAt: InstantText,
  sequence: z.int(),
  rootManifestSha256: Sha256.nullable(),
  /** Which losses of vault objects its backup knew of; null where it looked for none. */
  objectLosses: ObjectLosses.pick({ ledgerSequence: true, knownAt: true }).nullable(),
});

type RecordedPoint = z.infer<typeof RecordedRecoveryPoint>;

const RecordedRestoreTest = z.strictObject({
  restoreTestId: RestoreTestId,
  recoveryPointId: RecoveryPointId.nullable(),
  verdict: Verdict,
  recordedAt: InstantText,
  sequence: z.int(),
  /** Of `restore-tests/<id>.json`. */
  recordSha256: Sha256.nullable(),
  /** When it began, where it restored and compared every object; null where it compared a sample, or nobody said. */
  allObjectsFrom: InstantText.nullable(),
});

/** A run that ended without a result. */
const RecordedFailure = z.strictObject({
  kind: z.enum(['backup.failed', 'restore-test.failed']),
  subject: z.string(),
  recordedAt: InstantText,
  sequence: z.int(),
});

const RecordedLoss = AcceptedLoss.omit({ loss: true }).extend({
  actor: z.string(),
  recordedAt: InstantText,
  sequence: z.int(),
  /** Of a vault object: whether a backup that knew of it has it again, there as it was or copied again, and none found it gone since. */
  isBack: z.boolean(),
  /** What the backup that found it gone after that knew of the ledger; null where none did. Those before it may name it. */
  lostAgainAt: z.int().nullable(),
});

/** Words of an entry of the register, by their salted hash. */
const RecordedWords = z.strictObject({
  sha256: Sha256,
  /** Of the version as which they lie in the register's bucket. */
  versionId: z.string(),
  recordedAt: InstantText,
  sequence: z.int(),
  countsFrom: InstantText,
});

/** An entry of the register that was not removed. */
const RecordedEntry = z.strictObject({
  /** The newest. */
  latest: RecordedWords,
  /** Those that count until the newest do; null where none did before. What was replaced before it counted never does. */
  before: RecordedWords.nullable(),
  /** When somebody last said that the newest are right, or wrote them. */
  confirmedAt: InstantText,
});
export type RecordedEntry = z.infer<typeof RecordedEntry>;

const DAY_MS = 24 * 60 * 60 * 1000;

/** An event id as the projection remembers it: 72 bits of its SHA-256, as 12 characters. */
const EVENT_DIGEST_LENGTH = 12;
const FAILURES_KEPT = 100;

/**
 * The ledger's present state: the fold of entries 1 to `lastSequence`. A stored copy is believed where a signed head names
 * its hash; it is folded again from the entries whenever there is none.
 */
export const LedgerProjection = z
  .strictObject({
    lastSequence: z.int().min(0),
    lastEntrySha256: Sha256,
    lastRecordedAt: InstantText.nullable(),
    /** The first entry that an appender signed: all after it have to be. */
    signedFrom: z.int().nullable(),
    recoveryPoints: z.record(RecoveryPointId, RecordedRecoveryPoint),
    restoreTests: z.record(RestoreTestId, RecordedRestoreTest),
    /** The newest 100, oldest first. */
    failures: z.array(RecordedFailure),
    /** By the loss's name: what somebody explained, and nobody has to be told of again. Of entries that an appender signed. */
    acceptedLosses: z.record(LossName, RecordedLoss),
    /** By the entry's id. Of entries of the ledger that an appender signed. */
    register: z.record(RegisterEntryId, RecordedEntry),
    /** Sequences (the newest 100) of entries of a known kind whose body this release does not understand. */
    notUnderstood: z.array(z.int()),
    /** 12 characters for each entry, in their order: which event it records. A match is confirmed by reading the entry. */
    eventDigests: z.string(),
  })
  .refine(state => state.eventDigests.length === state.lastSequence * EVENT_DIGEST_LENGTH);
export type LedgerProjection = z.infer<typeof LedgerProjection>;

/** The state of an empty ledger. */
export const EMPTY_PROJECTION: LedgerProjection = {
  lastSequence: 0,
  lastEntrySha256: NO_ENTRY_SHA256,
  lastRecordedAt: null,
  signedFrom: null,
  recoveryPoints: {},
  restoreTests: {},
  failures: [],
  acceptedLosses: {},
  register: {},
  notUnderstood: [],
  eventDigests: '',
};

// Loose, because a later release may say more.
const BackupCompleted = z.looseObject({
  recoveryPointId: RecoveryPointId,
  status: z.enum(['good', 'incomplete']),
  rootManifestSha256: Sha256.nullish(),
  objectLosses: z.looseObject(ObjectLosses.shape).nullish(),
});
const RestoreTestCompleted = z.looseObject({
  restoreTestId: RestoreTestId,
  recoveryPointId: RecoveryPointId.nullable(),
  verdict: Verdict,
  recordSha256: Sha256.nullish(),
  startedAt: InstantText.nullish(),
  objectCount: z.int().nullish(),
  objectsRestored: z.int().nullish(),
});

const RegisterChanged = z.looseObject({
  sha256: Sha256,
  versionId: z.string().max(1024),
  previousSha256: Sha256.nullable(),
  coolingOffDays: z.int().min(0).max(3650),
});
const RegisterConfirmed = z.looseObject({ sha256: Sha256 });
const RegisterPutBack = z.looseObject({ sha256: Sha256, versionId: z.string().max(1024) });
const RegisterRemoved = z.looseObject({ previousSha256: Sha256 });

/**
 * The state after one more entry, whose signature, where it has one, was verified. An unknown kind only moves the end of the chain.
 * @param entrySha256 SHA-256 of the entry's stored bytes.
 * @throws LedgerBrokenError when the entry does not follow the state's last one, or has no signature after one that has.
 */
export function fold(state: LedgerProjection, entry: StoredLedgerEntry, entrySha256: string): LedgerProjection {
  if (entry.sequence !== state.lastSequence + 1) {
    throw new LedgerBrokenError(
      `ledger entry ${state.lastSequence + 1} calls itself ${entry.sequence}; see runbooks/ledger-broken.md`,
    );
  }
  if (entry.previousSha256 !== state.lastEntrySha256) {
    throw new LedgerBrokenError(
      `ledger entry ${entry.sequence} does not follow entry ${state.lastSequence}: it names another hash; see runbooks/ledger-broken.md`,
    );
  }
  if (entry.version === 1 && state.signedFrom !== null) {
    throw new LedgerBrokenError(
      `ledger entry ${entry.sequence} was put there by no appender: it is not signed, as all are from entry ${state.signedFrom} on; see runbooks/ledger-broken.md`,
    );
  }
  const next: LedgerProjection = {
    ...state,
    signedFrom: state.signedFrom ?? (entry.version === 1 ? null : entry.sequence),
    lastSequence: entry.sequence,
    lastEntrySha256: entrySha256,
    lastRecordedAt: entry.recordedAt,
    eventDigests: state.eventDigests + eventDigest(entry.eventId),
  };
  switch (entry.kind) {
    case 'backup.completed':
      return foldBackup(next, entry);
    case 'restore-test.completed':
      return foldRestoreTest(next, entry);
    case 'loss.accepted':
      return foldLoss(next, entry);
    case 'loss.acceptance-withdrawn':
      return foldWithdrawal(next, entry);
    case 'register.changed':
    case 'register.confirmed':
    case 'register.put-back':
    case 'register.removed':
      return foldRegister(next, entry);
    case 'backup.failed':
    case 'restore-test.failed': {
      const { kind, subject, recordedAt, sequence } = entry;
      return { ...next, failures: [...state.failures, { kind, subject, recordedAt, sequence }].slice(-FAILURES_KEPT) };
    }
    default:
      return next;
  }
}

function foldBackup(state: LedgerProjection, entry: StoredLedgerEntry): LedgerProjection {
  const { data: body } = BackupCompleted.safeParse(entry.body);
  if (body === undefined) return notUnderstood(state, entry);
  const { recoveryPointId, status, rootManifestSha256 = null, objectLosses } = body;
  // A good root manifest is never superseded: an incomplete one recorded later is of a slower run for the same instant.
  if (status === 'incomplete' && state.recoveryPoints[recoveryPointId]?.status === 'good') return state;
  const { recordedAt, sequence } = entry;
  const recorded = {
    ...{ recoveryPointId, status, recordedAt, sequence, rootManifestSha256 },
    objectLosses: objectLosses ? knownBefore(objectLosses, entry) : null,
  };
  const { back = [], gone = [] } = objectLosses ?? {};
  const acceptedLosses = Object.fromEntries(
    Object.entries(state.acceptedLosses).map(([name, accepted]) => {
      const loss = readLossName(name);
      if (!('key' in loss) || !wasKnown(recorded, loss, accepted)) return [name, accepted];
      if (back.includes(loss.key)) return [name, { ...accepted, isBack: true }];
      // What no manifest names any more, because its source changed, is in the vault all the same.
      if (!accepted.isBack || !gone.includes(loss.key)) return [name, accepted];
      return [name, { ...accepted, isBack: false, lostAgainAt: recorded.objectLosses?.ledgerSequence ?? sequence }];
    }),
  );
  return { ...state, acceptedLosses, recoveryPoints: { ...state.recoveryPoints, [recoveryPointId]: recorded } };
}

/** Nobody knew, before an entry was recorded, what came after it: neither entries nor what pulse missed. */
function knownBefore(
  { ledgerSequence, knownAt }: z.infer<typeof ObjectLosses>,
  { sequence, recordedAt }: StoredLedgerEntry,
): NonNullable<RecordedPoint['objectLosses']> {
  return {
    ledgerSequence: ledgerSequence === null ? null : Math.min(ledgerSequence, sequence - 1),
    knownAt: knownAt !== null && knownAt > recordedAt ? null : knownAt,
  };
}

/** Whether the backup that made a recovery point knew of an accepted loss of a vault object, and so looked for it. */
export function wasKnown(
  { objectLosses }: Pick<RecordedPoint, 'objectLosses'>,
  { since }: { since: string },
  { sequence, lostAgainAt }: { sequence: number; lostAgainAt: number | null },
): boolean {
  if (objectLosses === null) return false;
  const { ledgerSequence, knownAt } = objectLosses;
  if (lostAgainAt !== null) return ledgerSequence !== null && ledgerSequence >= lostAgainAt;
  const wasAccepted = ledgerSequence !== null && sequence <= ledgerSequence;
  return wasAccepted || (knownAt !== null && since <= idOfInstant(knownAt));
}

function foldRestoreTest(state: LedgerProjection, entry: StoredLedgerEntry): LedgerProjection {
  const { data: body } = RestoreTestCompleted.safeParse(entry.body);
  if (body === undefined) return notUnderstood(state, entry);
  const { restoreTestId, recoveryPointId, verdict, recordSha256 = null, startedAt = null } = body;
  const { recordedAt, sequence } = entry;
  const comparedAll = typeof body.objectCount === 'number' && body.objectsRestored === body.objectCount;
  const allObjectsFrom = comparedAll ? startedAt : null;
  const recorded = { restoreTestId, recoveryPointId, verdict, recordedAt, sequence, recordSha256, allObjectsFrom };
  return { ...state, restoreTests: { ...state.restoreTests, [restoreTestId]: recorded } };
}

function foldLoss(state: LedgerProjection, entry: StoredLedgerEntry): LedgerProjection {
  const { data: body } = AcceptedLoss.strip().safeParse(entry.body);
  if (body === undefined || entry.version === 1) return notUnderstood(state, entry);
  const { loss, reason, reference } = body;
  // The first word about a loss stands, until it is withdrawn.
  if (Object.hasOwn(state.acceptedLosses, loss)) return state;
  const { actor, recordedAt, sequence } = entry;
  const recorded = { reason, reference, actor, recordedAt, sequence, isBack: false, lostAgainAt: null };
  return { ...state, acceptedLosses: { ...state.acceptedLosses, [loss]: recorded } };
}

function foldWithdrawal(state: LedgerProjection, entry: StoredLedgerEntry): LedgerProjection {
  const { data: body } = WithdrawnAcceptance.strip().safeParse(entry.body);
  if (body === undefined || entry.version === 1) return notUnderstood(state, entry);
  const { [body.loss]: _withdrawn, ...acceptedLosses } = state.acceptedLosses;
  return { ...state, acceptedLosses };
}

/** Of two acts that followed the same words the first stands, and the other changes nothing. */
function foldRegister(state: LedgerProjection, entry: StoredLedgerEntry): LedgerProjection {
  const { data: id } = RegisterEntryId.safeParse(entry.subject);
  if (id === undefined || entry.version === 1) return notUnderstood(state, entry);
  const known = state.register[id];
  const { recordedAt, sequence } = entry;
  const become = (now: RecordedEntry) => ({ ...state, register: { ...state.register, [id]: now } });
  if (entry.kind === 'register.confirmed') {
    const { data: body } = RegisterConfirmed.safeParse(entry.body);
    if (body === undefined) return notUnderstood(state, entry);
    return known?.latest.sha256 === body.sha256 ? become({ ...known, confirmedAt: recordedAt }) : state;
  }
  if (entry.kind === 'register.put-back') {
    const { data: body } = RegisterPutBack.safeParse(entry.body);
    if (body === undefined) return notUnderstood(state, entry);
    if (known?.latest.sha256 !== body.sha256) return state;
    return become({ ...known, latest: { ...known.latest, versionId: body.versionId } });
  }
  if (entry.kind === 'register.removed') {
    const { data: body } = RegisterRemoved.safeParse(entry.body);
    if (body === undefined) return notUnderstood(state, entry);
    if (known?.latest.sha256 !== body.previousSha256) return state;
    const { [id]: _removed, ...register } = state.register;
    return { ...state, register };
  }
  const { data: body } = RegisterChanged.safeParse(entry.body);
  if (body === undefined) return notUnderstood(state, entry);
  if ((known?.latest.sha256 ?? null) !== body.previousSha256) return state;
  const countsFrom = addMs(parseInstant(recordedAt), body.coolingOffDays * DAY_MS).toISOString();
  return become({
    latest: { sha256: body.sha256, versionId: body.versionId, recordedAt, sequence, countsFrom },
    before: known === undefined ? null : known.latest.countsFrom <= recordedAt ? known.latest : known.before,
    confirmedAt: recordedAt,
  });
}

function notUnderstood(state: LedgerProjection, entry: StoredLedgerEntry): LedgerProjection {
  return { ...state, notUnderstood: [...state.notUnderstood, entry.sequence].slice(-FAILURES_KEPT) };
}

/** Sequences of the entries that may record this event: all that do, and (about once in 10^21) one that does not. */
export function sequencesOfEvent(state: LedgerProjection, eventId: string): number[] {
  const digest = eventDigest(eventId);
  const sequences: number[] = [];
  for (let at = state.eventDigests.indexOf(digest); at >= 0; at = state.eventDigests.indexOf(digest, at + 1)) {
    if (at % EVENT_DIGEST_LENGTH === 0) sequences.push(at / EVENT_DIGEST_LENGTH + 1);
  }
  return sequences;
}

function eventDigest(eventId: string): string {
  return createHash('sha256').update(eventId).digest().subarray(0, 9).toString('base64url');
}
