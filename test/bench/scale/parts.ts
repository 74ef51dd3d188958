import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { TENANT_BACKUP_LIMITS } from '../../../functions/backup/back-up-tenant.ts';
import { compareListing } from '../../../functions/backup/compare-listing.ts';
import { type SegmentStore, UnfinishedManifest } from '../../../functions/backup/unfinished-manifest.ts';
import type { DigestsPlace } from '../../../functions/contracts/fingerprint.ts';
import {
  decodeCatalogs,
  encodeCatalogs,
  measureCatalogs,
  planCatalogs,
  planRestoredCatalogs,
} from '../../../functions/platform/fingerprint/catalog-rows.ts';
import { digestReader, PartWriter } from '../../../functions/platform/fingerprint/fingerprint-file.ts';
import { planAfresh } from '../../../functions/platform/fingerprint/measure-table.ts';
import { LineSpool, type SpooledLines, spoolCompressed } from '../../../functions/platform/line-spool.ts';
import { readManifest } from '../../../functions/platform/object-manifest.ts';
import { compareCatalogs } from '../../../functions/restore-test/compare-catalog.ts';
import { TestDatabase } from '../../fixtures/database.ts';
import { measureWhole, seeds } from '../../fixtures/fingerprint.ts';
import type { Measurement } from './measurement.ts';

const keyOf = (index: number) => `schools/oakfield/pupils/${String(index).padStart(8, '0')}/photo of the day.jpg`;

/** A line of a manifest; what it says of an object fits what `listed` says of it. */
export function manifestLine(index: number, like: { eTag?: string; lastModified?: string; sizeBytes?: number } = {}) {
  const digest = createHash('sha256').update(`${index}`).digest('hex');
  return {
    key: keyOf(index),
    eTag: `"${digest.slice(0, 32)}"`,
    lastModified: '2026-11-22T02:30:00.000Z',
    sizeBytes: index,
    ...like,
    contentType: 'image/jpeg',
    metadata: { uploader: `u-${index % 97}` },
    tags: { kind: 'photo' },
    vaultName: digest,
    vaultVersionId: digest.slice(0, 32),
    sha256: digest,
  };
}

async function timed(work: () => Promise<void>): Promise<Pick<Measurement, 'cpuMs' | 'wallMs'>> {
  const [cpu, at] = [process.cpuUsage(), performance.now()];
  await work();
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMs: (user + system) / 1000, wallMs: performance.now() - at };
}

