import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ledgerEntryKey } from '../../../functions/contracts/vault-layout.ts';
import type { LedgerReport } from '../../../functions/evidence/ledger-report.ts';
import { tamper } from '../../../infra/local/s3/damage.ts';
import { createDaybreak, describeEnd } from '../../../runbooks/cli/program.ts';
import { VERB_GROUPS } from '../../../runbooks/cli/verb-groups.ts';
import { draft, type LocalLedger, openLedger } from '../../functions/evidence/local-ledger.ts';
import { runHere } from '../../infra/command-line/run-here.ts';

const COMMAND = join(import.meta.dirname, '../../../runbooks/cli/daybreak.ts');
const directory = mkdtempSync(join(tmpdir(), 'daybreak-cli-'));
const local = `--local=${directory}`;
const project = process.cwd();
let ledger: LocalLedger;

beforeAll(async () => {
  // Where no earlier run left its state.
  process.chdir(directory);
  ledger = await openLedger({ directory });
  await ledger.appendEntry(draft('a'));
  const body = {
    recoveryPointId: '20261122t023000z',
    status: 'good',
    rootManifestSha256: await ledger.putManifest({ status: 'good' }),
  };
  await ledger.appendEntry(draft('b', { kind: 'backup.completed', subject: 'evil\u001b[31m', body }));
  await ledger.appendEntry(draft('c'));
  writeFileSync(join(directory, 'deployment.json'), JSON.stringify(ledger.deployment));
});
afterAll(() => {
  process.chdir(project);
  ledger.s3.close();
  rmSync(directory, { recursive: true });
});

