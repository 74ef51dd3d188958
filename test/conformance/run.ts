/** `npm run conformance`: see `arguments.ts`. */
import { EXIT, readArguments, USAGE, UsageError } from './arguments.ts';
import { UnreachableError } from './case.ts';
import { cleanUpAll, runConformance } from './conformance.ts';
import { connectLocal, connectOutside } from './connect.ts';
import { permissionPolicy, ROLE_POLICIES } from './permissions.ts';

async function run(parameters: readonly string[]): Promise<number> {
  const asked = readArguments(parameters);
  if (asked.action === 'help') {
    print(USAGE);
    return EXIT.same;
  }
  if (asked.action === 'print-policy') {
    print(JSON.stringify(permissionPolicy(asked), null, 2));
    if (asked.roleArn !== undefined) print(`The role of --role:\n${JSON.stringify(ROLE_POLICIES, null, 2)}`);
    return EXIT.same;
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

try {
  process.exitCode = await run(process.argv.slice(2));
} catch (error) {
  const message = (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ');
  process.stderr.write(`conformance: ${message}\n`);
  process.exitCode =
    error instanceof UsageError ? EXIT.usage : error instanceof UnreachableError ? EXIT.unreachable : EXIT.different;
}
