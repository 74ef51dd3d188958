import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { ClientConfiguration } from '../../../functions/platform/runtime.ts';
import {
  type AwsRequest,
  type AwsResponse,
  NotImplementedLocally,
  type Principal,
  type Service,
  type ServiceName,
} from '../service.ts';
import { errorResponse } from './error-response.ts';
import { credentialOf } from './signature.ts';

/** The one Region that the local cloud has. */
export const LOCAL_REGION = 'eu-west-2';

/** The services of a local cloud, by the name that the SDK signs for. */
export type Services = Partial<Record<ServiceName, Service>>;

/** Calls to see each request before its service does, to count or to record them. */
export interface RequestObservers {
  onRequest?(request: AwsRequest): void;
}

/**
 * What an SDK client needs to reach `services` in process as `principal`: no socket is opened and nothing is read from
 * the machine's AWS configuration for credentials or Region. Make one for each principal and give it to every client.
 */
export function localClientConfiguration(
  services: Services,
  principal: Principal,
  options: RequestObservers = {},
): ClientConfiguration {
  return {
    region: LOCAL_REGION,
    // Nobody checks them in process: the handler itself carries the principal.
    credentials: { accessKeyId: 'AKIALOCALINPROCESS00', secretAccessKey: 'in-process' },
    requestHandler: localRequestHandler(services, principal, options),
    forcePathStyle: true,
    maxAttempts: 3,
  };
}

/** The part of the SDK's `HttpRequest` that is read here. */
interface SdkRequest {
  readonly method: string;
  readonly path: string;
  readonly query?: AwsRequest['query'];
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

interface SdkResponse {
  statusCode: number;
  headers: Record<string, string>;
  body: Readable | Uint8Array;
}

function localRequestHandler(services: Services, principal: Principal, { onRequest }: RequestObservers) {
  return {
    metadata: { handlerProtocol: 'in-process' },
    async handle(
      request: SdkRequest,
      { abortSignal }: { abortSignal?: AbortSignal } = {},
    ): Promise<{ response: SdkResponse }> {
      if (abortSignal?.aborted) throw abortError(abortSignal);
      const headers: Record<string, string> = {};
      for (const name in request.headers) headers[name.toLowerCase()] = request.headers[name] ?? '';
      const signedFor = credentialOf(headers.authorization)?.service;
      const service = services[signedFor as ServiceName];
      if (service === undefined) {
        const { message } = new NotImplementedLocally(
          signedFor === undefined ? 'requests without a signature' : `the service ${signedFor} in this configuration`,
        );
        const error = { status: 400, code: 'NotImplementedLocally', message };
        return { response: toSdk(errorResponse(signedFor ?? 's3', headers['content-type'], error), 's3') };
      }
      const awsRequest: AwsRequest = {
        service: signedFor as ServiceName,
        method: request.method,
        path: request.path,
        query: request.query ?? {},
        headers,
        body: toBody(request.body),
        principal,
        secure: true,
      };
      onRequest?.(awsRequest);
      const answer = service.handle(awsRequest);
      const response = await (abortSignal === undefined ? answer : unlessAborted(answer, abortSignal));
      return { response: toSdk(response, awsRequest.service) };
    },
    updateHttpClientConfig(): void {},
    httpHandlerConfigs: () => ({}),
    destroy(): void {},
  };
}

function toBody(body: unknown): Uint8Array | Readable | undefined {
  if (body === undefined || body === null) return undefined;
  if (typeof body === 'string') return Buffer.from(body);
  if (body instanceof Readable) return body;
  if (body instanceof ArrayBuffer) return new Uint8Array(body);
  // A plain view: the SDK's JSON bodies are byte arrays with string methods of their own.
  if (ArrayBuffer.isView(body)) return Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  if (typeof (body as ReadableStream).getReader === 'function') return Readable.fromWeb(body as ReadableStream);
  throw new NotImplementedLocally(`request bodies of type ${Object.prototype.toString.call(body)}`);
}

// S3 answers are streams as the SDK's S3 client expects; the others are read whole, and the SDK takes bytes as they are.
function toSdk({ status, headers, body }: AwsResponse, service: string): SdkResponse {
  if (body instanceof Readable) return { statusCode: status, headers, body };
  const bytes = typeof body === 'string' ? Buffer.from(body) : (body ?? new Uint8Array());
  return { statusCode: status, headers, body: service === 's3' ? streamOf(bytes) : bytes };
}

function streamOf(bytes: Uint8Array): Readable {
  return new Readable({
    read() {
      if (bytes.byteLength > 0) this.push(bytes);
      this.push(null);
    },
  });
}

async function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  let abort: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    abort = () => reject(abortError(signal));
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    if (abort) signal.removeEventListener('abort', abort);
  }
}

// The SDK tells an abort from a failure by this name.
function abortError(signal: AbortSignal): Error {
  const error = new Error('Request aborted', { cause: signal.reason });
  error.name = 'AbortError';
  return error;
}
