import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Deployment } from '../../../../functions/contracts/configuration.ts';
import { vaultSnapshotId } from '../../../../functions/contracts/vault-layout.ts';
import { stepName } from '../../../../infra/access/role-names.ts';
import { createApp } from '../../../../infra/app.ts';
import { readConfiguration } from '../../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../../infra/config/example.ts';
import { LocalClock } from '../../../../infra/local/clock.ts';
import { LOCAL_ACCOUNT, LocalCloud } from '../../../../infra/local/cloud.ts';
import { deployAssembly } from '../../../../infra/local/cloudformation/deploy.ts';
import { localConfiguration } from '../../../../infra/local/cloudformation/local-configuration.ts';
import { BREAK } from '../../../../infra/local/rehearsal/break-things.ts';
import { linksIn, readPage } from '../../../../infra/local/rehearsal/read-page.ts';
import { REHEARSAL_NAMES, type RehearsalName, rehearsalOf } from '../../../../infra/local/rehearsal/rehearsals.ts';
import { createStart } from '../../../../infra/local/start/arguments.ts';
import { alarmsOf } from '../../../../infra/monitoring/alarms.ts';
import { recordBackup } from '../../../fixtures/recorded-backup.ts';
import { snapshotRecord } from '../../../fixtures/snapshot-record.ts';
import { runHere } from '../../command-line/run-here.ts';

const definitions = alarmsOf(readConfiguration(exampleConfiguration));
const page = (name: string) => readFileSync(join(import.meta.dirname, '../../../../runbooks', name), 'utf8');
const runbookOf = (name: RehearsalName) => definitions.find(({ id }) => id === rehearsalOf(name).alarm)?.runbook ?? '';

describe.each(REHEARSAL_NAMES)('the rehearsal %s', name => {
  const { decide, judged, refuses } = rehearsalOf(name);

  it('goes through the page of its alarm, and through every other page that it names, by rows that are there', () => {
    const reached = [runbookOf(name)];
    for (const runbook of reached) {
      const parts = readPage(page(runbook), decide[runbook] ?? 'no row');
      const rows = parts.flatMap(part => (part.kind === 'row' ? part.cells : []));
      reached.push(...linksIn(rows.join(' ')).filter(link => decide[link] !== undefined && !reached.includes(link)));
    }
    expect(reached.toSorted()).toEqual(Object.keys(decide).toSorted());
  });

  it('judges only commands that the pages have', () => {
    const commands = Object.entries(decide).flatMap(([runbook, row]) =>
      readPage(page(runbook), row).flatMap(part => (part.kind === 'command' ? [part.text] : [])),
    );
    const missing = [...Object.keys(judged), ...Object.keys(refuses)].filter(
      begins => !commands.some(command => command.startsWith(begins)),
    );
    expect(missing).toEqual([]);
  });
});

describe('npm start -- --rehearse', () => {
  const start = (...parameters: string[]) =>
    runHere(
      createStart(async () => 0),
      parameters,
      ({ text }) => ({ exitCode: 2, text }),
    );

  it('refuses a name that there is not in one line, with those that there are', async () => {
    expect(await start('--rehearse', 'toString')).toEqual({
      exitCode: 2,
      stdout: '',
      stderr: `start: --rehearse toString: there is no such rehearsal; there are ${REHEARSAL_NAMES.join(', ')}\n`,
    });
    expect((await start('--rehearse', 'pulse-dead', '--keep')).stderr).toBe(
      'start: --rehearse has a sample of its own: it goes with --state alone\n',
    );
  });

  it('is in the help, with every name', async () => {
    const { stdout } = await start('--help');
    for (const name of REHEARSAL_NAMES) expect(stdout.replaceAll(/\s+/g, ' ')).toContain(name);
  });
});

