import { z } from 'zod';
import type { RecoveryPoint } from '../contracts/recovery-point.ts';
import { restoreTestRecordKey } from '../contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from './canonical-json.ts';
import type { LedgerProjection } from './ledger-projection.ts';
import { parseDocument } from './parse-document.ts';
import { readBytesIfThere } from './s3.ts';

type State = Pick<LedgerProjection, 'recoveryPoints' | 'restoreTests' | 'signedFrom'>;
type RecordedPoint = State['recoveryPoints'][string];
type RecordedTest = State['restoreTests'][string];

/** How what lies in a bucket differs from what the ledger recorded. `contentSha256`: null where no hash is named to compare. */
export type Difference =
  | { readonly how: 'gone'; readonly reason: string }
  | { readonly how: 'altered'; readonly reason: string; readonly contentSha256: string | null };

/** A manifest may be written and not recorded yet: a rerun closes a recovery point anew that was incomplete. */
const RECORDED_WITHIN_MS = 60 * 60 * 1000;

/** What a record of any version says of itself; its hash stands for the rest. */
const TestRecord = z.looseObject({
  restoreTestId: z.string(),
  recoveryPointId: z.string().nullable(),
  verdict: z.string(),
  objects: z.looseObject({ objectCount: z.int() }).optional().catch(undefined),
  findingCount: z.int().optional().catch(undefined),
  findings: z
    .array(z.looseObject({ kind: z.string(), place: z.string() }))
    .optional()
    .catch(undefined),
});
export type TestRecord = z.infer<typeof TestRecord>;

/**
 * Why the ledger's word about a recovery point is not to be believed; undefined where its root manifest is there, has the
 * hash that was recorded, and says the same.
 * @param found its root manifest, whose signature was verified.
 */
export function whyPointDiffers(
  found: { recoveryPoint: RecoveryPoint; sha256: string } | undefined,
  recorded: RecordedPoint,
  { signedFrom }: Pick<State, 'signedFrom'>,
  now: Date,
): Difference | undefined {
  if (found === undefined) return { how: 'gone', reason: 'it is gone' };
  const { recoveryPoint, sha256 } = found;
  const differs = (reason: string): Difference => ({ how: 'altered', reason, contentSha256: sha256 });
  if (recorded.rootManifestSha256 === null) {
    return isOfEarlierRelease(recorded, signedFrom) ? undefined : differs('the ledger names no hash of it');
  }
  if (sha256 === recorded.rootManifestSha256) {
    if (recoveryPoint.recoveryPointId !== recorded.recoveryPointId) return differs('it is of another recovery point');
    return recoveryPoint.status === recorded.status
      ? undefined
      : differs(`it says ${recoveryPoint.status}, and the ledger not`);
  }
  const closedMs = Math.abs(now.getTime() - Date.parse(recoveryPoint.completedAt));
  const isUnrecorded = recorded.status === 'incomplete' && closedMs < RECORDED_WITHIN_MS;
  return isUnrecorded ? undefined : differs('its hash is not the one that the ledger recorded');
}

/** The same for a restore test: its record in the evidence bucket is read. */
export async function whyTestDiffers(...recorded: Parameters<typeof readTestRecord>): Promise<Difference | undefined> {
  return (await readTestRecord(...recorded)).difference;
}

/** What the record of a restore test says, where it is what the ledger recorded; null where that names none. */
export async function readTestRecord(
  evidenceBucket: string,
  recorded: RecordedTest,
  { signedFrom }: Pick<State, 'signedFrom'>,
): Promise<{ difference: Difference } | { difference: undefined; record: TestRecord | null }> {
  const { restoreTestId, recordSha256, recoveryPointId, verdict } = recorded;
  if (recordSha256 === null) {
    return isOfEarlierRelease(recorded, signedFrom)
      ? { difference: undefined, record: null }
      : { difference: { how: 'altered', reason: 'the ledger names no hash of its record', contentSha256: null } };
  }
  const bytes = await readBytesIfThere(evidenceBucket, restoreTestRecordKey(restoreTestId));
  if (bytes === undefined) return { difference: { how: 'gone', reason: 'its record is gone' } };
  const contentSha256 = sha256Hex(bytes);
  const differs = (reason: string) => ({ difference: { how: 'altered' as const, reason, contentSha256 } });
  if (contentSha256 !== recordSha256) return differs('the hash of its record is not the one that the ledger recorded');
  const record = parseDocument(TestRecord, bytes);
  const saysTheSame =
    record?.restoreTestId === restoreTestId && record.recoveryPointId === recoveryPointId && record.verdict === verdict;
  return saysTheSame ? { difference: undefined, record } : differs('its record says something else than the ledger');
}

/** Whether an entry that names no hash may be without one: in this release each names one, and is signed. */
export function isOfEarlierRelease({ sequence }: { sequence: number }, signedFrom: number | null): boolean {
  return signedFrom === null || sequence < signedFrom;
}

/** How one snapshot is not what a root manifest names. `content`: a hash of what another one in its place is known by. */
export type SnapshotDifference = { readonly reason: string } & (
  | { readonly problem: 'missing' }
  | { readonly problem: 'unavailable'; readonly status: string }
  | { readonly problem: 'replaced'; readonly content: string }
);

/**
 * Why a snapshot is not the one that a root manifest names; none where it is there as it was signed for.
 * @param found as RDS describes the one of its name; undefined where RDS lists none.
 */
export function whySnapshotDiffers(
  named: { readonly takenAt: string; readonly kmsKeyArn: string },
  found:
    | {
        readonly status: string | undefined;
        readonly kmsKeyArn: string | undefined;
        readonly takenAt: Date | undefined;
      }
    | undefined,
): SnapshotDifference[] {
  if (found === undefined) return [{ problem: 'missing', reason: 'RDS does not list it' }];
  const { status = 'unknown' } = found;
  const seen = { takenAt: found.takenAt?.toISOString() ?? null, kmsKeyArn: found.kmsKeyArn ?? null };
  // Neither changes of a snapshot: another one has its name.
  const others = [
    ...(seen.kmsKeyArn === named.kmsKeyArn ? [] : ['it is not under the key that was signed for']),
    ...(seen.takenAt === named.takenAt ? [] : ['it is of another time than was signed for']),
  ];
  return [
    ...(status === 'available' ? [] : [{ problem: 'unavailable' as const, status, reason: `its status is ${status}` }]),
    ...(others.length === 0
      ? []
      : [{ problem: 'replaced' as const, content: sha256Hex(canonicalJson(seen)), reason: others.join('; ') }]),
  ];
}
