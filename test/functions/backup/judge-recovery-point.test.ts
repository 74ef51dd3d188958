import { describe, expect, it } from 'vitest';
import { judgeRecoveryPoint } from '../../../functions/backup/judge-recovery-point.ts';
import type { Acceptance, SchemaName } from '../../../functions/contracts/gap.ts';

const expected = {
  databaseIds: ['app'],
  items: [
    { bucketId: 'uploads', tenant: 'oak' },
    { bucketId: 'uploads', tenant: null },
  ],
};
const whole = {
  databases: [{ databaseId: 'app', failure: null, rowsWithoutTenant: 0, lateTables: [] as SchemaName[] }],
  tenants: [
    { bucketId: 'uploads', tenant: 'oak', manifestSha256: 'a'.repeat(64), failure: null, notCovered: {} },
    { bucketId: 'uploads', tenant: null, manifestSha256: 'a'.repeat(64), failure: null, notCovered: { archived: 0 } },
  ],
  accepted: [] as Acceptance[],
  notCompared: [] as { bucketId: string; tenant: string | null }[],
  unlistedBucketIds: [] as string[],
  postponedTenantCount: 0,
  expected,
};

const late = (lateTables: SchemaName[]) => ({
  ...whole,
  databases: whole.databases.map(database => ({ ...database, lateTables })),
});
const accepting = (whats: readonly string[]): Acceptance[] => whats.map(what => ({ what, reason: 'being-removed' }));

describe('judgeRecoveryPoint', () => {
  it.each(['table-of-no-end', 'table-not-bounded', 'rows-unreadable'])(
    'calls it good where it is accepted that a table is not measured in time, as %s',
    kind => {
      const parts = late([{ schema: 'a.b', name: 'c' }]);
      const accepted = accepting([`app/${kind}:out-of-time:"a.b".c`]);
      expect(judgeRecoveryPoint({ ...parts, accepted })).toEqual({ status: 'good', reasons: [] });
    },
  );

  it('calls a recovery point good when everything expected is whole', () => {
    expect(judgeRecoveryPoint(whole)).toEqual({ status: 'good', reasons: [] });
  });

  it('calls it good where a newer content of a file was taken, and counts that', () => {
    const tenants = whole.tenants.map(tenant => ({ ...tenant, notCovered: { replaced: 2 } }));
    expect(judgeRecoveryPoint({ ...whole, tenants })).toEqual({ status: 'good', reasons: [] });
  });

  it.each([
    [
      'an empty configuration',
      { ...whole, databases: [], tenants: [], expected: { databaseIds: [], items: [] } },
      'nothing is configured to be backed up',
    ],
    [
      'a bucket that could not be listed, though all that is known of it is whole',
      { ...whole, unlistedBucketIds: ['uploads'] },
      'bucket uploads: its tenants could not be listed',
    ],
    [
      'more new tenants than one run takes',
      { ...whole, postponedTenantCount: 3 },
      '3 more tenants are new than one run gives keys to; run the backup again',
    ],
    ['a database without a result', { ...whole, databases: [] }, 'database app: no result'],
    [
      'a database that failed',
      {
        ...whole,
        databases: [{ databaseId: 'app', failure: 'SnapshotFailedError', rowsWithoutTenant: 0, lateTables: [] }],
      },
      'database app: SnapshotFailedError',
    ],
    [
      'rows of the root table without an id',
      { ...whole, databases: [{ databaseId: 'app', failure: null, rowsWithoutTenant: 2, lateTables: [] }] },
      "database app: 2 rows of the root table without an id; what belongs to them is no tenant's",
    ],
    [
      'a table that was not measured in time',
      late([{ schema: 'public', name: 'event' }]),
      'database app: 1 table not measured in time',
    ],
    [
      'tables that were not measured in time, but for those of which that is accepted',
      late([
        { schema: 'public', name: 'event' },
        { schema: 'a.b', name: 'c' },
        { schema: 'a', name: 'b.c' },
      ]),
      'database app: 2 tables not measured in time',
      ['app/table-of-no-end:out-of-time:"a.b".c'],
    ],
    [
      'a table of which something else is accepted, or another table',
      late([{ schema: 'public', name: 'event' }]),
      'database app: 1 table not measured in time',
      [
        'app/rows-unreadable:locked:public.event',
        'app/check-not-made:out-of-time:heap:public.event',
        'other/rows-unreadable:out-of-time:public.event',
      ],
    ],
    [
      'a tenant without a result',
      { ...whole, tenants: whole.tenants.slice(1) },
      'tenant oak in bucket uploads: no result',
    ],
    [
      'no result for the rest',
      { ...whole, tenants: whole.tenants.slice(0, 1) },
      'objects of no tenant in bucket uploads: no result',
    ],
    [
      'a tenant that did not fail, and has no manifest',
      {
        ...whole,
        tenants: whole.tenants.map((tenant, index) => (index === 0 ? { ...tenant, manifestSha256: null } : tenant)),
      },
      'tenant oak in bucket uploads: no manifest',
    ],
    [
      'a tenant that failed',
      {
        ...whole,
        tenants: whole.tenants.map((tenant, index) =>
          index === 0 ? { ...tenant, failure: 'RetryableError' } : tenant,
        ),
      },
      'tenant oak in bucket uploads: RetryableError',
    ],
    [
      'objects that cannot be read',
      {
        ...whole,
        tenants: whole.tenants.map((tenant, index) =>
          index === 0 ? { ...tenant, notCovered: { archived: 2 } } : tenant,
        ),
      },
      'tenant oak in bucket uploads: 2 objects not covered: archived',
    ],
    [
      'a manifest that may name what is lost',
      { ...whole, notCompared: [{ bucketId: 'uploads', tenant: 'oak' }] },
      'tenant oak in bucket uploads: not compared with what is known as lost in the vault',
    ],
  ])('calls it incomplete for %s', (_name, parts, reason, whats: string[] = []) => {
    expect(judgeRecoveryPoint({ ...parts, accepted: accepting(whats) })).toEqual({
      status: 'incomplete',
      reasons: [reason],
    });
  });
});
