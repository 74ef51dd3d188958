import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createSocketServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type SecureContext, TLSSocket } from 'node:tls';
import {
  type AwsRequest,
  type AwsResponse,
  NotImplementedLocally,
  type Principal,
  type ServiceName,
} from '../service.ts';
import type { CredentialStore } from './credentials.ts';
import { type EndpointError, errorResponse } from './error-response.ts';
import { LOCAL_REGION, type RequestObservers, type Services } from './request-handler.ts';
import { type ClaimedSignature, readSignature, signedAtMs, verifySignature } from './signature.ts';

/** An open front. */
export interface HttpFront {
  /** `http://127.0.0.1:4566` */
  readonly url: string;
  /** Ends the connections that are open and listens no longer. */
  close(): Promise<void>;
}

export interface HttpFrontOptions extends RequestObservers {
  readonly services: Services;
  readonly credentials: CredentialStore;
  /** 0, the default, takes a free one. */
  readonly port?: number;
  /** With it the front speaks HTTPS, and policies that want TLS let requests in. */
  readonly secureContext?: SecureContext;
  /** Told of what a service throws, which is always a bug; the client only hears `InternalError`. */
  readonly onFailure?: (error: unknown) => void;
}

const MAX_BODY_BYTES = 16 * 1024 * 1024;
const CLOCK_SKEW_MS = 15 * 60 * 1000;

/** A request that the front itself refuses. */
class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly code: string;
  constructor({ status, code, message }: EndpointError) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * Serves the local cloud over HTTP on 127.0.0.1, for clients outside this process: the AWS CLI, rclone, a browser with a
 * presigned URL. A request's service is the one that it is signed for, and its signature must be right, by a key that
 * `credentials` issued. Signing times are held against the machine's time, which is what clients sign in, not against the
 * local clock, which runs ahead.
 */