it('docs/rehearsal.md has a row for each', () => {
  const text = readFileSync(join(import.meta.dirname, '../../../../docs/rehearsal.md'), 'utf8');
  const rows = REHEARSAL_NAMES.map(name => {
    const { what, alarm } = rehearsalOf(name);
    const runbook = runbookOf(name);
    return `| \`${name}\` | ${what} | \`${alarm}\` | [${runbook.replace('.md', '')}](../runbooks/${runbook}) |`;
  });
  expect(text.split('\n').filter(line => line.startsWith('| `'))).toEqual(rows);
});

/** A recovery point that is in the ledger, in an account without a PostgreSQL server. */
const POINT = '20261122t023000z';
const TAKEN_AT = '2026-11-22T02:31:00.000Z';
const TENANT = 's-1';
const directory = mkdtempSync(join(tmpdir(), 'daybreak-rehearsals-'));
let cloud: LocalCloud;
let deployment: Deployment;
const snapshotId = vaultSnapshotId(POINT, 'app');

describe('what is broken makes its alarm sound', () => {
  beforeAll(async () => {
    const database = { id: 'app', instanceId: 'app-source', resourceId: 'db-APP', databaseName: 'app' };
    const configuration = localConfiguration({
      account: LOCAL_ACCOUNT,
      databases: [{ ...database, rootTable: 'school', rootColumn: 'id' }],
      buckets: [{ id: 'uploads', name: 'school-uploads', tenantPrefix: '{tenant}/' }],
    });
    const outdir = join(directory, 'assembly');
    createApp(configuration, { outdir, bundle: false, check: false }).synth();
    const clock = new LocalClock({ flow: 'manual', startsAt: new Date('2026-11-22T08:00:00.000Z') });
    cloud = new LocalCloud({ clock, directory: join(directory, 'state') });
    await deployAssembly(cloud, outdir);
    deployment = Deployment.parse(
      JSON.parse(cloud.lambda.environmentOf(stepName('backup/plan')).DAYBREAK_DEPLOYMENT ?? ''),
    );
    // A snapshot that is there when RDS opens: taking one would need a server.
    mkdirSync(join(directory, 'state/rds/snapshots'), { recursive: true });
    writeFileSync(
      join(directory, 'state/rds/state.json'),
      JSON.stringify({ instances: [], snapshots: [snapshotRecord(POINT, TAKEN_AT, deployment.vaultKeyArn)] }),
    );
    await recordBackup(cloud, deployment, { id: POINT, takenAt: TAKEN_AT, tenant: TENANT });
    await clock.advance(20 * 60_000);
  });
  afterAll(async () => {
    await cloud.close();
    rmSync(directory, { recursive: true });
  });

  const stateOf = (name: RehearsalName) => cloud.alarms.stateOf(`daybreak-${rehearsalOf(name).alarm}`);
  const later = (minutes: number) => cloud.clock.advance(minutes * 60_000);

  it('and none of them sounds before', () => {
    expect(REHEARSAL_NAMES.map(name => [name, stateOf(name)])).toEqual(REHEARSAL_NAMES.map(name => [name, 'OK']));
  });

  // One after the other in one account; pulse, without which nothing is told, is the last.
  const [last, ...others] = ['pulse-dead', 'ledger-entry-hidden'] as const;
  const order = [
    ...REHEARSAL_NAMES.filter(name => name !== last && !others.some(one => one === name)),
    ...others,
    last,
  ];
  it.each(order)('%s', async name => {
    const before = cloud.alarms.notices().length;
    const { repairByHand } = await BREAK[name]({ cloud, deployment, snapshotId, tenant: TENANT });
    await later(50);
    expect(stateOf(name)).toBe('ALARM');
    const told = cloud.alarms.notices().slice(before);
    const isIts = (alarm: string) =>
      alarm.replace(/^daybreak-/, '').replace(/-notice$/, '') === rehearsalOf(name).alarm;
    expect(told.filter(({ alarm }) => isIts(alarm)).map(({ state }) => state)).toEqual(['ALARM']);
    if (repairByHand === undefined) return;
    expect(await repairByHand()).toHaveLength(3);
    await later(20);
    expect(stateOf(name)).toBe('OK');
  });
});
