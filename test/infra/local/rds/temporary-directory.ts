import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A directory that PostgreSQL's user may enter, also where root runs the tests. The caller removes it. */
export async function makeTemporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'daybreak-test-'));
  await chmod(directory, 0o755);
  return directory;
}
