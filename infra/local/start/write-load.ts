import type { Client } from 'pg';
import { OWN_SCHEMA } from '../sample/own-names.ts';

const PAUSE_MS = 40;
const SMALL_DATABASE_ROWS = 10_000;
const SMALL_DATABASE_PAUSE_MS = 2000;

/** How many rows were written. */
export interface ChangeCounts {
  inserted: number;
  updated: number;
  deleted: number;
}

export interface WriteLoad {
  /** Ends the load, and closes nothing. @throws what the load met. */
  stop: () => Promise<ChangeCounts>;
}

/** A day of changes in the sample: corrected, removed and new rows in every table that changes. */
export async function changeSample(client: Client): Promise<ChangeCounts> {
  const count = async (statement: string) => (await client.query(statement)).rowCount ?? 0;
  return {
    inserted: await count(
      `INSERT INTO check_in (pupil_id, mood_code, made_at, comment)
       SELECT id, 4, timestamptz '2026-10-01 08:30+01', 'sample comment of the next day' FROM pupil`,
    ),
    updated:
      (await count(`UPDATE safeguarding_note SET body = body || ' Sample correction.' WHERE severity > 9`)) +
      (await count(
        `UPDATE pupil SET year_group = year_group + 1 WHERE year_group < 13 AND attributes @> '{"house": 1}'`,
      )),
    deleted: await count('DELETE FROM check_in WHERE id % 500 = 7'),
  };
}

/**
 * Writes to the sample's database until it is stopped, as a school day does: mostly new check-ins, now and then a
 * corrected or removed one. Each write is a transaction of its own.
 */
export function startSampleWriteLoad(client: Client): WriteLoad {
  return repeat(async (turn, counts) => {
    await client.query(
      `INSERT INTO check_in (pupil_id, mood_code, made_at, comment)
       SELECT id, 3, now(), 'sample comment of a running day' FROM pupil ORDER BY id OFFSET $1 LIMIT 2`,
      [(turn * 37) % 1000],
    );
    counts.inserted += 2;
    if (turn % 25 === 0) {
      const { rowCount } = await client.query('UPDATE check_in SET energy = 50 WHERE id = $1', [turn * 11]);
      counts.updated += rowCount ?? 0;
    }
    if (turn % 40 === 0) {
      const { rowCount } = await client.query('DELETE FROM check_in WHERE id = $1', [turn * 13]);
      counts.deleted += rowCount ?? 0;
    }
  });
}

/**
 * Updates one row of a table of its own in the operator's database, so that nothing of theirs is altered. In a small
 * database it writes seldom: the one row that changes is a noticeable share there.
 */
export function startOwnWriteLoad(client: Client, rowCount: number): WriteLoad {
  // The operator's event triggers are about their own changes, and may refuse others.
  const ready = client.query(
    `SET event_triggers = off;
     CREATE SCHEMA ${OWN_SCHEMA}
       CREATE TABLE written (id integer PRIMARY KEY, at timestamptz NOT NULL);
     INSERT INTO ${OWN_SCHEMA}.written VALUES (1, now())`,
  );
  const write = async (_turn: number, counts: ChangeCounts) => {
    await ready;
    await client.query(`UPDATE ${OWN_SCHEMA}.written SET at = clock_timestamp()`);
    counts.updated++;
  };
  return repeat(write, rowCount < SMALL_DATABASE_ROWS ? SMALL_DATABASE_PAUSE_MS : PAUSE_MS);
}

function repeat(write: (turn: number, counts: ChangeCounts) => Promise<void>, pauseMs = PAUSE_MS): WriteLoad {
  const counts: ChangeCounts = { inserted: 0, updated: 0, deleted: 0 };
  let stopping = false;
  const running = (async () => {
    for (let turn = 1; !stopping; turn++) {
      await write(turn, counts);
      await new Promise(wake => setTimeout(wake, pauseMs));
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
