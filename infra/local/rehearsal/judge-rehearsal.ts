/** How a command of a page ended. */
export type Ending =
  | { readonly kind: 'answered' | 'refused' }
  /** It started an execution, which ended so. */
  | { readonly kind: 'executed'; readonly status: string }
  | { readonly kind: 'not run'; readonly why: string };

/** A command of a page that was gone through. */
export interface GoneThrough {
  readonly line: string;
  /** How it ends by the page; undefined where the rehearsal says beforehand why it is not run. */
  readonly expected: 'answered' | 'refused' | undefined;
  readonly ending: Ending;
}

/** The state of each alarm, by its name. */
export type AlarmStates = ReadonlyMap<string, string>;

/** What is not as the page says, or as it was before: a sentence for each. Where there is none, it is right again. */
export function findWrong(commands: readonly GoneThrough[], before: AlarmStates, after: AlarmStates): string[] {
  return [
    ...commands.flatMap(({ line, expected, ending }) => {
      if (expected === undefined) return [];
      if (ending.kind === 'not run') return [`not run, ${ending.why}: ${line}`];
      if (ending.kind !== 'executed') {
        return ending.kind === expected ? [] : [`${ending.kind}, and the page says otherwise: ${line}`];
      }
      return ending.status === 'SUCCEEDED' ? [] : [`its execution ended as ${ending.status}: ${line}`];
    }),
    ...[...before].flatMap(([alarm, state]) => {
      const now = after.get(alarm) ?? 'gone';
      return now === state ? [] : [`${alarm} is ${now}, and was ${state}`];
    }),
  ];
}
