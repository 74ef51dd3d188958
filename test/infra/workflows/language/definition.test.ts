import { describe, expect, it } from 'vitest';
import { parseDefinition } from '../../../../infra/workflows/language/definition.ts';
import type { Json, JsonObject } from '../../../../infra/workflows/language/json.ts';
import { InvalidDefinitionError, UnsupportedDefinitionError } from '../../../../infra/workflows/language/query.ts';

const INVOKE = 'arn:aws:states:::lambda:invoke';

function parse(states: JsonObject, machine: JsonObject = {}): () => unknown {
  const definition = { QueryLanguage: 'JSONata', StartAt: Object.keys(states)[0] ?? '', States: states, ...machine };
  return () => parseDefinition(JSON.stringify(definition));
}

const one = (state: JsonObject) => parse({ S: { End: true, ...state } });
const task = (fields: JsonObject) =>
  one({ Type: 'Task', Resource: INVOKE, Arguments: { FunctionName: 'f' }, ...fields });
const processor = { StartAt: 'P', States: { P: { Type: 'Pass', End: true } } };
const map = (fields: JsonObject) => one({ Type: 'Map', ItemProcessor: processor, ...fields });
const distributed = (fields: JsonObject) =>
  map({
    ItemProcessor: { ...processor, ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'STANDARD' } },
    ...fields,
  });
const READER = { Resource: 'arn:aws:states:::s3:getObject', Arguments: { Bucket: 'b', Key: 'k' } };

describe('what this interpreter does not run is refused by name', () => {
  it.each<[string, () => unknown, string]>([
    [
      'JSONPath by default',
      parse({ S: { Type: 'Pass', End: true } }, { QueryLanguage: 'JSONPath' }),
      'the query language JSONPath in the state "S": only JSONata',
    ],
    [
      'JSONPath in one state',
      one({ Type: 'Pass', QueryLanguage: 'JSONPath' }),
      'the query language JSONPath in the state "S"',
    ],
    ['an unknown state type', one({ Type: 'Loop' }), 'the state type Loop (state "S")'],
    ['an unknown field', one({ Type: 'Pass', Colour: 'red' }), 'the field Colour in state "S"'],
    ['a JSONPath field', one({ Type: 'Pass', ResultPath: '$.x' }), 'the field ResultPath (JSONPath only) in state "S"'],
    ['InputPath', task({ InputPath: '$' }), 'the field InputPath (JSONPath only) in state "S"'],
    ['Parameters', task({ Parameters: {} }), 'the field Parameters (JSONPath only) in state "S"'],
    ['Credentials', task({ Credentials: {} }), 'the field Credentials in state "S"'],
    ['a field of another state type', one({ Type: 'Pass', Resource: INVOKE }), 'the field Resource in state "S"'],
    [
      'a field of the machine',
      parse({ S: { Type: 'Pass', End: true } }, { Processor: 1 }),
      'the field Processor in the state machine',
    ],
    ['another version', parse({ S: { Type: 'Pass', End: true } }, { Version: '2.0' }), 'the ASL version 2.0'],
    [
      'another resource',
      task({ Resource: 'arn:aws:states:::sqs:sendMessage' }),
      'the resource arn:aws:states:::sqs:sendMessage in the state "S"',
    ],
    [
      'an activity',
      task({ Resource: 'arn:aws:states:eu-west-2:111122223333:activity:a' }),
      'the resource arn:aws:states:eu-west-2:111122223333:activity:a',
    ],
    ['a sync integration', task({ Resource: `${INVOKE}.sync` }), `the resource ${INVOKE}.sync`],
    [
      'an argument of invoke',
      task({ Arguments: { FunctionName: 'f', InvocationType: 'Event' } }),
      'the field InvocationType in state "S", Arguments',
    ],
    [
      'a heartbeat without a token',
      task({ HeartbeatSeconds: 5 }),
      'HeartbeatSeconds in the state "S", which waits for no task token',
    ],
    ['a retrier field', task({ Retry: [{ ErrorEquals: ['E'], Delay: 1 }] }), 'the field Delay in state "S", Retry[0]'],
    [
      'a query in a retrier',
      task({ Retry: [{ ErrorEquals: ['E'], MaxAttempts: '{% 1 %}' }] }),
      'a query in the field MaxAttempts in state "S", Retry[0]',
    ],
    [
      'a catcher field',
      task({ Catch: [{ ErrorEquals: ['E'], Next: 'S', ResultPath: '$' }] }),
      'the field ResultPath (JSONPath only) in state "S", Catch[0]',
    ],
    [
      'a choice rule of JSONPath',
      parse({ S: { Type: 'Choice', Choices: [{ Variable: '$.x', Next: 'S' }] } }),
      'the field Variable (JSONPath only) in state "S", Choices[0]',
    ],
    ['an ItemBatcher', distributed({ ItemBatcher: { MaxItemsPerBatch: 2 } }), 'the field ItemBatcher in state "S"'],
    [
      'tolerated failures of an inline map',
      map({ ToleratedFailureCount: 1 }),
      'the field ToleratedFailureCount in state "S"',
    ],
    [
      'the old Iterator',
      one({ Type: 'Map', Iterator: processor, ItemProcessor: processor }),
      'the field Iterator in state "S"',
    ],
    [
      'a reader of CSV',
      distributed({ ItemReader: { ...READER, ReaderConfig: { InputType: 'CSV' } } }),
      'the InputType CSV in state "S", ItemReader, ReaderConfig',
    ],
    [
      'a listing reader',
      distributed({ ItemReader: { ...READER, Resource: 'arn:aws:states:::s3:listObjectsV2' } }),
      'the resource arn:aws:states:::s3:listObjectsV2',
    ],
    [
      'a pointer into a JSON file',
      distributed({ ItemReader: { ...READER, ReaderConfig: { InputType: 'JSON', ItemsPointer: '/a' } } }),
      'the field ItemsPointer in',
    ],
  ])('%s', (_name, parseIt, message) => {
    expect(parseIt).toThrow(UnsupportedDefinitionError);
    expect(parseIt).toThrow(`the local cloud does not run ${message}`);
  });
});

