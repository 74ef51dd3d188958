import type { z } from 'zod';
import { placeOf } from '../contracts/object-manifest.ts';
import { ConcludeInput, ConcludeOutput, ObjectTestItem } from '../contracts/restore-test.ts';
import {
  type Finding,
  KeptRestoreTestRecord,
  ObjectVerification,
  type RestoreTestRecord,
} from '../contracts/restore-test-record.ts';
import { itemsKey, restoreTestRecordKey } from '../contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../platform/canonical-json.ts';
import { PermanentError } from '../platform/errors.ts';
import { handler as step } from '../platform/handler.ts';
import { readItems, readMapResults } from '../platform/map-results.ts';
import { publishMetrics } from '../platform/metrics.ts';
import { readBytes, writeBytesOnce } from '../platform/s3.ts';
import { describeVerdict } from './describe-verdict.ts';
import { judgeRestoreTest } from './judge-restore-test.ts';

/** An earlier run of the same test was concluded otherwise, and its record cannot be rewritten. */
export class RestoreTestContradictedError extends PermanentError {}

const FINDINGS_KEPT = 100;

/**
 * Judges a restore test and writes its record to the evidence bucket. The first record of a test stands.
 * @throws RestoreTestContradictedError when it stands for another verdict or recovery point than this run's.
 */
export const handler = step({
  input: ConcludeInput,
  output: ConcludeOutput,
  run: async (input, { now, configuration, deployment }) => {
    const objects = await sumUpObjects(deployment.workBucket, input);
    const decision = judgeRestoreTest({
      notStarted: notStarted(input),
      recoveryPointStatus: input.chosen?.recoveryPointStatus ?? null,
      findings: input.chosen?.findings ?? [],
      expectedDatabaseIds: (input.chosen?.snapshots ?? []).flatMap(({ databases }) =>
        databases.map(({ databaseId }) => databaseId),
      ),
      databases: input.databases,
      objects,
      failure: input.failure,
      minimumCoveragePercent: configuration.restoreTest.minimumCoveragePercent,
    });
    const compared = {
      databases: input.databases.flatMap(({ verification }) => (verification === null ? [] : [verification])),
      objects: {
        tenantCount: objects?.tenants.size ?? 0,
        objectCount: objects?.objectCount ?? 0,
        objectsRestored: objects?.objectsRestored ?? 0,
        bytesRestored: objects?.bytesRestored ?? 0,
      },
    };
    const record: RestoreTestRecord = {
      version: 2,
      restoreTestId: input.restoreTestId,
      recoveryPointId: input.chosen?.recoveryPointId ?? null,
      verdict: decision.verdict,
      verdictLine: describeVerdict({ verdict: decision.verdict, ...compared }),
      reasons: decision.reasons,
      startedAt: input.startedAt,
      completedAt: now.toISOString(),
      rowCoveragePercent: decision.rowCoveragePercent,
      ...compared,
      findingCount: decision.findingCount,
      findings: decision.findings.slice(0, FINDINGS_KEPT),
      phases: [...input.phases, ...input.databases.flatMap(({ phases }) => phases)],
    };
    const recordKey = restoreTestRecordKey(input.restoreTestId);
    await writeBytesOnce(deployment.evidenceBucket, recordKey, Buffer.from(canonicalJson(record)), {
      contentType: 'application/json',
      keyArn: deployment.vaultKeyArn,
    });
    const stored = await readBytes(deployment.evidenceBucket, recordKey);
    const kept = KeptRestoreTestRecord.parse(JSON.parse(stored.toString('utf8')));
    if (kept.verdict !== record.verdict || kept.recoveryPointId !== record.recoveryPointId) {
      throw new RestoreTestContradictedError(
        `restore test ${record.restoreTestId} was concluded earlier as ${kept.verdict} for recovery point ${kept.recoveryPointId}, and now as ${record.verdict} for ${record.recoveryPointId}; the first record stands: test again for a new instant`,
      );
    }
    publish(kept);
    return {
      verdict: kept.verdict,
      recordKey,
      draft: {
        eventId: `restore-test/${kept.restoreTestId}`,
        kind: 'restore-test.completed' as const,
        actor: 'workflow/restore-test',
        subject: kept.recoveryPointId ?? kept.restoreTestId,
        body: {
          restoreTestId: kept.restoreTestId,
          recoveryPointId: kept.recoveryPointId,
          verdict: kept.verdict,
          startedAt: kept.startedAt,
          completedAt: kept.completedAt,
          rowCoveragePercent: kept.rowCoveragePercent,
          objectCount: kept.objects.objectCount,
          objectsRestored: kept.objects.objectsRestored,
          findingCount: kept.findingCount,
          recordSha256: sha256Hex(stored),
        },
      },
    };
  },
});

function notStarted({ chosen, failure }: z.output<typeof ConcludeInput>): string | null {
  if (chosen === null) return `nothing was chosen to test: ${failure ?? 'the first step did not answer'}`;
  return chosen.findings.length > 0 ? null : chosen.reason;
}

/** Reads the tenants' results one by one, and keeps of all of them no more findings than the record does. */
async function sumUpObjects(workBucket: string, input: z.output<typeof ConcludeInput>) {
  if (input.objectResultsKey === null) return null;
  const items = await readItems(workBucket, itemsKey('restore-test', input.restoreTestId), ObjectTestItem);
  const sum = {
    expectedItems: items.length,
    resultCount: 0,
    tenants: new Set<string>(),
    objectCount: 0,
    objectsRestored: 0,
    bytesRestored: 0,
    findings: [] as Finding[],
    findingCount: 0,
  };
  // A result twice is no result of another tenant.
  const missing = new Set(items.map(placeOf));
  for await (const result of readMapResults(workBucket, input.objectResultsKey, ObjectVerification)) {
    if (missing.delete(placeOf(result))) sum.resultCount++;
    if (result.tenant !== null) sum.tenants.add(result.tenant);
    sum.objectCount += result.objectCount;
    sum.objectsRestored += result.objectsRestored;
    sum.bytesRestored += result.bytesRestored;
    sum.findings.push(...result.findings.slice(0, FINDINGS_KEPT - sum.findings.length));
    sum.findingCount += result.findingCount;
  }
  return sum;
}

function publish(record: KeptRestoreTestRecord): void {
  const count = (value: number) => ({ unit: 'Count' as const, value });
  publishMetrics(
    { Workflow: 'restore-test' },
    {
      RestoreTestPassed: count(record.verdict === 'passed' ? 1 : 0),
      RestoreTestFailed: count(record.verdict === 'failed' ? 1 : 0),
      RestoreTestFindings: count(record.findingCount),
      ObjectsRestored: count(record.objects.objectsRestored),
      BytesRestored: { unit: 'Bytes', value: record.objects.bytesRestored },
      ...(record.rowCoveragePercent === null
        ? {}
        : { RowCoverage: { unit: 'Percent' as const, value: record.rowCoveragePercent } }),
    },
  );
}