/** Runs the command as a person does, and gives what it printed and its exit code. */
function daybreak(parameters: readonly string[], options: { cwd?: string; environment?: Record<string, string> } = {}) {
  const environment = { PATH: process.env.PATH ?? '', ...options.environment };
  return new Promise<{ exitCode: unknown; stdout: string; stderr: string }>(resolve => {
    const settings = { env: environment, cwd: options.cwd ?? directory };
    execFile(process.execPath, [COMMAND, ...parameters], settings, (error, stdout, stderr) =>
      resolve({ exitCode: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

const EVIDENCE = 'daybreak-evidence-111122223333-eu-west-2';

describe('daybreak evidence', () => {
  it('verifies the state of a local run: exit code 0', async () => {
    const { exitCode, stdout, stderr } = await daybreak(['evidence', 'verify', local]);
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(
      new RegExp(
        [
          `^VERIFIED {2}ledger of ${directory}`,
          '',
          ' {2}entries {9}3, the newest of 2026-11-22T03:00:00.000Z',
          ' {2}newest hash {5}[0-9a-f]{64}',
          ' {2}signed heads {4}3, the newest over entry 3, of 2026-11-22T03:00:00.000Z',
          ' {2}signed entries {2}from 1 on',
          ' {2}segments {8}0 closed',
          ' {2}unsigned tail {3}none',
          ' {2}checked at {6}.*Z\n$',
        ].join('\n'),
      ),
    );
  });

  it('lists entries, and lets no control character of theirs through', async () => {
    const { exitCode, stdout } = await daybreak(['evidence', 'show', local, '--limit', '2']);
    expect(exitCode).toBe(0);
    expect(stdout.split('\n').map(line => line.split(/ {2,}/))).toEqual([
      ['entry', 'recorded at', 'kind', 'subject', 'who', 'what'],
      ['2', '2026-11-22T03:00:00.000Z', 'backup.completed', 'evil?[31m', 'workflow/daily-backup', 'good'],
      ['3', '2026-11-22T03:00:00.000Z', 'backup.failed', 'school-c', 'workflow/daily-backup'],
      ['entries before 2 were not looked at: give --since or a larger --limit'],
      [''],
    ]);
    const filter = ['--kind', 'backup', 'restore-test', '--since', '2026-11-22', '--subject', 'school-c', '--json'];
    const json = JSON.parse((await daybreak(['evidence', 'show', local, ...filter])).stdout);
    expect(json.entries.map(({ eventId }: { eventId: string }) => eventId)).toEqual(['c']);
    expect(json).toMatchObject({ since: '2026-11-22T00:00:00.000Z', isComplete: true });
  });

  it('names an entry whose bytes were changed on the disk: exit code 1', async () => {
    const replace = (from: string, to: string) => (content: Buffer) =>
      Buffer.from(content.toString().replace(from, to));
    await tamper(ledger.s3, 'evidence', ledgerEntryKey(2), replace('"good"', '"evil"'));
    const text = await daybreak(['evidence', 'verify', local]);
    const json = await daybreak(['evidence', 'verify', local, '--json']);
    const show = await daybreak(['evidence', 'show', local]);
    await tamper(ledger.s3, 'evidence', ledgerEntryKey(2), replace('"evil"', '"good"'));
    expect([text.exitCode, json.exitCode]).toEqual([1, 1]);
    expect(text.stdout).toMatch(/^BROKEN/);
    expect(text.stdout).toContain(
      'First: entry 2 was put there by no appender: its signature is not theirs (not-by-appender)',
    );
    expect(text.stdout).toContain('entry 2 is not the one that was signed for: its head names another hash (altered)');
    expect(text.stdout).toContain('What to do: runbooks/ledger-broken.md');
    const report: LedgerReport = JSON.parse(json.stdout);
    expect([report.verified, report.problemCount, report.first?.sequence]).toEqual([false, 2, 2]);
    expect([show.exitCode, show.stdout]).toEqual([1, '']);
    expect(show.stderr).toMatch(/^daybreak: ledger\/000000000003.json: names another hash/);
  });

  it('says in one line what it cannot reach: exit code 3', async () => {
    const environment = {
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9',
      AWS_ACCESS_KEY_ID: 'AKIA',
      AWS_SECRET_ACCESS_KEY: 'secret',
      AWS_MAX_ATTEMPTS: '1',
    };
    const key = 'arn:aws:kms:eu-west-2:111122223333:key/1';
    const parameters = ['evidence', 'verify', '--evidence-bucket', EVIDENCE, '--ledger-key', key, '--entry-key', key];
    const { exitCode, stdout, stderr } = await daybreak(parameters, { environment });
    expect([exitCode, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/^daybreak: nothing was found out: [^\n]*ECONNREFUSED[^\n]*\n$/);
  });

  it.each([
    ['no credentials', [], 'no AWS credentials: Could not load credentials from any providers; sign in, or name'],
    [
      'an unknown profile',
      ['--profile', 'nobody'],
      'no AWS credentials of the profile "nobody": Could not load credentials from any providers; see aws configure',
    ],
  ])('says in one line that there are %s: exit code 3', async (_, parameters, message) => {
    const none = join(directory, 'none');
    const environment = {
      AWS_CONFIG_FILE: none,
      AWS_SHARED_CREDENTIALS_FILE: none,
      AWS_EC2_METADATA_DISABLED: 'true',
      // Those of another, which must not stand in for a profile that was named.
      ...(parameters.length > 0 && { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'secret' }),
    };
    const show = ['evidence', 'show', '--evidence-bucket', EVIDENCE, ...parameters];
    const { exitCode, stdout, stderr } = await daybreak(show, { environment });
    expect([exitCode, stdout]).toEqual([3, '']);
    expect(stderr).toMatch(/^daybreak: [^\n]*\n$/);
    expect(stderr).toContain(`daybreak: nothing was found out: ${message}`);
  });

  it.each([
    [
      'no command',
      [],
      `give a command: ${[...new Set(VERB_GROUPS.map(({ name }) => name.split(' ')[0]))].join(', ')}; see daybreak --help`,
    ],
    ['half a command', ['evidence'], 'give a command: evidence verify, show; see daybreak evidence --help'],
    ['an unknown command', ['evidence', 'forge'], 'there is no command "evidence forge"; see daybreak evidence --help'],
    ['a name from the prototype', ['constructor'], 'there is no command "constructor"; see daybreak --help'],
    ['no target', ['evidence', 'verify'], 'name a target'],
    ['two targets', ['evidence', 'verify', '--local', '--evidence-bucket', 'b'], 'not both'],
    [
      'half a target',
      ['evidence', 'verify', '--evidence-bucket', EVIDENCE],
      'give --ledger-key ARN and --entry-key ARN',
    ],
    [
      'a key elsewhere',
      ['evidence', 'verify', '--evidence-bucket=b', '--entry-key=arn:aws:kms:us-east-1:111122223333:key/1'],
      '--entry-key: give the ARN of a KMS key in eu-west-2',
    ],
    ['no local state', ['evidence', 'verify', '--local'], '.daybreak: holds no deployment.json; run npm start first'],
    [
      'an unknown option',
      ['evidence', 'verify', '--fix'],
      "unknown option '--fix'; see daybreak evidence verify --help",
    ],
    ['a reader without a name', ['database', 'grant-sql', '--reader'], "option '--reader <name>' needs a value"],
    ['one whose name is an option', ['database', 'grant-sql', '--reader', '--json'], 'is given as --reader=--json'],
    ['one whose name is empty', ['database', 'grant-sql', '--reader='], "option '--reader <name>' needs a value"],
    [
      'a reader who would be any',
      ['database', 'grant-sql', '--reader=*'],
      '--reader "*": must be the name of a role without spaces and without * ? / $',
    ],
    [
      'a reader whose name would be cut',
      ['database', 'grant-sql', `--reader=${'r'.repeat(64)}`],
      'must be at most 63 bytes long',
    ],
    ['a profile for a local state', ['evidence', 'show', '--local', '--profile', 'x'], 'not both'],
    [
      'a kind that there is not',
      ['evidence', 'show', '--kind', 'tamper'],
      "option '--kind <kind...>' argument 'tamper' is",
    ],
    ['a time that is none', ['evidence', 'show', local, '--since', 'yesterday'], '--since yesterday: give a day, an'],
    [
      'a day that there is not',
      ['evidence', 'show', local, '--since=2026-02-31'],
      '--since 2026-02-31: give a day, an',
    ],
    ['a limit that is none', ['evidence', 'show', '--local', '--limit', 'x'], '--limit x: give a whole number from 1'],
  ])('takes %s for a mistake, in one line: exit code 2', async (_, parameters, message) => {
    const { exitCode, stdout, stderr } = await runHere(createDaybreak(VERB_GROUPS), parameters, describeEnd);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^daybreak: [^\n]*\n$/);
    expect(stderr).toContain(message);
  });

  it('says in one line that its answer cannot be written: exit code 3', async () => {
    const unwritten = `"${process.execPath}" "${COMMAND}" database grant-sql > /dev/full; echo "$?"`;
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', unwritten], { cwd: directory });
    expect(stdout).toBe('3\n');
    expect(stderr).toMatch(/^daybreak: the output cannot be written: no space is left on the disk \(ENOSPC\)[^\n]*\n$/);
  });

  it('does not mind a reader who has gone', async () => {
    const piped = `"${process.execPath}" "${COMMAND}" evidence show ${local} --json | head -c 1; echo " \${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await promisify(execFile)('bash', ['-c', piped], { cwd: directory });
    expect([stdout, stderr]).toEqual(['{ 0\n', '']);
  });

  it('does not open a state that another process has open', async () => {
    writeFileSync(join(directory, 'lock'), String(process.pid));
    const { exitCode, stderr } = await daybreak(['evidence', 'verify', local]);
    rmSync(join(directory, 'lock'));
    expect(exitCode).toBe(2);
    expect(stderr).toContain(`in use by process ${process.pid}`);
  });

  it('takes the state of the last local run where no target is named', async () => {
    const home = mkdtempSync(join(tmpdir(), 'daybreak-home-'));
    symlinkSync(directory, join(home, '.daybreak'));
    const { exitCode, stdout } = await daybreak(['evidence', 'verify'], { cwd: home });
    rmSync(home, { recursive: true });
    expect(exitCode).toBe(0);
    expect(stdout).toContain(`VERIFIED  ledger of ${join(home, '.daybreak')}`);
  });
});

const example = join(import.meta.dirname, '../../../infra/config/example.ts');

describe('daybreak deploy', () => {
  it('writes each policy, and prints the commands that create and use them', async () => {
    const output = join(directory, 'policies');
    const { exitCode, stdout, stderr } = await daybreak([
      'deploy',
      'permissions',
      '--configuration',
      example,
      '--output',
      output,
    ]);
    expect([exitCode, stderr]).toEqual([0, '']);
    const commands = stdout.split('\n').filter(line => line.startsWith('aws iam create-policy '));
    const names = readdirSync(output).map(file => file.replace('.json', ''));
    expect(commands.sort()).toEqual(
      names
        .sort()
        .map(name => `aws iam create-policy --policy-name ${name} --policy-document file://${output}/${name}.json`),
    );
    expect(names).toEqual([
      'daybreak-bootstrapper',
      'daybreak-deploy-monitoring',
      'daybreak-deploy-never',
      'daybreak-deploy-roles',
      'daybreak-deploy-vault',
      'daybreak-deploy-workflows',
      'daybreak-deployer',
      'daybreak-operator',
      'daybreak-registrar',
      'daybreak-responder',
    ]);
    const never = JSON.parse(readFileSync(join(output, 'daybreak-deploy-never.json'), 'utf8'));
    expect(new Set(never.Statement.map(({ Effect }: { Effect: string }) => Effect))).toEqual(new Set(['Deny']));
    const arns = ['vault', 'roles', 'workflows', 'monitoring', 'never'].map(
      name => `arn:aws:iam::111122223333:policy/daybreak-deploy-${name}`,
    );
    expect(stdout).toContain(
      `\nnpx cdk bootstrap aws://111122223333/eu-west-2 --cloudformation-execution-policies ${arns.join(',')}\n`,
    );
  });

  it('prints the statements for the supplier’s own keys as JSON', async () => {
    const { exitCode, stdout } = await daybreak(['deploy', 'key-statements', '--configuration', example]);
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout).map(({ keyArn }: { keyArn: string }) => keyArn.slice(-3))).toEqual(['00a', '00b']);
  });

  it.each([
    ['no configuration', ['deploy', 'permissions'], 'there is no configuration daybreak.config.ts'],
    ['one that contradicts itself', ['deploy', 'key-statements', '--configuration', 'bad.json'], 'cannot be deployed'],
    ['an unknown option', ['deploy', 'permissions', '--force'], "unknown option '--force'"],
    [
      'a folder below a file',
      ['deploy', 'permissions', '--configuration', example, '--output', `${import.meta.filename}/below`],
      '/below: cannot be used: ENOTDIR: not a directory',
    ],
  ])('takes %s for a mistake, in one line: exit code 2', async (_, parameters, message) => {
    writeFileSync(join(directory, 'bad.json'), '{}');
    const { exitCode, stdout, stderr } = await runHere(createDaybreak(VERB_GROUPS), parameters, describeEnd);
    expect([exitCode, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^daybreak: [^\n]*\n$/);
    expect(stderr).toContain(message);
  });
});
