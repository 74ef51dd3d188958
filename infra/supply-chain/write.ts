/** `npm run sbom`: see its help. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { STEPS } from '../access/role-names.ts';
import { EXIT } from '../command-line/failure.ts';
import { createProgram, runProgram, whenRun } from '../command-line/program.ts';
import { requireWritableDirectory } from '../command-line/writable.ts';
import { BillOfMaterials, narrowBill } from './bill-of-materials.ts';
import { findForbiddenLicences, writeNotices } from './licences.ts';
import { findShippedPackages } from './shipped-packages.ts';

const root = join(import.meta.dirname, '../..');
const program = createProgram(
  'npm run sbom',
  "Writes what is in the functions' bundles (shipped.cdx.json) and everything that is installed to build and test them (toolchain.cdx.json), in CycloneDX, and the notices that go with the bundles.",
)
  .option('--output <directory>', 'where to write them', 'sbom')
  .addHelpText(
    'after',
    '\nExample:\n  npm run sbom -- --output /tmp/sbom\n\nExit code 1: a licence is in the bundles that may not be',
  );
await runProgram(whenRun<{ output: string }>(program, write), process.argv.slice(2));

async function write({ output }: { output: string }): Promise<number> {
  const directory = resolve(output);
  requireWritableDirectory('--output', directory);
  const packages = await findShippedPackages(
    STEPS.map(step => `functions/${step}.ts`),
    root,
  );
  const printed = execFileSync('npm', ['sbom', '--sbom-format', 'cyclonedx'], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const toolchain = BillOfMaterials.parse(JSON.parse(printed));
  // npm calls it after the folder that it lies in.
  toolchain.metadata.component.name = 'daybreak';
  const writeOne = (file: string, text: string) => writeFileSync(join(directory, file), text);
  writeOne('toolchain.cdx.json', `${JSON.stringify(toolchain, null, 2)}\n`);
  writeOne('shipped.cdx.json', `${JSON.stringify(narrowBill(toolchain, packages), null, 2)}\n`);
  writeOne('THIRD-PARTY-NOTICES.txt', writeNotices(packages));
  const forbidden = findForbiddenLicences(packages);
  for (const line of forbidden) process.stderr.write(`${line}\n`);
  process.stdout.write(
    `${packages.length} packages are shipped, ${toolchain.components.length} are installed; written to ${directory}\n`,
  );
  return forbidden.length === 0 ? EXIT.done : EXIT.failed;
}
