import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CreateGrantCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  KMSClient,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import { DescribeDBSnapshotAttributesCommand, ModifyDBSnapshotAttributeCommand, RDSClient } from '@aws-sdk/client-rds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Deployment } from '../../functions/contracts/configuration.ts';
import { vaultSnapshotId } from '../../functions/contracts/vault-layout.ts';
import { operatorPolicy } from '../../infra/access/operator-policy.ts';
import { responderPolicy } from '../../infra/access/responder-policy.ts';
import { stepName } from '../../infra/access/role-names.ts';
import { createApp } from '../../infra/app.ts';
import { readConfiguration } from '../../infra/config/configuration.ts';
import { LocalClock } from '../../infra/local/clock.ts';
import { LocalCloud } from '../../infra/local/cloud.ts';
import { deployAssembly } from '../../infra/local/cloudformation/deploy.ts';
import { localConfiguration } from '../../infra/local/cloudformation/local-configuration.ts';
import { callAws } from '../../infra/local/rehearsal/call-aws.ts';
import { parseShellLine } from '../../infra/local/rehearsal/shell-line.ts';
import { snapshotRecord } from '../fixtures/snapshot-record.ts';

const account = '111122223333';
const OPERATOR = `arn:aws:iam::${account}:role/operator`;
const RESPONDER = `arn:aws:iam::${account}:role/responder`;
const POINT = '20261122t023000z';
const SNAPSHOT = vaultSnapshotId(POINT, 'app');
const directory = mkdtempSync(join(tmpdir(), 'daybreak-repairs-'));
const page = (name: string) => readFileSync(join(import.meta.dirname, '../../runbooks', name), 'utf8');

let cloud: LocalCloud;
let deployment: Deployment;

beforeAll(async () => {
  const database = { id: 'app', instanceId: 'app-source', resourceId: 'db-APP', databaseName: 'app' };
  const configuration = localConfiguration({
    account,
    databases: [{ ...database, rootTable: 'school', rootColumn: 'id' }],
    buckets: [{ id: 'uploads', name: 'school-uploads', tenantPrefix: '{tenant}/' }],
  });
  const outdir = join(directory, 'assembly');
  createApp(configuration, { outdir, bundle: false, check: false }).synth();
  const state = join(directory, 'state');
  const clock = new LocalClock({ flow: 'manual', startsAt: new Date('2026-11-22T08:00:00.000Z') });
  cloud = new LocalCloud({ clock, directory: state });
  await deployAssembly(cloud, outdir);
  deployment = Deployment.parse(
    JSON.parse(cloud.lambda.environmentOf(stepName('backup/plan')).DAYBREAK_DEPLOYMENT ?? ''),
  );
  mkdirSync(join(state, 'rds', 'snapshots'), { recursive: true });
  const snapshots = [snapshotRecord(POINT, '2026-11-22T02:31:00.000Z', deployment.vaultKeyArn)];
  writeFileSync(join(state, 'rds', 'state.json'), JSON.stringify({ instances: [], snapshots }));
  const parsed = readConfiguration(configuration);
  const operator = operatorPolicy(parsed).document;
  cloud.iam.putRole({ arn: OPERATOR, policies: [operator] });
  cloud.iam.putRole({ arn: RESPONDER, policies: [operator, responderPolicy(parsed).document] });
});
afterAll(async () => {
  await cloud.close();
  rmSync(directory, { recursive: true });
});

/** Runs a command of a page, its words in capitals replaced, as who repairs, or as who only watches. */
function run(
  name: string,
  command: string,
  words: Record<string, string> = {},
  options: { as?: string; files?: Record<string, object> } = {},
) {
  const text = page(name);
  const at = text.indexOf(command);
  if (at < 0) throw new Error(`the page has no ${command}`);
  const [written = ''] = /^[^`\n]+/.exec(text.slice(at).replaceAll(/`.*$/gm, '')) ?? [];
  // The longest first: one word may stand in another.
  const replacements = Object.entries({ ACCOUNT: account, ...words }).sort(([a], [b]) => b.length - a.length);
  return call(
    replacements.reduce((line, [word, value]) => line.replaceAll(word, value), written),
    options,
  );
}

