/** What shows a run to the person who started it. */
export interface Display {
  /** A line of its own: a step that ended, or something to know. */
  line(text: string): void;
  /** The present state of something long, 0 to 1; replaces the last one where the output is a terminal. */
  progress(label: string, share: number): void;
  heading(text: string): void;
  /** Takes the bar away. What is still under way afterwards is not shown. */
  close(): void;
}

const BAR_WIDTH = 30;

/** Writes to `output`: with a bar that redraws itself on a terminal, in plain lines elsewhere. */
export function createDisplay(output: NodeJS.WriteStream): Display {
  let barShown = false;
  let lastPlain = { label: '', quarter: -1 };
  let closed = false;
  const clearBar = () => {
    if (barShown) output.write('\r\u001b[K');
    barShown = false;
  };
  return {
    heading: text => {
      if (closed) return;
      clearBar();
      output.write(output.isTTY ? `\n\u001b[1m${text}\u001b[0m\n` : `\n${text}\n`);
    },
    line: text => {
      if (closed) return;
      clearBar();
      output.write(`${printable(text)}\n`);
    },
    progress: (label, share) => {
      if (closed) return;
      const percent = Math.floor(share * 100);
      if (output.isTTY) {
        const filled = Math.round(share * BAR_WIDTH);
        output.write(`\r\u001b[K  ${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${percent} % ${label}`);
        barShown = share < 1;
        if (!barShown) output.write('\r\u001b[K');
        return;
      }
      const quarter = Math.floor(percent / 25);
      if (lastPlain.label === label && lastPlain.quarter === quarter) return;
      lastPlain = { label, quarter };
      output.write(`  ${label}: ${percent} %\n`);
    },
    close: () => {
      clearBar();
      closed = true;
    },
  };
}

/** Text from elsewhere (a role's name, an error), made safe for a terminal: control and invisible characters become question marks. */
export function printable(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?');
}

/** The lines of a table with aligned columns. */
export function formatTable(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([label]) => label.length));
  return rows.map(([label, value]) => `  ${label.padEnd(width)}  ${value}`);
}

/** `1.2 s`, `850 ms`, `2 min 5 s`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 999.5) return `${Math.round(durationMs)} ms`;
  if (durationMs < 59_950) return `${(durationMs / 1000).toFixed(1)} s`;
  const seconds = Math.round(durationMs / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
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

/** Text as one word of a POSIX shell. */
export function quoteForShell(text: string): string {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
