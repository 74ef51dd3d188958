import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeFolder, processesIn, removeFolder, start } from './start-process.ts';

let folder: string;
beforeAll(async () => {
  folder = await makeFolder();
});
afterAll(() => removeFolder(folder));

it('a rehearsal shows the notice, the commands of the page with their answers, and that it is right again', async () => {
  const { exitCode, stdout, stderr } = await start('--rehearse', 'snapshot-deleted', '--state', join(folder, 'whole'))
    .ended;
  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
  const [, snapshot = ''] = /DeleteDBSnapshot (daybreak-wellbeing-\w+)$/m.exec(stdout) ?? [];
  const [before = '', after = ''] = stdout.split('\nrunbooks/vault-altered.md\n');
  expect(before).toMatch(/ALARM daybreak-tamper-snapshot-deleted, to daybreak-pagers$/m);
  expect(before).toMatch(
    /as it arrives, to daybreak-pagers:\n {4}Subject: ALARM: "daybreak-snapshot-missing-notice" in EU \(London\)\n/,
  );
  expect(before).toContain('- Description:  A snapshot that a recovery point names is gone.\n');
  expect(before).toContain('    Then: runbooks/vault-altered.md\n');
  const [, first = ''] = /## First command\n {2}\$ aws lambda [^\n]+\n([\s\S]+?)\n {2}## /.exec(after) ?? [];
  expect(JSON.parse(first).events.map(({ message }: { message: string }) => JSON.parse(message))).toMatchObject([
    { message: 'a snapshot is not as it should be', snapshotId: snapshot, problem: 'missing' },
  ]);
  expect(after).toContain('(not run: it is for what is gone from a bucket: here a snapshot is gone)');
  expect(after).toContain('"EventName": "DeleteDBSnapshot"');
  expect(after).toContain('(it ended as SUCCEEDED)');
  expect(after).toMatch(new RegExp(`^ {4}snapshot-missing/${snapshot}/\\w+: accepted, entry \\d+;`, 'm'));
  const [, end = ''] = after.split('Time goes on\n');
  expect(end).toMatch(/OK daybreak-snapshot-missing-notice, to daybreak-pagers$/m);
  expect(end).toMatch(
    /right again: 5 commands ended as their pages say, 5 were not run, as said above, and every alarm is as it was\n {2}[^\n]+ in all\n$/,
  );
  expect(after.split('\n').filter(line => /exit code|AccessDenied|not authorized/.test(line))).toEqual([]);
  expect(processesIn(folder)).toEqual([]);
  expect(existsSync(join(folder, 'whole/rds'))).toBe(false);
}, 600_000);
