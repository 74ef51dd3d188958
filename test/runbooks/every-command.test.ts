import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Deployment } from '../../functions/contracts/configuration.ts';
import { operatorPolicy } from '../../infra/access/operator-policy.ts';
import { registrarPolicy } from '../../infra/access/registrar-policy.ts';
import { responderPolicy } from '../../infra/access/responder-policy.ts';
import { stepName } from '../../infra/access/role-names.ts';
import { createApp } from '../../infra/app.ts';
import { readConfiguration } from '../../infra/config/configuration.ts';
import { LocalClock } from '../../infra/local/clock.ts';
import { LocalCloud } from '../../infra/local/cloud.ts';
import { deployAssembly } from '../../infra/local/cloudformation/deploy.ts';
import { localConfiguration } from '../../infra/local/cloudformation/local-configuration.ts';
import type { InstanceRecord } from '../../infra/local/rds/records.ts';
import { type Outcome, runCommand, type Shell } from '../../infra/local/rehearsal/run-command.ts';
import { createDaybreak, describeEnd } from '../../runbooks/cli/program.ts';
import { VERB_GROUPS } from '../../runbooks/cli/verb-groups.ts';
import { isInstalled, titleWith } from '../fixtures/programs.ts';
import { recordBackup } from '../fixtures/recorded-backup.ts';
import { snapshotRecord } from '../fixtures/snapshot-record.ts';
import { EVERYTHING } from '../infra/access/attacks-account.ts';
import { runHere } from '../infra/command-line/run-here.ts';
import { ELSEWHERE, NOT_LOCALLY, STATES, type World } from './states.ts';
import { type WrittenLine, writtenLines } from './written-pages.ts';

const PROJECT = join(import.meta.dirname, '../..');
const ACCOUNT = '111122223333';
const READERS = {
  operator: `arn:aws:iam::${ACCOUNT}:role/operator`,
  responder: `arn:aws:iam::${ACCOUNT}:role/responder`,
  registrar: `arn:aws:iam::${ACCOUNT}:role/registrar`,
  administrator: `arn:aws:iam::${ACCOUNT}:role/administrator`,
};
const lines = writtenLines();
const directory = mkdtempSync(join(tmpdir(), 'daybreak-pages-'));
const certificates = getCACertificates('default');
const before = process.cwd();
let world: World;
let endpoint: string;
const shells = new Map<string, Shell>();
/** A reader has one shell, whatever a line asks of him. */
const desk = { variables: new Map<string, string>(), files: new Map<string, string>() };

/** The lines that a state's command is about: it names a page, and the command or how it begins. */
function linesOf({ page, command }: { page: string; command: string }): WrittenLine[] {
  const ofPage = lines.filter(line => line.page === page);
  const exact = ofPage.filter(({ text }) => text === command);
  return exact.length > 0 ? exact : ofPage.filter(({ text }) => text.startsWith(command));
}
/** A command is the same on every page, however `daybreak` is called there. */
const sameOf = ({ text }: WrittenLine) =>
  text.replace(/^(?:npm run (?:--silent )?daybreak --|npx daybreak) /, 'daybreak ');

describe('each command that is written', () => {
  const commands = STATES.flatMap(state => state.commands);
  const runs = new Set(commands.flatMap(linesOf).map(sameOf));
  const isRun = (line: WrittenLine) => runs.has(sameOf(line));

  it('is run in some state, or by another test, or is in the list of those that cannot be run here', () => {
    const others = [...ELSEWHERE, ...NOT_LOCALLY].map(({ command }) => command);
    const forgotten = lines.filter(line => !isRun(line) && !others.some(command => command.test(line.text)));
    expect(forgotten.map(({ page, text }) => `${page}: ${text}`)).toEqual([]);
  });

  it('is in one list only, and the lists have nothing that is not written', () => {
    const unclear = commands.filter(command => new Set(linesOf(command).map(({ text }) => text)).size !== 1);
    expect(unclear.map(({ page, command }) => `${page}: ${command}`)).toEqual([]);
    for (const { command } of [...ELSEWHERE, ...NOT_LOCALLY]) {
      const found = lines.filter(({ text }) => command.test(text));
      expect(found.length, String(command)).toBeGreaterThan(0);
      expect(found.filter(isRun).map(({ text }) => text)).toEqual([]);
    }
  });

  it.each(ELSEWHERE)('$command is run by $test', ({ test, says }) => {
    expect(readFileSync(join(PROJECT, test), 'utf8')).toContain(says);
  });
});

