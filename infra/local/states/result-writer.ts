import { PutObjectCommand } from '@aws-sdk/client-s3';
import { describeError } from '../../../functions/platform/errors.ts';
import { StateFailure } from '../../workflows/language/failure.ts';
import type { ResultWriter } from '../../workflows/language/graph.ts';
import { isObject, type Json, type JsonObject } from '../../workflows/language/json.ts';
import type { MapChild } from './distributed-map.ts';
import type { Execution } from './execution.ts';
import type { Attempt, Interpreter } from './interpreter.ts';

/**
 * The results of a map run as a list: `NONE`, each with its execution's data; `COMPACT`, the outputs; `FLATTEN`, the
 * outputs with lists among them opened. What did not succeed stands as under `NONE`.
 */
export function transformResults(
  children: readonly MapChild[],
  transformation: ResultWriter['transformation'],
): readonly Json[] {
  return children.flatMap((child): readonly Json[] => {
    const { execution } = child;
    if (execution?.status !== 'SUCCEEDED' || transformation === 'NONE') return [describeChild(child)];
    const output = execution.output ?? null;
    return transformation === 'FLATTEN' && Array.isArray(output) ? (output as readonly Json[]) : [output];
  });
}

/**
 * Writes the results of a map run to S3, one file for each status, and a manifest that lists them.
 * @returns the result of the Map state.
 * @throws StateFailure `States.ResultWriterFailed`.
 * https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
 */
export async function writeResults(
  interpreter: Interpreter,
  writer: ResultWriter,
  children: readonly MapChild[],
  mapRunArn: string,
  attempt: Attempt,
): Promise<Json> {
  const { clock, s3 } = interpreter.surroundings;
  const args = await writer.arguments?.(interpreter.environment(attempt));
  const { Bucket: bucket, Prefix: prefix = '' } = isObject(args) ? args : {};
  if (typeof bucket !== 'string' || typeof prefix !== 'string') {
    throw new StateFailure('States.ResultWriterFailed', 'The Arguments of the ResultWriter hold no Bucket.');
  }
  const client = s3(attempt.frame.execution.roleArn);
  const uuid = mapRunArn.slice(mapRunArn.lastIndexOf(':') + 1);
  const folder = `${prefix === '' || prefix.endsWith('/') ? prefix : `${prefix}/`}${uuid}`;
  const put = async (name: string, body: string): Promise<{ Key: string; Size: number }> => {
    const key = `${folder}/${name}`;
    await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body, ContentType: 'application/json' }));
    return { Key: key, Size: Buffer.byteLength(body) };
  };
  const write = async (name: string, members: readonly MapChild[]) => {
    if (members.length === 0) return [];
    const results = transformResults(members, writer.transformation);
    const isLines = writer.outputType === 'JSONL';
    const body = isLines ? results.map(result => `${JSON.stringify(result)}\n`).join('') : JSON.stringify(results);
    return [await put(`${name}_0.${isLines ? 'jsonl' : 'json'}`, body)];
  };
  try {
    return await clock.busy(async () => {
      const files = {
        FAILED: await write(
          'FAILED',
          children.filter(({ execution }) => isFailed(execution)),
        ),
        PENDING: await write(
          'PENDING',
          children.filter(({ execution }) => execution === undefined),
        ),
        SUCCEEDED: await write(
          'SUCCEEDED',
          children.filter(({ execution }) => execution?.status === 'SUCCEEDED'),
        ),
      };
      const manifest = { DestinationBucket: bucket, MapRunArn: mapRunArn, ResultFiles: files };
      const { Key } = await put('manifest.json', JSON.stringify(manifest));
      return { MapRunArn: mapRunArn, ResultWriterDetails: { Bucket: bucket, Key } };
    });
  } catch (cause) {
    throw new StateFailure('States.ResultWriterFailed', `The results could not be written: ${describeError(cause)}`, {
      cause,
    });
  }
}

function isFailed(execution: Execution | undefined): boolean {
  return execution !== undefined && execution.status !== 'SUCCEEDED';
}

function describeChild({ input, execution }: MapChild): JsonObject {
  const given = { Input: JSON.stringify(input), InputDetails: { Included: true } };
  if (execution === undefined) return { ...given, Status: 'PENDING' };
  return {
    ExecutionArn: execution.arn,
    ...given,
    Name: execution.name,
    ...(execution.status === 'SUCCEEDED' && {
      Output: JSON.stringify(execution.output),
      OutputDetails: { Included: true },
    }),
    ...(execution.error !== undefined && { Error: execution.error }),
    ...(execution.cause !== undefined && { Cause: execution.cause }),
    StartDate: execution.startDate.toISOString(),
    StateMachineArn: execution.stateMachineArn,
    Status: execution.status,
    ...(execution.stopDate && { StopDate: execution.stopDate.toISOString() }),
  };
}
