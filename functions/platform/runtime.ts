import { AsyncLocalStorage } from 'node:async_hooks';
import { type Clock, systemClock } from './clock.ts';

/** What the AWS SDK clients of one function are built with. Empty in Lambda, where the SDK finds everything itself. */
export interface ClientConfiguration {
  readonly region?: string;
  readonly credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string };
  /** An `HttpHandler` of the SDK: the local cloud answers through it in process, without a socket. */
  // biome-ignore lint/suspicious/noExplicitAny: each SDK client names its own nominal handler type for the same shape.
  readonly requestHandler?: any;
  readonly endpoint?: string;
  readonly forcePathStyle?: boolean;
  readonly maxAttempts?: number;
}

/**
 * Where a function runs: its environment variables, clock, client configuration and output. In Lambda there is one, the
 * process itself. In the local cloud many functions share a process, and each invocation runs inside its own.
 */
export interface Runtime {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly clientConfiguration: ClientConfiguration;
  /** Writes one line to the function's log, where CloudWatch also finds the metrics (EMF). */
  writeLine(line: string): void;
  /** SDK clients and other things made once for each runtime, by their constructor or name. */
  readonly instances: Map<unknown, unknown>;
}

const processRuntime: Runtime = {
  environment: process.env,
  clock: systemClock,
  clientConfiguration: {},
  writeLine: line => {
    process.stdout.write(`${line}\n`);
  },
  instances: new Map(),
};

const storage = new AsyncLocalStorage<Runtime>();

/** The runtime of the function that is running. */
export function currentRuntime(): Runtime {
  return storage.getStore() ?? processRuntime;
}

/** Runs `work` inside `runtime`, also everything that it awaits. */
export function withRuntime<T>(runtime: Runtime, work: () => Promise<T>): Promise<T> {
  return storage.run(runtime, work);
}

/** Returns what `make` made for `key` in this runtime, making it at first use. */
export function oncePerRuntime<T>(key: unknown, make: (runtime: Runtime) => T): T {
  const runtime = currentRuntime();
  if (!runtime.instances.has(key)) runtime.instances.set(key, make(runtime));
  return runtime.instances.get(key) as T;
}

/** The SDK client of class `Client` for this runtime, e.g. `awsClient(S3Client)`. Only the modules of `platform/` call this. */
export function awsClient<C>(Client: new (configuration: ClientConfiguration) => C): C {
  return oncePerRuntime(Client, runtime => new Client(runtime.clientConfiguration));
}
