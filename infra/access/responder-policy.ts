import { RESTORE_TEST_INSTANCE_PREFIX, SNAPSHOT_PREFIX } from '../../functions/contracts/vault-layout.ts';
import { REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { type ManagedPolicy, managedPolicy } from './policy-document.ts';
import { workflowName } from './role-names.ts';

/**
 * What the repairs on the pages take, beside `daybreak-operator`: nothing of it destroys what a recovery point names. What
 * deletes a version, changes a policy, a role or a setting of the supplier's own, or deploys, is an administrator's; the
 * pages mark it.
 */
export function responderPolicy({ account }: SupplierConfiguration): ManagedPolicy {
  const arn = (service: string, name: string) => `arn:aws:${service}:${REGION}:${account}:${name}`;
  return managedPolicy(
    'daybreak-responder',
    'for who repairs what an alarm tells of; together with daybreak-operator',
    [
      {
        Sid: 'RecordDecisions',
        Effect: 'Allow',
        Action: ['states:StartExecution'],
        Resource: [arn('states', `stateMachine:${workflowName('record-decision')}`)],
      },
      {
        Sid: 'KeepKeys',
        Effect: 'Allow',
        Action: ['kms:CancelKeyDeletion', 'kms:EnableKey', 'kms:ListGrants', 'kms:RevokeGrant'],
        Resource: [arn('kms', 'key/*')],
      },
      {
        Sid: 'PutAliasesBack',
        Effect: 'Allow',
        Action: ['kms:CreateAlias'],
        Resource: [arn('kms', 'key/*'), arn('kms', 'alias/daybreak/*')],
      },
      {
        Sid: 'StopSharing',
        Effect: 'Allow',
        Action: ['rds:ModifyDBSnapshotAttribute'],
        Resource: [arn('rds', `snapshot:${SNAPSHOT_PREFIX}*`)],
      },
      {
        Sid: 'RemoveRestoredCopies',
        Effect: 'Allow',
        Action: ['rds:DeleteDBInstance', 'rds:ModifyDBInstance'],
        Resource: [arn('rds', `db:${RESTORE_TEST_INSTANCE_PREFIX}*`)],
      },
      {
        Sid: 'StartSchedulesAgain',
        Effect: 'Allow',
        Action: ['scheduler:UpdateSchedule'],
        Resource: [arn('scheduler', 'schedule/default/daybreak-*')],
      },
      {
        Sid: 'UnderTheSchedulersRole',
        Effect: 'Allow',
        Action: ['iam:PassRole'],
        Resource: [`arn:aws:iam::${account}:role/daybreak-scheduler`],
        Condition: { StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } },
      },
      {
        Sid: 'RecordWhatWasNotRecorded',
        Effect: 'Allow',
        Action: ['lambda:InvokeFunction'],
        Resource: [arn('lambda', 'function:daybreak-evidence-record-tampering')],
      },
    ],
  );
}
