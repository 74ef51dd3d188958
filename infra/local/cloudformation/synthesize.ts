import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { Worker } from 'node:worker_threads';
import type { z } from 'zod';
import type { SupplierConfiguration } from '../../config/configuration.ts';

/** The CDK app could not be synthesized; the message is what it said. */
export class SynthesisError extends Error {
  override readonly name = 'SynthesisError';
}

/**
 * Synthesizes the CDK app for a configuration into `directory`, in a process of its own: the CDK needs hundreds of
 * megabytes that the local cloud would then keep, and seconds in which it can do other things.
 * @throws SynthesisError
 */
export async function synthesize(
  configuration: z.input<typeof SupplierConfiguration>,
  directory: string,
  signal?: AbortSignal,
): Promise<void> {
  const child = spawn(process.execPath, [import.meta.filename, directory], {
    stdio: ['pipe', 'ignore', 'pipe'],
    ...(signal ? { signal } : {}),
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  child.stdin.on('error', () => undefined).end(JSON.stringify(configuration));
  const [status, said] = await Promise.all([ended, text(child.stderr)]);
  if (status !== 0) throw new SynthesisError(`the CDK app could not be synthesized: ${said.trim()}`);
}

const LIFELINE = `
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || process.kill(process.pid, 'SIGKILL'), 100);
`;

if (import.meta.main) {
  // The CDK holds the main thread for seconds: only another one can see that the parent is gone.
  new Worker(LIFELINE, { eval: true }).unref();
  const { createApp } = await import('../../app.ts');
  createApp(JSON.parse(await text(process.stdin)), {
    outdir: process.argv[2] ?? '',
    bundle: false,
    check: false,
  }).synth();
}
