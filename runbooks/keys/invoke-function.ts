import { KMSClient } from '@aws-sdk/client-kms';
import { describeError, PermanentError } from '../../functions/platform/errors.ts';
import { awsClient, currentRuntime } from '../../functions/platform/runtime.ts';

/** Lambda refused the call, or the function ended with an error. */
export class FunctionFailedError extends PermanentError {}

/** A function that was idle for weeks refuses its first calls while it wakes, longest for some two minutes. */
const PASSING =
  /ResourceNotReady|ResourceConflict|TooManyRequests|ServiceException|CodeArtifactUserPending|ENINotReady/;
const ATTEMPTS = 25;
const PAUSE_MS = 5000;

/**
 * Calls a function in the name of who runs the command, and returns what it answers. Daybreak has no client for Lambda
 * among its packages; KMS's one signs for any service, and reaches what it is configured for.
 * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 * @throws FunctionFailedError
 */
export async function invokeFunction(name: string, payload: unknown): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    const { statusCode, headers, text } = await send(name, JSON.stringify(payload));
    if (statusCode === 200 && headers['x-amz-function-error'] === undefined) return JSON.parse(text);
    const error = `${headers['x-amzn-errortype'] ?? ''} ${text}`.trim();
    if (statusCode === 200 || !PASSING.test(error) || attempt === ATTEMPTS) {
      throw new FunctionFailedError(`${name}: ${error.slice(0, 1000)}`);
    }
    await currentRuntime().clock.sleep(PAUSE_MS);
  }
}

interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

async function send(name: string, payload: string): Promise<Answer> {
  const { config } = awsClient(KMSClient);
  const region = await config.region();
  const endpoint = new URL(process.env.AWS_ENDPOINT_URL ?? `https://lambda.${region}.amazonaws.com`);
  const request = {
    method: 'POST',
    protocol: endpoint.protocol,
    hostname: endpoint.hostname,
    ...(endpoint.port !== '' && { port: Number(endpoint.port) }),
    path: `/2015-03-31/functions/${name}/invocations`,
    query: {},
    headers: { host: endpoint.host, 'content-type': 'application/json' },
    body: payload,
  };
  try {
    const signer = await config.signer({
      name: 'sigv4',
      signingName: 'lambda',
      signingRegion: region,
      properties: {},
    } as never);
    const signed = await signer.sign(request as never, { signingRegion: region, signingService: 'lambda' } as never);
    const { response } = await config.requestHandler.handle(signed as never);
    const body: Uint8Array | AsyncIterable<Uint8Array> = response.body;
    const parts: Uint8Array[] = body instanceof Uint8Array ? [body] : [];
    if (!(body instanceof Uint8Array)) for await (const part of body) parts.push(part);
    const headers = Object.fromEntries(
      Object.entries(response.headers as Record<string, string>).map(([header, value]) => [
        header.toLowerCase(),
        value,
      ]),
    );
    return { statusCode: response.statusCode, headers, text: Buffer.concat(parts).toString('utf8') };
  } catch (error) {
    throw new FunctionFailedError(`${name} was not reached: ${describeError(error)}`, { cause: error });
  }
}
