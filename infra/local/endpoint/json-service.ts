import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { AccessDenied, type AwsRequest, type AwsResponse, NotImplementedLocally, type Principal } from '../service.ts';

/** An operation of a service that speaks AWS's JSON protocol. */
export interface JsonOperation {
  /** The members that a request may have. */
  readonly members: readonly string[];
  /** What it answers; an answer with `error` is that error. @throws AccessDenied */
  run(input: Readonly<Record<string, unknown>>, principal: Principal): object;
}

/** Answers a request of AWS's JSON 1.1 protocol. What is not implemented is refused by name. */
export async function answerJson(
  request: AwsRequest,
  targetPrefix: string,
  service: string,
  operations: Readonly<Record<string, JsonOperation>>,
): Promise<AwsResponse> {
  try {
    const target = request.headers['x-amz-target'] ?? '';
    const name = target.startsWith(targetPrefix) ? target.slice(targetPrefix.length) : '';
    const operation = Object.hasOwn(operations, name) ? operations[name] : undefined;
    if (operation === undefined) throw new NotImplementedLocally(`the operation ${target} of ${service}`);
    const { body } = request;
    const bytes = body instanceof Readable ? await buffer(body) : Buffer.from(body ?? '{}');
    const input = JSON.parse(bytes.toString() || '{}') as Record<string, unknown>;
    const unknown = Object.keys(input).find(member => !operation.members.includes(member));
    if (unknown !== undefined) throw new NotImplementedLocally(`the member ${unknown} of ${name} (${service})`);
    const answer = operation.run(input, request.principal);
    if ('error' in answer) {
      const { error, message } = answer as { error: string; message: string };
      return respond(400, { __type: error, message });
    }
    return respond(200, answer);
  } catch (error) {
    if (error instanceof AccessDenied) return respond(400, { __type: 'AccessDeniedException', message: error.message });
    if (error instanceof NotImplementedLocally) return respond(400, { __type: error.name, message: error.message });
    if (error instanceof SyntaxError) return respond(400, { __type: 'SerializationException', message: error.message });
    throw error;
  }
}

function respond(status: number, body: object): AwsResponse {
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': randomUUID() };
  return { status, headers, body: JSON.stringify(body) };
}
