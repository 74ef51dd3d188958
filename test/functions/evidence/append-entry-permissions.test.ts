import { CreateKeyCommand, type CreateKeyRequest, KMSClient } from '@aws-sdk/client-kms';
import { expect, it } from 'vitest';
import { handler } from '../../../functions/evidence/append-entry.ts';
import { withRuntime } from '../../../functions/platform/runtime.ts';
import { arnOf } from '../../../infra/access/permission.ts';
import { roleArn, stepName } from '../../../infra/access/role-names.ts';
import { SupplierConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { LocalClock } from '../../../infra/local/clock.ts';
import { localClientConfiguration } from '../../../infra/local/endpoint/request-handler.ts';
import { LocalIam } from '../../../infra/local/iam/authorizer.ts';
import { LocalKms } from '../../../infra/local/kms/service.ts';
import { LocalS3 } from '../../../infra/local/s3/service.ts';
import { permissionsOf } from '../../../infra/steps/definitions.ts';
import { draft } from './local-ledger.ts';

const accountId = '111122223333';
const root = { kind: 'root', arn: `arn:aws:iam::${accountId}:root` } as const;
const role = { kind: 'role', arn: roleArn(accountId, stepName('evidence/append-entry')) } as const;

/** Appends two events, the first of them twice, as the step's role without one of its actions. */
async function appendWithout(action: string | undefined): Promise<number[]> {
  const clock = new LocalClock({ flow: 'manual', startsAt: new Date('2026-11-22T03:00:00.000Z') });
  const iam = new LocalIam({ clock });
  const kms = new LocalKms({ clock, authorizer: iam, accountId });
  const s3 = new LocalS3({ clock, authorizer: iam, keys: kms, accountId });
  const keyClient = new KMSClient(localClientConfiguration({ kms }, root));
  const createKey = async (request: CreateKeyRequest) =>
    (await keyClient.send(new CreateKeyCommand(request))).KeyMetadata?.Arn ?? '';
  const vaultKeyArn = await createKey({});
  const createSigningKey = () => createKey({ KeyUsage: 'SIGN_VERIFY', KeySpec: 'ECC_NIST_P256' });
  const keys = {
    vaultKeyArn,
    signingKeyArn: await createSigningKey(),
    ledgerKeyArn: await createSigningKey(),
    entryKeyArn: await createSigningKey(),
  };
  const encryption = { algorithm: 'aws:kms', keyId: vaultKeyArn } as const;
  const retention = { mode: 'COMPLIANCE', period: { days: 365 } } as const;
  s3.createBucket({ name: 'evidence', objectLock: { defaultRetention: retention }, encryption });
  s3.createBucket({ name: 'work', encryption });

  const names = {
    vaultBucket: 'vault',
    evidenceBucket: 'evidence',
    workBucket: 'work',
    registerBucket: 'register',
    ...keys,
    tenantIdKeyArn: keys.signingKeyArn,
    registerKeyArn: '',
  };
  const configuration = SupplierConfiguration.parse(exampleConfiguration);
  const reach = { configuration, ...names, subnetGroupName: 'isolated', stateMachineArns: [] };
  const statements = permissionsOf(reach)['evidence/append-entry'].map(({ actions, resources, conditions }) => ({
    Effect: 'Allow',
    Action: actions.filter(allowed => allowed !== action),
    Resource: resources.map(arnOf),
    ...(conditions === undefined ? {} : { Condition: conditions }),
  }));
  const Statement = statements.filter(statement => statement.Action.length > 0);
  iam.putRole({ arn: role.arn, policies: [{ Version: '2012-10-17', Statement }] });

  const restoreTest = { subnetGroupName: 'isolated', securityGroupId: 'sg-1' };
  const environment = {
    DAYBREAK_DEPLOYMENT: JSON.stringify({ accountId, region: 'eu-west-2', ...names }),
    DAYBREAK_CONFIGURATION: JSON.stringify({ databases: [], buckets: [], restoreTest }),
  };
  const sequences: number[] = [];
  for (const id of ['a', 'b', 'a']) {
    const clientConfiguration = localClientConfiguration({ s3, kms }, role);
    const runtime = { environment, clock, clientConfiguration, writeLine: () => undefined, instances: new Map() };
    const invocation = { getRemainingTimeInMillis: () => 300_000 };
    const { sequence } = await withRuntime(runtime, () => handler({ draft: draft(id) }, invocation));
    sequences.push(sequence);
  }
  return sequences;
}

it('needs no more than its role may do', async () => {
  expect(await appendWithout(undefined)).toEqual([1, 2, 1]);
});

it.each([
  's3:ListBucket',
  's3:GetObject',
  's3:PutObject',
  'kms:Decrypt',
  'kms:GenerateDataKey',
  'kms:Sign',
  'kms:GetPublicKey',
])('needs %s', async action => {
  await expect(appendWithout(action)).rejects.toThrow(/AccessDenied/);
});