beforeAll(async () => {
  const startsAt = lastMorning();
  const clock = new LocalClock({ flow: 'manual', startsAt });
  const configuration = localConfiguration({
    account: ACCOUNT,
    databases: [],
    buckets: [{ id: 'uploads', name: 'school-uploads', tenantPrefix: '{tenant}/' }],
    operatorRoleArns: Object.values(READERS),
  });
  const outdir = join(directory, 'cdk.out');
  createApp(configuration, { outdir, bundle: false, check: false }).synth();
  const cloud = new LocalCloud({ clock, directory: join(directory, 'state') });
  await deployAssembly(cloud, outdir);
  const deployment = Deployment.parse(
    JSON.parse(cloud.lambda.environmentOf(stepName('backup/plan')).DAYBREAK_DEPLOYMENT ?? ''),
  );
  cloud.s3.createBucket({ name: 'school-uploads', versioning: 'Enabled' });
  // A snapshot that is there when RDS opens: taking one would need a server.
  const takenAt = startsAt.toISOString();
  const point = takenAt.replaceAll(/[-:]|\.000/g, '').toLowerCase();
  const snapshot = snapshotRecord(point, takenAt, deployment.vaultKeyArn);
  const left = snapshotRecord('20261101t023000z', takenAt, deployment.vaultKeyArn);
  mkdirSync(join(directory, 'state/rds/snapshots'), { recursive: true });
  writeFileSync(
    join(directory, 'state/rds/state.json'),
    JSON.stringify({ instances: [leftInstance(takenAt)], snapshots: [snapshot, left] }),
  );
  world = {
    cloud,
    deployment,
    point,
    snapshotId: snapshot.id,
    leftSnapshotId: left.id,
    leftInstanceId: 'daybreak-test-left',
    readers: READERS,
  };
  await recordBackup(cloud, deployment, { id: point, takenAt, tenant: 'oak' });
  const parsed = readConfiguration(configuration);
  const watching = operatorPolicy(parsed).document;
  cloud.iam.putRole({ arn: READERS.operator, policies: [watching] });
  cloud.iam.putRole({ arn: READERS.responder, policies: [watching, responderPolicy(parsed).document] });
  cloud.iam.putRole({ arn: READERS.registrar, policies: [watching, registrarPolicy(parsed).document] });
  cloud.iam.putRole({ arn: READERS.administrator, policies: [EVERYTHING] });
  // What the command reads where it is run.
  writeFileSync(
    join(directory, 'daybreak.config.ts'),
    `export const configuration = ${JSON.stringify(configuration)};\n`,
  );
  const administrator = cloud.issueCredentials({ kind: 'role', arn: READERS.administrator });
  writeFileSync(
    join(directory, 'credentials'),
    `[ADMIN]\naws_access_key_id = ${administrator.accessKeyId}\naws_secret_access_key = ${administrator.secretAccessKey}\n`,
  );
  process.chdir(directory);
  const front = await cloud.listen();
  endpoint = front.url;
  setDefaultCACertificates([...certificates, readFileSync(front.caFile ?? '', 'utf8')]);
});
afterAll(async () => {
  process.chdir(before);
  setDefaultCACertificates(certificates);
  await world?.cloud.close();
  rmSync(directory, { recursive: true });
});

/** An instance without a server: its restore failed. */
const leftInstance = (createdAt: string): InstanceRecord => ({
  id: 'daybreak-test-left',
  tags: {},
  encryption: { type: 'sse-rds' },
  passing: [],
  work: 'failed',
  resourceId: 'db-LEFT',
  instanceClass: 'db.t4g.medium',
  engineVersion: '17.10',
  masterUsername: 'supplier',
  databaseName: 'app',
  allocatedStorageGib: 20,
  storageType: 'gp3',
  createdAt,
  backupRetentionDays: 0,
  backupWindow: '03:30-04:00',
  multiAz: false,
  publiclyAccessible: false,
  autoMinorVersionUpgrade: true,
  deletionProtection: false,
  iamAuthentication: true,
  copyTagsToSnapshot: false,
  subnetGroup: 'default',
  securityGroups: [],
  parameterGroup: 'default.postgres17',
  deleting: false,
  port: undefined,
});

