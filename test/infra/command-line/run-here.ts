import type { Command } from 'commander';
import { vi } from 'vitest';
import type { Failure } from '../../../infra/command-line/failure.ts';
import { runProgram } from '../../../infra/command-line/program.ts';

/** Runs a program in this process, as a process of its own would, and gives what it printed and its exit code. */
export async function runHere(
  program: Command,
  parameters: readonly string[],
  describe?: (failure: Failure, error: unknown) => { exitCode: number; text: string },
): Promise<{ exitCode: typeof process.exitCode; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' };
  const spies = (['stdout', 'stderr'] as const).map(name =>
    vi.spyOn(process[name], 'write').mockImplementation(text => {
      written[name] += text;
      return true;
    }),
  );
  const before = process.exitCode;
  try {
    await runProgram(program, parameters, describe);
    return { exitCode: process.exitCode, ...written };
  } finally {
    process.exitCode = before;
    for (const spy of spies) spy.mockRestore();
  }
}
