import type { Refusal } from './removals.ts';

/** Allowances of these roles (without `daybreak-`), and why they are an exception. */
interface Exception {
  readonly roles: readonly string[] | RegExp;
  readonly allowance: RegExp;
  readonly reason: string;
}

const DISTRIBUTED_MAP = 'https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html';

/** What nothing asks for in the local cloud, and what does in AWS. */
export const UNUSED: readonly Exception[] = [
  {
    roles: /^(?:backup|tenants|evidence|restore-test|workflows|pulse)-/,
    allowance: /^logs:(?:CreateLogStream|PutLogEvents) on /,
    reason:
      "Lambda writes a function's log under its role; here the log is kept in memory. https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html",
  },
  {
    roles: ['backup-fingerprint', 'restore-test-hydrate', 'restore-test-verify-database'],
    allowance: /^ec2:/,
    reason:
      "Lambda makes a function's network interfaces under its role; there is no network here. https://docs.aws.amazon.com/lambda/latest/dg/configuration-vpc.html#configuration-vpc-permissions",
  },
  {
    roles: ['daily-backup', 'restore-test', 'remove-abandoned'],
    allowance: /^logs:/,
    reason:
      "Step Functions sets up its log's delivery under the role; here nothing is delivered. https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html",
  },
  {
    roles: ['daily-backup', 'restore-test'],
    allowance: /^states:(?:DescribeExecution|StopExecution|RedriveExecution) on /,
    reason: `Step Functions watches, stops and redrives the children of a distributed map under the role; here it asks itself. ${DISTRIBUTED_MAP}`,
  },
  {
    roles: ['daily-backup', 'restore-test'],
    allowance: /^s3:(?:AbortMultipartUpload|ListMultipartUploadParts) on \S+\/work\/\*$/,
    reason: `Step Functions writes large results of a distributed map in parts; these are small. ${DISTRIBUTED_MAP}`,
  },
  {
    roles: ['evidence-record-tampering', 'evidence-append-entry'],
    allowance: /^sqs:SendMessage on /,
    reason:
      "Lambda leaves what failed three times in the queue under the function's role; here it does so by itself. https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html",
  },
];

/** What a function can do without, with what then becomes of its work. */
export interface Tolerated extends Exception {
  /** Whether the answer and the log say what was refused. */
  readonly isTold: (answer: unknown, lines: readonly string[]) => boolean;
}

const notCovered = (reason: string) => (answer: unknown) =>
  ((answer as { result?: { notCovered: Record<string, number> } }).result?.notCovered[reason] ?? 0) > 0;

