/** One alarm, as `infra/monitoring` defines it. */
export interface PlantedAlarm {
  readonly id: string;
  readonly meaning: string;
  readonly runbook: string;
  readonly urgent: boolean;
  /** The metric of pulse that it reads; undefined for a count of tampering. */
  readonly metric: string | undefined;
}

type Told = 'pagers' | 'contacts';

/** Everything that has to know of an alarm, as it is found where it stands. */
export interface Known {
  readonly alarms: readonly PlantedAlarm[];
  /** The metrics that pulse finds a value for, and those that the dashboard shows. */
  readonly published: readonly string[];
  readonly shown: readonly string[];
  /** The files in `runbooks/`. */
  readonly pages: readonly string[];
  /** The rows of the table of `runbooks/README.md`. */
  readonly onCall: readonly string[];
  /** The ids in the tables of `docs/alarms.md`, by whom the row says they tell; one that ends in `…` stands for a kind. */
  readonly described: Readonly<Record<Told, readonly string[]>>;
  /** The ids in the first cells of the table of `runbooks/tampering.md`. */
  readonly tampering: readonly string[];
  /** What the templates have, by id. */
  readonly deployed: {
    readonly tell: Readonly<Record<string, Told>>;
    readonly sound: readonly string[];
    readonly onDashboard: readonly string[];
    readonly count: number;
  };
  /** How many alarms `docs/cost.md` pays for. */
  readonly paid: number;
}

/** The row of an alarm in `runbooks/README.md`. */
export const rowOf = ({ id, urgent, meaning, runbook }: PlantedAlarm): string =>
  `| \`${id}\` | ${urgent ? 'pagers' : 'contacts'} | ${meaning} | [${runbook.replace('.md', '')}](${runbook}) |`;

/** What somebody who added an alarm, or took one away, has forgotten: a sentence for each place. */
export function findForgotten(known: Known): string[] {
  const { alarms, published, shown, pages, onCall, described, tampering, deployed, paid } = known;
  const forgotten = alarms.flatMap(alarm => {
    const { id, runbook, urgent, metric } = alarm;
    const told = urgent ? 'pagers' : 'contacts';
    const names = (name: string) => name === id || (name.endsWith('…') && id.startsWith(name.slice(0, -1)));
    const isOfTampering = runbook === 'tampering.md';
    return [
      ...(metric === undefined || published.includes(metric)
        ? []
        : [`${id} reads ${metric}, which functions/pulse never publishes`]),
      ...(pages.includes(runbook) ? [] : [`${id} leads to runbooks/${runbook}, which is not there`]),
      ...(onCall.includes(rowOf(alarm)) ? [] : [`${id} has no row in runbooks/README.md: ${rowOf(alarm)}`]),
      ...(described[told].some(names) ? [] : [`${id} is not in docs/alarms.md among what tells the ${told}`]),
      ...(isOfTampering && !tampering.includes(id) && !tampering.includes(id.replace('tamper-', ''))
        ? [`${id} has no row in runbooks/tampering.md`]
        : []),
      ...(deployed.tell[id] === told
        ? []
        : [`${id} is to tell the ${told}, and tells ${deployed.tell[id] ?? 'nobody'}`]),
      ...(urgent === deployed.sound.includes(id)
        ? []
        : [`${id} is ${urgent ? 'urgent, and does not sound' : 'not urgent, and sounds'} the pager`]),
      ...(deployed.onDashboard.includes(id) ? [] : [`${id} is not on the dashboard`]),
    ];
  });
  const ids = alarms.map(({ id }) => id);
  const read = [...alarms.map(({ metric }) => metric), ...shown];
  return [
    ...forgotten,
    ...published
      .filter(metric => !read.includes(metric))
      .map(metric => `pulse publishes ${metric}, which neither an alarm nor the dashboard reads`),
    ...onCall
      .filter(row => !alarms.some(alarm => row === rowOf(alarm)))
      .map(row => `runbooks/README.md has a row of no alarm: ${row}`),
    ...Object.values(described)
      .flat()
      .filter(name => !ids.includes(name) && !(name.endsWith('…') && ids.some(id => id.startsWith(name.slice(0, -1)))))
      .map(name => `docs/alarms.md has ${name}, which is no alarm`),
    ...(paid === deployed.count ? [] : [`docs/cost.md pays for ${paid} alarms, and ${deployed.count} are deployed`]),
  ];
}
