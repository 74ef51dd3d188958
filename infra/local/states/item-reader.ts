import { GetObjectCommand } from '@aws-sdk/client-s3';
import { describeError } from '../../../functions/platform/errors.ts';
import { StateFailure } from '../../workflows/language/failure.ts';
import type { ItemReader } from '../../workflows/language/graph.ts';
import { isObject, type Json } from '../../workflows/language/json.ts';
import type { Attempt, Interpreter } from './interpreter.ts';

/**
 * Reads the items of a distributed map from an S3 object, under the state machine's role.
 * @throws StateFailure `States.ItemReaderFailed`.
 * https://docs.aws.amazon.com/step-functions/latest/dg/input-output-itemreader.html
 */
export async function readItems(
  interpreter: Interpreter,
  reader: ItemReader,
  attempt: Attempt,
): Promise<{ items: readonly Json[]; source: string }> {
  const { clock, s3 } = interpreter.surroundings;
  const environment = interpreter.environment(attempt);
  const args = await reader.arguments(environment);
  const maxItems = (await reader.maxItems?.(environment)) as number | undefined;
  const { Bucket, Key } = isObject(args) ? args : {};
  if (typeof Bucket !== 'string' || typeof Key !== 'string') throw failure('its Arguments hold no Bucket and Key');
  let text: string;
  try {
    text = await clock.busy(async () => {
      const object = await s3(attempt.frame.execution.roleArn).send(new GetObjectCommand({ Bucket, Key }));
      return (await object.Body?.transformToString()) ?? '';
    });
  } catch (cause) {
    throw failure(describeError(cause), cause);
  }
  const items = reader.inputType === 'JSONL' ? parseLines(text) : parseList(text);
  return { items: maxItems ? items.slice(0, maxItems) : items, source: `S3://${Bucket}/${Key}` };
}

function parseLines(text: string): Json[] {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as Json;
    } catch (cause) {
      throw failure(`line ${index + 1} of the object is no JSON`, cause);
    }
  });
}

function parseList(text: string): Json[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch (cause) {
    throw failure('the object is no JSON', cause);
  }
  if (!Array.isArray(parsed)) throw failure('the local cloud reads only JSON files that hold a list');
  return parsed as Json[];
}

function failure(what: string, cause?: unknown): StateFailure {
  return new StateFailure('States.ItemReaderFailed', `The items could not be read: ${what}`, { cause });
}
