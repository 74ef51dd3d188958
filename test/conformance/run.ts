/** `npm run conformance`: see `arguments.ts`. */
import { EXIT } from '../../infra/command-line/failure.ts';
import { runProgram } from '../../infra/command-line/program.ts';
import { type ConformanceArguments, createConformance } from './arguments.ts';
import { UnreachableError } from './case.ts';

await runProgram(createConformance(run), process.argv.slice(2), ({ kind, text }, error) => {
  if (kind === 'usage') return { exitCode: EXIT.usage, text };
  if (kind === 'unreachable') return { exitCode: EXIT.unreachable, text };
  return error instanceof UnreachableError
    ? { exitCode: EXIT.unreachable, text: error.message }
    : { exitCode: EXIT.failed, text };
});

async function run(asked: ConformanceArguments): Promise<number> {
  // Loaded only for a sound command line: the local cloud takes its time to load.
  const [{ cleanUpAll, runConformance }, { connectLocal, connectOutside }, { permissionPolicy, ROLE_POLICIES }] =
    await Promise.all([import('./conformance.ts'), import('./connect.ts'), import('./permissions.ts')]);
  if (asked.action === 'print-policy') {
    print(JSON.stringify(permissionPolicy(asked), null, 2));
    if (asked.roleArn !== undefined) print(`The role of --role:\n${JSON.stringify(ROLE_POLICIES, null, 2)}`);
    return EXIT.done;
  }
  const connection =
    asked.target === 'local' ? await connectLocal() : connectOutside({ ...asked, environment: process.env });
  let interrupted = false;
  process.once('SIGINT', () => {
    interrupted = true;
    print('Interrupted: the present case ends, then everything is removed');
  });
  try {
    if (asked.action === 'clean-up') return await cleanUpAll(connection, print);
    return await runConformance(connection, asked, { print, stopped: () => interrupted });
  } finally {
    await connection.close();
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}
