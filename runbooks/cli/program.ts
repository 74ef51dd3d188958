import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { LedgerBrokenError } from '../../functions/platform/ledger-entry.ts';
import { EXIT, type Failure } from '../../infra/command-line/failure.ts';
import { createProgram, pathOf, whenRun } from '../../infra/command-line/program.ts';
import { screenOf } from '../../infra/command-line/screen.ts';
import type { Verb, VerbGroup } from './verb.ts';

/** What every verb ends with, as its help and `docs/commands.md` have it. */
export const EXIT_CODES = `Exit codes:
  0  done; of what checks: all is as it should be
  1  the answer is no, e.g. the ledger is broken; the answer names the page to go on with
  2  the command, or what it names, is not right; one line says what to change
  3  nothing was found out: no credentials, AWS or the local state could not be reached or
     refused, or the disk is full; one line says which`;

/** `daybreak`, with the verbs of these groups. */
export function createDaybreak(groups: readonly VerbGroup[]): Command {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as {
    version: string;
  };
  const program = createProgram('daybreak', 'Operates and checks Daybreak.');
  program
    .usage('VERB [options]')
    .version(version, '--version', 'print the version')
    .configureHelp({
      ...program.configureHelp(),
      // Nobody has to know the groups to find a verb.
      visibleCommands: verbsBelow,
      subcommandTerm: command => pathOf(command).replace('daybreak ', ''),
    })
    .commandsGroup('Verbs:')
    .addHelpText('after', '\nThe help of a verb has its options and examples: daybreak evidence show --help')
    .addHelpText('afterAll', `\n${EXIT_CODES}`);
  for (const { name, summary, verbs } of groups) {
    const group = addGroup(program, name.split(' '), summary);
    for (const verb of verbs) addVerb(program, group, verb);
  }
  return program;
}

/** What `daybreak` says of a failure, and its exit code. */
export function describeEnd({ kind, text }: Failure, error: unknown): { exitCode: number; text: string } {
  if (kind === 'usage') return { exitCode: EXIT.usage, text };
  if (error instanceof LedgerBrokenError) return { exitCode: EXIT.failed, text };
  return { exitCode: EXIT.unreachable, text: `nothing was found out: ${text}` };
}

/** Of a group whose name has several words, each is a command: `daybreak register --help` lists the verbs of all below it. */
function addGroup(program: Command, words: readonly string[], summary: string): Command {
  return words.reduce(
    (above, word) =>
      above.commands.find(each => each.name() === word) ??
      above.command(word).description(summary).usage('VERB [options]').commandsGroup('Verbs:'),
    program,
  );
}

function verbsBelow(command: Command): Command[] {
  return command.commands.flatMap(each => (each.commands.length > 0 ? verbsBelow(each) : [each]));
}

function addVerb(daybreak: Command, group: Command, { name, summary, examples, options, run }: Verb): void {
  const command = group.command(name).description(summary).usage('[options]');
  for (const option of options) command.addOption(option);
  command
    .option('--json', 'print the answer as JSON')
    .addHelpText(
      'after',
      ['\nExamples:', ...examples.flatMap(({ command, what }) => [`  ${command}`, `      ${what}`])].join('\n'),
    );
  whenRun<{ json?: true }>(command, async given => {
    const { json, ...rest } = given;
    const answer = await run(rest, daybreak);
    const text = json ? JSON.stringify(answer.data, null, 2) : answer.text(screenOf(process.stdout, process.env));
    process.stdout.write(`${text}\n`);
    return answer.exitCode;
  });
}
