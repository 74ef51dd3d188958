import type { Period } from '../contracts/retention.ts';
import type { Instant } from '../platform/clock.ts';
import type { DeleteReason, KeepReason, PlanFinding } from './plan-retention.ts';

const PERIOD_WORDS: Readonly<Record<Period, string>> = {
  daily: 'day',
  weekly: 'week',
  monthly: 'month',
  yearly: 'year',
};

const DOUBTED_NEWEST = {
  proved: {
    why: 'by the ledger it is the newest one that a restore test proved',
    newer: 'a restore test proves a newer one',
  },
  good: { why: 'by the ledger it is the newest good one', newer: 'a backup makes a newer good one' },
  all: { why: 'by the ledger nothing newer is there', newer: 'a backup makes a newer one' },
} as const;

/** An instant to the minute: `2026-11-22 02:30 UTC`. */
export const toMinute = (instant: Instant): string => `${instant.slice(0, 16).replace('T', ' ')} UTC`;

/** A reason to keep a recovery point: why it stays, and what would change that. */
export function describeKeepReason(reason: KeepReason): { readonly why: string; readonly untilWhat: string } {
  switch (reason.kind) {
    case 'no-rules':
      return { why: 'there are no retention rules', untilWhat: 'the configuration has retention.policy' };
    case 'unreadable-date':
      return { why: 'its id is no instant, so that it has no age', untilWhat: 'a person looks into it' };
    case 'in-the-future':
      return { why: 'it is of an instant that has not come', untilWhat: 'that has come, and its age after it' };
    case 'may-still-close':
      return { why: 'a run may still close it', untilWhat: toMinute(reason.until) };
    case 'within-age':
      return { why: `it is younger than ${reason.days} days`, untilWhat: toMinute(reason.until) };
    case 'incomplete-within-age':
      return { why: `it is incomplete, and younger than ${reason.days} days`, untilWhat: toMinute(reason.until) };
    case 'doubted-within-age':
      return {
        why: `it is in doubt (a restore test failed, or it is not what was recorded), and younger than ${reason.days} days`,
        untilWhat: `${toMinute(reason.until)}; where a test proves it, its place in the counts decides`,
      };
    case 'within-days':
      return { why: `all of the last ${reason.days} days stay`, untilWhat: toMinute(reason.until) };
    case 'newest-of-period': {
      const word = PERIOD_WORDS[reason.period];
      return {
        why: `it is the newest good one of the ${word} ${reason.name}, and the newest ${reason.count} such ${word}s have one`,
        untilWhat: `the same ${word} has a newer good one, or ${reason.count} newer ${word}s have one`,
      };
    }
    case 'newest-proved':
      return {
        why: `it is the newest one that a restore test proved (${reason.restoreTestId})`,
        untilWhat: 'a restore test proves a newer one',
      };
    case 'newest-good':
      return { why: 'it is the newest good one', untilWhat: 'a backup makes a newer good one' };
    case 'newest-of-all':
      return { why: 'nothing newer is there, though it is not good', untilWhat: 'a backup makes a newer one' };
    case 'doubted-newest': {
      const { why, newer } = DOUBTED_NEWEST[reason.of];
      return { why: `${why}, though that is in doubt`, untilWhat: newer };
    }
    case 'misdated':
      return {
        why: `its id gives it no age, though it was closed on ${toMinute(reason.completedAt)}`,
        untilWhat: 'a person looks into it',
      };
    case 'hold':
      return { why: `the legal hold ${reason.holdId} needs it`, untilWhat: 'two people release the hold' };
    case 'incident':
      return {
        why: `the incident ${reason.incidentId} is open, and it is older than its detection`,
        untilWhat: 'the incident is closed',
      };
    case 'running':
      return { why: `the ${reason.work} ${reason.id} needs it`, untilWhat: 'that has ended' };
    case 'erasure-proof':
      return { why: `the proof of the erasure ${reason.id} rests on it`, untilWhat: 'its certificate is final' };
  }
}

/** A reason to delete a recovery point, in words. */
export function describeDeleteReason(reason: DeleteReason): string {
  switch (reason.kind) {
    case 'past-age':
      return `it is older than ${reason.days} days`;
    case 'incomplete-past-age':
      return `it is incomplete, and older than ${reason.days} days`;
    case 'past-days':
      return `it is not of the last ${reason.days} days`;
    case 'not-newest-of-period':
      return `${reason.newestId} is the newest good one of the ${PERIOD_WORDS[reason.period]} ${reason.name}`;
    case 'beyond-count':
      return `${reason.count} newer ${PERIOD_WORDS[reason.period]}s than ${reason.name} have a good one`;
  }
}

/** What a person has to look into, in words. */
export function describeFinding(finding: PlanFinding): string {
  switch (finding.kind) {
    case 'no-rules':
      return NO_POLICY;
    case 'misdated':
      return finding.how === 'in-the-future'
        ? `${finding.recoveryPointId} is of an instant that has not come: it is not deleted before its age after that; find out which clock made it`
        : `${finding.recoveryPointId} is no instant: no rule ever lets it go; find out what made it`;
    case 'hold-of-nothing':
      return `the legal hold ${finding.holdId} is of the recovery point ${finding.recoveryPointId}, which is not there: it holds nothing`;
  }
}

/** What is said of a configuration without a policy. */
export const NO_POLICY =
  'There are no retention rules (retention.policy): nothing will ever be deleted for its age, and what is stored only grows.';
