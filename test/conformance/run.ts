/** `npm run conformance`: see `arguments.ts`. */
import { EXIT } from '../../infra/command-line/failure.ts';
import { runProgram } from '../../infra/command-line/program.ts';
import { type ConformanceArguments, createConformance } from './arguments.ts';
import { UnreachableError } from './case.ts';
import { cleanUpAll, runConformance } from './conformance.ts';
import { connectLocal, connectOutside } from './connect.ts';
import { permissionPolicy, ROLE_POLICIES } from './permissions.ts';

await runProgram(createConformance(run), process.argv.slice(2), ({ kind, text }, error) => {
  if (kind === 'usage') return { exitCode: EXIT.usage, text };
  if (error instanceof UnreachableError) return { exitCode: EXIT.unreachable, text: error.message };
  return { exitCode: kind === 'unreachable' ? EXIT.unreachable : EXIT.failed, text };
});

async function run(asked: ConformanceArguments): Promise<number> {
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
