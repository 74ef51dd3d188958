import type { Acceptance, SchemaName } from '../contracts/gap.ts';
import type { NotCoveredReason, TenantBackupResult } from '../contracts/object-manifest.ts';
import type { DatabaseRecoveryPoint, RecoveryPoint } from '../contracts/recovery-point.ts';
import { gapName } from '../platform/gap-name.ts';

/** Whether a recovery point in which there is such an object lacks something. */
const LACKS: Readonly<Record<NotCoveredReason, boolean>> = {
  'encrypted-with-customer-key': true,
  archived: true,
  'access-denied': true,
  'tags-refused': true,
  'kept-changing': true,
  'copy-failed': true,
  vanished: true,
  // The newest content of its key is there, which is all that a bucket without versions can have of a file in use.
  replaced: false,
};

/**
 * Decides whether a recovery point is good: everything configured is in it, whole. Whatever is missing is a reason, and
 * one reason makes it incomplete. No reason holds a file name.
 */
export function judgeRecoveryPoint(parts: {
  databases: readonly (Pick<DatabaseRecoveryPoint, 'databaseId' | 'failure'> & {
    rowsWithoutTenant: number;
    /** Tables that one of its measurements, or both, had no time for, each once. */
    lateTables: readonly SchemaName[];
  })[];
  /** What restore tests may leave unproved. */
  accepted: readonly Acceptance[];
  tenants: readonly Pick<TenantBackupResult, 'bucketId' | 'tenant' | 'manifestSha256' | 'failure' | 'notCovered'>[];
  /** Whose manifests were not compared with what is known as lost in the vault. */
  notCompared: readonly { bucketId: string; tenant: string | null }[];
  /** Buckets whose tenants could not be listed. */
  unlistedBucketIds: readonly string[];
  /** New tenants that wait for the next run. */
  postponedTenantCount: number;
  /** What was to be backed up. */
  expected: { databaseIds: readonly string[]; items: readonly { bucketId: string; tenant: string | null }[] };
}): Pick<RecoveryPoint, 'status' | 'reasons'> {
  const databases = new Set(parts.databases.map(({ databaseId }) => databaseId));
  const tenants = new Set(parts.tenants.map(nameTenant));
  const isEmpty = parts.expected.databaseIds.length === 0 && parts.expected.items.length === 0;
  const reasons = [
    ...(isEmpty ? ['nothing is configured to be backed up'] : []),
    ...parts.unlistedBucketIds.map(id => `bucket ${id}: its tenants could not be listed`),
    ...(parts.postponedTenantCount > 0
      ? [`${parts.postponedTenantCount} more tenants are new than one run gives keys to; run the backup again`]
      : []),
    ...parts.expected.databaseIds.filter(id => !databases.has(id)).map(id => `database ${id}: no result`),
    ...parts.databases.flatMap(({ databaseId, failure }) =>
      failure === null ? [] : [`database ${databaseId}: ${failure}`],
    ),
    ...parts.databases
      .filter(({ rowsWithoutTenant }) => rowsWithoutTenant > 0)
      .map(
        ({ databaseId, rowsWithoutTenant }) =>
          `database ${databaseId}: ${rowsWithoutTenant} ${rowsWithoutTenant === 1 ? 'row' : 'rows'} of the root table without an id; what belongs to them is no tenant's`,
      ),
    ...parts.databases.flatMap(({ databaseId, lateTables }) => {
      const count = lateTables.filter(table => !isAccepted(databaseId, table, parts.accepted)).length;
      return count === 0
        ? []
        : [`database ${databaseId}: ${count} ${count === 1 ? 'table' : 'tables'} not measured in time`];
    }),
    ...parts.expected.items
      .filter(item => !tenants.has(nameTenant(item)))
      .map(item => `${nameTenant(item)}: no result`),
    ...parts.notCompared.map(place => `${nameTenant(place)}: not compared with what is known as lost in the vault`),
    ...parts.tenants.flatMap(result => [
      ...(result.failure === null ? [] : [`${nameTenant(result)}: ${result.failure}`]),
      ...(result.failure === null && result.manifestSha256 === null ? [`${nameTenant(result)}: no manifest`] : []),
      ...Object.entries(result.notCovered)
        .filter(([reason, count]) => count > 0 && LACKS[reason as NotCoveredReason])
        .map(
          ([reason, count]) =>
            `${nameTenant(result)}: ${count} ${count === 1 ? 'object' : 'objects'} not covered: ${reason}`,
        ),
    ]),
  ];
  return { status: reasons.length === 0 ? 'good' : 'incomplete', reasons };
}

/** Whether a person accepts the gap that a restore test finds where a table was not measured in time, under any of its names. */
function isAccepted(databaseId: string, table: SchemaName, accepted: readonly Acceptance[]): boolean {
  const why = 'out-of-time';
  const names = [
    gapName({ kind: 'table-of-no-end', databaseId, table, why }),
    gapName({ kind: 'table-not-bounded', databaseId, table, why, rowCount: null }),
    gapName({ kind: 'rows-unreadable', databaseId, table, why }),
  ];
  return accepted.some(({ what }) => names.includes(what));
}

function nameTenant({ bucketId, tenant }: { bucketId: string; tenant: string | null }): string {
  return tenant === null ? `objects of no tenant in bucket ${bucketId}` : `tenant ${tenant} in bucket ${bucketId}`;
}
