import type { Step } from '../../../infra/access/role-names.ts';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';

/** What a process of its own is asked to do: call a step until it is done, or make a part of one, with `items` of something. */
export interface Job {
  readonly run:
    | { readonly kind: 'step'; readonly step: Step; readonly event: Record<string, unknown> }
    | { readonly kind: 'part'; readonly part: string; readonly items: number };
  readonly environment: Readonly<Record<string, string>>;
  readonly client: { readonly endpoint: string; readonly accessKeyId: string; readonly secretAccessKey: string } | null;
}

/** Requests to S3 and KMS, by what they are charged as. */
export interface Calls {
  /** GET and HEAD. */
  readonly reads: number;
  /** PUT, COPY, POST and LIST. */
  readonly writes: number;
  /** Of the writes, pages of listings. */
  readonly pages: number;
  /** Free. */
  readonly deletes: number;
  /** To symmetric keys, also those that S3 makes for an object under one. */
  readonly keyRequests: number;
  readonly signatures: number;
}

/** What one job came to. */
export interface Measurement {
  readonly items: number;
  readonly calls: Calls;
  /** How often the step was called until it was done. */
  readonly invocations: number;
  readonly wallMs: number;
  /** Of the function's own process. */
  readonly cpuMs: number;
  readonly peakMib: number;
  /** The most that lay in files without a name at once. */
  readonly spoolBytes: number;
  /** The largest input or output. */
  readonly payloadBytes: number;
}

/** A step, or a part of one, under a load. */
export interface Load {
  readonly step: Step;
  readonly what: string;
  readonly items: number;
  /** `one-call`: everything that the step is built for must fit into one; `goes-on`: into any number of them. */
  readonly time: 'one-call' | 'goes-on' | { readonly withinMs: number };
  /** How much its peak may grow from a quarter of the items to all. @default an eighth of what it is given */
  readonly mayGrowMib?: number;
}

export interface MeasuredLoad extends Load {
  readonly quarter: Measurement;
  readonly whole: Measurement;
}

const MIB = 1024 ** 2;
/** Step Functions passes on no more. https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html */
const PAYLOAD_LIMIT_BYTES = 256 * 1024;
/** https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html: "At 1,769 MB, a function has the equivalent of one vCPU". */
const ONE_CORE_MIB = 1769;

/** How long a function takes, of which one thread computes, for `cpuMs` of a core like this machine's. */
export function functionMs(step: Step, cpuMs: number): number {
  return cpuMs / Math.min(1, STEP_DEFINITIONS[step].limits.memoryMib / ONE_CORE_MIB);
}

/** How much of `amount`, which was measured for the load, there is for all that the step is built for. */
export function atBuiltFor({ step, whole }: Pick<MeasuredLoad, 'step' | 'whole'>, amount: number): number {
  return (amount / whole.items) * Math.max(whole.items, STEP_DEFINITIONS[step].builtFor.items);
}

/** In what a step is over its budget, one sentence each; empty where it is inside. */
export function overBudget(load: MeasuredLoad): string[] {
  const { step, what, quarter, whole, time } = load;
  const { limits, builtFor } = STEP_DEFINITIONS[step];
  const { memoryMib, spoolMib, timeoutMinutes } = limits;
  const grownMib = whole.peakMib - quarter.peakMib;
  const mayGrowMib = load.mayGrowMib ?? memoryMib / 8;
  const needsMib = Math.ceil(atBuiltFor(load, whole.spoolBytes) / MIB);
  const takesMs = functionMs(step, time === 'one-call' ? atBuiltFor(load, whole.cpuMs) : whole.cpuMs);
  const hasMs = typeof time === 'object' ? time.withinMs : time === 'one-call' ? timeoutMinutes * 60_000 : Infinity;
  const mayPassBytes = Math.min(builtFor.payloadBytes, PAYLOAD_LIMIT_BYTES);
  const problems = [
    whole.peakMib > memoryMib && `takes ${whole.peakMib} MiB of memory, and has ${memoryMib}`,
    grownMib > mayGrowMib && `takes ${grownMib} MiB more for four times as much, and may take ${mayGrowMib}`,
    needsMib > spoolMib && `needs ${needsMib} MiB of /tmp for ${builtFor.items} ${builtFor.of}, and has ${spoolMib}`,
    whole.payloadBytes > mayPassBytes && `passes on ${whole.payloadBytes} bytes, and may pass on ${mayPassBytes}`,
    takesMs > hasMs && `computes for ${Math.round(takesMs / 1000)} s, and has ${hasMs / 1000}`,
  ];
  return problems.filter(problem => problem !== false).map(problem => `${step} (${what}) ${problem}`);
}
