/** Whether a lock holds an object now: an event hold that rolls on, or a date that is still to come. */
export function isHeld(lock: { retainUntil: Date | undefined; eventHold: boolean } | undefined, now: Date): boolean {
  return lock !== undefined && (lock.eventHold || (lock.retainUntil !== undefined && lock.retainUntil > now));
}
