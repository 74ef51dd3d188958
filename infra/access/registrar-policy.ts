import { REGISTER_PREFIX } from '../../functions/contracts/vault-layout.ts';
import { bucketNames, REGION, type SupplierConfiguration } from '../config/configuration.ts';
import { type ManagedPolicy, managedPolicy } from './policy-document.ts';
import { workflowName } from './role-names.ts';

/**
 * What keeping the register takes, beside `daybreak-operator`. The register's bucket and key let in only the roles that the
 * configuration names (`operatorRoleArns`). Whoever may have a change recorded may have any decision recorded: there is one
 * way for a person's word.
 */
export function registrarPolicy(configuration: SupplierConfiguration): ManagedPolicy {
  const { account } = configuration;
  const entries = [`arn:aws:s3:::${bucketNames(configuration).registerBucket}/${REGISTER_PREFIX}*`];
  return managedPolicy('daybreak-registrar', 'for who keeps the register; together with daybreak-operator', [
    { Sid: 'KeepEntries', Effect: 'Allow', Action: ['s3:DeleteObject', 's3:PutObject'], Resource: entries },
    {
      Sid: 'EncryptEntries',
      Effect: 'Allow',
      Action: ['kms:GenerateDataKey'],
      Resource: [`arn:aws:kms:${REGION}:${account}:key/*`],
      Condition: {
        StringEquals: { 'kms:ViaService': `s3.${REGION}.amazonaws.com` },
        StringLike: { 'kms:EncryptionContext:aws:s3:arn': entries },
      },
    },
    {
      Sid: 'RecordDecisions',
      Effect: 'Allow',
      Action: ['states:StartExecution'],
      Resource: [`arn:aws:states:${REGION}:${account}:stateMachine:${workflowName('record-decision')}`],
    },
  ]);
}
