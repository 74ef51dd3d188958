/** What can be shown where a command writes to. */
export interface Screen {
  /** Characters in a line; undefined where lines may be of any length, e.g. in a file or a pipe. */
  readonly width: number | undefined;
  readonly hasColour: boolean;
  /** Whether a line can be written over. */
  readonly redraws: boolean;
}

/** As far as a terminal that does not say how wide it is can be counted on. */
const NARROWEST_TERMINAL = 80;

/**
 * No colour where `NO_COLOR` holds anything (https://no-color.org), or the terminal knows none: `TERM` is `dumb`, or is not
 * there (https://pubs.opengroup.org/onlinepubs/9799919799/basedefs/V1_chap08.html).
 */
export function screenOf(
  output: { readonly isTTY?: boolean; readonly columns?: number },
  environment: Readonly<Record<string, string | undefined>>,
): Screen {
  if (!output.isTTY) return { width: undefined, hasColour: false, redraws: false };
  const { NO_COLOR: noColour = '', TERM: terminal = '' } = environment;
  const redraws = terminal !== '' && terminal !== 'dumb';
  return { width: output.columns || NARROWEST_TERMINAL, hasColour: redraws && noColour === '', redraws };
}

const STYLES = { bold: 1, red: 31, green: 32 } as const;

/** The text in a style, where the screen has colours. */
export function styled(screen: Screen, style: keyof typeof STYLES, text: string): string {
  return screen.hasColour ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text;
}
