import type { DefinitionContext, parseGraph } from './definition.ts';
import { FieldReader } from './fields.ts';
import type { DistributedMap, Graph, ItemReader, MapState, ResultWriter } from './graph.ts';
import type { Json } from './json.ts';
import { InvalidDefinitionError, UnsupportedDefinitionError } from './query.ts';

type MapFields = Pick<MapState, 'processor' | 'items' | 'itemSelector' | 'maxConcurrency' | 'distributed'>;

const INLINE = ['Items', 'ItemSelector', 'ItemProcessor', 'MaxConcurrency'];
const DISTRIBUTED = ['ItemReader', 'ResultWriter', 'ToleratedFailureCount', 'ToleratedFailurePercentage', 'Label'];

/**
 * The fields of a Map state, inline or distributed.
 * https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
 * @param parseProcessor parses the graph that runs for each item.
 */
export function parseMap(
  fields: FieldReader,
  name: string,
  context: DefinitionContext,
  common: readonly string[],
  parseProcessor: typeof parseGraph,
): MapFields {
  const processor = new FieldReader(fields.value('ItemProcessor') ?? null, `state "${name}", ItemProcessor`);
  processor.allow('Comment', 'ProcessorConfig', 'StartAt', 'States');
  const config = fields.inside(processor.value('ProcessorConfig') ?? {}, 'ProcessorConfig');
  config.allow('Mode', 'ExecutionType');
  const mode = config.text('Mode') ?? 'INLINE';
  const executionType = config.text('ExecutionType');
  if (mode !== 'INLINE' && mode !== 'DISTRIBUTED') throw new InvalidDefinitionError(`${config.where}: Mode is unknown`);
  const isDistributed = mode === 'DISTRIBUTED';
  if (!isDistributed && executionType !== undefined) {
    throw new InvalidDefinitionError(`${config.where}: ExecutionType belongs to DISTRIBUTED`);
  }
  if (isDistributed && executionType !== 'STANDARD' && executionType !== 'EXPRESS') {
    throw new InvalidDefinitionError(`${config.where}: ExecutionType is STANDARD or EXPRESS`);
  }
  fields.allow(...common, ...INLINE, ...(isDistributed ? DISTRIBUTED : []));
  const graph: Graph = parseProcessor(processor, {
    ...context,
    path: `state "${name}", ItemProcessor`,
    express: context.express || executionType === 'EXPRESS',
    // Distributed children run as executions of their own, where no outer variable exists.
    outerVariables: isDistributed ? new Set() : context.outerVariables,
  });
  const distributed = isDistributed ? parseDistributed(fields, name, executionType === 'EXPRESS') : undefined;
  if (distributed?.reader !== undefined && fields.value('Items') !== undefined) {
    throw new InvalidDefinitionError(`state "${name}": it has both Items and an ItemReader`);
  }
  return {
    processor: graph,
    items: fields.template('Items'),
    itemSelector: fields.template('ItemSelector'),
    maxConcurrency: fields.number('MaxConcurrency', 0),
    distributed,
  };
}

function parseDistributed(fields: FieldReader, name: string, express: boolean): DistributedMap {
  const label = fields.text('Label');
  if (label !== undefined && !/^[^\s<>{}[\]?*"#%\\^|~`$&,;:/]{1,40}$/.test(label)) {
    throw new InvalidDefinitionError(`state "${name}": Label has at most 40 characters, without special ones`);
  }
  return {
    label: label ?? name.replaceAll(/[^\w-]/g, '').slice(0, 40),
    express,
    toleratedFailureCount: fields.number('ToleratedFailureCount', 0),
    toleratedFailurePercentage: fields.number('ToleratedFailurePercentage', 0, { most: 100, fraction: true }),
    reader: parseReader(fields),
    writer: parseWriter(fields),
  };
}

function parseReader(fields: FieldReader): ItemReader | undefined {
  const definition = fields.value('ItemReader');
  if (definition === undefined) return undefined;
  const reader = fields.inside(definition, 'ItemReader');
  reader.allow('Resource', 'Arguments', 'ReaderConfig');
  const resource = reader.text('Resource');
  if (resource !== 'arn:aws:states:::s3:getObject') {
    throw new UnsupportedDefinitionError(`the resource ${String(resource)} in ${reader.where}`);
  }
  const config = reader.inside(reader.value('ReaderConfig') ?? {}, 'ReaderConfig');
  config.allow('InputType', 'MaxItems');
  const inputType = config.text('InputType');
  if (inputType !== 'JSON' && inputType !== 'JSONL') {
    throw new UnsupportedDefinitionError(`the InputType ${String(inputType)} in ${config.where}`);
  }
  const args = bucketArguments(reader, 'Key');
  return { inputType, maxItems: config.number('MaxItems', 0, { most: 100_000_000 }), arguments: args };
}

function parseWriter(fields: FieldReader): ResultWriter | undefined {
  const definition = fields.value('ResultWriter');
  if (definition === undefined) return undefined;
  const writer = fields.inside(definition, 'ResultWriter');
  writer.allow('Resource', 'Arguments', 'WriterConfig');
  const resource = writer.text('Resource');
  const configured = writer.value('WriterConfig');
  if (resource === undefined && configured === undefined) {
    throw new InvalidDefinitionError(`${writer.where}: it is empty`);
  }
  if (resource !== undefined && resource !== 'arn:aws:states:::s3:putObject') {
    throw new UnsupportedDefinitionError(`the resource ${resource} in ${writer.where}`);
  }
  const config = writer.inside(configured ?? { Transformation: 'NONE', OutputType: 'JSON' }, 'WriterConfig');
  config.allow('Transformation', 'OutputType');
  return {
    arguments: resource === undefined ? undefined : bucketArguments(writer, 'Prefix'),
    transformation: oneOf(config, 'Transformation', ['NONE', 'COMPACT', 'FLATTEN']),
    outputType: oneOf(config, 'OutputType', ['JSON', 'JSONL']),
  };
}

function oneOf<T extends string>(config: FieldReader, field: string, values: readonly T[]): T {
  const value = config.text(field);
  const found = values.find(one => one === value);
  if (found === undefined) throw new InvalidDefinitionError(`${config.where}: ${field} is one of ${values.join(', ')}`);
  return found;
}

function bucketArguments(reader: FieldReader, second: 'Key' | 'Prefix') {
  const args: Json | undefined = reader.value('Arguments');
  if (typeof args !== 'string') {
    const inside = reader.inside(args ?? null, 'Arguments');
    inside.allow('Bucket', second);
    if (inside.value('Bucket') === undefined || (second === 'Key' && inside.value('Key') === undefined)) {
      throw new InvalidDefinitionError(`${inside.where}: it wants a Bucket and a ${second}`);
    }
  }
  const evaluate = reader.template('Arguments');
  if (evaluate === undefined) throw new InvalidDefinitionError(`${reader.where}: it has no Arguments`);
  return evaluate;
}
