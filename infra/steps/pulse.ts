import { SCHEDULES, scheduleName } from '../../functions/contracts/schedules.ts';
import { STOPPABLE_WORKFLOWS, stoppedRunRuleName } from '../../functions/contracts/stopped-runs.ts';
import { TRAIL_NAME, tamperRuleNames, trailBucketName } from '../../functions/contracts/tampering.ts';
import { PULSE_PREFIX, SNAPSHOT_PREFIX } from '../../functions/contracts/vault-layout.ts';
import { REGION } from '../config/configuration.ts';
import { defineSteps, GIB, KIB } from './step.ts';

export const PULSE_STEPS = defineSteps({
  'pulse/read-back': {
    // Over before the next one begins.
    limits: { timeoutMinutes: 10, memoryMib: 1024, spoolMib: 512 },
    builtFor: { items: 365, of: 'recovery points', bytes: GIB, payloadBytes: KIB },
    placement: 'outside',
    callers: ['schedule'],
    environment: ({ heartbeatUrl }, { neededPolicies, watchedKeys }) => ({
      DAYBREAK_POLICIES: JSON.stringify(neededPolicies),
      DAYBREAK_WATCHED_KEYS: JSON.stringify(watchedKeys),
      ...(heartbeatUrl !== undefined && { DAYBREAK_HEARTBEAT_URL: heartbeatUrl }),
    }),
    permissions: within => {
      const { configuration, vaultBucket, evidenceBucket, workBucket, registerBucket, tenantKeys, rds } = within;
      const { readLedger, readRootManifest, listSnapshots, listInstances, on, read, write } = within;
      const here = `${REGION}:${configuration.account}`;
      return [
        ...readLedger,
        ...readRootManifest,
        ...read(evidenceBucket, 'restore-tests/'),
        ...read(workBucket, PULSE_PREFIX),
        ...write(workBucket, PULSE_PREFIX),
        // What holds an object can be read without reading the object.
        on(['s3:GetObjectRetention'], vaultBucket, 'recovery-points/', 'tenants/', 'shared/'),
        listSnapshots,
        {
          actions: ['rds:DescribeDBSnapshotAttributes'],
          resources: [
            {
              pattern: rds('snapshot', `${SNAPSHOT_PREFIX}*`),
              reason: 'A snapshot outlives its database in the configuration, and may be shared all the same.',
            },
          ],
        },
        listInstances,
        {
          actions: ['rds:DescribeDBParameters'],
          resources: [
            {
              pattern: rds('pg', '*'),
              reason:
                'Whether a database forces TLS stands in its parameter group, which its owner may change at any time.',
            },
          ],
        },
        {
          actions: ['rds:DescribeAccountAttributes', 'kms:ListKeys'],
          resources: [
            {
              pattern: '*',
              reason: 'The account is asked how much of its quotas is used; counting knows no resource.',
            },
          ],
        },
        { actions: ['kms:DescribeKey', 'kms:GetKeyPolicy'], resources: [tenantKeys] },
        // What lies there is known by its versions. It reads no words, and the register's key does not let it.
        { actions: ['s3:ListBucketVersions'], resources: [`arn:aws:s3:::${registerBucket}`] },
        {
          actions: ['s3:GetBucketPolicy'],
          resources: [
            ...[vaultBucket, evidenceBucket, workBucket, registerBucket],
            trailBucketName(configuration.account),
          ].map(bucket => `arn:aws:s3:::${bucket}`),
        },
        {
          actions: ['events:DescribeRule'],
          resources: [...tamperRuleNames(), ...STOPPABLE_WORKFLOWS.map(stoppedRunRuleName)].map(
            name => `arn:aws:events:${here}:rule/${name}`,
          ),
        },
        { actions: ['cloudtrail:GetTrailStatus'], resources: [`arn:aws:cloudtrail:${here}:trail/${TRAIL_NAME}`] },
        {
          actions: ['scheduler:GetSchedule'],
          resources: SCHEDULES.map(id => `arn:aws:scheduler:${here}:schedule/default/${scheduleName(id)}`),
        },
      ];
    },
  },
});
