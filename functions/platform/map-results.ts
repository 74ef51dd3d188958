import { z } from 'zod';
import { PermanentError } from './errors.ts';
import { readBytes, readChunks, readObject } from './s3.ts';

/** The results of a distributed map cannot be read as Step Functions documents them. */
export class MapResultsUnreadableError extends PermanentError {}

const ResultFile = z.object({ Key: z.string() });
const ResultManifest = z.object({
  DestinationBucket: z.string(),
  ResultFiles: z.object({
    SUCCEEDED: z.array(ResultFile),
    FAILED: z.array(ResultFile),
    PENDING: z.array(ResultFile),
  }),
});

/**
 * The outputs of a distributed map's children that succeeded, as its result writer left them (`COMPACT`, `JSONL`).
 * Children that failed are not in it: the caller compares with what it expects.
 * https://docs.aws.amazon.com/step-functions/latest/dg/input-output-resultwriter.html
 * @param key the writer's manifest, `ResultWriterDetails.Key` of the map's output.
 */
export async function* readMapResults<T extends z.ZodType>(
  bucket: string,
  key: string,
  schema: T,
): AsyncGenerator<z.output<T>> {
  const { ResultFiles } = parse(ResultManifest, await readBytes(bucket, key), key);
  for (const file of ResultFiles.SUCCEEDED) {
    for await (const line of readLines(bucket, file.Key)) {
      if (line !== '') yield parse(schema, line, file.Key);
    }
  }
}

/** The lines of a file that may be too large to be held as a whole: Step Functions writes up to 5 GB into one. */
async function* readLines(bucket: string, key: string): AsyncGenerator<string> {
  const { body } = await readObject(bucket, key);
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of readChunks(`s3://${bucket}/${key}`, body)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  yield rest + decoder.decode();
}

/** The items that were written for a distributed map, one JSON value a line. */
export async function readItems<T extends z.ZodType>(bucket: string, key: string, schema: T): Promise<z.output<T>[]> {
  const lines = (await readBytes(bucket, key)).toString('utf8').split('\n');
  return lines.filter(line => line !== '').map(line => parse(schema, line, key));
}

function parse<T extends z.ZodType>(schema: T, json: string | Buffer, key: string): z.output<T> {
  try {
    return schema.parse(JSON.parse(json.toString('utf8')));
  } catch (cause) {
    throw new MapResultsUnreadableError(
      `work file ${key} does not hold what the workflow writes; run the workflow again`,
      {
        cause,
      },
    );
  }
}
