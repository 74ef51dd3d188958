import { execFileSync } from 'node:child_process';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { createDaybreak, describeEnd, EXIT_CODES } from '../../../runbooks/cli/program.ts';
import { VERB_GROUPS } from '../../../runbooks/cli/verb-groups.ts';
import { isInstalled, titleWith } from '../../fixtures/programs.ts';
import { runHere } from '../../infra/command-line/run-here.ts';

const root = join(import.meta.dirname, '../../..');
const daybreak = (...parameters: string[]) => runHere(createDaybreak(VERB_GROUPS), parameters, describeEnd);
const verbs = VERB_GROUPS.flatMap(group => group.verbs.map(verb => ({ group: group.name, ...verb })));

/** The kinds of entries: whether their ids are given, and what their words are given by. */
const REGISTER: Record<string, { id: boolean; words: string[]; clear: boolean }> = {
  controller: { id: false, words: ['--type', '--name', '--answer', '--note'], clear: true },
  tenant: { id: true, words: ['--controller', '--name', '--starts-on', '--ends-on', '--note'], clear: true },
  contact: { id: false, words: ['--controller', '--name', '--email', '--phone', '--may', '--note'], clear: true },
  person: { id: true, words: ['--name', '--email', '--note'], clear: true },
  text: { id: false, words: ['--about', '--text'], clear: false },
};

it('has these verbs, with these options', () => {
  const target = ['--local', '--evidence-bucket', '--profile'];
  const tree = verbs.map(({ group, name, options }) => [`${group} ${name}`, options.map(({ long }) => long)]);
  expect(Object.fromEntries(tree)).toEqual({
    'loss list': target,
    'loss accept': [...target, '--loss', '--reason', '--reference', '--by'],
    'loss withdraw': [...target, '--loss', '--reference', '--by'],
    'evidence verify': [...target, '--ledger-key', '--entry-key', '--signing-key'],
    'evidence show': [...target, '--kind', '--since', '--subject', '--limit'],
    'retention show': ['--configuration', '--markdown'],
    'retention plan': ['--configuration', '--local', '--profile'],
    'retention explain': ['--id', '--configuration', '--local', '--profile'],
    ...Object.fromEntries(
      Object.entries(REGISTER).flatMap(([kind, { id, words, clear }]) => [
        [`register ${kind} add`, [...target, ...(id ? ['--id'] : []), ...words, '--by']],
        [`register ${kind} change`, [...target, '--id', ...words, ...(clear ? ['--clear'] : []), '--by']],
        [`register ${kind} remove`, [...target, '--id', '--by']],
        [`register ${kind} confirm`, [...target, '--id', '--by']],
        [`register ${kind} show`, [...target, '--id']],
      ]),
    ),
    'keys check': ['--configuration', '--profile'],
    'keys upgrade': ['--configuration', '--profile', '--yes', '--remove-unknown'],
    'database grant-sql': ['--reader'],
    'deploy permissions': ['--configuration', '--output'],
    'deploy key-statements': ['--configuration'],
    'completion bash': [],
    'completion zsh': [],
  });
});

describe.each(verbs)('daybreak $group $name', ({ group, name, summary, options, examples }) => {
  it('explains itself: what it does, its options, examples, the exit codes', async () => {
    const { exitCode, stdout, stderr } = await daybreak(...group.split(' '), name, '--help');
    expect([exitCode, stderr]).toEqual([0, '']);
    expect(stdout.startsWith(`Usage: daybreak ${group} ${name} [options]\n\n${summary}\n\nOptions:\n`)).toBe(true);
    expect([...stdout.matchAll(/^ {2}(?:-h, )?(--[\w-]+)/gm)].map(match => match[1])).toEqual([
      ...options.map(({ long }) => long),
      '--json',
      '--help',
    ]);
    const shown = examples.flatMap(({ command, what }) => [`  ${command}`, `      ${what}`]);
    expect(stdout).toContain(`\nExamples:\n${shown.join('\n')}\n\n${EXIT_CODES}\n`);
    expect((await daybreak('help', ...group.split(' '), name)).stdout).toBe(stdout);
    expect((await daybreak('--help', ...group.split(' '), name)).stdout).toBe(stdout);
  });

  it('has examples of itself, which it understands', async () => {
    for (const { command } of examples) {
      const [, words = ''] = /daybreak (.*?)\)?$/.exec(command) ?? [];
      const read: unknown[] = [];
      const tried = VERB_GROUPS.map(each => ({
        ...each,
        verbs: each.verbs.map(verb => ({
          ...verb,
          run: async () => {
            read.push(`${each.name} ${verb.name}`);
            return { exitCode: 0, data: null, text: () => '' };
          },
        })),
      }));
      const { stderr } = await runHere(createDaybreak(tried), words.split(' '), describeEnd);
      expect([stderr, read]).toEqual(['', [`${group} ${name}`]]);
    }
  });
});

