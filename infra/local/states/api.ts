import { buffer } from 'node:stream/consumers';
import { UnsupportedDefinitionError } from '../../workflows/language/query.ts';
import type { LocalClock } from '../clock.ts';
import { errorResponse } from '../endpoint/error-response.ts';
import { AccessDenied, type AwsRequest, type AwsResponse, NotImplementedLocally } from '../service.ts';
import { definitionOperations } from './definition-operations.ts';
import type { Execution } from './execution.ts';
import type { HistoryEvent } from './history.ts';
import { type Operation, optionalText, type Parameters, parseJson, seconds, text } from './operation.ts';
import type { LocalStates, StateMachine } from './service.ts';
import { StatesError } from './states-error.ts';

const PREFIX = 'AWSStepFunctions.';
const DEFAULT_PAGE = 100;

const operations: Readonly<Record<string, Operation>> = {
  ...definitionOperations,
  StartExecution: {
    parameters: ['stateMachineArn', 'name', 'input'],
    resource: (_states, { stateMachineArn }) => text('stateMachineArn', stateMachineArn),
    answer: (states, { stateMachineArn, name, input }) => {
      const { arn, startDate } = states.startExecution({
        stateMachine: text('stateMachineArn', stateMachineArn),
        input: input === undefined ? {} : parseJson('InvalidExecutionInput', text('input', input)),
        ...(name !== undefined && { name: text('name', name) }),
      });
      return { executionArn: arn, startDate: seconds(startDate) };
    },
  },
  DescribeExecution: {
    parameters: ['executionArn'],
    resource: executionResource,
    answer: (states, { executionArn }) => {
      const execution = states.describeExecution(text('executionArn', executionArn));
      const { output, error, cause } = execution;
      return {
        ...summary(execution),
        input: JSON.stringify(execution.input),
        inputDetails: { included: true },
        ...(output !== undefined && { output: JSON.stringify(output), outputDetails: { included: true } }),
        ...(error !== undefined && { error }),
        ...(cause !== undefined && { cause }),
        redriveCount: 0,
        redriveStatus: 'NOT_REDRIVABLE',
        redriveStatusReason: 'The local cloud does not redrive executions',
      };
    },
  },
  StopExecution: {
    parameters: ['executionArn', 'error', 'cause'],
    resource: executionResource,
    answer: (states, { executionArn, error, cause }, clock) => {
      states.stopExecution(
        text('executionArn', executionArn),
        optionalText('error', error),
        optionalText('cause', cause),
      );
      return { stopDate: seconds(clock.now()) };
    },
  },
  ListExecutions: {
    parameters: ['stateMachineArn', 'mapRunArn', 'statusFilter', 'maxResults', 'nextToken'],
    resource: (_states, { stateMachineArn, mapRunArn }) => text('stateMachineArn', stateMachineArn ?? mapRunArn),
    answer: (states, { stateMachineArn, mapRunArn, statusFilter, ...page }) => {
      if (mapRunArn === undefined) states.describeStateMachine(text('stateMachineArn', stateMachineArn));
      const executions = states
        .listExecutions()
        .filter(execution => execution.mapRunArn === mapRunArn)
        .filter(execution => mapRunArn !== undefined || execution.stateMachineArn === stateMachineArn)
        .filter(({ status }) => statusFilter === undefined || status === statusFilter)
        .toReversed();
      const { items, nextToken } = pageOf(executions, page);
      return { executions: items.map(summary), ...(nextToken && { nextToken }) };
    },
  },
  GetExecutionHistory: {
    parameters: ['executionArn', 'maxResults', 'reverseOrder', 'nextToken', 'includeExecutionData'],
    resource: executionResource,
    answer: (states, { executionArn, reverseOrder, includeExecutionData, ...page }) => {
      const { events } = states.describeExecution(text('executionArn', executionArn)).history;
      const { items, nextToken } = pageOf(reverseOrder === true ? events.toReversed() : events, page);
      return {
        events: items.map(event => describeEvent(event, includeExecutionData !== false)),
        ...(nextToken && { nextToken }),
      };
    },
  },
  DescribeStateMachine: {
    parameters: ['stateMachineArn'],
    resource: (_states, { stateMachineArn }) => text('stateMachineArn', stateMachineArn),
    answer: (states, { stateMachineArn }) => {
      const machine = states.describeStateMachine(text('stateMachineArn', stateMachineArn));
      const { definition, roleArn } = machine;
      return { ...machineSummary(machine), status: 'ACTIVE', definition, roleArn };
    },
  },
  ListStateMachines: {
    parameters: ['maxResults', 'nextToken'],
    resource: () => '*',
    answer: (states, page) => {
      const { items, nextToken } = pageOf(states.listStateMachines(), page);
      return { stateMachines: items.map(machineSummary), ...(nextToken && { nextToken }) };
    },
  },
  SendTaskSuccess: {
    parameters: ['taskToken', 'output'],
    resource: tokenResource,
    answer: (states, { taskToken, output }) => {
      states.tokens.succeed(text('taskToken', taskToken), parseJson('InvalidOutput', text('output', output)));
      return {};
    },
  },
  SendTaskFailure: {
    parameters: ['taskToken', 'error', 'cause'],
    resource: tokenResource,
    answer: (states, { taskToken, error, cause }) => {
      states.tokens.fail(text('taskToken', taskToken), optionalText('error', error), optionalText('cause', cause));
      return {};
    },
  },
  SendTaskHeartbeat: {
    parameters: ['taskToken'],
    resource: tokenResource,
    answer: (states, { taskToken }) => {
      states.tokens.beat(text('taskToken', taskToken));
      return {};
    },
  },
};

