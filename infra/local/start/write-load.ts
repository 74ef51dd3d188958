import type { Client } from 'pg';

const PAUSE_MS = 40;

/** How many rows the load wrote. */
export interface WriteCounts {
  inserted: number;
  updated: number;
  deleted: number;
}

/**
 * Writes to the sample's database all the time until it is stopped, as a school day does: mostly new check-ins, now and
 * then a corrected or removed one. Each write is a transaction of its own.
 */
export function startWriteLoad(client: Client): { stop: () => Promise<WriteCounts> } {
  const counts: WriteCounts = { inserted: 0, updated: 0, deleted: 0 };
  let stopping = false;
  const running = (async () => {
    for (let turn = 1; !stopping; turn++) {
      await client.query(
        `INSERT INTO check_in (pupil_id, mood_code, made_at, comment)
         SELECT id, 3, now(), 'sample comment of a running day' FROM pupil ORDER BY id OFFSET $1 LIMIT 2`,
        [(turn * 37) % 1000],
      );
      counts.inserted += 2;
      if (turn % 50 === 0) {
        const { rowCount } = await client.query('UPDATE check_in SET energy = 50 WHERE id = $1', [turn * 11]);
        counts.updated += rowCount ?? 0;
      }
      if (turn % 80 === 0) {
        const { rowCount } = await client.query('DELETE FROM check_in WHERE id = $1', [turn * 13]);
        counts.deleted += rowCount ?? 0;
      }
      await new Promise(wake => setTimeout(wake, PAUSE_MS));
    }
  })();
  // A failure is reported by `stop`; until then it must not end the process.
  running.catch(() => undefined);
  return {
    stop: async () => {
      stopping = true;
      await running;
      return counts;
    },
  };
}
