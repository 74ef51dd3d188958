import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { LedgerDraft } from '../contracts/ledger.ts';
import { ROLE_PREFIX } from '../contracts/policies.ts';
import type { TamperMode, TamperRuleId } from '../contracts/tampering.ts';
import { hashPolicy } from '../platform/policy-comparison.ts';

/**
 * What is read of a CloudTrail record. All but the id may be text of an attacker's choice: a part that does not fit is left
 * out, so that no odd name keeps an event out of the ledger.
 * https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
 */
const optional = <T extends z.ZodType>(schema: T) => schema.optional().catch(undefined);
const text = (form: RegExp) => optional(z.string().regex(form));
const Record = z.looseObject({
  eventID: z.uuid(),
  eventTime: text(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
  eventSource: text(/^[a-z0-9.-]{1,80}\.amazonaws\.com$/),
  eventName: text(/^[A-Za-z0-9]{1,100}$/),
  awsRegion: text(/^[a-z]{2}(?:-[a-z]{1,12}){1,3}-\d{1,2}$/),
  errorCode: text(/^[A-Za-z0-9.]{1,80}$/),
  userIdentity: optional(
    z.looseObject({
      type: text(/^[A-Za-z]{1,40}$/),
      principalId: optional(z.string().max(2000)),
      invokedBy: optional(z.string().max(200)),
      sessionContext: optional(
        z.looseObject({ sessionIssuer: optional(z.looseObject({ arn: optional(z.string().max(2048)) })) }),
      ),
    }),
  ),
  requestParameters: optional(z.record(z.string(), z.unknown()).nullable()),
  resources: optional(z.array(z.looseObject({ ARN: optional(z.string()) })).max(1000)),
});
type Record = z.output<typeof Record>;

/** Where the APIs that are watched name what they change. */
const NAMES = [
  'dBSnapshotIdentifier',
  'sourceDBSnapshotIdentifier',
  'snapshotIdentifier',
  'sourceArn',
  'bucketName',
  'aliasName',
  'roleName',
  'policyArn',
  'functionName',
  'stateMachineArn',
  'trailName',
  'alarmName',
  'alarmNames',
  'dashboardName',
  'dashboardNames',
  'rule',
  'topicArn',
  'subscriptionArn',
  'queueUrl',
  'logGroupName',
  'name',
  'keyId',
];
/** Names of Daybreak's own making, and ids of keys. Another name may be somebody's. */
const OWN_NAME =
  /^(?:arn:aws:[a-z-]+:[a-z0-9-]*:\d{0,12}:)?(?:https:\/\/sqs\.[a-z0-9-]+\.amazonaws\.com\/\d{12}\/)?[A-Za-z0-9/:_-]{0,40}daybreak[A-Za-z0-9/:_-]{0,200}$/i;
const KEY = /^(?:arn:aws:kms:[a-z0-9-]+:\d{12}:key\/)?(?:mrk-)?[0-9a-f-]{32,36}$/;
const OWN_OBJECT =
  /^(?:(?:tenants\/(?:[A-Za-z0-9][A-Za-z0-9_-]{0,62}|_[a-z2-7]{26})|shared)\/(?:objects\/[0-9a-f]{64}|manifests\/[0-9a-f]{64}\.jsonl\.zst|not-covered\/[0-9a-f]{64}\.jsonl\.zst|naming-secret)|tenant-names\/[0-9a-f]{64}\.json|recovery-points\/\d{8}t\d{6}z\.json|(?:ledger|segments|heads)\/\d{9,12}\.json|restore-tests\/\d{8}t\d{6}z\.json|pulse\/found-wrong\.json)$/;

/**
 * What the ledger says of a CloudTrail record. Nothing personal: no session name, address, agent or user name. Who did it is
 * the role, where it is one of Daybreak's, or the opaque id that IAM gave the role or user; whoever may read CloudTrail finds
 * the person by it and by the event's id. A name that is not of Daybreak's making stands there as its SHA-256.
 *
 * The same event has the same id, so that a second delivery is recorded once. Of refused attempts, the first of each hour
 * by the same principal against the same rule stands for all of them: nobody can flood the ledger by trying.
 * @throws z.ZodError for what is no CloudTrail record.
 */
export function describeTampering(rule: TamperRuleId, mode: TamperMode, record: unknown): LedgerDraft {
  const read = Record.parse(record);
  const { eventID, eventTime, eventSource, eventName, awsRegion, errorCode } = read;
  const actor = mode === 'upgrade' ? 'deployment' : actorOf(read.userIdentity);
  const parameters = read.requestParameters ?? {};
  const { key } = parameters;
  const hour = eventTime?.slice(0, 13) ?? 'unknown';
  return {
    eventId: mode === 'refused' ? `tampering/refused/${rule}/${actor}/${hour}` : `tampering/${eventID}`,
    kind: ({ tampering: 'tampering.seen', refused: 'tampering.refused', upgrade: 'upgrade.seen' } as const)[mode],
    actor,
    subject: subjectOf(read, parameters),
    body: {
      rule,
      cloudTrailEventId: eventID,
      eventTime: eventTime ?? null,
      eventSource: eventSource ?? null,
      eventName: eventName ?? null,
      region: awsRegion ?? null,
      errorCode: errorCode ?? null,
      ...(typeof key === 'string' && { object: OWN_OBJECT.test(key) ? key : hashed(key) }),
      ...(isTrue(parameters['x-amz-bypass-governance-retention']) && { bypassedGovernance: true }),
      ...(eventName === 'PutKeyPolicy' && policyOf(parameters)),
    },
  };
}

/** What only takes a role away, or something of what it may. */
const TAKES_AWAY: readonly (string | undefined)[] = ['DeleteRole', 'DeleteRolePolicy', 'DetachRolePolicy'];

/**
 * Whether somebody made or changed a role that is called like Daybreak's, or lies behind a path that is, and is none of this
 * release: keys and buckets let roles in by their names, those of steps that are still to come too. Whoever deploys has no
 * business to make one either; he takes away what an earlier release had.
 * @param roleNames those of this release. None of them has a path.
 */
export function isForeignRole(record: unknown, roleNames: ReadonlySet<string>): boolean {
  const { data } = Record.safeParse(record);
  const { eventSource, eventName, requestParameters } = data ?? {};
  const { roleName, path } = requestParameters ?? {};
  if (eventSource !== 'iam.amazonaws.com' || typeof roleName !== 'string' || TAKES_AWAY.includes(eventName))
    return false;
  return (
    (roleName.startsWith(ROLE_PREFIX) && !roleNames.has(roleName)) ||
    (typeof path === 'string' && path.startsWith(`/${ROLE_PREFIX}`))
  );
}

function actorOf(identity: Record['userIdentity'] = {}): string {
  const issuer = identity.sessionContext?.sessionIssuer?.arn;
  const [, ours] = /^arn:aws:iam::\d{12}:role\/(daybreak-[a-z0-9-]{1,55})$/.exec(issuer ?? '') ?? [];
  if (ours !== undefined) return `role/${ours}`;
  if (identity.type === 'Root') return 'root';
  // What follows the colon is the session's name, which is often a person's.
  const [id = ''] = (identity.principalId ?? '').split(':', 1);
  if (/^A[A-Z0-9]{15,127}$/.test(id)) return `principal/${id}`;
  const { invokedBy = '' } = identity;
  if (/^[a-z0-9.-]{1,80}\.amazonaws\.com$/.test(invokedBy)) return `service/${invokedBy}`;
  return invokedBy === 'AWS Internal' ? 'service/aws' : 'unknown';
}

function subjectOf({ resources = [] }: Record, parameters: { readonly [name: string]: unknown }): string {
  const named = NAMES.flatMap(name => parameters[name]).find(value => typeof value === 'string' && value !== '');
  const name = typeof named === 'string' ? named : resources.find(({ ARN }) => ARN !== undefined)?.ARN;
  if (name === undefined) return 'unknown';
  return OWN_NAME.test(name) || KEY.test(name) ? name : hashed(name);
}

/** What somebody made a key's policy say, as its hash: by it `evidence show` knows a put that a recorded upgrade named. */
function policyOf({ policy, bypassPolicyLockoutSafetyCheck }: { readonly [name: string]: unknown }) {
  // No upgrade does without the check.
  if (typeof policy !== 'string' || isTrue(bypassPolicyLockoutSafetyCheck)) return {};
  try {
    return { policySha256: hashPolicy(JSON.parse(policy)) };
  } catch {
    return {};
  }
}

const hashed = (name: string): string => `sha256:${createHash('sha256').update(name).digest('hex')}`;
const isTrue = (value: unknown): boolean => value === true || value === 'true';
