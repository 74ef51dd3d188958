import type { Command, Option } from 'commander';
import { EXIT } from '../../infra/command-line/failure.ts';
import type { Answer, Verb, VerbGroup } from './verb.ts';

const bash: Verb = {
  name: 'bash',
  summary: 'print what lets bash complete daybreak',
  examples: [{ command: 'source <(daybreak completion bash)', what: 'for this shell; in ~/.bashrc for all' }],
  options: [],
  run: () => complete('bash', describeBash),
};

const zsh: Verb = {
  name: 'zsh',
  summary: 'print what lets zsh complete daybreak',
  examples: [
    { command: 'source <(daybreak completion zsh)', what: 'for this shell, after compinit; in ~/.zshrc for all' },
  ],
  options: [],
  run: () => complete('zsh', describeZsh),
};

export const completion: VerbGroup = {
  name: 'completion',
  summary: 'complete verbs and options in a shell',
  verbs: [bash, zsh],
};

/** What may follow some words: other words, or the value of an option. */
interface Place {
  /** `daybreak evidence show`. */
  readonly path: string;
  readonly words: readonly string[];
  /** An option that takes a value, and what that may be. */
  readonly values: readonly { flag: string; kind: 'words' | 'file' | 'directory' | 'text'; words: readonly string[] }[];
}

async function complete(shell: string, describe: (places: readonly Place[]) => string): Promise<Answer> {
  // The tree holds this file too.
  const [{ createDaybreak }, { VERB_GROUPS }] = await Promise.all([import('./program.ts'), import('./verb-groups.ts')]);
  const script = describe(placesOf(createDaybreak(VERB_GROUPS)));
  return { exitCode: EXIT.done, data: { shell, script }, text: () => script };
}

function placesOf(command: Command, path = command.name()): Place[] {
  const options = command.createHelp().visibleOptions(command);
  const place = {
    path,
    words: [...command.commands.map(each => each.name()), ...options.flatMap(({ long }) => long ?? [])],
    values: options.filter(option => option.required || option.optional).map(describeValue),
  };
  return [place, ...command.commands.flatMap(each => placesOf(each, `${path} ${each.name()}`))];
}

function describeValue({ long, flags, argChoices }: Option): Place['values'][number] {
  const kind = argChoices
    ? 'words'
    : /[<[]file/.test(flags)
      ? 'file'
      : /[<[]directory/.test(flags)
        ? 'directory'
        : 'text';
  return { flag: long ?? '', kind, words: argChoices ?? [] };
}

/** The words of a command line that name a verb are what its places are found by. */
const FIND_PLACE = `  local place=daybreak word
  for word in "\${before[@]}"; do
    case "$place $word" in
      PATHS) place="$place $word" ;;
    esac
  done`;

function findPlace(places: readonly Place[]): string {
  const paths = places.filter(({ path }) => path.includes(' ')).map(({ path }) => `'${path}'`);
  return FIND_PLACE.replace('PATHS', paths.join('|'));
}

function describeBash(places: readonly Place[]): string {
  const cases = places.map(({ path, words, values }) =>
    [
      `    '${path}')`,
      ...(values.length === 0 ? [] : ['      case "$previous" in', ...values.map(bashValue), '      esac']),
      `      COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$current")) ;;`,
    ].join('\n'),
  );
  return `_daybreak() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  local before=("\${COMP_WORDS[@]:1:COMP_CWORD-1}")
${findPlace(places)}
  case "$place" in
${cases.join('\n')}
  esac
}
complete -F _daybreak daybreak`;
}

function bashValue({ flag, kind, words }: Place['values'][number]): string {
  const reply = {
    words: `COMPREPLY=($(compgen -W '${words.join(' ')}' -- "$current"))`,
    file: 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$current"))',
    directory: 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$current"))',
    text: 'COMPREPLY=()',
  }[kind];
  return `        ${flag}) ${reply}; return ;;`;
}

function describeZsh(places: readonly Place[]): string {
  const cases = places.map(({ path, words, values }) =>
    [
      `    '${path}')`,
      ...(values.length === 0 ? [] : ['      case "$previous" in', ...values.map(zshValue), '      esac']),
      `      compadd -- ${words.join(' ')} ;;`,
    ].join('\n'),
  );
  return `_daybreak() {
  local previous="\${words[CURRENT-1]}"
  local -a before=("\${(@)words[2,CURRENT-1]}")
${findPlace(places)}
  case "$place" in
${cases.join('\n')}
  esac
}
compdef _daybreak daybreak`;
}

function zshValue({ flag, kind, words }: Place['values'][number]): string {
  const reply = { words: `compadd -- ${words.join(' ')}`, file: '_files', directory: '_files -/', text: ':' }[kind];
  return `        ${flag}) ${reply}; return ;;`;
}
