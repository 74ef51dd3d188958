import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import type { Principal } from '../../../infra/local/service.ts';
import { administrator, operator } from '../../infra/access/attacks-account.ts';
import { earlier, PoliciesAccount } from '../keys/policies-account.ts';

const root = join(import.meta.dirname, '../../..');

it('is done by the command, signed, in the name of whoever has the credentials, and the operator may plan retention', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'daybreak-keys-'));
  const own = await PoliciesAccount.create([], join(directory, 'state'));
  const { cloud } = own.account;
  const front = await cloud.listen();
  const configuration = join(directory, 'daybreak.config.json');
  writeFileSync(configuration, JSON.stringify({ ...exampleConfiguration, operatorRoleArns: [operator.arn] }));
  const runAs = (person: Principal, ...parameters: string[]) =>
    new Promise<{ exitCode: unknown; stdout: string; stderr: string }>(resolve => {
      const { accessKeyId, secretAccessKey } = cloud.issueCredentials(person);
      const env = {
        PATH: process.env.PATH,
        AWS_ENDPOINT_URL: front.url,
        AWS_ACCESS_KEY_ID: accessKeyId,
        AWS_SECRET_ACCESS_KEY: secretAccessKey,
        NODE_EXTRA_CA_CERTS: front.caFile,
      };
      const command = [join(root, 'runbooks/cli/daybreak.ts'), ...parameters, '--configuration', configuration];
      execFile(process.execPath, command, { env }, (error, stdout, stderr) =>
        resolve({ exitCode: error === null ? 0 : error.code, stdout, stderr }),
      );
    });
  const daybreak = (...parameters: string[]) => runAs(administrator, 'keys', ...parameters);
  try {
    const ledgerKey = (await own.check()).find(({ policy }) => policy === 'ledger-key');
    if (ledgerKey === undefined) throw new Error('no ledger key');
    await own.put(ledgerKey, earlier(ledgerKey.needed));
    const behind = await daybreak('check');
    expect([behind.exitCode, behind.stderr]).toEqual([1, '']);
    expect(behind.stdout).toMatch(/^BEHIND {6}alias\/daybreak\/ledger: of no version; needed is version 2\n/);
    expect(behind.stdout).toMatch(/13 of 14 policies are as .*\.\nWhat to do: runbooks\/policy-behind\.md\n$/);
    // Nobody can be asked here.
    const asked = await daybreak('upgrade');
    expect([asked.exitCode, asked.stdout]).toEqual([1, 'Nothing was changed. Answer yes, or give --yes.\n']);
    const upgraded = await daybreak('upgrade', '--yes');
    expect([upgraded.exitCode, upgraded.stdout]).toEqual([
      0,
      expect.stringMatching(/^1 policies were put and read back, which is entry \d+ of the ledger\.\n$/),
    ]);
    expect(upgraded.stderr).toContain('1 of 1: alias/daybreak/ledger\n');
    expect((await own.check()).every(({ finding }) => finding.state === 'current')).toBe(true);
    // Whoever watches may ask what retention would keep; here no backup was made yet.
    const plan = await runAs(operator, 'retention', 'plan', '--json');
    expect([plan.exitCode, plan.stderr]).toEqual([0, '']);
    expect(JSON.parse(plan.stdout)).toMatchObject({ deletes: false, keep: [], delete: [] });
  } finally {
    await front.close();
    await cloud.close();
    rmSync(directory, { recursive: true });
  }
});
