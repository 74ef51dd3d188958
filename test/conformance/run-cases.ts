import { isDeepStrictEqual } from 'node:util';
import { type ConformanceCase, type Json, readFailure, readObstacle, UnreachableError } from './case.ts';
import { bucketPolicyCases } from './cases/bucket-policies.ts';
import { cloudWatchCases } from './cases/cloudwatch.ts';
import { eventPatternCases } from './cases/event-patterns.ts';
import { executionCases } from './cases/executions.ts';
import { kmsCases } from './cases/kms.ts';
import { rdsCases } from './cases/rds.ts';
import { s3ConditionCases } from './cases/s3-conditions.ts';
import { s3EncryptionCases } from './cases/s3-encryption.ts';
import { s3IntegrityCases } from './cases/s3-integrity.ts';
import { s3ListingCases } from './cases/s3-listing.ts';
import { s3LockCases } from './cases/s3-locks.ts';
import { stateCases } from './cases/states.ts';
import type { Scratch } from './scratch.ts';

export type Verdict = 'same' | 'different' | 'could not be tried';

/** What came of one case. */
export interface Outcome extends Pick<ConformanceCase, 'service' | 'name' | 'restsOn' | 'page'> {
  readonly verdict: Verdict;
  readonly expected: Json;
  /** Null where it could not be tried. */
  readonly observed: Json;
  /** Why it could not be tried. */
  readonly reason: string | null;
  readonly notes: readonly string[];
}

/** Every case, in the order in which they run: the long ones last. */
export const CASES: readonly ConformanceCase[] = [
  ...s3ConditionCases,
  ...s3EncryptionCases,
  ...s3IntegrityCases,
  ...s3ListingCases,
  ...s3LockCases,
  ...bucketPolicyCases,
  ...kmsCases,
  ...stateCases,
  ...eventPatternCases,
  ...cloudWatchCases,
  ...executionCases,
  ...rdsCases,
];

const OPTIONS = { rds: '--rds', role: '--role ARN' } as const;

/**
 * Runs cases one after the other.
 * @param options.asked what may be used beside the rest; a case that needs more is named as not tried.
 * @throws UnreachableError when going on makes no sense.
 */
export async function runCases(
  scratch: Scratch,
  cases: readonly ConformanceCase[],
  options: { asked: ReadonlySet<keyof typeof OPTIONS>; onOutcome: (outcome: Outcome) => void; stopped?: () => boolean },
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const one of cases) {
    if (options.stopped?.()) break;
    const { needs } = one;
    const isLeftOut = needs !== undefined && !options.asked.has(needs);
    const expected = typeof one.expected === 'function' ? await one.expected() : one.expected;
    const result = isLeftOut ? { reason: `left out; ask for it with ${OPTIONS[needs]}` } : await observe(one, scratch);
    const notes = scratch.takeNotes();
    const { service, name, restsOn, page } = one;
    const shared = { service, name, restsOn, page, expected, notes };
    const outcome: Outcome =
      'reason' in result
        ? { ...shared, verdict: 'could not be tried', observed: null, reason: result.reason }
        : {
            ...shared,
            verdict: isDeepStrictEqual(result.observed, expected) ? 'same' : 'different',
            observed: result.observed,
            reason: null,
          };
    outcomes.push(outcome);
    options.onOutcome(outcome);
  }
  return outcomes;
}

async function observe(one: ConformanceCase, scratch: Scratch): Promise<{ observed: Json } | { reason: string }> {
  try {
    return { observed: await one.observe(scratch) };
  } catch (error) {
    const obstacle = readObstacle(error);
    if (obstacle instanceof UnreachableError) throw obstacle;
    if (obstacle !== undefined) return { reason: obstacle.message };
    const failure = readFailure(error);
    // A call that only prepares the case fails in no other way than by AWS behaving otherwise.
    if (failure !== undefined) return { observed: `failed: ${failure.status} ${failure.name}: ${failure.message}` };
    return { observed: `failed: ${error instanceof Error ? error.message : String(error)}` };
  }
}
