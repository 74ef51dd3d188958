import { VERB_GROUPS } from '../../runbooks/cli/verb-groups.ts';

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
      const all = wordsOf(text);
      const start = all.findIndex(
        (word, index) =>
          word === 'aws' || (word === 'daybreak' && (all[index + 1] === '--' || all[index - 1] === 'npx')),
      );
      if (start < 0) return [];
      const [program, ...rest] = all.slice(start);
      const words = rest[0] === '--' ? rest.slice(1) : rest;
      const [service, operation, ...parameters] = program === 'daybreak' ? joinGroup(words) : words;
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

/** The words with those that name a group as one: `register contact`. */
function joinGroup(words: readonly string[]): readonly string[] {
  const group = VERB_GROUPS.map(({ name }) => name.split(' ')).find(
    names => names.length > 1 && names.every((name, index) => words[index] === name),
  );
  return group === undefined ? words : [group.join(' '), ...words.slice(group.length)];
}
