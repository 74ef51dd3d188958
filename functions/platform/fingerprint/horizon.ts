/**
 * Which rows a measurement calls settled, recent, or later.
 *
 * A row's `xmin` is the transaction that made it: 32 bits, without the epoch. The horizon H is `pg_snapshot_xmin` of the
 * snapshot of the *before* measurement: every transaction below it had ended by then, and a subtransaction's id is larger
 * than its parent's, so no row can join the rows below H later. (`pg_visible_in_snapshot` is documented not to know
 * subtransactions, so it is not used.) VACUUM FULL and CLUSTER keep `xmin`; other rewrites make rows anew.
 *
 * A row is recent when its `xmin` lies, modulo 2^32, between H and the end of the measurement; the few recent ids are
 * taken out of the circle, and everything else is settled. So rows that were frozen long ago count as settled, whatever
 * their bits, except one whose id lies exactly one or more turns of the circle before a recent one: in a cluster that
 * has used more than four billion transactions it may be called recent. It is called so in every later measurement too:
 * the end grows from range to range, and the restored copy is measured with that of the first range of *after*, which is
 * beyond every end of *before* and not beyond any of *after*. So after ⊆ restored ⊆ before still holds.
 * https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
 */

/** Full transaction ids (xid8): below `xmin` all had ended, from `xmax` on none had begun. */
export interface Snapshot {
  readonly xmin: bigint;
  readonly xmax: bigint;
}

/** Reads what `pg_current_snapshot()` prints: `xmin:xmax:xip_list`. @throws RangeError */
export function parseSnapshot(text: string): Snapshot {
  const match = /^(\d+):(\d+):[\d,]*$/.exec(text);
  if (!match) throw new RangeError('not a snapshot of PostgreSQL');
  return { xmin: BigInt(match[1] ?? ''), xmax: BigInt(match[2] ?? '') };
}

/** Full transaction ids from `from` up to, not including, `until`. */
export interface XidRange {
  readonly from: bigint;
  readonly until: bigint;
}

const XID_COUNT = 1n << 32n;

/**
 * COPY FREEZE and REFRESH MATERIALIZED VIEW make rows that also older snapshots see. So what counts as recent ends only
 * so many transactions after the measurement's snapshot.
 */
const BEYOND_SNAPSHOT = 1n << 20n;

/** The recent ids of a measurement in `snapshot`, for the horizon `horizon`. */
export function recentRange(horizon: bigint, snapshot: Snapshot): XidRange {
  return { from: horizon, until: snapshot.xmax + BEYOND_SNAPSHOT };
}

/** A range as the arguments of `(xid - start) & 4294967295 < length`. */
export function circularRange({ from, until }: XidRange): { start: string; length: string } {
  const length = until <= from ? 0n : until - from < XID_COUNT ? until - from : XID_COUNT;
  return { start: (from % XID_COUNT).toString(), length: length.toString() };
}
