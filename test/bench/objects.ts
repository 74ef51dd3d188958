import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { handler } from '../../functions/backup/back-up-tenant.ts';
import { compareListing } from '../../functions/backup/compare-listing.ts';
import { manifestKey } from '../../functions/contracts/vault-layout.ts';
import { LineSpool, type SpooledLines } from '../../functions/platform/line-spool.ts';
import { readManifest, storeLines } from '../../functions/platform/object-manifest.ts';
import { VaultInventory, windowEnd } from '../../functions/restore-test/vault-inventory.ts';
import { stepRuntime } from '../fixtures/step-runtime.ts';
import { printRows } from './print-rows.ts';

/**
 * What objects cost: a run over 100,000 unchanged ones (calls, time, memory), and a manifest of 1,000,000 (written,
 * compared with a listing, sorted as the vault lists), beside plain gzip and JSON over the same lines. Each part
 * has a process of its own, so that its peak memory is its own. `node test/bench/objects.ts`
 */

const UNCHANGED = 100_000;
const LINES = Number(process.env.BENCH_LINES ?? 1_000_000);
/** So many names are in memory at a time. */
const WINDOW = 250_000;
const MEBIBYTE_IN_KIB = 1024;
/** By default it grows with the host's memory, and so would the peak; it is the same for all parts. */
const YOUNG_GENERATION = '--max-semi-space-size=8';

const keyOf = (index: number) => `schools/oakfield/pupils/${String(index).padStart(7, '0')}/photo of the day.jpg`;
const hashOf = (index: number) => createHash('sha256').update(`${index}`).digest('hex');
const listed = (index: number) => ({
  key: keyOf(index),
  eTag: `"${hashOf(index).slice(0, 32)}"`,
  lastModified: '2026-11-22T02:30:00.000Z',
  sizeBytes: index,
  storageClass: 'STANDARD',
});
function lineOf(index: number): string {
  const { key, eTag, lastModified, sizeBytes } = listed(index);
  const digest = hashOf(index);
  const vaultVersionId = digest.slice(0, 32);
  const described = { contentType: 'image/jpeg', metadata: { uploader: `u-${index % 97}` }, tags: { kind: 'photo' } };
  return JSON.stringify({
    ...{ key, eTag, lastModified, sizeBytes, ...described },
    ...{ vaultName: digest, vaultVersionId, sha256: digest },
  });
}

const peakMib = () => Math.round(process.resourceUsage().maxRSS / MEBIBYTE_IN_KIB);
async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const start = performance.now();
  const result = await work();
  return [result, Math.round(performance.now() - start)];
}

async function spoolLines(): Promise<SpooledLines> {
  const spool = await LineSpool.create();
  for (let index = 0; index < LINES; index++) await spool.write(lineOf(index));
  return spool.end();
}

