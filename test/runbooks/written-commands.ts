/** A command of the AWS CLI or of `daybreak`, as a page has it. */
export interface WrittenCommand {
  /** `aws kms`, or `daybreak evidence`. */
  readonly service: string;
  readonly operation: string;
  readonly options: readonly string[];
  readonly text: string;
}

/**
 * The commands in a page's blocks of shell and in its inline code. Of a shell's grammar it knows quotes, continued lines,
 * and where a command ends.
 */
export function commandsIn(markdown: string): WrittenCommand[] {
  const blocks = [...markdown.matchAll(/```sh\n([\s\S]*?)```/g)].map(match => match[1] ?? '');
  const inline = [...markdown.replaceAll(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)].map(match => match[1] ?? '');
  return [...blocks, ...inline].flatMap(commandsInShell);
}

/** The commands in a text of shell. */
export function commandsInShell(shell: string): WrittenCommand[] {
  const joined = shell.replaceAll('\\\n', ' ').replaceAll(/^\s*#.*$/gm, '');
  return joined.split('\n').flatMap(line =>
    splitCommands(line).flatMap(text => {
      const words = wordsOf(text);
      const start = words.findIndex(
        (word, index) =>
          word === 'aws' || (word === 'daybreak' && (words[index + 1] === '--' || words[index - 1] === 'npx')),
      );
      if (start < 0) return [];
      const [program, ...rest] = words.slice(start);
      const [service, operation, ...parameters] = rest[0] === '--' ? rest.slice(1) : rest;
      if (service === undefined || operation === undefined) return [];
      const options = parameters.filter(word => word.startsWith('--')).map(word => word.split('=', 1)[0] ?? '');
      return [{ service: `${program} ${service}`, operation, options, text: text.trim() }];
    }),
  );
}

// What stands in `$( … )` is a command of its own; a pipe, a list or a redirection ends one.
function splitCommands(line: string): string[] {
  const inner = [...line.matchAll(/\$\(([^()]*)\)/g)].map(match => match[1] ?? '');
  const outer = line.replaceAll(/\$\(\(?[^()]*\)?\)/g, 'VALUE');
  const parts: string[] = [''];
  let quote = '';
  for (const character of outer) {
    if (quote === '' && /["']/.test(character)) quote = character;
    else if (character === quote) quote = '';
    if (quote === '' && /[|;&<>]/.test(character)) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return [...parts, ...inner.flatMap(splitCommands)];
}

function wordsOf(text: string): string[] {
  return [...text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) => word);
}
