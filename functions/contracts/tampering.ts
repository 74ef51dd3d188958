import { z } from 'zod';

/** What is watched, by id: `infra/monitoring/tamper-rules.ts` says of each what it notices. */
export const TAMPER_RULES = [
  'snapshot-deleted',
  'snapshot-changed',
  'snapshot-taken',
  'key-changed',
  'key-destroyed',
  'grants',
  'aliases',
  'buckets',
  'objects',
  'evidence',
  'findings',
  'trail',
  'trail-log',
  'functions',
  'workflows',
  'schedules',
  'alarms',
  'event-rules',
  'topics',
  'queues',
] as const;
/** Noticed by a filter on the trail's log: its events do not reach EventBridge in eu-west-2. */
export const IDENTITY_RULE = 'identity';
export const TamperRuleId = z.enum([...TAMPER_RULES, IDENTITY_RULE]);
export type TamperRuleId = z.infer<typeof TamperRuleId>;

/** Those whose resources an upgrade of Daybreak changes: by the deployment's role that is recorded, and wakes nobody. */
export const UPGRADED_RULES: readonly TamperRuleId[] = [
  'trail-log',
  'functions',
  'workflows',
  'schedules',
  'alarms',
  'event-rules',
  'topics',
  'queues',
  IDENTITY_RULE,
];
/** Those of which refused attempts are recorded too. */
export const REFUSAL_RULES: readonly TamperRuleId[] = [
  'snapshot-deleted',
  'snapshot-changed',
  'key-changed',
  'buckets',
  'objects',
  'evidence',
  'findings',
  'trail',
];

/** `tampering`: done, by somebody who has no business to. `refused`: tried. `upgrade`: done by the deployment. */
export const TamperMode = z.enum(['tampering', 'refused', 'upgrade']);
export type TamperMode = z.infer<typeof TamperMode>;

/** The name of an EventBridge rule, or of a filter on the trail's log. */
export function tamperRuleName(id: TamperRuleId, mode: TamperMode): string {
  return `daybreak-tamper-${id}${mode === 'tampering' ? '' : `-${mode}`}`;
}

/** The names of all EventBridge rules that there have to be. */
export function tamperRuleNames(): string[] {
  return TAMPER_RULES.flatMap(id => [
    tamperRuleName(id, 'tampering'),
    ...(REFUSAL_RULES.includes(id) ? [tamperRuleName(id, 'refused')] : []),
    ...(UPGRADED_RULES.includes(id) ? [tamperRuleName(id, 'upgrade')] : []),
  ]);
}

export const TRAIL_NAME = 'daybreak';
/** The name of the bucket that the trail's log files go to. */
export const trailBucketName = (accountId: string): string => `daybreak-trail-${accountId}-eu-west-2`;
export const TRAIL_LOG_GROUP = '/daybreak/trail';
/** Where events wait that could not be delivered or recorded. */
export const UNDELIVERED_QUEUE = 'daybreak-tamper-undelivered';

/** The value of the dimension `Workflow` that the metrics below have. */
export const TAMPERING = 'tampering';
/** One for each event; the metric of a mode. */
export const TAMPER_METRICS = {
  tampering: 'TamperingSeen',
  refused: 'TamperingRefused',
  upgrade: 'UpgradesSeen',
} as const satisfies Record<TamperMode, string>;
/** One for each event on a role that is called like Daybreak's and is none of this release. */
export const FOREIGN_ROLE_METRIC = 'ForeignRolesSeen';
/** Counted by CloudWatch Logs itself, beside the function. */
export const IDENTITY_METRIC = 'IdentityTamperingLogged';

/** A filter's delivery from the trail's log: gzipped JSON in base64. */
export const LogDelivery = z.strictObject({ awslogs: z.strictObject({ data: z.base64().max(8_000_000) }) });

/** `evidence/record-tampering`: from an EventBridge rule, which says its own name, or from the trail's log. */
export const RecordTamperingInput = z.union([
  z.strictObject({ rule: TamperRuleId, mode: TamperMode, event: z.looseObject({ detail: z.unknown() }) }),
  LogDelivery,
]);
export const RecordTamperingOutput = z.strictObject({ sequences: z.array(z.int()) });