/** Where a refusal is an outcome and no failure. */
export const TOLERATED: readonly Tolerated[] = [
  {
    roles: ['backup-list-tenants'],
    allowance: /^s3:(?:ListBucket|ListBucketVersions|GetBucketVersioning) on arn:aws:s3:::supplier-uploads$/,
    reason: 'A bucket that cannot be listed makes the recovery point incomplete, and holds back no other.',
    isTold: answer => (answer as { unlistedBucketIds: string[] }).unlistedBucketIds.includes('uploads'),
  },
  {
    roles: ['backup-back-up-tenant'],
    allowance: /^s3:GetObject(?:Version)? on arn:aws:s3:::supplier-uploads\/\*$|^kms:Decrypt on SOURCE_KEY /,
    reason: 'An object that cannot be read is named, and makes the recovery point incomplete.',
    isTold: notCovered('access-denied'),
  },
  {
    roles: ['backup-back-up-tenant'],
    allowance: /^s3:GetObject(?:Version)?Tagging on arn:aws:s3:::supplier-uploads\/\*$/,
    reason: 'An object whose tags cannot be read is named, and makes the recovery point incomplete.',
    isTold: notCovered('tags-refused'),
  },
  {
    roles: ['backup-complete'],
    allowance: /^(?:s3:GetObject on \S+|kms:Decrypt on VAULT_KEY .*)\/fingerprints\/\*/,
    reason: 'A database whose fingerprints do not read back makes the recovery point incomplete.',
    isTold: answer => {
      const { status, databases } = answer as { status: string; databases: { failure: string | null }[] };
      return status === 'incomplete' && databases.every(({ failure }) => /ObjectAccessDeniedError/.test(failure ?? ''));
    },
  },
  {
    roles: [
      'backup-list-tenants',
      'evidence-append-entry',
      'evidence-record-tampering',
      'restore-test-choose',
      'pulse-read-back',
    ],
    allowance: /\/ledger-projection\/\*/,
    reason: 'The kept fold of the ledger saves time; without it every entry is read again.',
    isTold: (_answer, lines) => lines.some(line => /ledger projection not (?:kept|usable).*AccessDenied/.test(line)),
  },
  {
    roles: ['evidence-append-entry', 'evidence-record-tampering', 'restore-test-choose'],
    allowance: /^s3:ListBucket on arn:aws:s3:::daybreak-work-/,
    reason: 'The same: without it, a missing fold looks like one that may not be read.',
    isTold: (_answer, lines) => lines.some(line => /ledger projection not usable.*AccessDenied/.test(line)),
  },
  {
    roles: ['restore-test-remove-abandoned'],
    allowance: /^rds:DeleteDBInstance on /,
    reason: 'An instance that cannot be deleted keeps none of the others; its error ends the workflow.',
    isTold: answer =>
      (answer as { failure: { error: string } | null }).failure?.error === 'DatabaseServiceAccessDeniedError',
  },
  {
    roles: ['backup-remove-unproved'],
    allowance: /^(?:rds:DeleteDBSnapshot|s3:GetObject|s3:ListBucket|kms:Decrypt|kms:Verify) on /,
    reason:
      'A snapshot that cannot be deleted, or whose root manifest cannot be read, is kept, and keeps none of the others; the error ends the workflow.',
    isTold: (answer, lines) =>
      ((answer as { failure: { error: string } | null }).failure?.error.endsWith('AccessDeniedError') ?? false) ||
      // While it plans, it says so in the log alone: the call that removes fails over it.
      lines.some(line => /a root manifest cannot be read.*AccessDenied/.test(line)),
  },
  {
    roles: ['pulse-read-back'],
    allowance: /./,
    reason: 'Each check stands alone: one that cannot be made is counted, which alarms, and hides no other.',
    isTold: (answer, lines) =>
      (answer as { failedChecks: string[] }).failedChecks.length > 0 &&
      lines.some(line => /a check could not be made.*AccessDenied/.test(line)),
  },
];

/** The first exception that holds for a role's allowance. */
export function findException<E extends Exception>(
  exceptions: readonly E[],
  role: string,
  allowance: string,
): E | undefined {
  const name = role.replace(/^daybreak-/, '');
  return exceptions.find(
    exception =>
      (exception.roles instanceof RegExp ? exception.roles.test(name) : exception.roles.includes(name)) &&
      exception.allowance.test(allowance),
  );
}

/** What happened instead of a failure that names the role and the action; undefined when that is what happened. */
export function whyNotRefused({ role, action, outcome, denied }: Refusal): string | undefined {
  if (!denied.some(refused => refused.startsWith(`${action} on `))) return `IAM was not asked for ${action} again`;
  if (outcome.kind === 'answered') return `the function answered ${JSON.stringify(outcome.payload).slice(0, 500)}`;
  const { name, message } = outcome.error as Error;
  const isNamed =
    action === 'rds-db:connect'
      ? // PostgreSQL says no more to a client; its log has the reason.
        name === 'DatabaseAccessDeniedError' && /SQLSTATE 28000/.test(message)
      : /AccessDenied/.test(`${name} ${message}`) && message.includes(action) && message.includes(`role/${role}`);
  return isNamed ? undefined : `the function failed with ${name}: ${message}`;
}
