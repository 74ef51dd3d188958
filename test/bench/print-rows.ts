/** Prints one bench: a heading, and a row for each figure. */
export function printRows(heading: string, rows: readonly (readonly [string, string])[]): void {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  process.stdout.write(`${heading}\n${rows.map(([name, figure]) => `  ${name.padEnd(width)}${figure}\n`).join('')}\n`);
}
