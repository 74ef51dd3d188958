import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { describeSkipped, isInstalled, PROGRAMS, titleWith } from './fixtures/programs.ts';

it('finds a program where the PATH has it, and can run it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'daybreak-programs-'));
  const path = `/nowhere:${folder}`;
  expect(isInstalled('zsh', path)).toBe(false);
  writeFileSync(join(folder, 'zsh'), '');
  chmodSync(join(folder, 'zsh'), 0o755);
  expect(isInstalled('zsh', path)).toBe(true);
  rmSync(folder, { recursive: true });
});

it('says of a skipped test which program it lacked', () => {
  expect(describeSkipped([`${titleWith('zsh', 'completion')} offers a`, 'folders (the superuser may)'])).toEqual([
    'skipped, without the program zsh (Debian: zsh): completion [needs zsh] offers a',
    'skipped: folders (the superuser may)',
  ]);
});

it('names no program that no test needs', () => {
  const tests = globSync('test/**/*.test.ts').map(file => readFileSync(file, 'utf8'));
  for (const program of Object.keys(PROGRAMS)) {
    expect(tests.some(text => text.includes(`skipIf(!isInstalled('${program}'))(titleWith('${program}', `))).toBe(true);
  }
});
