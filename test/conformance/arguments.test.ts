import { expect, it } from 'vitest';
import { readArguments, USAGE, UsageError } from './arguments.ts';

it.each<[string, string[], string]>([
  ['an unknown option', ['--nonsense'], "Unknown option '--nonsense'"],
  [
    'two targets',
    ['--aws', '--endpoint', 'http://127.0.0.1:1'],
    'give --endpoint or --aws or --profile, not two of them',
  ],
  ['an address of AWS', ['--endpoint', 'https://s3.us-east-1.amazonaws.com'], 'that is AWS; give --aws or --profile'],
  ['no address', ['--endpoint', 'here'], '--endpoint here: give an address, https://host:port'],
  ['no address of the web', ['--endpoint', 'ftp://here'], '--endpoint ftp://here: give an address'],
  ['a role that is none', ['--aws', '--role', 'admin'], '--role admin: give the ARN of a role'],
  ['a clean-up of nothing', ['--clean-up'], '--clean-up: name where: --aws, --profile or --endpoint'],
])('%s is refused', (_title, parameters, message) => {
  expect(() => readArguments(parameters)).toThrow(UsageError);
  expect(() => readArguments(parameters)).toThrow(message);
});

it('goes nowhere but to the local cloud unless it is told to', () => {
  const targets = [[], ['--aws'], ['--profile', 'school'], ['--endpoint', 'https://127.0.0.1:4566']];
  expect(targets.map(parameters => readArguments(parameters).target)).toEqual(['local', 'aws', 'aws', 'endpoint']);
});

it('says what it makes, what it costs and how it is removed', () => {
  expect(USAGE).toContain('What it makes: twelve buckets');
  expect(USAGE).toContain('What it costs in an account');
  expect(USAGE).toContain('it touches no bucket without both');
});
