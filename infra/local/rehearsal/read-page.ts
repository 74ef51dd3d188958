/** What a page says, in its order, as far as it is gone through: headings, the row that fits, and commands. */
export type PagePart =
  | { readonly kind: 'heading'; readonly text: string }
  | { readonly kind: 'row'; readonly cells: readonly string[]; readonly commands: readonly string[] }
  | { readonly kind: 'command'; readonly text: string; readonly by: 'anybody' | 'administrator' };

/** A page has no such row, or two. */
class PageRowError extends Error {
  override readonly name = 'PageRowError';
}

const COMMAND = /^(?:aws|npm|npx) /;

/**
 * Reads a page: the commands of its blocks of shell and of its paragraphs, and of its tables the one row that begins with
 * `row`.
 * @throws PageRowError where not exactly one does.
 */
export function readPage(markdown: string, row: string): PagePart[] {
  const parts: PagePart[] = [];
  let block: string[] | undefined;
  for (const line of markdown.split('\n')) {
    if (line.startsWith('```')) {
      if (block !== undefined) parts.push(...commandsOf(block));
      block = block === undefined ? [] : undefined;
    } else if (block !== undefined) block.push(line);
    else if (line.startsWith('## ')) parts.push({ kind: 'heading', text: line.slice(3) });
    else if (line.startsWith('|')) {
      const cells = line
        .slice(1, -1)
        .split('|')
        .map(cell => cell.trim());
      if (cells[0]?.startsWith(row)) parts.push({ kind: 'row', cells, commands: inlineCommands(line) });
    } else parts.push(...inlineCommands(line).map(text => ({ kind: 'command', text, by: 'anybody' }) as const));
  }
  const rows = parts.filter(({ kind }) => kind === 'row');
  if (rows.length !== 1) throw new PageRowError(`${rows.length} rows of the page begin with ${row}`);
  return parts;
}

/** The pages that a text leads to: `schedule-stopped.md`. */
export function linksIn(text: string): string[] {
  return [...text.matchAll(/\]\(([\w-]+\.md)\)/g)].map(([, page]) => page ?? '');
}

function commandsOf(block: readonly string[]): PagePart[] {
  let by: 'anybody' | 'administrator' = 'anybody';
  return block
    .join('\n')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .flatMap(line => {
      if (line === '# administrator') by = 'administrator';
      const text = line.replace(/(?:^|\s+)#.*$/, '');
      return text === '' ? [] : [{ kind: 'command', text, by } as const];
    });
}

const inlineCommands = (line: string): string[] =>
  [...line.matchAll(/`([^`]+)`/g)].map(([, code]) => code ?? '').filter(code => COMMAND.test(code));
