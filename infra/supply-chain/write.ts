/**
 * `npm run sbom`: writes below `sbom/`, or the folder after `--output`, what is in the functions' bundles (`shipped.cdx.json`) and everything that is
 * installed to build and test them (`toolchain.cdx.json`), in CycloneDX, and the notices that go with the bundles.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { STEPS } from '../access/role-names.ts';
import { BillOfMaterials, narrowBill } from './bill-of-materials.ts';
import { findForbiddenLicences, writeNotices } from './licences.ts';
import { findShippedPackages } from './shipped-packages.ts';

const root = join(import.meta.dirname, '../..');
const { values } = parseArgs({ options: { output: { type: 'string', default: 'sbom' } } });
const directory = resolve(values.output);
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
mkdirSync(directory, { recursive: true });
const write = (file: string, text: string) => writeFileSync(join(directory, file), text);
write('toolchain.cdx.json', `${JSON.stringify(toolchain, null, 2)}\n`);
write('shipped.cdx.json', `${JSON.stringify(narrowBill(toolchain, packages), null, 2)}\n`);
write('THIRD-PARTY-NOTICES.txt', writeNotices(packages));
for (const forbidden of findForbiddenLicences(packages)) {
  process.stderr.write(`${forbidden}\n`);
  process.exitCode = 1;
}
process.stdout.write(
  `${packages.length} packages are shipped, ${toolchain.components.length} are installed; written to ${directory}\n`,
);
