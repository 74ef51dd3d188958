import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { withRuntime } from '../../../functions/platform/runtime.ts';
import { callStep, newRuntime } from './call-step.ts';
import type { Job, Measurement } from './measurement.ts';
import { PARTS } from './parts.ts';

/** One job in a process of its own, as a function has one. `node test/bench/scale/child.ts <file with the job>` prints what it came to. */

const SAMPLE_MS = 20;
const DESCRIPTORS = '/proc/self/fd';

/** Bytes of the open files that have no name, which is what steps spool into. Linux alone shows them; elsewhere none are. */
function openSpoolBytes(): number {
  if (!existsSync(DESCRIPTORS)) return 0;
  let bytes = 0;
  for (const descriptor of readdirSync(DESCRIPTORS)) {
    const status = statSync(join(DESCRIPTORS, descriptor), { throwIfNoEntry: false });
    if (status?.isFile() && status.nlink === 0) bytes += status.size;
  }
  return bytes;
}

const job = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Job;
let spoolBytes = 0;
const sampler = setInterval(() => {
  spoolBytes = Math.max(spoolBytes, openSpoolBytes());
}, SAMPLE_MS);
const { run } = job;
const part = run.kind === 'part' ? PARTS[run.part] : undefined;
const before = { cpu: process.cpuUsage(), at: performance.now() };
const called =
  run.kind === 'step'
    ? await callStep(job, run.step, run.event)
    : { invocations: 1, payloadBytes: 0, measured: await withRuntime(newRuntime(job), async () => part?.(run.items)) };
const { user, system } = process.cpuUsage(before.cpu);
clearInterval(sampler);
const measurement: Omit<Measurement, 'items' | 'calls'> = {
  invocations: called.invocations,
  payloadBytes: called.payloadBytes,
  wallMs: performance.now() - before.at,
  cpuMs: (user + system) / 1000,
  peakMib: Math.round(process.resourceUsage().maxRSS / 1024),
  spoolBytes,
  // A part may say what counts of its time.
  ...('measured' in called ? called.measured : {}),
};
process.stdout.write(JSON.stringify(measurement));