/** What a service answers, whole: the tests look for themselves. */
// biome-ignore lint/suspicious/noExplicitAny: each command has an answer of its own.
async function call(line: string, { as = RESPONDER, files = {} }: Parameters<typeof run>[3] = {}): Promise<any> {
  const whole = line.replaceAll(/ --(?:query|output) (?:'[^']*'|\S+)/g, '');
  const [words = []] = parseShellLine(whole, new Map(), cloud.clock.now()).commands;
  const kept = new Map(Object.entries(files).map(([file, content]) => [file, JSON.stringify(content)]));
  const configuration = cloud.clientConfiguration({ kind: 'role', arn: as });
  return JSON.parse(await callAws(words.slice(1), configuration, kept));
}

const REFUSED = /not authorized|AccessDenied/;

describe('the repairs of the pages, in the state in which their reader is', () => {
  const root = () => cloud.clientConfiguration(cloud.root);

  it('end the deletion of a key, and enable it', async () => {
    const keys = new KMSClient(root());
    const KeyId = deployment.signingKeyArn;
    await keys.send(new ScheduleKeyDeletionCommand({ KeyId, PendingWindowInDays: 7 }));
    const words = { KEY_ARN: KeyId };
    const described = () =>
      run('key-unusable.md', 'aws kms describe-key --region eu-west-2 --key-id alias/daybreak/signing');
    expect((await described()).KeyMetadata.KeyState).toBe('PendingDeletion');
    await expect(run('key-unusable.md', 'aws kms cancel-key-deletion', words, { as: OPERATOR })).rejects.toThrow(
      REFUSED,
    );
    await run('key-unusable.md', 'aws kms cancel-key-deletion', words);
    expect((await described()).KeyMetadata.KeyState).toBe('Disabled');
    await run('key-unusable.md', 'aws kms enable-key', words);
    expect((await described()).KeyMetadata.KeyState).toBe('Enabled');
    await keys.send(new DisableKeyCommand({ KeyId }));
    await run('tampering.md', 'aws kms enable-key', words);
    const { KeyMetadata } = await keys.send(new DescribeKeyCommand({ KeyId }));
    expect(KeyMetadata?.KeyState).toBe('Enabled');
  });

  it('find a grant that is not Daybreak’s by the key’s ARN, and end it', async () => {
    const { KeyMetadata: vaultKey } = await run('snapshot-shared.md', 'aws kms describe-key');
    expect(vaultKey.Arn).toBe(deployment.vaultKeyArn);
    expect((await run('tampering.md', 'aws kms list-grants', { KEY_ARN: vaultKey.Arn })).Grants).toEqual([]);
    // The vault key's policy lets nobody make one but through RDS; a key of the account's own does.
    const keys = new KMSClient(root());
    const { KeyMetadata: { Arn: KEY_ARN = '' } = {} } = await keys.send(new CreateKeyCommand({}));
    const { GrantId = '' } = await keys.send(
      new CreateGrantCommand({ KeyId: KEY_ARN, GranteePrincipal: OPERATOR, Operations: ['Decrypt'] }),
    );
    const list = () => run('tampering.md', 'aws kms list-grants', { KEY_ARN });
    expect((await list()).Grants).toMatchObject([{ GrantId }]);
    await expect(
      run('tampering.md', 'aws kms revoke-grant', { KEY_ARN, GRANT_ID: GrantId }, { as: OPERATOR }),
    ).rejects.toThrow(REFUSED);
    await run('tampering.md', 'aws kms revoke-grant', { KEY_ARN, GRANT_ID: GrantId });
    expect((await list()).Grants).toEqual([]);
  });

  it('stop sharing a snapshot, and delete none', async () => {
    const rds = new RDSClient(root());
    const share = { DBSnapshotIdentifier: SNAPSHOT, AttributeName: 'restore' };
    await rds.send(new ModifyDBSnapshotAttributeCommand({ ...share, ValuesToAdd: ['999988887777'] }));
    const words = { SNAPSHOT, OTHER_ACCOUNT: '999988887777' };
    const shown = await run('snapshot-shared.md', 'aws rds describe-db-snapshot-attributes', words, { as: OPERATOR });
    expect(JSON.stringify(shown.DBSnapshotAttributesResult)).toContain('999988887777');
    await run('snapshot-shared.md', 'aws rds modify-db-snapshot-attribute', words);
    const left = await rds.send(new DescribeDBSnapshotAttributesCommand({ DBSnapshotIdentifier: SNAPSHOT }));
    expect(JSON.stringify(left.DBSnapshotAttributesResult)).not.toContain('999988887777');
    await expect(run('unproved-snapshot-left.md', 'aws rds delete-db-snapshot', { ID: SNAPSHOT })).rejects.toThrow(
      REFUSED,
    );
  });

  it('enable a schedule that somebody stopped, as it was', async () => {
    const NAME = 'daybreak-daily-backup';
    const standing = await run('schedule-stopped.md', 'aws scheduler get-schedule', { ' NAME': ` ${NAME}` });
    const { Name, GroupName, ScheduleExpression, ScheduleExpressionTimezone, FlexibleTimeWindow, Target } = standing;
    const kept = { Name, ScheduleExpression, ScheduleExpressionTimezone, FlexibleTimeWindow, Target };
    const before = cloud.scheduler.nextInvocations(NAME, 2);
    cloud.scheduler.createSchedule({ ...kept, State: 'DISABLED' });
    const stopped = await run('schedule-stopped.md', 'aws scheduler list-schedules');
    expect(stopped.Schedules).toContainEqual(expect.objectContaining({ Name: NAME, State: 'DISABLED' }));
    const files = { 'schedule.json': { ...kept, GroupName } };
    await expect(
      run('schedule-stopped.md', 'aws scheduler update-schedule', {}, { as: OPERATOR, files }),
    ).rejects.toThrow(REFUSED);
    await run('schedule-stopped.md', 'aws scheduler update-schedule', {}, { files });
    const again = await run('schedule-stopped.md', 'aws scheduler get-schedule', { ' NAME': ` ${NAME}` });
    expect([again.State, again.Target, cloud.scheduler.nextInvocations(NAME, 2)]).toEqual([
      'ENABLED',
      standing.Target,
      before,
    ]);
  });

  it('start runs as whoever watches, and record decisions as whoever repairs alone', async () => {
    const janitor = await run('unproved-snapshot-left.md', 'aws stepfunctions start-execution', {}, { as: OPERATOR });
    expect(janitor.executionArn).toContain(':daybreak-remove-abandoned:');
    await cloud.states.waitForExecution(janitor.executionArn);
    const start = (as: string) =>
      call(
        `aws stepfunctions start-execution --state-machine-arn arn:aws:states:eu-west-2:${account}:stateMachine:daybreak-record-decision --input {}`,
        { as },
      );
    await expect(start(OPERATOR)).rejects.toThrow(REFUSED);
    const { executionArn } = await start(RESPONDER);
    expect(await cloud.states.waitForExecution(executionArn)).toMatchObject({ status: 'FAILED' });
  });
});
