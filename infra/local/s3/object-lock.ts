import type { DefaultRetention } from './bucket.ts';
import { invalidArgument, invalidRequest, malformedXml, protectedByLock } from './errors.ts';

/*
 * The rules of Object Lock, as pure decisions. Sources: the S3 User Guide's "Locking objects with Object Lock" and
 * "Object Lock considerations" (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html), whose
 * section on variable retention has those of the event hold.
 */

export type RetentionMode = 'GOVERNANCE' | 'COMPLIANCE';
/** In days or in years; S3 counts a year as 365 days. */
export type RetentionPeriod = { readonly days: number } | { readonly years: number };

/** The lock of one version. */
export interface LockState {
  readonly mode?: RetentionMode;
  /** The fixed date; while an event hold is on, the date that the rolling one cannot fall behind. */
  readonly retainUntilMs?: number;
  readonly eventHold?: 'ON' | 'OFF';
  /** Only while the event hold is on. */
  readonly eventHoldDuration?: RetentionPeriod;
  readonly legalHold?: 'ON' | 'OFF';
}

/** A wish for retention, from a request's headers or its document. */
export interface RetentionRequest {
  readonly mode?: string | undefined;
  readonly retainUntil?: string | undefined;
  readonly eventHold?: string | undefined;
  readonly days?: string | undefined;
  readonly years?: string | undefined;
}

const DAY_MS = 24 * 60 * 60 * 1000;

export function periodDays(period: RetentionPeriod): number {
  return 'days' in period ? period.days : period.years * 365;
}

/** Until when a version is retained as things stand at `now`; undefined without retention. */
export function retainUntil(lock: LockState, now: Date): number | undefined {
  if (lock.eventHold !== 'ON' || lock.eventHoldDuration === undefined) return lock.retainUntilMs;
  return Math.max(lock.retainUntilMs ?? 0, now.getTime() + periodDays(lock.eventHoldDuration) * DAY_MS);
}

/** Whether S3 refuses to delete the version for good. `bypass` lifts governance mode only, and never a legal hold. */
export function isLocked(lock: LockState, now: Date, bypass: boolean): boolean {
  if (lock.legalHold === 'ON') return true;
  const until = retainUntil(lock, now);
  if (lock.mode === undefined || until === undefined || until <= now.getTime()) return false;
  return lock.mode === 'COMPLIANCE' || !bypass;
}

/** The lock that a new version gets from its bucket where its writer names none. */
export function defaultLock(rule: DefaultRetention | undefined, now: Date): LockState {
  if (rule === undefined) return {};
  return {
    mode: rule.mode,
    retainUntilMs: now.getTime() + periodDays(rule.period) * DAY_MS,
    ...(rule.eventHold === undefined ? {} : { eventHold: 'ON', eventHoldDuration: rule.eventHold }),
  };
}

/**
 * The retention that a writer asks for a new version.
 * @throws S3Error where the wish is incomplete, contradicts itself, or lies in the past.
 */
export function lockOfNewVersion(request: RetentionRequest, now: Date): LockState {
  if (request.mode === undefined || (request.retainUntil === undefined && request.eventHold !== 'ON')) {
    const missing = request.mode === undefined ? 'x-amz-object-lock-mode' : 'x-amz-object-lock-retain-until-date';
    throw invalidArgument(
      missing,
      '',
      'x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied',
    );
  }
  return replaceRetention({}, request, now);
}

/**
 * What `PutObjectRetention` makes of a version's lock; a legal hold stays as it is. An empty request removes the retention.
 * @throws S3Error `AccessDenied` where it would weaken a lock that `bypass` does not lift; 400 where the request is not valid.
 */
