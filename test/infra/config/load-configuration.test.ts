import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigurationError } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { loadConfiguration } from '../../../infra/config/load-configuration.ts';

const directory = mkdtempSync(join(tmpdir(), 'daybreak-configuration-'));
afterAll(() => rmSync(directory, { recursive: true }));

function written(name: string, content: string): string {
  const file = join(directory, name);
  writeFileSync(file, content);
  return file;
}

describe('loading a configuration', () => {
  it('reads the example as it is named on the command line', async () => {
    expect(await loadConfiguration('infra/config/example.ts')).toBe(exampleConfiguration);
  });

  it.each([
    ['supplier.json', '{ "account": "1" }'],
    ['default.ts', 'const account: string = "1"; export default { account };'],
    ['named.ts', 'export const configuration = { account: "1" };'],
    ['module.mjs', 'export default { account: "1" };'],
  ])('reads %s', async (name, content) => {
    expect(await loadConfiguration(written(name, content))).toEqual({ account: '1' });
  });

  it.each([
    ['nothing.ts', 'const account = "1";', 'must export one thing, the configuration'],
    ['two.ts', 'export const one = {}; export const two = {};', 'must export one thing, the configuration'],
    ['broken.json', '{ "account": ', 'cannot be read: Unexpected end of JSON input'],
    ['throws.ts', 'throw new Error("first line\\nsecond line");', 'cannot be read: first line'],
  ])('says in one line what is wrong with %s', async (name, content, message) => {
    const file = written(name, content);
    const error = await loadConfiguration(file).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConfigurationError);
    expect((error as Error).message).toBe(`the configuration ${file} ${message}`);
  });

  it('tells a missing file from a file that misses another', async () => {
    const file = written('imports.ts', 'import { nothing } from "./nowhere.ts"; export default nothing;');
    await expect(loadConfiguration(file)).rejects.toThrow(
      /imports\.ts cannot be read: Cannot find module .*nowhere\.ts/,
    );
    await expect(loadConfiguration(join(directory, 'none.ts'))).rejects.toThrow(
      `there is no configuration ${directory}/none.ts: copy infra/config/example.ts to daybreak.config.ts and put your own ids in, or name yours with -c configuration=<file>`,
    );
  });
});

describe('the app as the CDK CLI runs it', () => {
  async function runApp(context: Record<string, string>) {
    const child = spawn(process.execPath, [resolve('infra/app.ts')], {
      cwd: directory,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, CDK_CONTEXT_JSON: JSON.stringify(context), CDK_OUTDIR: join(directory, 'cdk.out') },
    });
    const ended = new Promise(done => child.on('close', done));
    return { said: await text(child.stderr), status: await ended };
  }

  it('asks for a configuration where there is none, in one line', async () => {
    expect(await runApp({})).toEqual({
      said: 'there is no configuration daybreak.config.ts: copy infra/config/example.ts to daybreak.config.ts and put your own ids in, or name yours with -c configuration=<file>\n',
      status: 1,
    });
  });

  it('reads the file that the context names, and says what cannot be deployed', async () => {
    const configuration = written('ireland.json', JSON.stringify({ ...exampleConfiguration, region: 'eu-west-1' }));
    expect(await runApp({ configuration })).toEqual({
      said: 'the configuration cannot be deployed:\n- region: must be eu-west-2: backups of UK schools stay in the United Kingdom, and the UK has one AWS Region\n    region: "eu-west-1"\n',
      status: 1,
    });
  });
});
