import { expect } from 'vitest';
import { rootManifestKey } from '../../../functions/contracts/vault-layout.ts';
import type { PoliciesAccount } from './policies-account.ts';

/** What today's roles may do, by what decides it. */
export async function whatRolesMay(own: PoliciesAccount): Promise<Record<string, string[]>> {
  const { deployment } = own.account;
  const [oak] = (await own.check()).flatMap(({ subject, place }) =>
    subject === 'alias/daybreak/tenant/oak' && place.kind === 'key' ? [place.keyArn] : [],
  );
  const through = (key: string) => ({
    'kms:ViaService': 's3.eu-west-2.amazonaws.com',
    'kms:EncryptionContext:aws:s3:arn': own.account.arnOf('vault', key),
  });
  const asEvidence = {
    's3:if-none-match': '*',
    's3:ObjectCreationOperation': 'true',
    's3:x-amz-server-side-encryption': 'aws:kms',
    's3:x-amz-server-side-encryption-aws-kms-key-id': deployment.vaultKeyArn,
  };
  const manifest = rootManifestKey('20261122t023000z');
  const questions: [string, string, object?][] = [
    ['kms:Decrypt', oak ?? '', through('tenants/oak/objects/a')],
    ['kms:GenerateDataKey', deployment.vaultKeyArn, through(manifest)],
    ['kms:Sign', deployment.entryKeyArn],
    ['kms:GetPublicKey', deployment.ledgerKeyArn],
    ['s3:PutObject', own.account.arnOf('vault', 'tenants/oak/objects/a'), asEvidence],
    ['s3:PutObject', own.account.arnOf('evidence', 'ledger/000000000009.json'), asEvidence],
    ['s3:PutObject', own.account.arnOf('work', 'work/a'), asEvidence],
    ['s3:PutObjectRetention', own.account.arnOf('vault', manifest)],
    ['kms:ScheduleKeyDeletion', oak ?? ''],
  ];
  const answers: Record<string, string[]> = {};
  for (const [action, resource, context] of questions) {
    answers[`${action} ${resource}`] = await own.account.whoMay(action, resource, context);
  }
  return answers;
}

/**
 * Ages all policies, and upgrades them by runs that are each killed at their fifth put, before or after it was carried out,
 * until one is finished: nobody is locked out in between, and all is recorded.
 */
export async function killUpgrades(own: PoliciesAccount, lost: 'request' | 'response'): Promise<void> {
  const before = await whatRolesMay(own);
  await own.age();
  const all = (await own.check()).map(({ subject }) => subject);
  const from = (await own.account.ledger()).length;
  let killed = 0;
  for (;;) {
    let puts = 0;
    own.onRequest = name => {
      if (name !== 'PutKeyPolicy' && name !== 'PUT policy') return;
      // Each run gets a little further than the one before.
      if (++puts < 5) return;
      const kill = (): never => {
        throw new Error('the process was killed');
      };
      return lost === 'request' ? kill() : kill;
    };
    const outcome = await own.upgrade().then(
      () => 'done',
      () => 'killed',
    );
    own.onRequest = () => undefined;
    expect(await whatRolesMay(own)).toEqual(before);
    if (outcome === 'done') break;
    expect(++killed).toBeLessThan(all.length);
  }
  expect(killed).toBeGreaterThan(1);
  const entries = (await own.account.ledger()).slice(from);
  const planned = entries.filter(({ kind }) => kind === 'policies.upgrade-planned');
  const subjects = planned.flatMap(({ body }) => (body.policies as { subject: string }[]).map(one => one.subject));
  expect([...new Set(subjects)].sort()).toEqual(all.toSorted());
}