const PARTS: Record<string, () => Promise<Record<string, number>>> = {
  async unchanged() {
    const cloud = stepRuntime();
    const keyArn = cloud.kms.createKeyFromTemplate({}).keyArn;
    await cloud.put('school-uploads', keyOf(0), 'x');
    const keys = Array.from({ length: UNCHANGED - 1 }, (_, index) => keyOf(index + 1));
    cloud.clone('school-uploads', keyOf(0), keys);
    const version = cloud.s3.core.store.buckets.get('school-uploads')?.keys.get(keyOf(0))?.versions[0];
    if (version?.kind !== 'object') throw new Error('the seeded object is not there');
    const lastModified = new Date(version.lastModifiedMs).toISOString();
    const previousManifestSha256 = await cloud.run(async () => {
      const spool = await LineSpool.create();
      for (let index = 0; index < UNCHANGED; index++) {
        const line = JSON.parse(lineOf(index));
        await spool.write(JSON.stringify({ ...line, eTag: `"${version.eTag}"`, lastModified, sizeBytes: 1 }));
      }
      const lines = await spool.end();
      await storeLines('vault', manifestKey('oakfield', lines.sha256), lines, keyArn);
      await lines.close();
      return lines.sha256;
    });
    const item = {
      recoveryPointId: '20261122t023000z',
      bucketId: 'uploads',
      tenant: 'oakfield',
      previousManifestSha256,
    };
    cloud.requests.length = 0;
    const before = process.memoryUsage().rss;
    const [{ result }, ms] = await timed(() => cloud.invoke(handler, { item, keyArn, cursor: null }));
    if (result?.manifestSha256 !== previousManifestSha256 || result.objectCount !== UNCHANGED) {
      throw new Error('the run did not find everything unchanged');
    }
    const listings = cloud.requests.filter(request => request.includes('list-type')).length;
    const addedMib = Math.max(0, Math.round(peakMib() - before / 1024 ** 2));
    return { ms, listings, otherCalls: cloud.requests.length - listings, addedMib, peakMib: peakMib() };
  },

  async manifest() {
    const [lines, writeMs] = await timed(spoolLines);
    const [unchanged, compareMs] = await timed(async () => {
      let count = 0;
      async function* listing() {
        for (let index = 0; index < LINES; index++) yield listed(index);
      }
      for await (const object of compareListing(listing(), readManifest(lines, 'manifest'))) {
        if (object.kind === 'unchanged') count++;
      }
      return count;
    });
    if (unchanged !== LINES) throw new Error(`${unchanged} of ${LINES} lines are unchanged`);
    await lines.close();
    return { ms: writeMs + compareMs, writeMs, compareMs, peakMib: peakMib() };
  },

  async inventory() {
    const lines = await spoolLines();
    const [count, ms] = await timed(async () => {
      let names = 0;
      // As a restore test goes through it: in windows, each of which reads the manifest once.
      for (let after: string | undefined = ''; after !== undefined; ) {
        const end = windowEnd(after, LINES, WINDOW);
        const inventory = new VaultInventory(WINDOW * 1.05);
        for await (const { line } of readManifest(lines, 'manifest')) {
          const { vaultName, sizeBytes } = line;
          if (vaultName > after && (end === undefined || vaultName < end)) inventory.add(vaultName, sizeBytes);
        }
        let previous = '';
        for (const { name } of inventory.sorted()) {
          if (name <= previous) throw new Error('out of order');
          previous = name;
          names++;
        }
        after = end;
      }
      return names;
    });
    if (count !== LINES) throw new Error(`${count} of ${LINES} names came`);
    await lines.close();
    return { ms, peakMib: peakMib() };
  },

  async peer() {
    const folder = await mkdtemp(join(tmpdir(), 'daybreak-bench-'));
    const file = join(folder, 'lines.gz');
    try {
      const [, writeMs] = await timed(async () => {
        function* lines() {
          for (let index = 0; index < LINES; index++) yield `${lineOf(index)}\n`;
        }
        await pipeline(Readable.from(lines()), createGzip(), createWriteStream(file));
      });
      const [count, readMs] = await timed(async () => {
        let read = 0;
        const input = createReadStream(file).pipe(createGunzip());
        for await (const line of createInterface({ input })) if (JSON.parse(line).key !== undefined) read++;
        return read;
      });
      if (count !== LINES) throw new Error(`${count} of ${LINES} lines were read`);
      return { ms: writeMs + readMs, writeMs, readMs, peakMib: peakMib() };
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

const [part] = process.argv.slice(2);
if (part !== undefined) {
  process.stdout.write(JSON.stringify(await PARTS[part]?.()));
} else {
  const results: Record<string, Record<string, number>> = {};
  for (const name of Object.keys(PARTS)) {
    const output = execFileSync(process.execPath, [YOUNG_GENERATION, import.meta.filename, name], { encoding: 'utf8' });
    results[name] = JSON.parse(output);
  }
  const { unchanged = {}, manifest = {}, inventory = {}, peer = {} } = results;
  const ratio = ((manifest.ms ?? 0) / (peer.ms ?? 1)).toFixed(2);
  printRows('Objects', [
    ['100,000 unchanged objects', `${unchanged.listings} listings, ${unchanged.otherCalls} other S3 calls`],
    ['', `${unchanged.ms} ms, at most ${unchanged.peakMib} MiB resident with the local S3 in the same process`],
    [
      'manifest of 1,000,000 objects',
      `${manifest.ms} ms to write and compare, at most ${manifest.peakMib} MiB resident`,
    ],
    ['', `${ratio} of the time of gzip and JSON.parse over the same lines (${peer.ms} ms)`],
    ['inventory of 1,000,000 objects', `${inventory.ms} ms, at most ${inventory.peakMib} MiB resident`],
  ]);
  if ((unchanged.otherCalls ?? 0) > 3)
    throw new Error('an unchanged tenant costs more than three calls beside listing');
  const peakMib = Math.max(manifest.peakMib ?? 0, inventory.peakMib ?? 0);
  if (peakMib * 1024 ** 2 > 300e6) throw new Error('a manifest of 1,000,000 objects takes more than 300 MB');
}
