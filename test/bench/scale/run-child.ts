import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Job, Measurement } from './measurement.ts';

/**
 * Runs a job in a process of its own, which may use as much memory as its function has. The young generation grows with
 * the host's memory by default, and so would the peak.
 */
export async function runChild(
  job: Job,
  memoryMib: number,
): Promise<Omit<Measurement, 'items' | 'calls'> & { items?: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'daybreak-bench-'));
  try {
    const file = join(folder, 'job.json');
    await writeFile(file, JSON.stringify(job));
    const flags = ['--max-semi-space-size=8', `--max-old-space-size=${memoryMib}`];
    const child = join(import.meta.dirname, 'child.ts');
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [...flags, child, file], {
      env: { PATH: process.env.PATH, TMPDIR: process.env.TMPDIR },
      maxBuffer: 64 * 1024 ** 2,
    });
    if (stderr !== '') process.stderr.write(stderr);
    return JSON.parse(stdout);
  } finally {
    await rm(folder, { recursive: true });
  }
}