export async function startHttpFront(options: HttpFrontOptions): Promise<HttpFront> {
  // A client in this process may compute for longer than the usual five seconds between two requests.
  const http = createServer({ requestTimeout: 0, keepAliveTimeout: 60_000 }, (request, response) => {
    void answer(request, response, options);
  });
  const { secureContext } = options;
  const listening =
    secureContext === undefined
      ? http
      : createSocketServer(socket => {
          const secured = new TLSSocket(socket, { isServer: true, secureContext });
          secured.on('error', () => secured.destroy());
          http.emit('connection', secured);
        });
  // Of those under TLS the HTTP server knows nothing.
  const sockets = new Set<Socket>();
  listening.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    listening.once('error', reject);
    listening.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const { port } = listening.address() as AddressInfo;
  return {
    url: `${secureContext === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    async close() {
      const closed = new Promise<void>(resolve => listening.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

async function answer(message: IncomingMessage, response: ServerResponse, options: HttpFrontOptions): Promise<void> {
  const headers = headersOf(message);
  const target = message.url ?? '/';
  const claimed = readSignature(target, headers);
  const service = claimed?.credential.service ?? 's3';
  let answered: AwsResponse;
  try {
    answered = await forward(message, headers, target, claimed, options);
  } catch (error) {
    const refused = error instanceof Refusal;
    if (!refused) options.onFailure?.(error);
    const {
      status,
      code,
      message: text,
    } = refused
      ? error
      : { status: 500, code: 'InternalError', message: 'We encountered an internal error. Please try again.' };
    answered = errorResponse(service, headers['content-type'], { status, code, message: text });
  }
  try {
    await send(answered, message.method === 'HEAD', response);
  } catch (error) {
    // The content failed after the headers were sent, or the client went away: only a cut connection says so.
    if (!message.destroyed) options.onFailure?.(error);
    response.destroy();
  } finally {
    message.resume();
  }
}

async function forward(
  message: IncomingMessage,
  headers: Record<string, string>,
  target: string,
  claimed: ClaimedSignature | undefined,
  options: HttpFrontOptions,
): Promise<AwsResponse> {
  if (claimed === undefined) {
    throw new Refusal({
      status: 403,
      code: 'AccessDenied',
      message: 'requests without a valid SigV4 signature are refused',
    });
  }
  const { service: name } = claimed.credential;
  const service = Object.hasOwn(options.services, name) ? options.services[name as ServiceName] : undefined;
  if (service === undefined) {
    const { message: text } = new NotImplementedLocally(`the service ${name} over HTTP`);
    throw new Refusal({ status: 400, code: 'NotImplementedLocally', message: text });
  }
  const hasBody = message.headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  const body = !hasBody ? undefined : name === 's3' ? message : await readBody(message);
  const principal = authenticate(message.method ?? 'GET', target, headers, claimed, body, options.credentials);
  const split = splitQuery(target, claimed.expiresInS !== undefined);
  const request: AwsRequest = {
    service: name as ServiceName,
    method: message.method ?? 'GET',
    path: target.split('?', 1)[0] ?? '/',
    query: split.query,
    headers: { ...headers, ...split.headers },
    body,
    principal,
    secure: message.socket instanceof TLSSocket,
  };
  options.onRequest?.(request);
  return service.handle(request);
}

function authenticate(
  method: string,
  target: string,
  headers: Record<string, string>,
  claimed: ClaimedSignature,
  body: AwsRequest['body'],
  credentials: CredentialStore,
): Principal {
  const { credential, signedHeaders, time, expiresInS } = claimed;
  const isS3 = credential.service === 's3';
  const refuse = (status: number, code: string, text: string): never => {
    throw new Refusal({ status, code, message: text });
  };
  const issued = credentials.find(credential.accessKeyId);
  if (issued === undefined || claimed.sessionToken !== undefined) {
    const code = isS3 ? 'InvalidAccessKeyId' : 'UnrecognizedClientException';
    return refuse(403, code, 'the access key was not issued by this local cloud; it issues new ones at each start');
  }
  if (credential.region !== LOCAL_REGION) {
    const text = `the region '${credential.region}' is wrong; expecting '${LOCAL_REGION}'`;
    return refuse(400, isS3 ? 'AuthorizationHeaderMalformed' : 'InvalidSignatureException', text);
  }
  const unsigned = Object.keys(headers).find(name => name.startsWith('x-amz-') && !signedHeaders.includes(name));
  const sha256IsFree = expiresInS !== undefined && unsigned === 'x-amz-content-sha256';
  if (!signedHeaders.includes('host') || (unsigned !== undefined && !sha256IsFree)) {
    return refuse(
      403,
      'AccessDenied',
      `There were headers present in the request which were not signed: ${unsigned ?? 'host'}`,
    );
  }
  const payloadHash =
    expiresInS !== undefined
      ? 'UNSIGNED-PAYLOAD'
      : isS3
        ? (headers['x-amz-content-sha256'] ?? '')
        : createHash('sha256')
            .update(body instanceof Uint8Array ? body : '')
            .digest('hex');
  const right =
    time.startsWith(credential.date) &&
    verifySignature({ method, target, headers, payloadHash }, claimed, issued.secretAccessKey);
  if (!right) {
    return refuse(
      403,
      'SignatureDoesNotMatch',
      'The request signature we calculated does not match the signature you provided. Check your key and signing method.',
    );
  }
  const ageMs = Date.now() - signedAtMs(time);
  if (expiresInS !== undefined && ageMs > expiresInS * 1000) return refuse(403, 'AccessDenied', 'Request has expired');
  if (ageMs < -CLOCK_SKEW_MS || (expiresInS === undefined && ageMs > CLOCK_SKEW_MS)) {
    return refuse(
      403,
      'RequestTimeTooSkewed',
      'The difference between the request time and the current time is too large.',
    );
  }
  return issued.principal;
}

async function readBody(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of message as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) {
      const text = `a request is at most ${MAX_BODY_BYTES} bytes long`;
      throw new Refusal({ status: 413, code: 'RequestEntityTooLarge', message: text });
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function send(
  { status, headers, body }: AwsResponse,
  headOnly: boolean,
  response: ServerResponse,
): Promise<void> {
  response.writeHead(status, headers);
  if (headOnly || body === undefined) {
    if (body instanceof Readable) body.destroy();
    response.end();
  } else if (body instanceof Readable) await pipeline(body, response);
  else response.end(body);
}

function headersOf(message: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    Object.entries(message.headers).map(([name, value]) => [
      name,
      Array.isArray(value) ? value.join(',') : (value ?? ''),
    ]),
  );
}

const PRESIGNING = /^x-amz-(?:algorithm|content-sha256|credential|date|expires|signedheaders|signature)$/i;

/** The query as the service shall see it: without what presigning added, which may include headers (`x-amz-…`). */
function splitQuery(
  target: string,
  presigned: boolean,
): { query: AwsRequest['query']; headers: Record<string, string> } {
  const query: Record<string, string | string[]> = {};
  const headers: Record<string, string> = {};
  const parameters = new URL(target, 'http://127.0.0.1').searchParams;
  for (const name of new Set(parameters.keys())) {
    const values = parameters.getAll(name);
    if (!presigned || !/^x-amz-/i.test(name)) query[name] = values.length === 1 ? (values[0] ?? '') : values;
    else if (!PRESIGNING.test(name)) headers[name.toLowerCase()] = values.join(',');
  }
  return { query, headers };
}
