import { accessSync, constants, mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { describeSystemError, UsageError } from './failure.ts';

/** Makes sure that a directory is there and can be written to. @throws UsageError */
export function requireWritableDirectory(option: string, path: string): void {
  attempt(option, path, () => {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.W_OK);
  });
}

/** Makes sure that a file can be written there, before the work whose outcome it is to hold. @throws UsageError */
export function requireWritableFile(option: string, path: string): void {
  attempt(option, path, () => {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found?.isDirectory()) throw new UsageError(`${option} ${path}: is a folder; give a file`);
    // With a dot, so that a file is no place for another.
    accessSync(found === undefined ? `${dirname(path)}/.` : path, constants.W_OK);
  });
}

/** Looks at what an option names. @throws UsageError of what the operating system says. */
export function attempt(option: string, path: string, look: () => void): void {
  try {
    look();
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`${option} ${path}: cannot be used: ${describeSystemError(error)}`);
  }
}
