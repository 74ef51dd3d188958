import { Option } from 'commander';
import { DatabaseUser } from '../../functions/contracts/configuration.ts';
import { readerGrants } from '../../functions/platform/database-grants.ts';
import { EXIT, UsageError } from '../../infra/command-line/failure.ts';
import type { Answer, Verb, VerbGroup } from './verb.ts';

const grantSql: Verb<{ reader: string }> = {
  name: 'grant-sql',
  summary: 'print the SQL that lets the reader in: an administrator runs it once in each protected database',
  examples: [
    { command: 'daybreak database grant-sql', what: 'for daybreak_reader' },
    { command: 'daybreak database grant-sql --reader backup_reader', what: 'for a reader of another name' },
  ],
  options: [new Option('--reader <name>', 'the name of the reader in the database').default('daybreak_reader')],
  run: printGrants,
};

export const database: VerbGroup = { name: 'database', summary: 'prepare a database', verbs: [grantSql] };

async function printGrants({ reader }: { reader: string }): Promise<Answer> {
  const user = DatabaseUser.safeParse(reader);
  if (!user.success) throw new UsageError(`--reader ${JSON.stringify(reader)}: ${user.error.issues[0]?.message}`);
  const sql = readerGrants(user.data);
  return { exitCode: EXIT.done, data: { reader: user.data, sql }, text: () => sql.trimEnd() };
}
