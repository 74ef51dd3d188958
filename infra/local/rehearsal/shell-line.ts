import { NotImplementedLocally } from '../service.ts';

/** A line of shell: one command, or one after the other of a pipe, and the file that takes the answer. */
export interface ShellLine {
  readonly commands: readonly (readonly string[])[];
  readonly output: string | undefined;
}

/**
 * Splits a line of a page into commands and words. Of a shell's grammar it knows quotes, variables, pipes, one `>` and the
 * two ways in which pages tell a time; what stands in `$( … )` else is to be put in before.
 * @param variables what `$NAME` stands for.
 * @throws NotImplementedLocally for other expansions.
 */
export function parseShellLine(line: string, variables: ReadonlyMap<string, string>, now: Date): ShellLine {
  const seconds = Math.floor(now.getTime() / 1000);
  const expanded = line
    .replaceAll(/\$\(\(\$\(date \+%s\) - (\d+)\)\)/g, (_, ago: string) => String(seconds - Number(ago)))
    .replaceAll('$(date -u +%Y-%m-%dT%H:%M:00.000Z)', `${now.toISOString().slice(0, 16)}:00.000Z`)
    .replaceAll(/\$([A-Z_]+)/g, (whole, name: string) => variables.get(name) ?? whole);
  if (/\$[({A-Z]/.test(expanded)) throw new NotImplementedLocally(`this of a shell: ${expanded}`);
  const commands: string[][] = [[]];
  let output: string | undefined;
  for (const [token] of expanded.matchAll(/[|>]|(?:[^\s"'|>]|"(?:[^"\\]|\\.)*"|'[^']*')+/g)) {
    const words = commands.at(-1) ?? [];
    if (token === '|') commands.push([]);
    else if (token === '>') output = '';
    else if (output === '') output = token;
    else
      words.push(
        token.replaceAll(
          /"((?:[^"\\]|\\.)*)"|'([^']*)'/g,
          (_, double?: string, single?: string) => double?.replaceAll(/\\(["\\$`])/g, '$1') ?? single ?? '',
        ),
      );
  }
  return { commands, output };
}
