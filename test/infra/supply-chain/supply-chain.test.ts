import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { STEPS } from '../../../infra/access/role-names.ts';
import { BillOfMaterials, narrowBill } from '../../../infra/supply-chain/bill-of-materials.ts';
import { findForbiddenLicences, writeNotices } from '../../../infra/supply-chain/licences.ts';
import { findShippedPackages, identityOf, type ShippedPackage } from '../../../infra/supply-chain/shipped-packages.ts';

const root = join(import.meta.dirname, '../../..');
const directory = mkdtempSync(join(tmpdir(), 'daybreak-supply-chain-'));
afterAll(() => rmSync(directory, { recursive: true }));

const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  dependencies: Record<string, string>;
};
let shipped: ShippedPackage[];
beforeAll(async () => {
  shipped = await findShippedPackages(
    STEPS.map(step => `functions/${step}.ts`),
    root,
  );
}, 60_000);

describe('what is shipped', () => {
  it('is found from the bundles, with what dependencies bring along', () => {
    const names = shipped.map(({ name }) => name);
    expect(names).toEqual(
      expect.arrayContaining(['@aws-sdk/client-s3', '@smithy/core', 'pg', 'pg-protocol', 'zod', '@aws-sdk/rds-signer']),
    );
    expect(names).not.toContain('aws-cdk-lib');
    for (const { name, version } of shipped) {
      if (dependencies[name] !== undefined) expect([name, version]).toEqual([name, dependencies[name]]);
    }
  });

  it('is under licences that are allowed', () => {
    expect(findForbiddenLicences(shipped)).toEqual([]);
  });

  it('is named with its notices', () => {
    const notices = writeNotices(shipped);
    for (const one of shipped) {
      expect(notices).toContain(identityOf(one));
      for (const text of one.notices) expect(notices).toContain(text);
    }
    expect(notices).toContain('Brian Carlson');
  });
});

describe('npm run sbom', () => {
  it('writes everything that is shipped, and apart from it everything that is installed', () => {
    const output = join(directory, 'written');
    const said = execFileSync(process.execPath, ['infra/supply-chain/write.ts', '--output', output], {
      cwd: root,
      encoding: 'utf8',
    });
    expect(said).toContain(`${shipped.length} packages are shipped, `);
    expect(said).toContain(` are installed; written to ${output}\n`);
    const read = (file: string) => BillOfMaterials.parse(JSON.parse(readFileSync(join(output, file), 'utf8')));
    const bill = read('shipped.cdx.json');
    expect(bill).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.5' });
    expect(bill.metadata.component).toMatchObject({ name: 'daybreak', version: '0.1.0' });
    expect(bill.components.map(identityOf).sort()).toEqual(shipped.map(identityOf).sort());
    for (const component of bill.components) {
      expect(component).toMatchObject({
        purl: expect.stringMatching(/^pkg:npm\//),
        hashes: [{ alg: 'SHA-512', content: expect.stringMatching(/^[0-9a-f]{128}$/) }],
        licenses: expect.anything(),
      });
    }
    const refs = new Set([bill.metadata.component, ...bill.components].map(component => component['bom-ref']));
    for (const { ref, dependsOn } of bill.dependencies) {
      for (const one of [ref, ...dependsOn]) expect(refs).toContain(one);
    }
    const names = read('toolchain.cdx.json').components.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['aws-cdk-lib', 'typescript', 'vitest', 'pg']));
    expect(readFileSync(join(output, 'THIRD-PARTY-NOTICES.txt'), 'utf8')).toBe(writeNotices(shipped));
  }, 60_000);
});

describe('a planted package', () => {
  const plant = async (declared: Record<string, unknown>, files: Record<string, string> = {}) => {
    const project = mkdtempSync(join(directory, 'project-'));
    const inside = join(project, 'node_modules/@planted/thing');
    mkdirSync(inside, { recursive: true });
    for (const [file, text] of Object.entries(files)) writeFileSync(join(inside, file), text);
    writeFileSync(
      join(inside, 'package.json'),
      JSON.stringify({ name: '@planted/thing', version: '1.2.3', ...declared }),
    );
    writeFileSync(join(inside, 'index.js'), 'export const answer = 42;');
    writeFileSync(join(project, 'step.ts'), "export { answer } from '@planted/thing';");
    return findShippedPackages(['step.ts'], project);
  };

  it.each([
    [{ license: 'GPL-3.0-only' }, ['@planted/thing@1.2.3 is shipped under GPL-3.0-only']],
    [{ license: '(MIT OR GPL-3.0-only)' }, ['@planted/thing@1.2.3 is shipped under (MIT OR GPL-3.0-only)']],
    [{ license: 'SEE LICENSE IN terms.txt' }, ['@planted/thing@1.2.3 is shipped under SEE LICENSE IN terms.txt']],
    [{}, ['@planted/thing@1.2.3 is shipped under no licence']],
    [{ license: 'MIT' }, []],
  ])('of %j is told', async (declared, problems) => {
    expect(findForbiddenLicences(await plant(declared))).toEqual(problems);
  });

  it('gets its notices told, or what it declares where it has none', async () => {
    const files = { LICENSE: 'Copyright: the planter', 'NOTICE.md': 'Mind the thing.' };
    expect(writeNotices(await plant({ license: 'MIT' }, files))).toBe(
      `@planted/thing@1.2.3\n\nCopyright: the planter\n\n${'-'.repeat(80)}\n\n@planted/thing@1.2.3\n\nMind the thing.\n`,
    );
    expect(writeNotices(await plant({ license: 'MIT', author: { name: 'A. Planter' } }))).toBe(
      '@planted/thing@1.2.3\n\nLicence: MIT, as its package.json says; the package holds no text of it.\nAuthor: A. Planter\n',
    );
  });

  it('that the bill of materials does not name is an error', async () => {
    const bill = {
      bomFormat: 'CycloneDX' as const,
      metadata: { component: { 'bom-ref': 'daybreak@0.1.0', name: 'daybreak', version: '0.1.0' } },
      components: [],
      dependencies: [],
    };
    const packages = await plant({ license: 'MIT' });
    expect(() => narrowBill(bill, packages)).toThrow(
      "npm's bill of materials does not name @planted/thing@1.2.3; install with npm ci",
    );
  });
});
