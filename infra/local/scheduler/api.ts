import { buffer } from 'node:stream/consumers';
import { AccessDenied, type Authorizer, type AwsRequest, type AwsResponse, NotImplementedLocally } from '../service.ts';
import { InvalidScheduleError } from './expression.ts';
import type { ScheduleDescription } from './service.ts';

/** What the API asks of the schedules. */
interface Schedules {
  readonly arnPrefix: string;
  readonly describe: (name: string) => ScheduleDescription | undefined;
  readonly list: () => readonly ScheduleDescription[];
  /** @throws InvalidScheduleError, NotImplementedLocally */
  readonly create: (properties: Readonly<Record<string, unknown>>) => string;
  readonly remove: (name: string) => void;
}

/**
 * Answers EventBridge Scheduler's REST API for schedules of the default group: `GetSchedule`, `ListSchedules`,
 * `CreateSchedule`, `UpdateSchedule` and `DeleteSchedule`. Who makes or changes one hands its role over.
 * https://docs.aws.amazon.com/scheduler/latest/APIReference/API_Operations.html
 */
export async function answerRequest(
  request: AwsRequest,
  authorizer: Authorizer,
  schedules: Schedules,
): Promise<AwsResponse> {
  try {
    const { action, name } = actionOf(request);
    const resource = action === 'ListSchedules' ? '*' : `${schedules.arnPrefix}${name}`;
    authorizer.authorize({ principal: request.principal, action: `scheduler:${action}`, resource, context: {} });
    if (action === 'ListSchedules') {
      const prefix = String(request.query.NamePrefix ?? '');
      const found = schedules.list().filter(schedule => schedule.Name.startsWith(prefix));
      return answer({ Schedules: found.map(({ Arn, Name, GroupName, State }) => ({ Arn, Name, GroupName, State })) });
    }
    const standing = schedules.describe(name);
    if (action === 'CreateSchedule') {
      if (standing !== undefined) return refusal(409, 'ConflictException', `Schedule ${name} already exists.`);
      const { ClientToken: _token, ...properties } = await readBody(request);
      passRole(request, authorizer, properties);
      return answer({ ScheduleArn: schedules.create({ ...properties, Name: name }) });
    }
    if (standing === undefined) return refusal(404, 'ResourceNotFoundException', `Schedule ${name} does not exist.`);
    if (action === 'GetSchedule') return answer(standing);
    if (action === 'UpdateSchedule') {
      const { ClientToken: _token, ...properties } = await readBody(request);
      passRole(request, authorizer, properties);
      // "any values that you don't specify … are set to their system-default values"
      // https://docs.aws.amazon.com/scheduler/latest/APIReference/API_UpdateSchedule.html
      return answer({ ScheduleArn: schedules.create({ ...properties, Name: name }) });
    }
    schedules.remove(name);
    return answer({});
  } catch (error) {
    if (error instanceof AccessDenied) return refusal(403, 'AccessDeniedException', error.message);
    if (error instanceof InvalidScheduleError) return refusal(400, 'ValidationException', error.message);
    if (error instanceof NotImplementedLocally) return refusal(400, error.name, error.message);
    throw error;
  }
}

/** https://docs.aws.amazon.com/scheduler/latest/UserGuide/setting-up.html#setting-up-execution-role */
function passRole(
  { principal }: AwsRequest,
  authorizer: Authorizer,
  properties: Readonly<Record<string, unknown>>,
): void {
  const { RoleArn } = (properties.Target ?? {}) as { RoleArn?: unknown };
  const context = { 'iam:PassedToService': 'scheduler.amazonaws.com' };
  authorizer.authorize({ principal, action: 'iam:PassRole', resource: String(RoleArn), context });
}

type Action = 'GetSchedule' | 'CreateSchedule' | 'UpdateSchedule' | 'DeleteSchedule' | 'ListSchedules';
const ACTIONS: Readonly<Record<string, Action>> = {
  GET: 'GetSchedule',
  POST: 'CreateSchedule',
  PUT: 'UpdateSchedule',
  DELETE: 'DeleteSchedule',
};
/** The query parameters that each may have; a client token only keeps a repeated request from acting twice. */
const PARAMETERS: Readonly<Record<Action, readonly string[]>> = {
  GetSchedule: [],
  CreateSchedule: [],
  UpdateSchedule: [],
  DeleteSchedule: ['clientToken'],
  ListSchedules: ['NamePrefix', 'MaxResults'],
};

function actionOf({ method, path, query }: AwsRequest): { action: Action; name: string } {
  const [, name = ''] = /^\/schedules(?:\/([^/]+))?$/.exec(path) ?? [];
  const action =
    name !== '' ? ACTIONS[method] : method === 'GET' && path === '/schedules' ? 'ListSchedules' : undefined;
  if (action === undefined) throw new NotImplementedLocally(`the EventBridge Scheduler request ${method} ${path}`);
  const { groupName, ScheduleGroup, ...others } = query;
  const group = groupName ?? ScheduleGroup ?? 'default';
  if (group !== 'default') throw new NotImplementedLocally(`schedule groups (${String(group)})`);
  const parameter = Object.keys(others).find(other => !PARAMETERS[action].includes(other));
  if (parameter !== undefined) throw new NotImplementedLocally(`the parameter ${parameter} of ${action}`);
  return { action, name: decodeURIComponent(name) };
}

async function readBody({ body }: AwsRequest): Promise<Record<string, unknown>> {
  const bytes = body === undefined || body instanceof Uint8Array ? Buffer.from(body ?? '{}') : await buffer(body);
  try {
    const parsed: unknown = JSON.parse(bytes.toString('utf8'));
    if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed))
      return parsed as Record<string, unknown>;
  } catch {
    // Answered like JSON that is no object.
  }
  throw new InvalidScheduleError('the request is no JSON object');
}

function answer(body: object): AwsResponse {
  return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}

function refusal(status: number, code: string, message: string): AwsResponse {
  return {
    status,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': code },
    body: JSON.stringify({ Message: message }),
  };
}
