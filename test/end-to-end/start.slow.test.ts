import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Deployment } from '../../functions/contracts/configuration.ts';
import { rootManifestKey } from '../../functions/contracts/vault-layout.ts';
import { Summary } from '../../infra/local/start/summary.ts';
import {
  daybreak,
  type Ending,
  makeFolder,
  processesIn,
  removeFolder,
  STORES,
  start,
  WRITTEN,
  writeFiles,
} from './start-process.ts';

const NOTE_BYTES = 56;
const ROWS = 3500;
const MATERIALIZED_ROWS = 3;
/** The write load's own table has one row. */
const WRITTEN_ROWS = 1;

describe('npm start over the operator’s own input', () => {
  let folder: string;
  let state: string;
  let run: Ending;
  let second: Ending;
  let summary: Summary;

  beforeAll(async () => {
    folder = await makeFolder();
    state = join(folder, 'state');
    await writeFiles(join(folder, 'files'));
    const input = ['--sql', STORES, '--root', 'store.store_id', '--files', join(folder, 'files')];
    const first = start(...input, '--state', state, '--report', join(folder, 'report/of/today'));
    await first.until('Local cloud');
    second = await start(...input, '--state', state).ended;
    second.stderr = second.stderr.replace(String(first.pid), 'PID');
    run = await first.ended;
    summary = Summary.parse(JSON.parse(readFileSync(join(folder, 'report/of/today/summary.json'), 'utf8')));
  }, 600_000);

  afterAll(() => removeFolder(folder));

  it('passes, and says nothing on stderr', () => {
    expect(run).toMatchObject({ exitCode: 0, signal: null, stderr: '' });
    expect(run.stdout).toMatch(/^Verdict: passed;/m);
  });

  it('refuses a second run on the same state, which does not disturb the first', () => {
    expect(second).toEqual({
      exitCode: 2,
      signal: null,
      stdout: '',
      stderr: `start: --state ${state}: in use by another run (process PID); wait for it, or give another directory\n`,
    });
  });

  it('counts exactly what it was given', () => {
    expect(summary.input).toEqual({
      source: 'own',
      tenants: 3,
      rows: ROWS + MATERIALIZED_ROWS,
      ...WRITTEN,
      leftOut: [{ kind: 'link', count: 1, paths: ['1/link'] }],
    });
  });

  it('backs all of it up, and the second time copies only what changed', () => {
    expect(summary.backups).toHaveLength(2);
    expect(summary.backups[0]).toMatchObject({
      status: 'good',
      databases: 1,
      rows: ROWS + MATERIALIZED_ROWS,
      tenants: 4,
      objects: WRITTEN.files,
      bytes: WRITTEN.bytes,
      objectsCopied: WRITTEN.files,
      bytesCopied: WRITTEN.bytes,
    });
    expect(summary.backups[0]?.s3Requests).toMatchObject({ copy: WRITTEN.files });
    expect(summary.backups[1]).toMatchObject({
      status: 'good',
      databases: 1,
      rows: ROWS + MATERIALIZED_ROWS + WRITTEN_ROWS,
      tenants: 4,
      objects: WRITTEN.files + 1,
      bytes: WRITTEN.bytes + NOTE_BYTES,
      objectsCopied: 1,
      bytesCopied: NOTE_BYTES,
    });
    expect(summary.backups[1]?.s3Requests).toMatchObject({ copy: 1 });
  });

  it('restores all of it unaltered', () => {
    expect(summary).toMatchObject({ verdict: 'passed', failures: [] });
    expect(summary.verdictLine).toMatch(
      /^passed; .*not checked: index public\.film_fulltext_index: no check exists for an index of its type$/,
    );
    expect(summary.restoreTest).toMatchObject({
      verdict: 'passed',
      recoveryPointId: summary.backups[1]?.recoveryPointId,
      reasons: [],
      findingCount: 0,
      objects: {
        tenantCount: 4,
        objectCount: WRITTEN.files + 1,
        objectsRestored: WRITTEN.files + 1,
        bytesRestored: WRITTEN.bytes + NOTE_BYTES,
      },
    });
    expect(summary.restoreTest?.databases).toMatchObject([
      {
        databaseId: 'own',
        tableCount: 10,
        rowCount: ROWS + MATERIALIZED_ROWS + WRITTEN_ROWS,
        foreignKeysChecked: 6,
        indexesChecked: 16,
        heapRelationsChecked: 10,
        findings: [],
      },
    ]);
  });

  it('shows it in plain lines where nobody watches, with the numbers of the summary', () => {
    expect(run.stdout.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u);
    for (const line of [
      '  ! left out, link: 1, 1/link',
      '  roles that the dump names, made here without login: store_owner, rental desk',
      `  ${ROWS + MATERIALIZED_ROWS} rows of 3 tenants; ${WRITTEN.files} files`,
      `  recovery point ${summary.backups[1]?.recoveryPointId} is good: ${ROWS + MATERIALIZED_ROWS + WRITTEN_ROWS} rows, ${WRITTEN.files + 1} objects, 1 of them copied`,
      '  outside every tenant  2 files, under the vault key',
      '  left out              1, link: 1/link',
      `Verdict: ${summary.verdictLine}`,
      `  npm run daybreak -- evidence verify --local ${state}`,
    ]) {
      expect(run.stdout.split('\n')).toContain(line);
    }
  });

  it('leaves no process and no lock', () => {
    expect(processesIn(folder)).toEqual([]);
    expect(existsSync(join(state, 'lock'))).toBe(false);
    expect(existsSync(join(state, 'rds'))).toBe(false);
  });

  it('leaves a ledger that verifies', async () => {
    const verified = await daybreak('evidence', 'verify', '--local', state);
    expect(verified).toMatchObject({ exitCode: 0, stderr: '' });
    expect(verified.stdout).toMatch(/^VERIFIED {2}ledger of /);
    expect(verified.stdout).toMatch(/ entries +7, /);
  });
});

