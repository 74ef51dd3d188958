import { parseDefinition } from '../../workflows/language/definition.ts';
import type { Json, JsonObject } from '../../workflows/language/json.ts';
import { InvalidDefinitionError } from '../../workflows/language/query.ts';
import { NotImplementedLocally } from '../service.ts';
import { type Operation, optionalText, type Parameters, parseJson, seconds, text } from './operation.ts';
import type { LocalStates } from './service.ts';
import { StatesError } from './states-error.ts';
import type { StateTest } from './test-state.ts';

/** What takes a definition from outside: CreateStateMachine, its validation, and the test of one state. */
export const definitionOperations: Readonly<Record<string, Operation>> = {
  CreateStateMachine: {
    parameters: ['name', 'definition', 'roleArn', 'type'],
    resource: (states, { name }) => states.arnOf(text('name', name)),
    answer: (states, { name, definition, roleArn, type = 'STANDARD' }, clock) => {
      if (type !== 'STANDARD') throw new NotImplementedLocally(`state machines of the type ${String(type)}`);
      const arn = states.arnOf(text('name', name));
      const standing = states.listStateMachines().find(machine => machine.arn === arn);
      const given = text('definition', definition);
      if (standing !== undefined && standing.definition !== given) {
        throw new StatesError('StateMachineAlreadyExists', `State Machine Already Exists: '${arn}'`);
      }
      const create = () =>
        states.createStateMachine({ name: String(name), definition: given, roleArn: text('roleArn', roleArn) });
      return {
        stateMachineArn: refusingInvalid(create),
        creationDate: seconds(standing?.creationDate ?? clock.now()),
      };
    },
  },
  DeleteStateMachine: {
    parameters: ['stateMachineArn'],
    resource: (_states, { stateMachineArn }) => text('stateMachineArn', stateMachineArn),
    answer: (states, { stateMachineArn }) => {
      const arn = text('stateMachineArn', stateMachineArn);
      // One that is not there is no error in AWS.
      if (states.listStateMachines().some(machine => machine.arn === arn)) states.deleteStateMachine(arn);
      return {};
    },
  },
  ValidateStateMachineDefinition: {
    parameters: ['definition', 'type', 'severity', 'maxResults'],
    resource: () => '*',
    answer: (_states, { definition }) => {
      try {
        parseDefinition(text('definition', definition));
        return { result: 'OK', diagnostics: [], truncated: false };
      } catch (error) {
        if (!(error instanceof InvalidDefinitionError)) throw error;
        const diagnostic = { severity: 'ERROR', code: 'SCHEMA_VALIDATION_FAILED', message: error.message };
        return { result: 'FAIL', diagnostics: [diagnostic], truncated: false };
      }
    },
  },
  TestState: {
    parameters: [
      'definition',
      'input',
      'inspectionLevel',
      'variables',
      'stateName',
      'mock',
      'context',
      'stateConfiguration',
    ],
    resource: () => '*',
    answer: async (states: LocalStates, parameters: Parameters) => {
      const { variables, inspectionData, ...result } = await states
        .testState(readTest(parameters))
        .catch(translateInvalid);
      const shown = parameters.inspectionLevel === undefined || parameters.inspectionLevel === 'INFO';
      const written = Object.fromEntries(
        Object.entries(inspectionData).map(([name, value]) => [
          name,
          name === 'errorDetails' ? value : JSON.stringify(value),
        ]),
      );
      return {
        ...result,
        ...(result.output !== undefined && { output: JSON.stringify(result.output) }),
        ...(!shown && { inspectionData: { ...written, variables: JSON.stringify(variables) } }),
      };
    },
  },
};

function readTest({
  definition,
  input,
  variables,
  stateName,
  mock,
  context,
  stateConfiguration,
}: Parameters): StateTest {
  const json = (name: string, value: unknown): Json => parseJson('InvalidExecutionInput', text(name, value));
  const { retrierRetryCount = 0, ...configured } = (stateConfiguration ?? {}) as Record<string, unknown>;
  const [unknown] = Object.keys(configured);
  if (unknown !== undefined) throw new NotImplementedLocally(`stateConfiguration.${unknown} of TestState`);
  const given = mock as { result?: string; errorOutput?: { error?: string; cause?: string } } | undefined;
  const name = optionalText('stateName', stateName);
  return {
    definition: json('definition', definition) as JsonObject,
    input: input === undefined ? {} : json('input', input),
    variables: (variables === undefined ? {} : json('variables', variables)) as JsonObject,
    retries: Number(retrierRetryCount),
    ...(name !== undefined && { stateName: name }),
    ...(context !== undefined && { context: json('context', context) as JsonObject }),
    ...(given?.result !== undefined && { result: json('mock.result', given.result) }),
    ...(given?.errorOutput !== undefined && { failure: given.errorOutput }),
  };
}

function refusingInvalid<T>(create: () => T): T {
  try {
    return create();
  } catch (error) {
    return translateInvalid(error);
  }
}

function translateInvalid(error: unknown): never {
  if (error instanceof InvalidDefinitionError) throw new StatesError('InvalidDefinition', error.message);
  throw error;
}