it('lists all verbs in its help', async () => {
  const { exitCode, stdout } = await daybreak('--help');
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^Usage: daybreak VERB \[options\]\n/);
  const listed = [...stdout.matchAll(/^ {2}(\w+(?: [\w-]+){1,2}) {2,}\S/gm)].map(match => match[1]);
  expect(listed).toEqual(verbs.map(({ group, name }) => `${group} ${name}`));
  expect(stdout.endsWith(`\n${EXIT_CODES}\n`)).toBe(true);
  expect((await daybreak('help')).stdout).toBe(stdout);
});

it('lists the verbs of a group in its help', async () => {
  const { stdout } = await daybreak('evidence', '--help');
  expect(stdout).toMatch(/^Usage: daybreak evidence VERB \[options\]\n/);
  expect([...stdout.matchAll(/^ {2}evidence (\w+) /gm)].map(match => match[1])).toEqual(['verify', 'show']);
});

it('lists the verbs of all groups below a word, and of one of them', async () => {
  const listed = async (...words: string[]) => {
    const { stdout } = await daybreak(...words, '--help');
    return [...stdout.matchAll(/^ {2}(register \w+ \w+) /gm)].map(match => match[1]);
  };
  const all = verbs.filter(({ group }) => group.startsWith('register ')).map(({ group, name }) => `${group} ${name}`);
  expect(await listed('register')).toEqual(all);
  expect(await listed('register', 'contact')).toEqual(all.filter(verb => verb.startsWith('register contact ')));
});

it.each([
  [['forge'], 'there is no command "forge"; see daybreak --help'],
  [['evidence', 'forge'], 'there is no command "evidence forge"; see daybreak evidence --help'],
  [['--help', 'evidence', 'forge'], 'there is no command "evidence forge"; see daybreak evidence --help'],
  [['help', 'forge'], 'there is no command "forge"; see daybreak --help'],
  [
    ['evidence', 'show', '--limt', '3'],
    "unknown option '--limt' (Did you mean --limit?); see daybreak evidence show --help",
  ],
  [
    ['evidence', 'show', 'more'],
    "too many arguments for 'show'. Expected 0 arguments but got 1: more; see daybreak evidence show --help",
  ],
  [
    ['--profile', 'x', 'evidence', 'show'],
    "unknown option '--profile'; options come after the command; see daybreak --help",
  ],
  [['--fix'], "unknown option '--fix'; options come after the command; see daybreak --help"],
])('%j ends with 2, also with --help', async (parameters, message) => {
  const asked = parameters.includes('help') || parameters.includes('--help');
  const also = asked || !message.includes('no command') ? [] : [[...parameters, '--help']];
  for (const each of [parameters, ...also]) {
    expect(await daybreak(...each)).toEqual({ exitCode: 2, stdout: '', stderr: `daybreak: ${message}\n` });
  }
});

it('is as wide as the terminal, with headings in bold where it has colours', async () => {
  const onTerminal = async (environment: Record<string, string>) => {
    const found = Object.getOwnPropertyDescriptors(process.stdout);
    Object.defineProperties(process.stdout, {
      isTTY: { value: true, configurable: true },
      columns: { value: 60, configurable: true },
    });
    for (const name of ['NO_COLOR', 'TERM']) vi.stubEnv(name, environment[name]);
    try {
      return (await daybreak('evidence', 'show', '--help')).stdout;
    } finally {
      vi.unstubAllEnvs();
      for (const name of ['isTTY', 'columns'] as const) {
        Reflect.deleteProperty(process.stdout, name);
        if (found[name] !== undefined) Object.defineProperty(process.stdout, name, found[name]);
      }
    }
  };
  const plain = await onTerminal({ TERM: 'xterm', NO_COLOR: '1' });
  const [options = ''] = /Options:\n[\s\S]*?\n\n/.exec(plain) ?? [];
  expect(Math.max(...options.split('\n').map(line => line.length))).toBeLessThanOrEqual(60);
  expect(options.split('\n').length).toBeGreaterThan(20);
  expect(await onTerminal({ TERM: 'dumb' })).toBe(plain);
  const coloured = await onTerminal({ TERM: 'xterm' });
  expect(coloured.startsWith('\u001b[1mUsage:\u001b[0m daybreak evidence show')).toBe(true);
  expect(stripVTControlCharacters(coloured)).toBe(plain);
});