describe('what Step Functions refuses is refused', () => {
  const pass = (fields: JsonObject): JsonObject => ({ Type: 'Pass', ...fields });
  it.each<[string, () => unknown, string]>([
    ['no JSON', () => parseDefinition('{'), 'the definition is no JSON'],
    ['a list', () => parseDefinition('[]'), 'the definition is no JSON object'],
    ['no states', parse({}), 'the state machine: it has no States'],
    [
      'a StartAt that is nowhere',
      parse({ S: pass({ End: true }) }, { StartAt: 'T' }),
      'the state machine: StartAt names no state of it',
    ],
    ['a missing target', parse({ S: pass({ Next: 'T' }) }), 'state "S": it goes to "T", which is no state beside it'],
    [
      'a target outside its branch',
      parse({ S: { Type: 'Parallel', End: true, Branches: [{ StartAt: 'P', States: { P: pass({ Next: 'S' }) } }] } }),
      'state "P": it goes to "S"',
    ],
    ['a missing target of a catcher', task({ Catch: [{ ErrorEquals: ['States.ALL'], Next: 'T' }] }), 'it goes to "T"'],
    [
      'a missing default',
      one({ Type: 'Choice', Choices: [{ Condition: true, Next: 'S' }], Default: 'T', End: true }),
      'the field End in state "S"',
    ],
    ['neither Next nor End', parse({ S: pass({}) }), 'state "S": it wants exactly one of Next and "End": true'],
    ['both Next and End', parse({ S: pass({ Next: 'S', End: true }) }), 'exactly one of Next and "End": true'],
    [
      'an unreachable state',
      parse({ S: pass({ End: true }), T: pass({ End: true }) }),
      'state "T": nothing leads to it',
    ],
    [
      'an end that cannot be reached',
      parse({ S: pass({ Next: 'T' }), T: pass({ Next: 'S' }) }),
      'the state machine: no state that can be reached ends it',
    ],
    [
      'a name twice',
      parse({ S: { Type: 'Parallel', End: true, Branches: [{ StartAt: 'S', States: { S: pass({ End: true }) } }] } }),
      'state "S": its name is not unique',
    ],
    ['a long name', parse({ ['x'.repeat(81)]: pass({ End: true }) }), 'longer than 80 characters'],
    [
      'States.ALL among others',
      task({ Retry: [{ ErrorEquals: ['States.ALL', 'E'] }] }),
      'States.ALL stands alone, and last',
    ],
    [
      'States.ALL before others',
      task({ Retry: [{ ErrorEquals: ['States.ALL'] }, { ErrorEquals: ['E'] }] }),
      'States.ALL stands alone, and last',
    ],
    ['no error names', task({ Retry: [{ ErrorEquals: [] }] }), 'ErrorEquals is a list of error names'],
    [
      'a rate below one',
      task({ Retry: [{ ErrorEquals: ['E'], BackoffRate: 0.5 }] }),
      'BackoffRate is not a number from 1',
    ],
    [
      'half an attempt',
      task({ Retry: [{ ErrorEquals: ['E'], MaxAttempts: 1.5 }] }),
      'MaxAttempts is not a whole number',
    ],
    [
      'a cap below the interval',
      task({ Retry: [{ ErrorEquals: ['E'], IntervalSeconds: 5, MaxDelaySeconds: 5 }] }),
      'MaxDelaySeconds is greater than IntervalSeconds',
    ],
    [
      'an unknown jitter',
      task({ Retry: [{ ErrorEquals: ['E'], JitterStrategy: 'SOME' }] }),
      'JitterStrategy is FULL or NONE',
    ],
    ['a Wait for nothing', one({ Type: 'Wait' }), 'exactly one of Seconds and Timestamp'],
    ['a Wait for both', one({ Type: 'Wait', Seconds: 1, Timestamp: 'x' }), 'exactly one of Seconds and Timestamp'],
    ['a negative Wait', one({ Type: 'Wait', Seconds: -1 }), 'Seconds is not a whole number from 0'],
    [
      'a task without arguments',
      parse({ S: { Type: 'Task', Resource: INVOKE, End: true } }),
      'state "S": it has no Arguments',
    ],
    ['a task without a function', task({ Arguments: {} }), 'its Arguments have no FunctionName'],
    [
      'a query that does not parse',
      one({ Type: 'Pass', Output: '{% ( %}' }),
      'state "S", field Output: the query does not parse',
    ],
    [
      'a query over what is not there yet',
      one({ Type: 'Pass', Output: '{% $states.result %}' }),
      'state "S", field Output: $states.result does not exist there',
    ],
    [
      'an error output outside a catcher',
      task({ Output: { e: '{% $states.errorOutput %}' } }),
      'field Output/e: $states.errorOutput does not exist there',
    ],
    [
      'a result in a catcher',
      task({ Catch: [{ ErrorEquals: ['E'], Next: 'S', Output: '{% $states.result %}' }] }),
      'field Catch[0]/Output: $states.result does not exist there',
    ],
    [
      'a variable called states',
      one({ Type: 'Pass', Assign: { states: 1 } }),
      '"states" cannot be the name of a variable',
    ],
    [
      'an outer variable assigned inside',
      parse({
        A: pass({ Assign: { v: 1 }, Next: 'S' }),
        S: {
          Type: 'Map',
          End: true,
          ItemProcessor: { StartAt: 'P', States: { P: pass({ Assign: { v: 2 }, End: true }) } },
        },
      }),
      'state "P": it assigns $v, which belongs to an enclosing scope',
    ],
    [
      'an execution type inline',
      map({ ItemProcessor: { ...processor, ProcessorConfig: { Mode: 'INLINE', ExecutionType: 'STANDARD' } } }),
      'ExecutionType belongs to DISTRIBUTED',
    ],
    [
      'no execution type distributed',
      map({ ItemProcessor: { ...processor, ProcessorConfig: { Mode: 'DISTRIBUTED' } } }),
      'ExecutionType is STANDARD or EXPRESS',
    ],
    ['an empty writer', distributed({ ResultWriter: {} }), 'state "S", ResultWriter: it is empty'],
    [
      'a reader and items',
      distributed({ Items: [1], ItemReader: { ...READER, ReaderConfig: { InputType: 'JSONL' } } }),
      'it has both Items and an ItemReader',
    ],
    ['a long label', distributed({ Label: 'x'.repeat(41) }), 'Label has at most 40 characters'],
    [
      'a token in an express execution',
      map({
        ItemProcessor: {
          ProcessorConfig: { Mode: 'DISTRIBUTED', ExecutionType: 'EXPRESS' },
          StartAt: 'T',
          States: {
            T: { Type: 'Task', Resource: `${INVOKE}.waitForTaskToken`, Arguments: { FunctionName: 'f' }, End: true },
          },
        },
      }),
      'state "T": express executions cannot wait for a task token',
    ],
    ['no processor', one({ Type: 'Map' }), 'state "S", ItemProcessor: it is no object'],
    ['no branches', one({ Type: 'Parallel' }), 'state "S": it has no Branches'],
  ])('%s', (_name, parseIt, message) => {
    expect(parseIt).toThrow(message);
  });

  it('tells them from what is not implemented', () => {
    expect(parse({ S: { Type: 'Pass', Next: 'T' } })).toThrow(InvalidDefinitionError);
  });

  it('refuses a state that is no object', () => {
    expect(parse({ S: 7 as Json })).toThrow('state "S": it is no object');
  });
});
