import { printable } from '../../command-line/printable.ts';
import { screenOf, styled } from '../../command-line/screen.ts';

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
/** Of a line with a bar, beside its label. */
const AROUND_LABEL = BAR_WIDTH + '   100 % '.length + 1;

/** Writes to `output`: with a bar that redraws itself on a terminal that can, in plain lines elsewhere. */
export function createDisplay(
  output: NodeJS.WriteStream,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Display {
  const screen = () => screenOf(output, environment);
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
      output.write(`\n${styled(screen(), 'bold', text)}\n`);
    },
    line: text => {
      if (closed) return;
      clearBar();
      output.write(`${printable(text)}\n`);
    },
    progress: (label, share) => {
      if (closed) return;
      const percent = Math.floor(share * 100);
      const { redraws, width = 0 } = screen();
      if (redraws) {
        const filled = Math.round(share * BAR_WIDTH);
        output.write(
          `\r\u001b[K  ${'█'.repeat(filled)}${'░'.repeat(BAR_WIDTH - filled)} ${percent} % ${label.slice(0, Math.max(0, width - AROUND_LABEL))}`,
        );
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
