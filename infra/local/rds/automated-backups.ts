import { addMs } from '../../../functions/platform/clock.ts';
import type { RdsCore } from './core.ts';
import { type InstanceRecord, statusOf } from './records.ts';
import { beginSnapshot, removeSnapshot } from './snapshots.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/**
 * The automated backups of instances that retain any: one after creation, one a day at the start of the backup window,
 * each removed once it is older than the retention period.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/USER_WorkingWithAutomatedBackups.html
 */
export class AutomatedBackups {
  readonly #core: RdsCore;
  readonly #appointments = new Map<string, () => void>();

  constructor(core: RdsCore) {
    this.#core = core;
  }

  /** The first backup of a new instance, `inSeconds` from now, and the daily ones. */
  begin(instance: InstanceRecord, inSeconds: number): void {
    if (instance.backupRetentionDays === 0) return;
    this.#appoint(instance, addMs(this.#core.now(), inSeconds * 1000));
  }

  /** Plans the next daily backup, or none where the instance retains none; then the present ones go. */
  schedule(instance: InstanceRecord): void {
    this.cancel(instance);
    void this.#expire(instance);
    if (instance.backupRetentionDays > 0) this.#appoint(instance, nextWindow(instance.backupWindow, this.#core.now()));
  }

  cancel(instance: InstanceRecord): void {
    this.#appointments.get(instance.resourceId)?.();
    this.#appointments.delete(instance.resourceId);
  }

  cancelAll(): void {
    for (const cancel of this.#appointments.values()) cancel();
    this.#appointments.clear();
  }

  #appoint(instance: InstanceRecord, at: Date): void {
    const cancel = this.#core.clock.at(at, () => {
      this.#core.sweep();
      // An instance that is busy with something else is backed up the next day.
      if (statusOf(instance, this.#core.now()) === 'available') {
        const time = this.#core.now().toISOString().slice(0, 16).replaceAll(/[T:]/g, '-');
        beginSnapshot(this.#core, instance, `rds:${instance.id}-${time}`, 'automated', {});
      }
      this.schedule(instance);
    });
    this.#appointments.set(instance.resourceId, cancel);
  }

  async #expire(instance: InstanceRecord): Promise<void> {
    const oldest = addMs(this.#core.now(), -instance.backupRetentionDays * DAY_MS);
    const expired = this.#core.state.snapshots.filter(
      ({ type, resourceId, work, requestedAt }) =>
        type === 'automated' &&
        resourceId === instance.resourceId &&
        work !== 'running' &&
        new Date(requestedAt) <= oldest,
    );
    for (const snapshot of expired) await removeSnapshot(this.#core, snapshot);
  }
}

/** The next time after `now` at which the window (`hh:mm-hh:mm`, UTC) begins. */
export function nextWindow(window: string, now: Date): Date {
  const today = new Date(`${now.toISOString().slice(0, 10)}T${window.slice(0, 5)}:00.000Z`);
  return today > now ? today : addMs(today, DAY_MS);
}