/** What happens now is no more than a day before the machine's time, and before the schedules of the next night. */
function lastMorning(): Date {
  const now = new Date();
  const morning = new Date(now);
  morning.setUTCHours(8, 0, 0, 0);
  return morning <= now ? morning : new Date(morning.getTime() - 24 * 60 * 60_000);
}

/** The shell of a reader, with the credentials that a line asks for. */
function shellOf(by: WrittenLine['by']): Shell {
  const known = shells.get(by);
  if (known !== undefined) return known;
  const { cloud } = world;
  const reader = { kind: 'role', arn: READERS[by] } as const;
  const { accessKeyId, secretAccessKey } = cloud.issueCredentials(reader);
  const environment = {
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: 'eu-west-2',
    AWS_SHARED_CREDENTIALS_FILE: join(directory, 'credentials'),
    AWS_CONFIG_FILE: join(directory, 'config'),
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  };
  const made: Shell = {
    configuration: cloud.clientConfiguration(reader),
    daybreak: async words => {
      for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
      const { exitCode, stdout, stderr } = await runHere(createDaybreak(VERB_GROUPS), words, describeEnd);
      return exitCode === 0
        ? { kind: 'answered', text: stdout }
        : { kind: 'refused', text: `${stdout}${stderr}exit code ${exitCode}` };
    },
    ...desk,
    now: () => cloud.clock.now(),
    signal: new AbortController().signal,
  };
  shells.set(by, made);
  return made;
}

/** Who may not do what this reader may. */
const LESS = { operator: undefined, responder: 'operator', registrar: 'operator', administrator: 'responder' } as const;
/** The pages' commands that change something. Runs are started by who watches. */
const CHANGES = /^aws (?:[\w-]+) (?:cancel|create|delete|enable|modify|put|revoke|update)-/;

describe.each(STATES)('$name', ({ breaks, commands, rights }) => {
  let words: Record<string, string> = {};
  beforeAll(async () => {
    words = { ACCOUNT, ...(await breaks(world)) };
  });

  // What comes after a command that cannot be run is not run either.
  const firstWithJq = commands.findIndex(entry => linesOf(entry)[0]?.text.includes('| jq '));
  const withJq = firstWithJq < 0 ? [] : commands.slice(firstWithJq);

  for (const entry of commands) {
    const { page, command, ends, refused = false, answer = '', files, gives = {} } = entry;
    const title = `${page}: ${command}`;
    const run = async () => {
      const [line] = linesOf({ page, command });
      if (line === undefined) throw new Error('not written');
      const filled = Object.entries(words)
        .toSorted(([a], [b]) => b.length - a.length)
        .reduce((text, [word, value]) => text.replaceAll(word, () => value), line.text);
      const shell = shellOf(line.by);
      for (const [name, content] of Object.entries(files?.(words) ?? {})) desk.files.set(name, content);
      const less = LESS[line.by];
      if (less !== undefined && line.page.startsWith('runbooks/') && CHANGES.test(filled)) {
        expect(said(await runCommand(filled, shellOf(less)))).toMatch(/not authorized|AccessDenied/);
      }
      const outcome = await runCommand(filled + answer, shell);
      expect(said(outcome, filled)).toMatch(refused ? /^refused: / : /^answered: /);
      expect(said(outcome, filled)).toMatch(ends);
      for (const [word, given] of Object.entries(gives)) words[word] = given.exec(said(outcome, filled))?.[1] ?? '';
      const [, executionArn] = /"executionArn": "([^"]+)"/.exec('text' in outcome ? outcome.text : '') ?? [];
      if (executionArn === undefined || !filled.includes('start-execution')) return;
      expect(await world.cloud.states.waitForExecution(executionArn)).toMatchObject({ status: 'SUCCEEDED' });
    };
    if (withJq.includes(entry)) it.skipIf(!isInstalled('jq'))(titleWith('jq', title), run);
    else it(title, run);
  }

  const right = async () => rights?.(world);
  if (withJq.length > 0) it.skipIf(!isInstalled('jq'))(titleWith('jq', 'is right again'), right);
  else it('is right again', right);
});

/** How a command ended, with what it printed, or put into a file. */
function said(outcome: Outcome, line = ''): string {
  if (outcome.kind === 'not run') return `not run: ${outcome.why}`;
  const [, file = ''] = / > (\S+)$/.exec(line) ?? [];
  return `${outcome.kind}: ${outcome.text === '' ? (desk.files.get(file) ?? '') : outcome.text}`;
}