describe('npm start --keep', () => {
  it('prints what reaches the cloud and the source database, and ends with Ctrl-C', async () => {
    const folder = await makeFolder();
    const state = join(folder, 'st ate');
    try {
      const run = start('--sql', STORES, '--root', 'public.store.store_id', '--state', state, '--keep');
      const stdout = await run.until("/rds/rds-ca.pem'\n");
      const { region, vaultBucket } = Deployment.parse(
        JSON.parse(readFileSync(join(state, 'deployment.json'), 'utf8')),
      );
      const variable = (name: string) => new RegExp(`^ {2}export ${name}='?([^'\n]+)'?$`, 'm').exec(stdout)?.[1] ?? '';
      const s3 = new S3Client({
        region: variable('AWS_REGION'),
        endpoint: variable('AWS_ENDPOINT_URL'),
        forcePathStyle: true,
        credentials: {
          accessKeyId: variable('AWS_ACCESS_KEY_ID'),
          secretAccessKey: variable('AWS_SECRET_ACCESS_KEY'),
        },
        requestHandler: { httpsAgent: { ca: readFileSync(variable('AWS_CA_BUNDLE')) } },
      });
      const { Contents } = await s3.send(new ListObjectsV2Command({ Bucket: vaultBucket, Prefix: 'recovery-points/' }));
      s3.destroy();
      expect(variable('AWS_REGION')).toBe(region);
      const ids = [...stdout.matchAll(/recovery point (\w+) is good/g)].map(([, id]) => id ?? '');
      expect(Contents?.map(({ Key }) => Key)).toEqual(ids.map(rootManifestKey));
      expect(ids).toHaveLength(2);

      const database = new pg.Client({ connectionString: /psql '([^']+)'/.exec(stdout)?.[1] });
      await database.connect();
      const { rows } = await database.query('SELECT current_user::text AS login, count(*)::int FROM rental');
      expect(rows).toEqual([{ login: 'local_visitor', count: 1200 }]);
      await expect(database.query('DELETE FROM payment')).rejects.toMatchObject({ code: '25006' });
      await database.end();

      run.kill('SIGINT');
      expect(await run.ended).toMatchObject({ exitCode: 0, stderr: '' });
      expect(processesIn(folder)).toEqual([]);
    } finally {
      await removeFolder(folder);
    }
  }, 600_000);
});
