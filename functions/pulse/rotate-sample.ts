/** Pulse comes round this often; each time it looks at the next part of what it only samples. */
export const PULSE_INTERVAL_MS = 15 * 60 * 1000;

/**
 * The part of `items` that is this pulse's turn: `size` of them, going on where the one before stopped and round again, so
 * that every item is looked at within `items.length / size` pulses.
 */
export function rotateSample<T>(items: readonly T[], size: number, now: Date): T[] {
  if (items.length <= size) return [...items];
  const turn = Math.floor(now.getTime() / PULSE_INTERVAL_MS);
  const start = (turn * size) % items.length;
  return [...items.slice(start), ...items.slice(0, start)].slice(0, size);
}

/** Where in the 64 hexadecimal digits of vault names this pulse begins to look: spread over all, another one each time. */
export function rotateNameStart(now: Date): string {
  // Multiplying by the golden ratio of 2^32 visits the whole range evenly.
  const turn = Math.floor(now.getTime() / PULSE_INTERVAL_MS);
  return (Math.imul(turn, 0x9e3779b1) >>> 0).toString(16).padStart(8, '0');
}