async function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'daybreak-bench-'));
  try {
    return await work(folder);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** Segments as named files, which count as no spool of the step's: they are S3's. */
function segmentFiles(folder: string): SegmentStore {
  return {
    put: async ({ file, sha256 }) => {
      await pipeline(file.createReadStream({ start: 0, autoClose: false }), createWriteStream(join(folder, sha256)));
    },
    open: sha256 => spoolCompressed(createReadStream(join(folder, sha256))),
  };
}

/** An unfinished manifest of `lines` lines, whose last segment is as full as one can be. */
async function fillManifest(folder: string, lines: number): Promise<UnfinishedManifest> {
  const { linesPerSegment } = TENANT_BACKUP_LIMITS;
  const manifest = await UnfinishedManifest.resume(segmentFiles(folder), linesPerSegment, []);
  for (let index = 0; index < lines; index++) {
    const line = manifestLine(index);
    await manifest.addLine(line);
    await manifest.reach(line.key);
  }
  return manifest;
}

/** Parts of steps, with as many items: what the step calls, and nothing around it. What they return is what counts. */
export const PARTS: Readonly<Record<string, (items: number) => Promise<Partial<Measurement>>>> = {
  /** Compares a listing with the manifest of the day before. */
  async compare(items) {
    const spool = await LineSpool.create();
    for (let index = 0; index < items; index++) await spool.write(JSON.stringify(manifestLine(index)));
    const lines = await spool.end();
    async function* listing() {
      for (let index = 0; index < items; index++) {
        const { key, eTag, lastModified, sizeBytes } = manifestLine(index);
        yield { key, eTag, lastModified, sizeBytes, storageClass: 'STANDARD' };
      }
    }
    return await timed(async () => {
      let unchanged = 0;
      for await (const { kind } of compareListing(listing(), readManifest(lines, 'manifest'))) {
        if (kind === 'unchanged') unchanged++;
      }
      await lines.close();
      if (unchanged !== items) throw new Error(`${unchanged} of ${items} lines are unchanged`);
    });
  },

  /** Stores what is open of an unfinished manifest when time is short. */
  suspend: items =>
    inFolder(async folder => {
      const manifest = await fillManifest(folder, items - 1);
      return await timed(async () => {
        await manifest.suspend();
        await manifest.close();
      });
    }),

  /** Makes the manifest of its segments. */
  assemble: items =>
    inFolder(async folder => {
      const manifest = await fillManifest(folder, items);
      await manifest.suspend();
      return await timed(async () => {
        const spool = await LineSpool.create();
        for await (const { text } of manifest.read()) await spool.write(text);
        const lines: SpooledLines = await spool.end();
        await manifest.close();
        await lines.close();
        if (lines.lineCount !== items) throw new Error(`${lines.lineCount} of ${items} lines are in the manifest`);
      });
    }),

  /** Measures a table with as many buckets, stores its digests and reads them back. */
  async buckets(items) {
    const rows = 300_000;
    const database = await TestDatabase.create({
      schema: `CREATE TABLE pupil (id bigint PRIMARY KEY, name text); INSERT INTO pupil SELECT g, md5(g::text) FROM generate_series(1, ${rows}) g; ANALYZE`,
    });
    try {
      const relation = { schema: 'public', table: 'pupil', kind: 'table' } as const;
      return await timed(() =>
        inFolder(async folder => {
          const measured = await measureWhole(database.asReader(), relation, details => ({
            ...planAfresh(details, seeds),
            bucketCount: items,
          }));
          let place: DigestsPlace | undefined;
          const writer = new PartWriter<null>(
            (sha256, content) => writeFile(join(folder, sha256), content),
            (_, digests) => {
              place = digests;
            },
          );
          await writer.add(null, measured.rows);
          await writer.flush();
          const read = digestReader(sha256 => readFile(join(folder, sha256)));
          const digests = place && (await read({ bucketCount: items, digests: place }));
          if (digests?.settled.rowCount !== rows) throw new Error('the digests do not read back');
        }),
      );
    } finally {
      await database.remove();
    }
  },

  /** Measures about as many rows of catalogs before, after and on a copy, and compares them. */
  async catalogs(items) {
    const [columns, rowsPerTable, tablesAtOnce] = [40, 60, 250];
    const database = await TestDatabase.create();
    try {
      const definition = Array.from({ length: columns }, (_, index) => `c${index} int`).join(', ');
      for (let from = 0; from < items / rowsPerTable; from += tablesAtOnce) {
        await database.execute(
          `DO $$ BEGIN FOR i IN ${from}..${Math.min(from + tablesAtOnce, Math.ceil(items / rowsPerTable)) - 1} LOOP EXECUTE format('CREATE TABLE t%s (${definition})', i); END LOOP; END $$`,
        );
      }
      const reader = database.asReader();
      let rowCount = 0;
      const time = await timed(async () => {
        const stored = encodeCatalogs(await measureCatalogs(reader, planCatalogs(seeds)));
        const before = decodeCatalogs(stored, 'before');
        const after = decodeCatalogs(
          encodeCatalogs(await measureCatalogs(reader, planCatalogs(seeds, before))),
          'after',
        );
        const copy = await measureCatalogs(reader, planRestoredCatalogs(seeds, { before, after }, undefined));
        const { rowsComparedExactly, differences } = compareCatalogs({ before, after }, copy);
        if (differences.length > 0) throw new Error('an untouched copy differs');
        rowCount = rowsComparedExactly;
      });
      return { ...time, items: rowCount };
    } finally {
      await database.remove();
    }
  },
};
