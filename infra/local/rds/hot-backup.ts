import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type pg from 'pg';
import { NotImplementedLocally } from '../service.ts';
import type { ArchiveEntry } from './archive.ts';
import type { PostgresServer } from './server.ts';

// What a base backup leaves out: https://www.postgresql.org/docs/17/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP-DATA
const EMPTIED = new Set([
  'pg_wal',
  'pg_replslot',
  'pg_dynshmem',
  'pg_notify',
  'pg_serial',
  'pg_snapshots',
  'pg_stat_tmp',
  'pg_subtrans',
]);
const OMITTED =
  /(?:^|\/)(?:postmaster\.(?:pid|opts)|pgsql_tmp[^/]*|pg_internal\.init(?:\.\d+)?|postgresql\.auto\.conf\.tmp)$/;
const CONTROL_FILE = 'global/pg_control';

/**
 * The entries of a low-level hot backup of a running server: its data directory, copied while it works, then the backup
 * label and the WAL written between start and stop, which makes the copy consistent at the instant of the stop.
 * https://www.postgresql.org/docs/17/continuous-archiving.html#BACKUP-LOWLEVEL-BASE-BACKUP
 * @param onConsistent called at the instant at which the copy will restore to.
 */
export async function* hotBackup(server: PostgresServer, onConsistent: () => void): AsyncGenerator<ArchiveEntry> {
  // The stop must come from the session of the start.
  const session = await server.connect();
  try {
    // The slot keeps the WAL from the start on, however much is written meanwhile; it ends with the session.
    await session.query(`SELECT pg_create_physical_replication_slot($1, true, true)`, [
      `backup_${process.hrtime.bigint()}`,
    ]);
    await session.query(`SELECT pg_backup_start('daybreak', true)`);
    yield* dataFiles(server.dataDirectory);
    yield* fileEntry(server.dataDirectory, CONTROL_FILE);
    const stopped = await stopBackup(session);
    onConsistent();
    if (stopped.tablespaces) throw new NotImplementedLocally('snapshots of databases with tablespaces');
    yield bytesEntry('backup_label', Buffer.from(stopped.label));
    const segments = (await readdir(join(server.dataDirectory, 'pg_wal'))).filter(
      name => /^[0-9A-F]{24}$/.test(name) && name >= stopped.firstSegment && name <= stopped.lastSegment,
    );
    for (const segment of segments.sort()) yield* fileEntry(server.dataDirectory, `pg_wal/${segment}`);
  } finally {
    await session.end();
  }
}

async function stopBackup(session: pg.Client) {
  const { rows } = await session.query<{ label: string; tablespaces: string; last_segment: string }>(
    `SELECT labelfile AS label, spcmapfile AS tablespaces, pg_walfile_name(lsn) AS last_segment FROM pg_backup_stop(false)`,
  );
  const [row] = rows;
  const firstSegment = /^START WAL LOCATION: .* \(file ([0-9A-F]{24})\)$/m.exec(row?.label ?? '')?.[1];
  if (row === undefined || firstSegment === undefined) throw new Error('pg_backup_stop returned no backup label');
  return { label: row.label, tablespaces: row.tablespaces, firstSegment, lastSegment: row.last_segment };
}

async function* dataFiles(root: string, below = ''): AsyncGenerator<ArchiveEntry> {
  for (const child of await readdir(join(root, below), { withFileTypes: true })) {
    const path = below === '' ? child.name : `${below}/${child.name}`;
    if (OMITTED.test(path) || path === CONTROL_FILE) continue;
    if (!child.isDirectory()) {
      yield* fileEntry(root, path);
      continue;
    }
    yield { path, directory: true, size: 0, content: [] };
    if (path === 'pg_wal') {
      yield { path: 'pg_wal/archive_status', directory: true, size: 0, content: [] };
      yield { path: 'pg_wal/summaries', directory: true, size: 0, content: [] };
    }
    if (!EMPTIED.has(path)) yield* dataFiles(root, path);
  }
}

const READ_BYTES = 1024 * 1024;

// A table's file may grow, shrink or vanish while it is copied; the WAL repairs all three.
async function* fileEntry(root: string, path: string): AsyncGenerator<ArchiveEntry> {
  const handle = await open(join(root, path)).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error;
  });
  if (handle === undefined) return;
  try {
    const { size } = await handle.stat();
    const content = async function* () {
      for (let at = 0; at < size; ) {
        const part = Buffer.alloc(Math.min(READ_BYTES, size - at));
        const { bytesRead } = await handle.read(part, 0, part.length, at);
        // Zeros in place of what was cut off, as pg_basebackup writes them.
        at += bytesRead === 0 ? part.length : bytesRead;
        yield bytesRead === 0 ? part : part.subarray(0, bytesRead);
      }
    };
    yield { path, directory: false, size, content: content() };
  } finally {
    await handle.close();
  }
}

function bytesEntry(path: string, bytes: Buffer): ArchiveEntry {
  return { path, directory: false, size: bytes.length, content: [bytes] };
}