export function changeRetention(current: LockState, request: RetentionRequest, now: Date, bypass: boolean): LockState {
  const { legalHold } = current;
  const kept = legalHold === undefined ? {} : { legalHold };
  const isEmpty = Object.values(request).every(value => value === undefined);
  const changed = isEmpty ? {} : replaceRetention(current, request, now, bypass);
  const until = retainUntil(current, now);
  const isRetained = current.mode !== undefined && until !== undefined && until > now.getTime();
  const isWeaker = changed.mode !== current.mode || (retainUntil(changed, now) ?? 0) < (until ?? 0);
  if (isRetained && isWeaker && (current.mode === 'COMPLIANCE' || !bypass)) throw protectedByLock();
  return { ...changed, ...kept };
}

function replaceRetention(current: LockState, request: RetentionRequest, now: Date, bypass = false): LockState {
  const mode = readMode(request.mode);
  const fixed = request.retainUntil === undefined ? undefined : readRetainUntil(request.retainUntil, now);
  const duration = readDuration(request);
  const standing = retainUntil(current, now);
  switch (request.eventHold) {
    case undefined: {
      if (duration !== undefined || fixed === undefined) throw malformedXml();
      const { eventHold, eventHoldDuration } = current;
      return {
        mode,
        retainUntilMs: fixed,
        ...(eventHold === undefined ? {} : { eventHold }),
        ...(eventHoldDuration === undefined ? {} : { eventHoldDuration }),
      };
    }
    case 'ON': {
      if (duration === undefined) throw invalidRequest('EventHold:ON must be supplied with an EventHoldDuration.');
      if (fixed !== undefined && fixed < now.getTime() + periodDays(duration) * DAY_MS) {
        throw invalidArgument(
          'RetainUntilDate',
          request.retainUntil ?? '',
          'The retain until date must be equal to or later than the current time plus the event hold duration.',
        );
      }
      // A shorter duration stops the date where it stands until the new one overtakes it.
      const floor = fixed ?? (bypass ? undefined : standing);
      const floorFields = floor === undefined ? {} : { retainUntilMs: floor };
      return { mode, ...floorFields, eventHold: 'ON', eventHoldDuration: duration };
    }
    case 'OFF': {
      if (duration !== undefined)
        throw invalidRequest('EventHoldDuration must not be supplied with an EventHold of OFF.');
      const until = fixed === undefined || bypass ? (fixed ?? standing) : Math.max(fixed, standing ?? 0);
      if (until === undefined || until <= now.getTime()) {
        throw invalidRequest('An object version with its event hold OFF must have a retain until date.');
      }
      return { mode, retainUntilMs: until, eventHold: 'OFF' };
    }
    default:
      throw malformedXml();
  }
}

function readMode(mode: string | undefined): RetentionMode {
  if (mode === 'GOVERNANCE' || mode === 'COMPLIANCE') return mode;
  if (mode === undefined) throw invalidRequest('A retention mode is required.');
  throw invalidArgument('x-amz-object-lock-mode', mode, 'Unknown wormMode directive.');
}

function readRetainUntil(text: string, now: Date): number {
  const until = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(until)) {
    throw invalidArgument('RetainUntilDate', text, 'The retain until date must be provided in ISO 8601 format');
  }
  if (until <= now.getTime()) {
    throw invalidArgument('RetainUntilDate', text, 'The retain until date must be in the future!');
  }
  return until;
}

function readDuration({ days, years }: RetentionRequest): RetentionPeriod | undefined {
  if (days === undefined && years === undefined) return undefined;
  if (days !== undefined && years !== undefined) {
    throw invalidRequest('An event hold duration must be given in days or in years, not in both.');
  }
  const number = Number(days ?? years);
  const maximum = days === undefined ? 100 : 36_500;
  if (!Number.isInteger(number) || number < 1 || number > maximum) {
    const name = days === undefined ? 'Years' : 'Days';
    throw invalidArgument(name, days ?? years ?? '', `Event hold duration must be from 1 to ${maximum}.`);
  }
  return days === undefined ? { years: number } : { days: number };
}

/** How many days a request's retention still has to run, rounded up (`s3:object-lock-remaining-retention-days`). */
export function remainingDays(retainUntilMs: number, now: Date): number {
  return Math.ceil((retainUntilMs - now.getTime()) / DAY_MS);
}