/** Answers one request of the Step Functions API, in JSON 1.0. */
export async function answerRequest(states: LocalStates, clock: LocalClock, request: AwsRequest): Promise<AwsResponse> {
  const target = request.headers['x-amz-target'] ?? '';
  try {
    const name = target.slice(PREFIX.length);
    const operation = Object.hasOwn(operations, name) ? operations[name] : undefined;
    if (!target.startsWith(PREFIX) || operation === undefined) {
      throw new NotImplementedLocally(`the Step Functions operation ${target || '(none)'}`);
    }
    const parameters = await readParameters(request);
    const unknown = Object.keys(parameters).find(parameter => !operation.parameters.includes(parameter));
    if (unknown !== undefined) throw new NotImplementedLocally(`the parameter ${unknown} of Step Functions' ${name}`);
    states.authorizer.authorize({
      principal: request.principal,
      action: `states:${name}`,
      resource: operation.resource(states, parameters),
      context: {},
    });
    const body = JSON.stringify(await operation.answer(states, parameters, clock));
    return { status: 200, headers: { 'content-type': 'application/x-amz-json-1.0' }, body };
  } catch (error) {
    if (error instanceof StatesError) return refusal(request, error.code, error.message);
    if (error instanceof AccessDenied) return refusal(request, 'AccessDeniedException', error.message);
    if (error instanceof NotImplementedLocally || error instanceof UnsupportedDefinitionError) {
      return refusal(request, NotImplementedLocally.name, error.message);
    }
    throw error;
  }
}

function refusal({ headers }: AwsRequest, code: string, message: string): AwsResponse {
  return errorResponse('states', headers['content-type'], { status: 400, code, message });
}

async function readParameters({ body }: AwsRequest): Promise<Parameters> {
  const bytes = body === undefined || body instanceof Uint8Array ? Buffer.from(body ?? '{}') : await buffer(body);
  const parameters = parseJson('SerializationException', bytes.toString());
  if (parameters === null || typeof parameters !== 'object' || Array.isArray(parameters)) {
    throw new StatesError('SerializationException', 'The request is no JSON object');
  }
  return parameters as Parameters;
}

function executionResource(_states: LocalStates, { executionArn }: Parameters): string {
  return text('executionArn', executionArn);
}

// A token that nothing waits for is not told apart from one that never was.
function tokenResource(states: LocalStates, { taskToken }: Parameters): string {
  const stateMachineArn = states.tokens.stateMachineOf(text('taskToken', taskToken));
  if (stateMachineArn === undefined) {
    throw new StatesError('TaskTimedOut', 'Task Timed Out: the task that waited for this token is over, or never was');
  }
  return stateMachineArn;
}

function pageOf<T>(
  items: readonly T[],
  { maxResults, nextToken }: Parameters,
): { items: readonly T[]; nextToken?: string } {
  const size = typeof maxResults === 'number' && maxResults > 0 ? Math.min(maxResults, 1000) : DEFAULT_PAGE;
  const from = nextToken === undefined ? 0 : Number(nextToken);
  if (!Number.isInteger(from) || from < 0) throw new StatesError('InvalidToken', 'Invalid Token');
  const next = from + size < items.length ? { nextToken: String(from + size) } : {};
  return { items: items.slice(from, from + size), ...next };
}

function summary({ arn, stateMachineArn, name, status, startDate, stopDate, mapRunArn }: Execution) {
  return {
    executionArn: arn,
    stateMachineArn,
    name,
    status,
    startDate: seconds(startDate),
    ...(stopDate && { stopDate: seconds(stopDate) }),
    ...(mapRunArn && { mapRunArn }),
  };
}

function machineSummary({ arn, name, creationDate }: StateMachine) {
  return { stateMachineArn: arn, name, type: 'STANDARD', creationDate: seconds(creationDate) };
}

const PAYLOADS = new Set(['input', 'output', 'parameters']);

function describeEvent({ id, previousEventId, timestamp, type, details }: HistoryEvent, withPayloads: boolean) {
  const shown = Object.entries(details ?? {}).flatMap(([field, value]) => {
    if (value === undefined || (PAYLOADS.has(field) && !withPayloads)) return [];
    return [[field, PAYLOADS.has(field) ? JSON.stringify(value) : value]];
  });
  return {
    id,
    previousEventId,
    timestamp: seconds(timestamp),
    type,
    ...(details && { [detailsField(type)]: Object.fromEntries(shown) }),
  };
}

// `TaskStateEntered` has `stateEnteredEventDetails`, every other type a field of its own name.
function detailsField(type: string): string {
  if (type.endsWith('StateEntered')) return 'stateEnteredEventDetails';
  if (type.endsWith('StateExited')) return 'stateExitedEventDetails';
  return `${type.charAt(0).toLowerCase()}${type.slice(1)}EventDetails`;
}
