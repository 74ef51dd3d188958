import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { idOfInstant } from '../../../functions/contracts/identifiers.ts';
import type { RecoveryPoint } from '../../../functions/contracts/recovery-point.ts';
import { restoreTestRecordKey, rootManifestKey } from '../../../functions/contracts/vault-layout.ts';
import { sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { tamper } from '../../../infra/local/s3/damage.ts';
import { describePage, overdueReviews, pageOf } from '../../../runbooks/cli/describe-retention.ts';
import { createDaybreak, describeEnd } from '../../../runbooks/cli/program.ts';
import { VERB_GROUPS } from '../../../runbooks/cli/verb-groups.ts';
import { draft, type LocalLedger, openLedger } from '../../functions/evidence/local-ledger.ts';
import { runHere } from '../../infra/command-line/run-here.ts';

const directory = mkdtempSync(join(tmpdir(), 'daybreak-retention-'));
const file = join(directory, 'configuration.json');
const unruled = join(directory, 'unruled.json');
const EXAMPLE = ['--configuration', 'infra/config/example.ts'];
const LOCAL = `--local=${directory}`;
const GB = 1024 ** 3;
let ledger: LocalLedger;

const daybreak = (...parameters: string[]) => runHere(createDaybreak(VERB_GROUPS), parameters, describeEnd);
/** The command asks the machine's clock, so what it decides about is so many days old. */
const daysAgo = (days: number) => new Date(Date.now() - days * 86_400_000).toISOString();
const idOf = (days: number) => IDS.get(days) ?? '';
const IDS = new Map([40, 39, 38, 10, 2, 1].map(days => [days, idOfInstant(daysAgo(days))]));

async function addPoint(days: number, status: RecoveryPoint['status'], allocatedGb: number): Promise<void> {
  const recoveryPointId = idOf(days);
  const snapshot = {
    id: `daybreak-app-${recoveryPointId}`,
    arn: 'arn:aws:rds:eu-west-2:111122223333:snapshot:x',
    takenAt: daysAgo(days),
    kmsKeyArn: 'key',
    engineVersion: '17.4',
    allocatedStorageBytes: allocatedGb * GB,
  };
  const part = { databaseId: 'app', snapshot, fingerprints: null, rowCount: 0, failure: null };
  // Two databases of one instance share a snapshot, which is counted once.
  const databases = [part, { ...part, databaseId: 'reports' }];
  const rootManifestSha256 = await ledger.putManifest({ recoveryPointId, status, databases });
  const body = { recoveryPointId, status, rootManifestSha256 };
  await ledger.appendEntry(
    draft(`backup/${recoveryPointId}`, { kind: 'backup.completed', subject: recoveryPointId, body }),
  );
}

beforeAll(async () => {
  ledger = await openLedger({ directory });
  for (const days of [40, 39, 38, 2]) await addPoint(days, 'good', 20);
  await addPoint(10, 'incomplete', 30);
  await addPoint(1, 'good', 20);
  const restoreTestId = idOfInstant(daysAgo(37));
  const record = { restoreTestId, recoveryPointId: idOf(39), verdict: 'passed' };
  const bytes = Buffer.from(JSON.stringify(record));
  await ledger.put(restoreTestRecordKey(restoreTestId), bytes);
  const body = { ...record, recordSha256: sha256Hex(bytes) };
  await ledger.appendEntry(draft('test', { kind: 'restore-test.completed', subject: restoreTestId, body }));
  writeFileSync(join(directory, 'deployment.json'), JSON.stringify(ledger.deployment));
  writeFileSync(file, JSON.stringify(exampleConfiguration));
  writeFileSync(unruled, JSON.stringify({ ...exampleConfiguration, retention: { snapshotDays: 35 } }));
});
afterAll(() => {
  ledger.s3.close();
  rmSync(directory, { recursive: true });
});

describe('daybreak retention plan', () => {
  it('lists what would stay and go, with reasons, bytes and money, and says that nothing is deleted', async () => {
    const { exitCode, stdout, stderr } = await daybreak('retention', 'plan', LOCAL, '--configuration', file);
    expect([exitCode, stderr]).toEqual([0, '']);
    const lines = stdout.split('\n');
    expect(lines.slice(0, 2)).toEqual([
      'This release deletes no backup for its age: the sweep that carries the rules out is not built yet.',
      'From records; RDS was not asked: what npm start leaves has none that runs.',
    ]);
    const rows = lines.filter(line => /^\d{8}t/.test(line)).map(line => line.split(/ {2,}/));
    expect(rows.map(([id, what, size, usd]) => [id, what?.trim(), size, usd])).toEqual([
      [idOf(40), 'delete', '20.0 GB', '2.00'],
      [idOf(39), 'keep *', '20.0 GB', '2.00'],
      [idOf(38), 'delete', '20.0 GB', '2.00'],
      [idOf(10), 'delete', '30.0 GB', '3.00'],
      [idOf(2), 'keep', '20.0 GB', '2.00'],
      [idOf(1), 'keep', '20.0 GB', '2.00'],
    ]);
    expect(rows.map(row => row.at(-1))).toEqual([
      'it is older than 35 days',
      expect.stringMatching(/^it is the newest one that a restore test proved \(\d{8}t\d{6}z\)$/),
      'it is older than 35 days',
      'it is incomplete, and older than 7 days',
      'a run may still close it; it is younger than 35 days',
      'a run may still close it; it is younger than 35 days; it is the newest good one',
    ]);
    expect(stdout).toContain(
      '3 would stay, 1 of them (*) past their date, 3 would go: 70.0 GB of allocated storage, 7.00 USD a month at most.',
    );
    expect(stdout).toContain("3 of those that would go need a person's approval first");
  });

  it('has the same as JSON', async () => {
    const { stdout } = await daybreak('retention', 'plan', LOCAL, ...EXAMPLE, '--json');
    const plan = JSON.parse(stdout);
    expect(plan.deletes).toBe(false);
    expect(plan.delete[0]).toMatchObject({
      recoveryPointId: idOf(40),
      reasons: [{ kind: 'past-age', days: 35 }],
      snapshotBytes: 20 * GB,
      monthlyUsdAtMost: 2,
    });
    expect(plan.keep[0]).toMatchObject({ recoveryPointId: idOf(39), pastDate: { reasons: [{ kind: 'past-age' }] } });
  });

  it("takes the example's rules for the state of npm start, which deploys them", async () => {
    const { stdout } = await daybreak('retention', 'plan', LOCAL);
    expect(stdout).toContain('3 would go');
  });

  it('says without rules that nothing will ever be deleted', async () => {
    const { exitCode, stdout } = await daybreak('retention', 'plan', LOCAL, '--configuration', unruled);
    expect(exitCode).toBe(0);
    expect(stdout).toContain('6 would stay, 0 would go');
    expect(stdout).toContain('- There are no retention rules (retention.policy): nothing will ever be deleted');
  });

  it('believes no root manifest that is not what was recorded: it is doubted, and says so', async () => {
    const change = (from: string, to: string) =>
      tamper(ledger.s3, 'vault', rootManifestKey(idOf(1)), bytes => Buffer.from(bytes.toString().replace(from, to)));
    await change('"good"', '"evil"');
    const { stdout } = await daybreak('retention', 'plan', LOCAL);
    const explained = await daybreak('retention', 'explain', LOCAL, '--id', idOf(1));
    await change('"evil"', '"good"');
    expect(explained.stdout).toContain(`\nFound: the root manifest of ${idOf(1)} is not what was recorded: `);
    expect(stdout).toContain(`- the root manifest of ${idOf(1)} is not what was recorded`);
    expect(stdout).toMatch(new RegExp(`${idOf(2)} .*it is the newest good one`));
    expect(stdout).toMatch(
      new RegExp(
        `${idOf(1)} {2}keep .* unknown .*it is in doubt .* younger than 35 days; by the ledger it is the newest good`,
      ),
    );
  });

  it.each([
    ['two targets', [LOCAL, '--profile', 'audit'], 'give --local or --profile, not both'],
    ['no state', ['--local', '/nowhere'], '--local /nowhere: holds no deployment.json'],
    ['no configuration', ['--configuration', 'nowhere.json'], 'there is no configuration nowhere.json'],
  ])('refuses %s', async (_name, parameters, message) => {
    const { exitCode, stdout, stderr } = await daybreak('retention', 'plan', ...parameters);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toContain(message);
  });
});

describe('daybreak retention explain', () => {
  it('says why one is still here, when it goes, and what would change that', async () => {
    const { exitCode, stdout } = await daybreak('retention', 'explain', LOCAL, '--id', idOf(1));
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(
      /^\d{8}t\d{6}z is here because\n- a run may still close it; until .* UTC\n- it is younger than 35 days; until .* UTC\n- it is the newest good one; until a backup makes a newer good one\nThe rules let it go on .* UTC at the latest\./,
    );
  });

  it('finds it by its snapshot, and says since when it is past its date', async () => {
    const { stdout } = await daybreak('retention', 'explain', LOCAL, '--id', `daybreak-app-${idOf(39)}`);
    expect(stdout).toContain('until a restore test proves a newer one\nIt is past its date since ');
    const gone = await daybreak('retention', 'explain', LOCAL, '--id', idOf(40));
    expect(gone.stdout).toMatch(
      /is past its date since .*:\n- it is older than 35 days\nIt would go with the sweep after a person's approval/,
    );
    const json = await daybreak('retention', 'explain', LOCAL, '--id', idOf(40), '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({ recoveryPointId: idOf(40), goes: true });
  });

  it('refuses what there is not: exit code 2', async () => {
    const { exitCode, stderr } = await daybreak('retention', 'explain', LOCAL, '--id', 'evil\u001b[31m');
    expect(exitCode).toBe(2);
    expect(stderr).toContain('--id evil?[31m: the ledger knows no such recovery point');
  });
});

describe('daybreak retention show', () => {
  const { retention, vault } = readConfiguration(exampleConfiguration);
  const { policy } = retention;
  if (policy === undefined) throw new Error('the example has no policy');
  const figures = { ...retention, ...vault };

  it('is a page for schools, with both dates, by the calendar in London', () => {
    const page = pageOf(policy, figures, new Date('2027-03-01T12:00:00.000Z'));
    expect([page.promise.beyondUse.by, page.promise.gone.by]).toEqual(['2027-03-31', '2027-06-29']);
    const text = describePage(page, 'markdown');
    expect(text).toContain(
      '| Backups of the databases and files of all schools | RDS snapshots and the locked vault | 35 days. Files that no later backup has: up to 74 days, while their lock runs out | Backup policy, 3.1; public task | data protection officer | 2027-11-01 |',
    );
    expect(text).toContain('| What a test of the backups restored | temporary RDS instances, work bucket | 2 days |');
    expect(text).toContain('| 30 days. Its files: up to 69 days, while their lock runs out |');
    expect(text).toContain('where it is the newest of all, where one of these is in doubt,');
    expect(text).toContain('no copy is left, but for names, contacts and instructions in the register, and logs,');
    expect(text).toContain('Both dates hold once the sweep and the deletion of a school are built and run.');
    expect(text).toContain('Of an instruction of today (2027-03-01) that is 2027-03-31.');
    expect(text.split('\n').filter(line => line.startsWith('| '))).toHaveLength(2 + page.rules.length);
    expect(describePage(page, 'text')).not.toContain('|');
  });

  it('finds a review overdue from the day after it', () => {
    const at = (now: string) => overdueReviews(pageOf(policy, figures, new Date(now)));
    expect(at('2027-11-01T23:59:59.000Z')).toEqual([]);
    expect(at('2027-11-02T00:00:00.000Z')).toHaveLength(8);
    expect(at('2027-11-02T00:00:00.000Z')[0]).toBe(
      'the review of the rule recoveryPoints was due on 2027-11-01: data protection officer answers for it',
    );
  });

  it('prints it, as Markdown or JSON, and without rules that there are none', async () => {
    const page = await daybreak('retention', 'show', ...EXAMPLE, '--markdown');
    expect(page.stdout).toMatch(/^# What is kept, and for how long\n/);
    const json = JSON.parse((await daybreak('retention', 'show', ...EXAMPLE, '--json')).stdout);
    expect(json.promise.gone.made.days).toBe(102);
    const none = await daybreak('retention', 'show', '--configuration', unruled);
    expect([none.exitCode, none.stdout]).toEqual([
      0,
      'There are no retention rules (retention.policy): nothing will ever be deleted for its age, and what is stored only grows.\n',
    ]);
  });
});
