import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describeError } from '../../../functions/platform/errors.ts';
import type { ClientConfiguration } from '../../../functions/platform/runtime.ts';
import { NotImplementedLocally } from '../service.ts';
import { callAws, type Files } from './call-aws.ts';
import { parseShellLine } from './shell-line.ts';

/** What came of a command of a page. */
export type Outcome =
  | { readonly kind: 'answered'; readonly text: string }
  /** The service, or the command, said no. */
  | { readonly kind: 'refused'; readonly text: string }
  | { readonly kind: 'not run'; readonly why: string };

/** The shell of whoever follows a page. */
export interface Shell {
  readonly configuration: ClientConfiguration;
  /** Runs `daybreak` with these words. */
  readonly daybreak: (words: readonly string[]) => Promise<Outcome>;
  readonly variables: Map<string, string>;
  readonly files: Files;
  readonly now: () => Date;
  /** Ends what runs. */
  readonly signal: AbortSignal;
}

const PROJECT = join(import.meta.dirname, '../../..');
const ERROR_NAMES = ['NotImplementedLocally', 'Error'];

/** `npm run daybreak -- `, and the other ways in which pages call it. */
const DAYBREAK = /^(?:npm run (?:--silent )?daybreak -- |npx daybreak )/;
/** The innermost `$( … )` of a line, but for the times, which are no commands here. */
const SUBSTITUTION = /\$\((?!\(|date )([^()]*)\)/;

/** Runs a line of a page: `aws` by the SDK, `daybreak` and `jq` as they are, against the local cloud. */
export async function runCommand(written: string, shell: Shell): Promise<Outcome> {
  let line = written;
  for (let found = SUBSTITUTION.exec(line); found !== null; found = SUBSTITUTION.exec(line)) {
    const [whole, command = ''] = found;
    const outcome = await runCommand(command, shell);
    if (outcome.kind !== 'answered') return outcome;
    line = line.replace(whole, () => outcome.text.trimEnd());
  }
  const [, name, value] = /^([A-Z_]+)=([^\s$]+)$/.exec(line) ?? [];
  if (name !== undefined && value !== undefined) {
    shell.variables.set(name, value);
    return { kind: 'answered', text: '' };
  }
  try {
    const { commands, output } = parseShellLine(line, shell.variables, shell.now());
    let text = '';
    for (const [index, words] of commands.entries()) {
      const outcome = await (words[0] === 'jq'
        ? runJq(words.slice(1), text)
        : runWords(index === 0 ? words : takeInput(words, text), shell));
      if (outcome.kind !== 'answered') return outcome;
      text = outcome.text;
    }
    if (output === undefined) return { kind: 'answered', text };
    shell.files.set(output, text);
    return { kind: 'answered', text: '' };
  } catch (error) {
    if (shell.signal.aborted) throw error;
    const described = error instanceof Error ? error : new Error(String(error));
    if (described.name === 'NotImplementedLocally') {
      return {
        kind: 'not run',
        why: `not answered locally: ${described.message.replace(/^the local cloud does not implement /, '')}`,
      };
    }
    // What a service refuses has its name; anything else is a fault of this program.
    if (described instanceof TypeError || ERROR_NAMES.includes(described.name)) throw error;
    return { kind: 'refused', text: describeError(described) };
  }
}

async function runWords(words: readonly string[], shell: Shell): Promise<Outcome> {
  if (words[0] === 'aws') {
    return { kind: 'answered', text: await callAws(words.slice(1), shell.configuration, shell.files) };
  }
  const [called] = DAYBREAK.exec(`${words.join(' ')} `) ?? [];
  if (called !== undefined) return shell.daybreak(words.slice(called.split(' ').length - 1));
  throw new NotImplementedLocally(words.slice(0, 3).join(' '));
}

/** `xargs -I NAME COMMAND`, for one line of input. */
function takeInput([xargs, flag, name = '', ...command]: readonly string[], input: string): string[] {
  if (xargs !== 'xargs' || flag !== '-I') throw new NotImplementedLocally(`a pipe into ${xargs}`);
  return command.map(word => word.replaceAll(name, input.trim()));
}

/** `daybreak` in a process of its own, with this environment. */
export function daybreakIn(environment: Readonly<Record<string, string>>, signal: AbortSignal): Shell['daybreak'] {
  const program = join(PROJECT, 'runbooks/cli/daybreak.ts');
  return words =>
    new Promise((resolve, reject) => {
      execFile(
        process.execPath,
        [program, ...words],
        { env: environment, cwd: PROJECT, signal },
        (error, stdout, stderr) => {
          if (signal.aborted) reject(error);
          else if (error === null) resolve({ kind: 'answered', text: stdout });
          else resolve({ kind: 'refused', text: `${stdout}${stderr}exit code ${error.code}` });
        },
      );
    });
}

function runJq(words: readonly string[], input: string): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = execFile('jq', words, (error, stdout, stderr) => {
      if (error === null) resolve({ kind: 'answered', text: stdout });
      else if (error.code === 'ENOENT') resolve({ kind: 'not run', why: 'jq is not installed' });
      else resolve({ kind: 'refused', text: `${stdout}${stderr}` });
    });
    child.stdin?.on('error', reject);
    child.stdin?.end(input);
  });
}
