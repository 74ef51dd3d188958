/** The operator asked for something that cannot be done: one line says what to change; exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** What `read` makes of a command line. @throws UsageError for what it refuses. */
export function parse<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError(`${error instanceof Error ? error.message.split(/[.\n]/)[0] : error}; see daybreak help`);
  }
}

/** Exit codes of every `daybreak` command. */
export const EXIT = { done: 0, broken: 1, usage: 2, unreachable: 3 } as const;

export const USAGE = `daybreak: operate and check Daybreak

  daybreak evidence verify [--json] TARGET        check the whole ledger: every entry, head and segment
  daybreak evidence show [--limit N] [--json] TARGET
                                                  list the newest entries, newest last (20 unless N is given)
  daybreak database grant-sql [--reader NAME]     print the SQL that lets the reader in: an administrator runs it once in
                                                  each protected database (daybreak_reader unless NAME is given)
  daybreak deploy permissions [--configuration FILE] [--output DIR]
                                                  write the IAM policies that deploying takes, and print the commands
                                                  that create them (deployer-policies unless DIR is given)
  daybreak deploy key-statements [--configuration FILE]
                                                  print the statements that the policies of your own keys need
  daybreak help                                   this text

TARGET, one of
  --local [DIR]                                   the state that the last \`npm start\` left (.daybreak);
                                                  without any TARGET too, where it is there
  --evidence-bucket NAME --ledger-key ARN --entry-key ARN [--signing-key ARN]
                                                  an AWS account, with the default credentials; eu-west-2. The keys of
                                                  heads and entries, and the one that earlier releases signed heads
                                                  with (show needs no key)
                                                  (AWS_ENDPOINT_URL asks a local cloud that is running instead)

Exit codes
  0  done; for verify: the ledger is verified
  1  the ledger is broken: see runbooks/ledger-broken.md
  2  the command or its target is not right; one line says what to change
  3  AWS or the local state could not be reached or refused; nothing was found out
`;
