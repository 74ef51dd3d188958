import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigurationError } from './configuration.ts';

/** Where the configuration is, unless `-c configuration=<file>` names another file. */
const DEFAULT_FILE = 'daybreak.config.ts';

/**
 * Loads a supplier's configuration from a `.json` file, or from a module (`.ts`, `.js`, `.mjs`) that exports it and
 * nothing else. Nothing in it is checked yet.
 * @param file relative to where the CDK is run.
 * @throws ConfigurationError for a file that is missing or cannot be read, in one line.
 */
export async function loadConfiguration(file = DEFAULT_FILE): Promise<unknown> {
  const path = resolve(file);
  try {
    if (file.endsWith('.json')) return JSON.parse(await readFile(path, 'utf8'));
    await readFile(path);
    const exported = Object.values((await import(pathToFileURL(path).href)) as Record<string, unknown>);
    if (exported.length === 1) return exported[0];
  } catch (cause) {
    if (isMissing(cause, path)) {
      throw new ConfigurationError(
        `there is no configuration ${file}: copy infra/config/example.ts to ${DEFAULT_FILE} and put your own ids in, or name yours with -c configuration=<file>`,
        { cause },
      );
    }
    const [reason] = String(cause instanceof Error ? cause.message : cause).split('\n');
    throw new ConfigurationError(`the configuration ${file} cannot be read: ${reason}`, { cause });
  }
  throw new ConfigurationError(`the configuration ${file} must export one thing, the configuration`);
}

// A module that it imports may be missing too; that is another message.
function isMissing(error: unknown, path: string): boolean {
  const { code, path: missing } = error as { code?: unknown; path?: unknown };
  return code === 'ENOENT' && missing === path;
}
