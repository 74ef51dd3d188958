import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetBucketPolicyCommand, S3Client } from '@aws-sdk/client-s3';
import type { Deployment } from '../../functions/contracts/configuration.ts';
import { createApp } from '../../infra/app.ts';
import { exampleConfiguration } from '../../infra/config/example.ts';
import { LocalClock } from '../../infra/local/clock.ts';
import { LocalCloud } from '../../infra/local/cloud.ts';
import { deployAssembly } from '../../infra/local/cloudformation/deploy.ts';

export type Purpose = 'vault' | 'evidence' | 'work';

interface Statement {
  readonly Sid?: string;
  readonly Effect: string;
  readonly Principal?: unknown;
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly [field: string]: unknown;
}

/** What is synthesized for an account, with every reference resolved. */
export interface Synthesized {
  readonly bucketPolicies: Readonly<
    Record<Purpose, { readonly bucket: string; readonly statements: readonly Statement[] }>
  >;
  readonly vaultKeyArn: string;
  /** What lets CloudWatch encrypt notices under the topics' key, and publish them. */
  readonly alarmStatements: { readonly key: readonly Statement[]; readonly topic: readonly Statement[] };
}

const known = new Map<string, Promise<Synthesized>>();

/** Synthesizes the example configuration for an account, once, and deploys it into a local cloud of its own. */
export function synthesized(account: string): Promise<Synthesized> {
  const found = known.get(account) ?? synthesize(account);
  known.set(account, found);
  return found;
}

async function synthesize(account: string): Promise<Synthesized> {
  const directory = mkdtempSync(join(tmpdir(), 'daybreak-synthesized-'));
  const clock = new LocalClock({ startsAt: new Date('2026-11-22T12:00:00Z'), flow: 'manual' });
  const cloud = new LocalCloud({ clock, accountId: account });
  try {
    createApp({ ...exampleConfiguration, account }, { outdir: directory, bundle: false, check: false }).synth();
    await deployAssembly(cloud, directory);
    const { DAYBREAK_DEPLOYMENT = '' } = cloud.lambda.environmentOf('daybreak-backup-plan');
    const deployment = JSON.parse(DAYBREAK_DEPLOYMENT) as Deployment;
    const s3 = new S3Client(cloud.clientConfiguration(cloud.root));
    const policyOf = async (bucket: string) => {
      const { Policy = '' } = await s3.send(new GetBucketPolicyCommand({ Bucket: bucket }));
      return { bucket, statements: (JSON.parse(Policy) as { Statement: Statement[] }).Statement };
    };
    return {
      bucketPolicies: {
        vault: await policyOf(deployment.vaultBucket),
        evidence: await policyOf(deployment.evidenceBucket),
        work: await policyOf(deployment.workBucket),
      },
      vaultKeyArn: deployment.vaultKeyArn,
      alarmStatements: readAlarmStatements(join(directory, 'DaybreakMonitoring.template.json')),
    };
  } finally {
    await cloud.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** @throws Error where the template lets CloudWatch use no key, or publish to no topic. */
function readAlarmStatements(file: string): Synthesized['alarmStatements'] {
  type Resource = { Type: string; Properties?: Record<string, { Statement?: Statement[] }> };
  const { Resources } = JSON.parse(readFileSync(file, 'utf8')) as { Resources: Record<string, Resource> };
  const ofCloudWatch = (type: string, property: string) =>
    Object.values(Resources)
      .filter(({ Type }) => Type === type)
      .flatMap(({ Properties }) => Properties?.[property]?.Statement ?? [])
      .filter(({ Principal }) => (Principal as { Service?: unknown })?.Service === 'cloudwatch.amazonaws.com');
  const key = ofCloudWatch('AWS::KMS::Key', 'KeyPolicy');
  const topic = ofCloudWatch('AWS::SNS::TopicPolicy', 'PolicyDocument');
  if (key.length === 0 || topic.length === 0) throw new Error(`${file} lets CloudWatch tell nobody of its alarms`);
  return { key, topic };
}

/**
 * A synthesized bucket policy for a scratch bucket, under a scratch key. One statement is left out: what no function of
 * Daybreak may do to a bucket, nobody could who runs this under a role whose name begins like theirs, nor clean up.
 * @param options.anyWriter true: whoever writes is one of the bucket's writers, so that the other statements show.
 */
export async function policyFor(
  purpose: Purpose,
  account: string,
  target: { arn: string; keyArn: string; anyWriter: boolean },
): Promise<Statement[]> {
  const { bucketPolicies, vaultKeyArn } = await synthesized(account);
  const { bucket, statements } = bucketPolicies[purpose];
  const text = JSON.stringify(statements.filter(({ Sid }) => Sid !== 'FunctionsNeverChangeBuckets'))
    .replaceAll(`arn:aws:s3:::${bucket}`, target.arn)
    .replaceAll(vaultKeyArn, target.keyArn);
  const moved = JSON.parse(text) as Statement[];
  if (!target.anyWriter) return moved;
  const writers = `arn:aws:iam::${account}:*`;
  return moved.map(statement =>
    statement.Sid?.startsWith('Only') && statement.Sid.includes('Writers')
      ? { ...statement, Condition: { ArnNotLike: { 'aws:PrincipalArn': writers } } }
      : statement,
  );
}
