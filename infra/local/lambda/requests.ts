import { buffer } from 'node:stream/consumers';
import { AccessDenied, type AwsRequest, type AwsResponse, NotImplementedLocally } from '../service.ts';
import { LambdaServiceError } from './errors.ts';
import type { InvocationOutcome } from './service.ts';

/**
 * Answers `POST /2015-03-31/functions/<name>/invocations` and `GET /2015-03-31/functions/<name>/configuration`.
 * https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
 */
export async function answerLambda(
  request: AwsRequest,
  {
    invoke,
    describe,
  }: {
    invoke: (name: string, payload: unknown) => Promise<InvocationOutcome>;
    describe: (name: string) => object;
  },
): Promise<AwsResponse> {
  try {
    const [, described] = /^\/2015-03-31\/functions\/([^/]+)\/configuration$/.exec(request.path) ?? [];
    if (request.method === 'GET' && described !== undefined) {
      const [parameter] = Object.keys(request.query);
      if (parameter !== undefined)
        throw new NotImplementedLocally(`the parameter ${parameter} of Lambda's GetFunctionConfiguration`);
      const body = JSON.stringify(describe(decodeURIComponent(described)));
      return { status: 200, headers: { 'content-type': 'application/json' }, body };
    }
    const outcome = await invoke(targetOf(request), await readPayload(request));
    const headers = { 'x-amzn-requestid': outcome.requestId, 'x-amz-executed-version': '$LATEST' };
    return 'functionError' in outcome
      ? {
          status: 200,
          headers: { ...headers, 'x-amz-function-error': 'Unhandled' },
          body: JSON.stringify(outcome.functionError),
        }
      : { status: 200, headers, body: JSON.stringify(outcome.payload) };
  } catch (error) {
    if (error instanceof LambdaServiceError) return refusal(error.status, error.code, error.message);
    if (error instanceof AccessDenied) return refusal(403, 'AccessDeniedException', error.message);
    if (error instanceof NotImplementedLocally) return refusal(400, error.name, error.message);
    throw error;
  }
}

function targetOf({ method, path, query, headers }: AwsRequest): string {
  const [, name] = /^\/2015-03-31\/functions\/([^/]+)\/invocations$/.exec(path) ?? [];
  if (method !== 'POST' || name === undefined) throw new NotImplementedLocally(`the Lambda request ${method} ${path}`);
  const [parameter] = Object.keys(query);
  if (parameter !== undefined) throw new NotImplementedLocally(`the parameter ${parameter} of Lambda's Invoke`);
  const type = headers['x-amz-invocation-type'] ?? 'RequestResponse';
  if (type !== 'RequestResponse') throw new NotImplementedLocally(`the invocation type ${type}`);
  if (headers['x-amz-client-context'] !== undefined) throw new NotImplementedLocally("Lambda's client context");
  if ((headers['x-amz-log-type'] ?? 'None') !== 'None') throw new NotImplementedLocally("Lambda's log tail");
  return decodeURIComponent(name);
}

async function readPayload({ body }: AwsRequest): Promise<unknown> {
  const bytes =
    body === undefined ? Buffer.alloc(0) : body instanceof Uint8Array ? Buffer.from(body) : await buffer(body);
  if (bytes.length === 0) return {};
  try {
    return JSON.parse(bytes.toString());
  } catch (cause) {
    throw new LambdaServiceError('InvalidRequestContentException', 400, 'Could not parse request body into json', {
      cause,
    });
  }
}

function refusal(status: number, code: string, message: string): AwsResponse {
  return {
    status,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': code },
    body: JSON.stringify({ Type: 'User', Message: message }),
  };
}
