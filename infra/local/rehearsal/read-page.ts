type By = 'anybody' | 'administrator';

/** A command that a page has, and whether the page says that an administrator runs it. */
export interface PageCommand {
  readonly text: string;
  readonly by: By;
}

/** What a page says, in its order: headings, the rows of its tables, and commands. */
export type PagePart =
  | { readonly kind: 'heading'; readonly text: string }
  | { readonly kind: 'row'; readonly cells: readonly string[]; readonly commands: readonly PageCommand[] }
  | ({ readonly kind: 'command' } & PageCommand);

/** A page has no such row, or two. */
class PageRowError extends Error {
  override readonly name = 'PageRowError';
}

const COMMAND = /^(?:aws|npm|npx) /;

/**
 * Reads a page as far as it is gone through: of its tables only the one row that begins with `row`.
 * @throws PageRowError where not exactly one does.
 */
export function readPage(markdown: string, row: string): PagePart[] {
  const parts = readWholePage(markdown).filter(part => part.kind !== 'row' || part.cells[0]?.startsWith(row));
  const rows = parts.filter(({ kind }) => kind === 'row');
  if (rows.length !== 1) throw new PageRowError(`${rows.length} rows of the page begin with ${row}`);
  return parts;
}

/** Reads a page: its headings, the rows of its tables, and the commands of its blocks of shell and of its paragraphs. */
export function readWholePage(markdown: string): PagePart[] {
  const parts: PagePart[] = [];
  let block: { readonly isShell: boolean; readonly lines: string[] } | undefined;
  for (const line of markdown.split('\n')) {
    if (line.startsWith('```')) {
      if (block?.isShell) parts.push(...commandsOf(block.lines));
      block = block === undefined ? { isShell: line === '```sh', lines: [] } : undefined;
    } else if (block !== undefined) block.lines.push(line);
    else if (line.startsWith('## ')) parts.push({ kind: 'heading', text: line.slice(3) });
    else if (line.startsWith('|')) {
      // A pipe may stand in code.
      const cells = (line.slice(1, -1).match(/(?:`[^`]*`|[^|`])+/g) ?? []).map(cell => cell.trim());
      parts.push({ kind: 'row', cells, commands: inlineCommands(line) });
    } else parts.push(...inlineCommands(line).map(command => ({ kind: 'command', ...command }) as const));
  }
  return parts;
}

/** The pages that a text leads to: `schedule-stopped.md`. */
export function linksIn(text: string): string[] {
  return [...text.matchAll(/\]\(([\w-]+\.md)\)/g)].map(([, page]) => page ?? '');
}

function commandsOf(block: readonly string[]): PagePart[] {
  let by: By = 'anybody';
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

function inlineCommands(line: string): PageCommand[] {
  const by = /\badministrator\b/.test(line) ? 'administrator' : 'anybody';
  return [...line.matchAll(/`([^`]+)`/g)]
    .map(([, code]) => code ?? '')
    .filter(code => COMMAND.test(code))
    .map(text => ({ text, by }));
}
