import type { Command, Option } from 'commander';
import type { Screen } from '../../infra/command-line/screen.ts';

/** What a verb found out or did. */
export interface Answer {
  /** `EXIT.done`, or `EXIT.failed` where the answer is no. */
  readonly exitCode: number;
  /** What `--json` prints. */
  readonly data: unknown;
  /** What is printed otherwise, without the last line's end. */
  text(screen: Screen): string;
}

/** One verb, e.g. `show` of `daybreak evidence show`. `--json` and `--help` are every verb's. */
export interface Verb<Options extends object = object> {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  /** How it is called for what; the first words are `daybreak`, the group and the verb. */
  readonly examples: readonly [Example, ...Example[]];
  /** Of commander: `--name <value>`, with `choices` where they are known, and `<file>` or `<directory>` for a path. */
  readonly options: readonly Option[];
  /**
   * Does it. What takes its time to load (the SDK, the CDK) is imported here and not above: help does not wait for it.
   * @param daybreak the whole command, with all its verbs.
   * @throws UsageError for what the operator has to change.
   */
  run(options: Options, daybreak: Command): Promise<Answer>;
}

export interface Example {
  readonly command: string;
  readonly what: string;
}

/** The verbs about one subject, e.g. `daybreak evidence`. Each group is of a file, which is named in `verb-groups.ts`. */
export interface VerbGroup {
  /** One word, or several: `register contact`. */
  readonly name: string;
  readonly summary: string;
  readonly verbs: readonly Verb[];
}
