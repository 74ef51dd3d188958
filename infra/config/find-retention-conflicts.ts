import { DELETED_BY_AWS_DAYS, JANITOR_MS } from '../../functions/contracts/retention.ts';
import { promisedDays } from '../../functions/retention/promised-days.ts';
import type { SupplierConfiguration } from './configuration.ts';
import type { Conflict } from './find-conflicts.ts';

type Path = readonly (string | number)[];

const DAY_MS = 24 * 60 * 60 * 1000;
/** From one monthly test to the next, at most, and the day on which the next one runs. */
export const DAYS_UNTIL_PROVED_AGAIN = 32;
/** A period has so many days at least: so many periods less one are between the first and the last one kept. */
const SHORTEST_DAYS = { daily: 1, weekly: 7, monthly: 28, yearly: 365 } as const;

/** What contradicts itself in a retention policy, or promises what cannot be kept. Without a policy nothing is promised. */
export function findRetentionConflicts({ retention, vault, restoreTest }: SupplierConfiguration): Conflict[] {
  const { snapshotDays, policy } = retention;
  if (policy === undefined) return [];
  const { promise, rules } = policy;
  const ofRule = (...path: Path): Path => ['retention', 'policy', 'rules', ...path];
  const ofPromise = (name: keyof typeof promise): Path => ['retention', 'policy', 'promise', name];
  const age: Path = ['retention', 'snapshotDays'];
  const promised = promisedDays(policy, { snapshotDays, eventHoldDays: vault.eventHoldDays });
  const { keep } = rules.recoveryPoints;
  const abandonedDays = Math.ceil((restoreTest.abandonedAfterMs + JANITOR_MS) / DAY_MS);
  return [
    ...(['beyondUse', 'gone'] as const).flatMap((end): Conflict[] => {
      const name = `${end}Days` as const;
      const { days, parts } = promised[end];
      if (days <= promise[name]) return [];
      const made = parts.map(part => `${part.days} (${part.what})`).join(' + ');
      const lines: Path[] = [ofPromise('coolingOffDays'), ofPromise('erasureDays')];
      const others: Path[] =
        end === 'gone'
          ? [
              age,
              ['vault', 'eventHoldDays'],
              ofPromise('automatedBackupDays'),
              ofRule('exports', 'maximumDays'),
              ofRule('workFiles', 'maximumDays'),
              ofRule('scratch', 'maximumDays'),
            ]
          : [];
      return [
        {
          paths: [ofPromise(name), ...lines, ...others],
          message: `cannot be kept: it takes ${made} = ${days} days; promise that, or shorten one of them`,
        },
      ];
    }),
    ...(promise.beyondUseDays > promise.goneDays
      ? [
          {
            paths: [ofPromise('beyondUseDays'), ofPromise('goneDays')] as const,
            message: 'comes after the day on which nothing is left to use',
          },
        ]
      : []),
    ...(rules.incompleteRecoveryPoints.maximumDays > snapshotDays
      ? [
          {
            paths: [ofRule('incompleteRecoveryPoints', 'maximumDays'), age] as const,
            message: `what is incomplete holds every school as well, and would outlive what is good: keep it for ${snapshotDays} days at most`,
          },
        ]
      : []),
    ...Object.entries(keep ?? {}).flatMap(([name, value]): Conflict[] => {
      if (value === undefined) return [];
      const isWithin = name === 'withinDays';
      const neededDays = isWithin ? value : (value - 1) * SHORTEST_DAYS[name as keyof typeof SHORTEST_DAYS];
      const isTooMuch = isWithin ? neededDays > snapshotDays : neededDays >= snapshotDays;
      return isTooMuch
        ? [
            {
              paths: [ofRule('recoveryPoints', 'keep', name), age],
              message: `asks for what is ${neededDays} days old, and a snapshot, which mixes all schools, goes after ${snapshotDays}: no count outlives the age; what is to be kept longer are archives of one school`,
            },
          ]
        : [];
    }),
    ...(keep !== undefined && Math.max(keep.withinDays ?? 0, keep.daily ?? 0) < DAYS_UNTIL_PROVED_AGAIN
      ? [
          {
            paths: [ofRule('recoveryPoints', 'keep'), ['schedules', 'restoreTest', 'dayOfMonth']] as const,
            message: `the recovery point that one monthly restore test proved would be thinned out before the next one proves another: keep withinDays or daily of ${DAYS_UNTIL_PROVED_AGAIN} at least, or leave keep out`,
          },
        ]
      : []),
    ...Object.entries(DELETED_BY_AWS_DAYS).flatMap(([name, days]): Conflict[] =>
      rules[name as keyof typeof DELETED_BY_AWS_DAYS].maximumDays < days
        ? [
            {
              paths: [ofRule(name, 'maximumDays')],
              message: `AWS deletes it after ${days} days, as the stacks have it: the rule cannot say less`,
            },
          ]
        : [],
    ),
    ...(abandonedDays > rules.scratch.maximumDays
      ? [
          {
            paths: [['restoreTest', 'abandonedAfterMs'], ofRule('scratch', 'maximumDays')] as const,
            message: `an instance that a dead restore test left holds every school, and is there for up to ${abandonedDays} days until the janitor has removed it, longer than the rule says: remove it sooner, or say ${abandonedDays}`,
          },
        ]
      : []),
  ];
}
