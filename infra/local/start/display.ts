/** What shows a run to the person who started it. */
export interface Display {
  /** A line of its own: a step that ended, or something to know. */
  line(text: string): void;
  /** The present state of something long, 0 to 1; replaces the last one where the output is a terminal. */
  progress(label: string, share: number): void;
  heading(text: string): void;
}

const BAR_WIDTH = 30;

/** Writes to `output`: with a bar that redraws itself on a terminal, in plain lines elsewhere. */
export function createDisplay(output: NodeJS.WriteStream): Display {
  let barShown = false;
  let lastPlain = { label: '', tenth: -1 };
  const clearBar = () => {
    if (barShown) output.write('\r\u001b[K');
    barShown = false;
  };
  return {
    heading: text => {
      clearBar();
      output.write(output.isTTY ? `\n\u001b[1m${text}\u001b[0m\n` : `\n${text}\n`);
    },
    line: text => {
      clearBar();
      output.write(`${text}\n`);
    },
    progress: (label, share) => {
      const percent = Math.floor(share * 100);
      if (output.isTTY) {
        const filled = Math.round(share * BAR_WIDTH);
        output.write(`\r\u001b[K  ${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${percent} % ${label}`);
        barShown = share < 1;
        if (!barShown) output.write('\r\u001b[K');
        return;
      }
      const tenth = Math.floor(percent / 25);
      if (lastPlain.label === label && lastPlain.tenth === tenth) return;
      lastPlain = { label, tenth };
      output.write(`  ${label}: ${percent} %\n`);
    },
  };
}

/** Rows of text as a table with aligned columns. */
export function formatTable(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`).join('\n');
}

/** `1.2 s`, `850 ms`, `2 min 5 s`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1000) return `${Math.round(durationMs)} ms`;
  if (durationMs < 60_000) return `${(durationMs / 1000).toFixed(1)} s`;
  return `${Math.floor(durationMs / 60_000)} min ${Math.round((durationMs % 60_000) / 1000)} s`;
}

/** `74.3 MB`, in powers of 1000. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
