import { Command, CommanderError } from 'commander';
import { describeFailure, EXIT, type Failure, UsageError } from './failure.ts';
import { screenOf, styled } from './screen.ts';

/**
 * A command of this project. Its options, help, exit codes, width and colours are read and shown here, so that all do the
 * same; what they do not know they refuse in one line.
 * @param called as a person calls it, e.g. `npm start`; npm hands on what comes after `--`.
 */
export function createProgram(called: string, description: string): Command {
  const isScript = called.startsWith('npm ');
  const screen = screenOf(process.stdout, process.env);
  return new Command(called)
    .usage(isScript ? '-- [options]' : '[options]')
    .description(description)
    .helpOption('-h, --help', 'this text')
    .helpCommand(false)
    .exitOverride()
    .enablePositionalOptions()
    .configureHelp({ styleTitle: title => styled(screen, 'bold', title) })
    .configureOutput({
      // What is wrong is said once, in one line, by `runProgram`.
      outputError: () => {},
      getOutHelpWidth: () => screen.width ?? WIDTH_IN_FILES,
      getOutHasColors: () => screen.hasColour,
    });
}

const WIDTH_IN_FILES = 120;

/** Sets what a command does. `run` returns the exit code. */
export function whenRun<Options extends object>(
  command: Command,
  run: (options: Options, operands: readonly string[]) => Promise<number> | number,
): Command {
  return command.action(async () => {
    process.exitCode = await run(command.opts<Options>(), command.args);
  });
}

/**
 * Runs a program to its end, and leaves its exit code in `process.exitCode`. What goes wrong is one line on standard error;
 * only of an error that nobody expected also where it happened.
 * @param describe what to say of a failure instead, and its exit code.
 */
export async function runProgram(
  program: Command,
  parameters: readonly string[],
  describe: (failure: Failure, error: unknown) => { exitCode: number; text: string } = exitOf,
): Promise<void> {
  if (process.stdout.listenerCount('error') === 0) process.stdout.on('error', error => endOutput(program, error));
  try {
    const words = findVerb(program, parameters);
    await program.parseAsync([...words], { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) {
      process.exitCode = EXIT.done;
      return;
    }
    const cause = error instanceof CommanderError ? refusal(program, parameters, error) : error;
    const { exitCode, text } = describe(describeFailure(cause), cause);
    process.stderr.write(`${nameOf(program)}: ${text}\n`);
    process.exitCode = exitCode;
  }
}

const EXIT_CODES: Record<Failure['kind'], number> = {
  usage: EXIT.usage,
  unreachable: EXIT.unreachable,
  known: EXIT.failed,
  unexpected: EXIT.failed,
};

function exitOf({ kind, text }: Failure): { exitCode: number; text: string } {
  return { exitCode: EXIT_CODES[kind], text };
}

/** How a person gets the help of a command. */
export function helpOf(command: Command): string {
  const path = pathOf(command);
  return path.startsWith('npm ') ? `${path} -- --help` : `${path} --help`;
}

/** The words that call a command, e.g. `daybreak evidence show`. */
export function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`;
}

const nameOf = (program: Command): string => program.name().split(' ').at(-1) ?? '';

/**
 * The words with those of a command first, so that help asked for anywhere is the help of that command. `help` in front is
 * `--help`. commander itself would answer `--help` beside a command that there is not.
 * @throws UsageError where the words name no command, or give an option no value.
 */
function findVerb(program: Command, parameters: readonly string[]): readonly string[] {
  const asksHelp = program.commands.length > 0 && parameters[0] === 'help';
  const rest = asksHelp ? [...parameters.slice(1), '--help'] : [...parameters];
  const path: string[] = [];
  let command = program;
  for (let index = 0; command.commands.length > 0; ) {
    const word = rest[index];
    if (word === undefined) break;
    if (word.startsWith('-')) {
      if (!flagsOf(command).includes(word)) {
        throw new UsageError(`unknown option '${word}'; options come after the command; see ${helpOf(command)}`);
      }
      index++;
      continue;
    }
    const found = command.commands.find(each => each.name() === word);
    if (found === undefined)
      throw new UsageError(`there is no command ${JSON.stringify([...path, word].join(' '))}; see ${helpOf(command)}`);
    path.push(word);
    rest.splice(index, 1);
    command = found;
  }
  if (command.commands.length > 0 && rest.length === 0) {
    const names = command.commands.map(each => each.name()).join(', ');
    throw new UsageError(`give a command: ${[...path, names].join(' ')}; see ${helpOf(command)}`);
  }
  refuseMissingValues(command, rest);
  return [...path, ...rest];
}

function flagsOf(command: Command): readonly (string | undefined)[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, short }) => [long, short]);
}

/** commander takes the next option for the value of one that has none, and takes an empty value. */
function refuseMissingValues(command: Command, words: readonly string[]): void {
  const end = words.indexOf('--');
  for (const [index, word] of words.slice(0, end < 0 ? undefined : end).entries()) {
    const [flag = '', ...attached] = word.split('=');
    const option = command.options.find(({ long, short }) => flag === long || flag === short);
    if (option === undefined || !(option.required || option.optional)) continue;
    const value = attached.length > 0 ? attached.join('=') : words[index + 1];
    if (option.optional && attached.length === 0) continue;
    const isOption = attached.length === 0 && value !== undefined && /^-./.test(value);
    if (value === undefined || value === '' || isOption) {
      const advice = isOption ? `; one that begins with a dash is given as ${flag}=${value}` : '';
      throw new UsageError(`option '${option.flags}' needs a value${advice}; see ${helpOf(command)}`);
    }
  }
}

/** What commander refused, as the operator is told it. */
function refusal(program: Command, parameters: readonly string[], { message }: CommanderError): UsageError {
  let command = program;
  for (const word of parameters) command = command.commands.find(each => each.name() === word) ?? command;
  return new UsageError(`${message.replace(/^error: /, '').replace(/\.\s*$/, '')}; see ${helpOf(command)}`);
}

/** Who read the output may have gone, which is their business; what has no place for it is a failure. */
function endOutput(program: Command, error: Error): void {
  if ('code' in error && error.code === 'EPIPE') return;
  process.stderr.write(`${nameOf(program)}: the output cannot be written: ${describeFailure(error).text}\n`);
  process.exitCode = EXIT.unreachable;
}
