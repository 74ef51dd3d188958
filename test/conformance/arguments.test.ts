import { expect, it } from 'vitest';
import { UsageError } from '../../infra/command-line/failure.ts';
import { type ConformanceArguments, createConformance } from './arguments.ts';

/** What a command line asks for. */
async function read(...parameters: string[]): Promise<ConformanceArguments | undefined> {
  let asked: ConformanceArguments | undefined;
  const program = createConformance(async given => {
    asked = given;
    return 0;
  });
  await program.parseAsync(parameters, { from: 'user' });
  process.exitCode = undefined;
  return asked;
}

it.each<[string, string[], string]>([
  [
    'two targets',
    ['--aws', '--endpoint', 'http://127.0.0.1:1'],
    'give --endpoint or --aws or --profile, not two of them',
  ],
  ['an address of AWS', ['--endpoint', 'https://s3.us-east-1.amazonaws.com'], 'that is AWS; give --aws or --profile'],
  ['no address', ['--endpoint', 'here'], '--endpoint here: give an address, https://host:port'],
  ['no address of the web', ['--endpoint', 'ftp://here'], '--endpoint ftp://here: give an address'],
  ['a role that is none', ['--aws', '--role', 'admin'], '--role admin: give the ARN of a role'],
  ['a report below a file', ['--json', `${import.meta.filename}/below`], 'ENOTDIR: not a directory'],
  ['a report that is a folder', ['--json', import.meta.dirname], 'is a folder; give a file'],
  ['a clean-up of nothing', ['--clean-up'], '--clean-up: name where: --aws, --profile or --endpoint'],
])('%s is refused', async (_title, parameters, message) => {
  await expect(read(...parameters)).rejects.toThrow(UsageError);
  await expect(read(...parameters)).rejects.toThrow(message);
});

it('goes nowhere but to the local cloud unless it is told to', async () => {
  const targets = [[], ['--aws'], ['--profile', 'school'], ['--endpoint', 'https://127.0.0.1:4566']];
  const asked = await Promise.all(targets.map(parameters => read(...parameters)));
  expect(asked.map(each => each?.target)).toEqual(['local', 'aws', 'aws', 'endpoint']);
});

it('says what it makes, what it costs and how it is removed', () => {
  let help = '';
  createConformance(async () => 0)
    .configureOutput({
      writeOut: text => {
        help += text;
      },
    })
    .outputHelp();
  expect(help).toContain('What it makes: six buckets');
  expect(help).toContain('What it costs in an account');
  expect(help).toContain('it touches no bucket without both');
});
