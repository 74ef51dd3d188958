#!/usr/bin/env node
import { describeError } from '../../functions/platform/errors.ts';
import { LedgerBrokenError } from '../../functions/platform/ledger-entry.ts';
import { printable } from './printable.ts';
import { EXIT, USAGE, UsageError } from './usage.ts';

// Loaded when asked for: the SDK takes most of a second, and help or a slip of the pen should not wait for it.
const COMMANDS: Record<string, (parameters: string[]) => Promise<number>> = {
  'evidence verify': async parameters => (await import('./evidence.ts')).verifyEvidence(parameters),
  'database grant-sql': async parameters => (await import('./database.ts')).printGrants(parameters),
  'deploy permissions': async parameters => (await import('./deploy.ts')).writePermissions(parameters),
  'deploy key-statements': async parameters => (await import('./deploy.ts')).printKeyStatements(parameters),
  'evidence show': async parameters => (await import('./evidence.ts')).showEvidence(parameters),
};

/** Runs one command and returns its exit code. An operator's mistake, or what cannot be reached, is one line, not a stack. */
async function run(parameters: string[]): Promise<number> {
  const [first, second, ...rest] = parameters;
  if (first === undefined) return fail('give a command; see daybreak help', EXIT.usage);
  if (['help', '--help', '-h'].includes(first) || parameters.includes('--help')) {
    process.stdout.write(USAGE);
    return EXIT.done;
  }
  const command = `${first} ${second ?? ''}`.trim();
  const execute = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : undefined;
  try {
    if (execute === undefined)
      throw new UsageError(`there is no command ${JSON.stringify(command)}; see daybreak help`);
    return await execute(rest);
  } catch (error) {
    if (error instanceof UsageError) return fail(error.message, EXIT.usage);
    if (error instanceof LedgerBrokenError) return fail(error.message, EXIT.broken);
    return fail(`nothing was found out: ${describeError(error)}`, EXIT.unreachable);
  }
}

function fail(message: string, exitCode: number): number {
  process.stderr.write(`daybreak: ${printable(message.replaceAll(/\s+/g, ' '))}\n`);
  return exitCode;
}

process.exitCode = await run(process.argv.slice(2));
