import { parseArgs } from 'node:util';
import { DatabaseUser } from '../../functions/contracts/configuration.ts';
import { readerGrants } from '../../functions/platform/database-grants.ts';
import { EXIT, parse, UsageError } from './usage.ts';

/** `daybreak database grant-sql`. Prints the SQL that an administrator runs once in each protected database. */
export async function printGrants(parameters: string[]): Promise<number> {
  const options = { reader: { type: 'string', default: 'daybreak_reader' } } as const;
  const { values } = parse(() => parseArgs({ args: parameters, options }));
  const reader = DatabaseUser.safeParse(values.reader);
  if (!reader.success) {
    throw new UsageError(`--reader ${JSON.stringify(values.reader)}: ${reader.error.issues[0]?.message}`);
  }
  process.stdout.write(readerGrants(reader.data));
  return EXIT.done;
}