it('prints its version', async () => {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  expect(await daybreak('--version')).toEqual({ exitCode: 0, stdout: `${version}\n`, stderr: '' });
});

it('says in docs/commands.md what its exit codes mean', () => {
  expect(readFileSync(join(root, 'docs/commands.md'), 'utf8')).toContain(`\n${EXIT_CODES}\n`);
});

describe('its file', () => {
  const file = 'runbooks/bin/daybreak';

  it('is executable in the repository, so that npx, which makes it so, changes nothing', () => {
    const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { bin: Record<string, string> };
    expect(bin).toEqual({ daybreak: file });
    expect(statSync(join(root, file)).mode & 0o777).toBe(0o755);
  });

  it('runs on the Node of the lock file where the PATH has another, or none', () => {
    const settings = { cwd: '/', encoding: 'utf8', env: { PATH: '/usr/bin:/bin' } } as const;
    const script = execFileSync(join(root, file), ['completion', 'bash', '--json'], settings);
    expect(JSON.parse(script)).toMatchObject({ shell: 'bash' });
  });
});

describe('completion', () => {
  /** What bash offers after these words, the last of which is not complete. */
  async function complete(...words: string[]): Promise<string[]> {
    const { stdout } = await daybreak('completion', 'bash');
    const quoted = ['daybreak', ...words].map(word => `'${word}'`).join(' ');
    const said = execFileSync(
      'bash',
      [
        '--norc',
        '-c',
        `${stdout}\nCOMP_WORDS=(${quoted}); COMP_CWORD=${words.length}; _daybreak; printf '%s\\n' "\${COMPREPLY[@]}"`,
      ],
      { cwd: root, encoding: 'utf8' },
    );
    return said.split('\n').filter(Boolean);
  }

  it.each([
    [[''], [...new Set(VERB_GROUPS.map(({ name }) => name.split(' ')[0] ?? '')), '--version', '--help']],
    [['data'], ['database']],
    [['evidence', 's'], ['show']],
    [
      ['evidence', 'show', '--limit', '3', '--s'],
      ['--since', '--subject'],
    ],
    [
      ['evidence', 'show', '--kind', 'tampering.'],
      ['tampering.refused', 'tampering.seen'],
    ],
    [['evidence', 'show', '--since', ''], []],
    [['deploy', 'permissions', '--configuration', 'infra/config/ex'], ['infra/config/example.ts']],
    [['deploy', 'permissions', '--output', 'infra/command'], ['infra/command-line']],
    [['evidence', 'forge', '--l'], []],
  ])('of bash offers after %j: %j', async (words, offered) => {
    expect(await complete(...words)).toEqual(offered);
  });
});

describe.skipIf(!isInstalled('zsh'))(titleWith('zsh', 'completion of zsh'), () => {
  // zsh completes at a prompt alone: what it is given to offer is caught here.
  const CATCH = `compdef() { :; }
compadd() { shift; print -rl -- "$@"; }
_files() { print -r -- "_files $*"; }`;

  async function offer(...given: string[]): Promise<string[]> {
    const { stdout } = await daybreak('completion', 'zsh');
    const quoted = ['daybreak', ...given].map(word => `'${word}'`).join(' ');
    const script = `${CATCH}\n${stdout}\nwords=(${quoted}); CURRENT=${given.length + 1}; _daybreak`;
    return execFileSync('zsh', ['-fc', script], { encoding: 'utf8' }).split('\n').filter(Boolean);
  }

  it.each([
    [[''], [...new Set(VERB_GROUPS.map(({ name }) => name.split(' ')[0] ?? '')), '--version', '--help']],
    [
      ['evidence', ''],
      ['verify', 'show', '--help'],
    ],
    [
      ['database', 'grant-sql', ''],
      ['--reader', '--json', '--help'],
    ],
    [['database', 'grant-sql', '--reader', ''], []],
    [['deploy', 'permissions', '--configuration', ''], ['_files ']],
    [['deploy', 'permissions', '--output', ''], ['_files -/']],
  ])('offers after %j: %j', async (given, offered) => {
    expect(await offer(...given)).toEqual(offered);
  });
});
