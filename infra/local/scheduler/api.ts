import { AccessDenied, type Authorizer, type AwsRequest, type AwsResponse, NotImplementedLocally } from '../service.ts';
import type { ScheduleDescription } from './service.ts';

/**
 * Answers `GetSchedule` of EventBridge Scheduler's REST API, for schedules of the default group.
 * https://docs.aws.amazon.com/scheduler/latest/APIReference/API_GetSchedule.html
 */
export function answerGetSchedule(
  request: AwsRequest,
  authorizer: Authorizer,
  options: { arnPrefix: string; describe: (name: string) => ScheduleDescription | undefined },
): AwsResponse {
  try {
    const name = nameIn(request);
    const resource = `${options.arnPrefix}${name}`;
    authorizer.authorize({ principal: request.principal, action: 'scheduler:GetSchedule', resource, context: {} });
    const schedule = options.describe(name);
    if (schedule === undefined) {
      return refusal(404, 'ResourceNotFoundException', `Schedule ${name} does not exist.`);
    }
    return { status: 200, headers: { 'content-type': 'application/json' }, body: JSON.stringify(schedule) };
  } catch (error) {
    if (error instanceof AccessDenied) return refusal(403, 'AccessDeniedException', error.message);
    if (error instanceof NotImplementedLocally) return refusal(400, error.name, error.message);
    throw error;
  }
}

function nameIn({ method, path, query }: AwsRequest): string {
  const [, name] = /^\/schedules\/([^/]+)$/.exec(path) ?? [];
  if (method !== 'GET' || name === undefined) {
    throw new NotImplementedLocally(`the EventBridge Scheduler request ${method} ${path}`);
  }
  const { groupName = 'default', ...others } = query;
  if (groupName !== 'default') throw new NotImplementedLocally(`schedule groups (${String(groupName)})`);
  const [parameter] = Object.keys(others);
  if (parameter !== undefined) throw new NotImplementedLocally(`the parameter ${parameter} of GetSchedule`);
  return decodeURIComponent(name);
}

function refusal(status: number, code: string, message: string): AwsResponse {
  return {
    status,
    headers: { 'content-type': 'application/json', 'x-amzn-errortype': code },
    body: JSON.stringify({ Message: message }),
  };
}
