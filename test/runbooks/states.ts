import {
  CreateGrantCommand,
  CreateKeyCommand,
  DeleteAliasCommand,
  DescribeKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  GetKeyPolicyCommand,
  KMSClient,
  ListAliasesCommand,
  PutKeyPolicyCommand,
  ScheduleKeyDeletionCommand,
  UpdateAliasCommand,
} from '@aws-sdk/client-kms';
import {
  CreateDBParameterGroupCommand,
  DescribeDBInstancesCommand,
  ModifyDBSnapshotAttributeCommand,
  RDSClient,
} from '@aws-sdk/client-rds';
import { GetObjectRetentionCommand, ListObjectVersionsCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { expect } from 'vitest';
import type { Deployment } from '../../functions/contracts/configuration.ts';
import { KEY_ALIASES } from '../../functions/contracts/policies.ts';
import { UNDELIVERED_QUEUE } from '../../functions/contracts/tampering.ts';
import { tenantKeyAlias } from '../../functions/contracts/vault-layout.ts';
import { readConfiguration } from '../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../infra/config/example.ts';
import type { LocalCloud } from '../../infra/local/cloud.ts';
import { BREAK, type Broken } from '../../infra/local/rehearsal/break-things.ts';
import type { RehearsalName } from '../../infra/local/rehearsal/rehearsals.ts';
import { alarmsOf } from '../../infra/monitoring/alarms.ts';
import { tamperAlarmsOf } from '../../infra/monitoring/tamper-alarms.ts';
import { tamperRules } from '../../infra/monitoring/tamper-rules.ts';
import { EVERYTHING } from '../infra/access/attacks-account.ts';

/** Where a page's reader is: an account with Daybreak in it, a good recovery point, and no PostgreSQL server. */
export interface World {
  readonly cloud: LocalCloud;
  readonly deployment: Deployment;
  /** A recovery point with a snapshot. */
  readonly point: string;
  readonly snapshotId: string;
  /** A snapshot that no recovery point names, and an instance that a test left. */
  readonly leftSnapshotId: string;
  readonly leftInstanceId: string;
  readonly readers: Readonly<Record<'operator' | 'responder' | 'registrar' | 'administrator', string>>;
}
type Words = Readonly<Record<string, string>>;

/** A command of a page, and how it ends. */
interface Ends {
  readonly page: string;
  /** How it begins. */
  readonly command: string;
  /** What it prints, or puts into its file. */
  readonly ends: RegExp;
  /** The service, or the command, says no: that is the answer. */
  readonly refused?: true;
  /** What a person answers, as the option that stands for it. */
  readonly answer?: string;
  /** What the reader has put into a file, as the page says. */
  readonly files?: (words: Words) => Readonly<Record<string, string>>;
  /** Words in capitals that the reader takes from what it prints. */
  readonly gives?: Readonly<Record<string, RegExp>>;
}

/** The thing broken, and the commands that are run then, in their order, by whom each page says. */
interface State {
  readonly name: string;
  /** Breaks it. @returns what the words in capitals, and the examples, are here. */
  readonly breaks: (world: World) => Promise<Words>;
  readonly commands: readonly Ends[];
  /** Looks whether it is right again, otherwise than by a page. */
  readonly rights?: (world: World) => Promise<void>;
}

const MINUTE_MS = 60_000;
const LOCKED_FOR_MS = 400 * 24 * 60 * MINUTE_MS;
const later = ({ cloud }: World, minutes: number) => cloud.clock.advance(minutes * MINUTE_MS);
const root = ({ cloud }: World) => cloud.clientConfiguration(cloud.root);
const kms = (world: World) => new KMSClient(root(world));
const instantOf = ({ cloud }: World) => `${cloud.clock.now().toISOString().slice(0, 19)}.000Z`;
const idOf = (instant: string) => instant.replaceAll(/[-:]|\.000/g, '').toLowerCase();
const SCHOOL = 'oak';
const OTHER_ACCOUNT = '999988887777';

async function keyOf(world: World, KeyId = tenantKeyAlias(SCHOOL)): Promise<string> {
  const { KeyMetadata } = await kms(world).send(new DescribeKeyCommand({ KeyId }));
  return KeyMetadata?.Arn ?? '';
}
async function stateOf(world: World, KeyId?: string): Promise<string | undefined> {
  return (await kms(world).send(new DescribeKeyCommand({ KeyId: await keyOf(world, KeyId) }))).KeyMetadata?.KeyState;
}
async function ownKey(world: World): Promise<string> {
  return (await kms(world).send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? '';
}

/** What a rehearsal breaks, too. */
async function breakAs(name: RehearsalName, world: World): Promise<Broken> {
  const { cloud, deployment, snapshotId } = world;
  return BREAK[name]({ cloud, deployment, snapshotId, tenant: SCHOOL });
}

const on = (page: string, ...commands: (readonly [command: string, ends: RegExp, more?: Partial<Ends>])[]): Ends[] =>
  commands.map(([command, ends, more]) => ({ page, command, ends, ...more }));
const runbook = (page: string, ...commands: Parameters<typeof on>[1][]) => on(`runbooks/${page}.md`, ...commands);

const DAYBREAK = 'npm run daybreak -- ';
const READ_LOG =
  'aws lambda get-function-configuration --region eu-west-2 --function-name daybreak-pulse-read-back --query LoggingConfig.LogGroup';
const STARTED = /"executionArn": "arn:aws:states:/;
const DONE = /^answered: /;

const configuration = readConfiguration(exampleConfiguration);
const tamperAlarms = tamperAlarmsOf(tamperRules(configuration, []));
/** Each alarm's own first command; those that are no page's are run where they have something to tell. */
const firstCommands = (words: RegExp, ends: RegExp): Ends[] =>
  [...alarmsOf(configuration), ...tamperAlarms]
    .filter(({ command }) => words.test(command))
    .filter(({ command }, index, all) => all.findIndex(other => other.command === command) === index)
    .map(({ id, command }) => ({ page: `alarm ${id}`, command, ends }));

const queueArn = ({ cloud }: World) => `arn:aws:sqs:eu-west-2:${cloud.accountId}:${UNDELIVERED_QUEUE}`;
/** What a state keeps for the next, or for its end. */
const kept: { hidden?: Broken; keyArn?: string; object?: string; until?: string; point?: string; lost?: Words } = {};

export const STATES: readonly State[] = [
  {
    name: 'deployed for the first time',
    breaks: async world => {
      const { cloud, deployment, leftInstanceId } = world;
      await new S3Client(root(world)).send(
        new PutObjectCommand({ Bucket: 'school-uploads', Key: `${SCHOOL}/letter.txt`, Body: 'Dear parents' }),
      );
      await later(world, 1);
      kept.point = idOf(`${cloud.clock.now().toISOString().slice(0, 16)}:00.000Z`);
      return {
        BUCKET: deployment.vaultBucket,
        '20261122t023000z': kept.point,
        KEY_ARN: await ownKey(world),
        INSTANCE: leftInstanceId,
      };
    },
    commands: [
      ...on(
        'DEPLOYING.md',
        ['aws sts get-caller-identity', /"Arn": "arn:aws:sts::111122223333:assumed-role\/administrator\/local"/],
        ['aws rds describe-db-instances', /daybreak-test-left/],
        ['aws s3api get-bucket-encryption', /"SSEAlgorithm": "aws:kms"/],
        ['STATE_MACHINE=', DONE],
        ['aws stepfunctions start-execution --region eu-west-2 --state-machine-arn $STATE_MACHINE', STARTED],
        [
          'aws stepfunctions list-executions --region eu-west-2 --state-machine-arn $STATE_MACHINE --max-items',
          /: daily-backup-by-hand-1\tSUCCEEDED\t/,
        ],
        [
          'aws stepfunctions list-executions --region eu-west-2 --state-machine-arn $STATE_MACHINE --status-filter',
          /"executions": \[\]/,
        ],
        [`${DAYBREAK}evidence show`, /backup\.completed .+ good\n/],
        [
          'aws stepfunctions start-execution --region eu-west-2 --state-machine-arn arn:aws:states:eu-west-2:ACCOUNT:stateMachine:daybreak-restore-test',
          STARTED,
        ],
        [`${DAYBREAK}evidence verify`, /^answered: VERIFIED/],
        ['aws s3api get-object-lock-configuration', /"Mode": "GOVERNANCE"/],
        ['aws kms get-key-rotation-status', /"KeyRotationEnabled": true/],
        [
          'aws kms describe-key --region eu-west-2 --key-id alias/daybreak/vault',
          /^answered: arn:aws:kms:eu-west-2:111122223333:key\//,
        ],
        [
          'aws kms describe-key --region eu-west-2 --key-id alias/daybreak/alarms',
          /^answered: arn:aws:kms:eu-west-2:111122223333:key\//,
        ],
        ['aws kms schedule-key-deletion --region eu-west-2 --key-id KEY_ARN', /"KeyState": "PendingDeletion"/],
      ),
      ...firstCommands(/evidence verify/, /^answered: VERIFIED/),
      ...on('DEPLOYING.md', ['aws s3 cp s3://daybreak-vault-ACCOUNT-eu-west-2/recovery-points/', /"tenant": "oak"/]),
    ],
  },
  {
    name: 'nothing is wrong',
    breaks: async world => {
      await later(world, 20);
      const { deployment, point, snapshotId } = world;
      const { ledgerKeyArn, entryKeyArn } = deployment;
      return {
        '20261122t023000z': point,
        ID: snapshotId,
        LEDGER_KEY_ARN: ledgerKeyArn,
        ENTRY_KEY_ARN: entryKeyArn,
        KEY: 'recovery-points/',
      };
    },
    commands: [
      ...on(
        'docs/retention.md',
        [`${DAYBREAK}retention show --markdown`, /^answered: # /],
        [`${DAYBREAK}retention plan`, /^answered: [\s\S]*compared with the snapshots that RDS lists\./],
        [`${DAYBREAK}retention explain`, /^answered: [\s\S]*compared with the snapshots that RDS lists\./],
      ),
      ...runbook(
        'README',
        ['aws sts get-caller-identity', /assumed-role\/responder\/local/],
        ['aws cloudwatch describe-alarms', DONE],
        [`${DAYBREAK}evidence show`, /backup\.completed/],
        [`${DAYBREAK}loss list`, /pulse finds nothing lost/],
      ),
      ...runbook(
        'quota-nearly-used',
        ['aws rds describe-account-attributes', /ManualSnapshots\t2\t100/],
        ['aws rds describe-db-snapshots', /daybreak-app-\w+\t20/],
      ),
      ...runbook(
        'pulse-silent',
        ['aws scheduler get-schedule', /"ENABLED",\s+"rate\(15 minutes\)"/],
        [
          "aws lambda get-function-configuration --region eu-west-2 --function-name daybreak-pulse-read-back --query '[State",
          /"Active",\s+"Successful",\s+"Daybreak/,
        ],
        [READ_LOG, /"events": \[/],
        ['aws lambda invoke', /"failedChecks":\[\]/],
        ['aws s3 cp', /"lost":\[\]/],
      ),
      ...runbook(
        'recovery-point-incomplete',
        ['npm run --silent daybreak -- database grant-sql', /GRANT /],
        ['aws rds describe-db-snapshots', /"Status": "available"/],
      ),
      ...runbook(
        'restore-test-failed',
        [`${DAYBREAK}evidence verify`, /^answered: VERIFIED/],
        ['aws rds describe-db-snapshots', /"KmsKeyId": "arn:aws:kms/],
        ['aws s3api list-object-versions', /"Key": "recovery-points\//],
      ),
      ...runbook('vault-altered', ['aws rds describe-db-snapshots', /"Status": "available"/]),
      ...runbook(
        'key-unusable',
        ...(['vault', 'signing', 'ledger', 'entries', 'tenant-ids', 'logs', 'trail', 'alarms'] as const).map(
          alias => [`aws kms describe-key --region eu-west-2 --key-id alias/daybreak/${alias}`, /"Enabled"/] as const,
        ),
      ),
      ...runbook('ledger-broken', [
        'aws kms describe-key --region eu-west-2 --key-id alias/daybreak/ledger',
        /"KeyState": "Enabled"/,
      ]),
      ...runbook('tampering', ['aws kms list-aliases', /"AliasName": "alias\/daybreak\/vault"/]),
      ...firstCommands(/^aws (?:scheduler|rds|s3) /, DONE),
    ],
  },
  {
    name: 'a backup was stopped',
    breaks: async world => {
      await later(world, 5);
      const { words } = await breakAs('backup-failed', world);
      await later(world, 1);
      return words;
    },
    commands: [
      ...runbook(
        'backup-failed',
        [`${DAYBREAK}evidence show`, /backup\.failed .+ABORTED/],
        ['STATE_MACHINE=', DONE],
        ['aws stepfunctions list-executions', /"status": "ABORTED"/],
        ['aws stepfunctions get-execution-history', /"type": "ExecutionAborted"/],
        // Who repairs has a shell of his own.
        ['aws stepfunctions start-execution', STARTED],
        [`${DAYBREAK}evidence show`, /backup\.completed .+ good\n$/],
      ),
      ...firstCommands(/evidence show .*--kind backup/, /backup\.failed/),
    ],
  },
  {
    name: 'a recovery point is incomplete',
    breaks: async world => {
      const { cloud } = world;
      await later(world, 5);
      const KeyId = await keyOf(world);
      await kms(world).send(new DisableKeyCommand({ KeyId }));
      const scheduledAt = instantOf(world);
      const stateMachine = `arn:aws:states:eu-west-2:${cloud.accountId}:stateMachine:daybreak-daily-backup`;
      cloud.states.startExecution({ stateMachine, name: 'incomplete', input: { scheduledAt } });
      await cloud.states.waitForExecution(`${stateMachine.replace(':stateMachine:', ':execution:')}:incomplete`);
      await kms(world).send(new EnableKeyCommand({ KeyId }));
      const id = idOf(scheduledAt);
      return { '20261122t023000z': id, '20261122T023000Z': id.toUpperCase(), '2026-11-22T02:30:00.000Z': scheduledAt };
    },
    commands: runbook(
      'recovery-point-incomplete',
      ['aws s3 cp', /"incomplete"\n\[\n.*oak.+KeyUnusableError/],
      ['aws stepfunctions start-execution', STARTED],
      ['aws s3 cp', /"good"\n\[\]/],
    ),
  },
  ...(['restore-test-failed', 'restore-test-inconclusive'] as const).map(
    (page): State => ({
      name: `a restore test is to be looked at, and done again (${page})`,
      breaks: async world => {
        await later(world, 5);
        const { Versions = [] } = await new S3Client(root(world)).send(
          new ListObjectVersionsCommand({ Bucket: world.deployment.evidenceBucket, Prefix: 'restore-tests/' }),
        );
        const [, record = ''] = /restore-tests\/(.+)\.json/.exec(Versions.at(-1)?.Key ?? '') ?? [];
        return {
          '20261122t050000z': record,
          // One without a snapshot: to restore one takes a PostgreSQL server, as the end-to-end tests have.
          '20261121t023000z': kept.point ?? '',
          '20261122t023000z': kept.point ?? '',
          '2026-11-22T09:15:00.000Z': instantOf(world),
          'restore-test-by-hand-1': `by-hand-${page}`,
        };
      },
      commands: runbook(
        page,
        ['aws s3 cp', page === 'restore-test-failed' ? /"verdict": "\w+"/ : /"verdictLine": "/],
        ['aws stepfunctions start-execution', STARTED],
      ),
    }),
  ),
  {
    name: 'there was a restore test',
    breaks: async () => ({}),
    commands: firstCommands(/evidence show .*--kind restore-test/, /restore-test\.\w+/),
  },
  {
    name: 'the key of a school waits for its deletion',
    breaks: async world => {
      await kms(world).send(new ScheduleKeyDeletionCommand({ KeyId: await keyOf(world), PendingWindowInDays: 7 }));
      return { SCHOOL, KEY_ARN: await keyOf(world) };
    },
    commands: runbook(
      'key-unusable',
      ['aws kms describe-key --region eu-west-2 --key-id alias/daybreak/tenant/SCHOOL', /"PendingDeletion"/],
      ['aws kms cancel-key-deletion', DONE],
      ['aws kms enable-key', DONE],
      ['aws cloudtrail lookup-events', /"EventName": "ScheduleKeyDeletion"/],
      ['aws kms describe-key --region eu-west-2 --key-id alias/daybreak/tenant/SCHOOL', /"Enabled"/],
    ),
  },
  {
    name: 'an alarm tells of a key',
    breaks: async world => {
      const KEY_ARN = world.deployment.signingKeyArn;
      await kms(world).send(new ScheduleKeyDeletionCommand({ KeyId: KEY_ARN, PendingWindowInDays: 7 }));
      await later(world, 2);
      return { KEY_ARN };
    },
    commands: [
      ...runbook(
        'tampering',
        ['aws logs filter-log-events', /ScheduleKeyDeletion/],
        [`${DAYBREAK}evidence show`, /tampering\.\w+ /],
        ['aws cloudtrail lookup-events', /"EventName": "ScheduleKeyDeletion"/],
        ['aws kms cancel-key-deletion', DONE],
        ['aws kms enable-key', DONE],
      ),
      ...firstCommands(/--log-group-name \/daybreak\/trail/, DONE),
    ],
    rights: async world => expect(await stateOf(world, world.deployment.signingKeyArn)).toBe('Enabled'),
  },
  {
    name: 'the alias of a school’s key was deleted',
    breaks: async world => {
      const KEY_ID = await keyOf(world);
      await kms(world).send(new DeleteAliasCommand({ AliasName: tenantKeyAlias(SCHOOL) }));
      return { SCHOOL, KEY_ID };
    },
    commands: runbook(
      'key-unusable',
      [
        'aws kms describe-key --region eu-west-2 --key-id alias/daybreak/tenant/SCHOOL',
        /NotFoundException/,
        { refused: true },
      ],
      ['aws resourcegroupstaggingapi get-resources', /"ResourceARN": "arn:aws:kms:eu-west-2:111122223333:key\//],
      ['aws kms create-alias', DONE],
      ['aws kms describe-key --region eu-west-2 --key-id alias/daybreak/tenant/SCHOOL', /"Enabled"/],
    ),
  },
  {
    name: 'the alias of a school’s key was moved',
    breaks: async world => {
      const KEY_ID = await keyOf(world);
      const ALIAS = tenantKeyAlias(SCHOOL);
      await kms(world).send(new UpdateAliasCommand({ AliasName: ALIAS, TargetKeyId: await ownKey(world) }));
      kept.keyArn = KEY_ID;
      return { ALIAS, KEY_ID };
    },
    commands: runbook('README', ['aws kms update-alias', DONE]),
    rights: async world => expect(await keyOf(world)).toBe(kept.keyArn),
  },
  {
    name: 'the alias of one of Daybreak’s keys was moved',
    breaks: async world => {
      const ALIAS = KEY_ALIASES['ledger-key'];
      const other = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' } as const;
      const { KeyMetadata } = await kms(world).send(new CreateKeyCommand(other));
      await kms(world).send(new UpdateAliasCommand({ AliasName: ALIAS, TargetKeyId: KeyMetadata?.KeyId }));
      await later(world, 16);
      return { ALIAS, KEY_ID: world.deployment.ledgerKeyArn };
    },
    commands: [
      ...firstCommands(/a key is not as it should be/, /it is the alias of another key/),
      ...runbook('README', ['aws kms update-alias', DONE]),
    ],
    rights: async world => {
      expect(await keyOf(world, KEY_ALIASES['ledger-key'])).toBe(world.deployment.ledgerKeyArn);
      await later(world, 16);
      expect(world.cloud.alarms.stateOf('daybreak-key-unusable')).toBe('OK');
    },
  },
  ...(['tampering', 'snapshot-shared'] as const).map(
    (page): State => ({
      name: `a grant is not Daybreak’s (${page})`,
      // The vault key's policy lets nobody make one but through RDS; a key of the account's own does.
      breaks: async world => {
        const KEY_ARN = await ownKey(world);
        const { GrantId = '' } = await kms(world).send(
          new CreateGrantCommand({ KeyId: KEY_ARN, GranteePrincipal: world.readers.operator, Operations: ['Decrypt'] }),
        );
        return { KEY_ARN, GRANT_ID: GrantId };
      },
      commands: [
        ...runbook(
          page,
          ['aws kms list-grants', page === 'tampering' ? /"GrantId"/ : /"Grants": \[\]/],
          ['aws kms revoke-grant', DONE],
        ),
        ...runbook('tampering', ['aws kms list-grants', /"Grants": \[\]/]),
      ],
    }),
  ),
  {
    name: 'a snapshot is shared',
    breaks: async world => {
      const { snapshotId: SNAPSHOT } = world;
      const share = { DBSnapshotIdentifier: SNAPSHOT, AttributeName: 'restore', ValuesToAdd: [OTHER_ACCOUNT] };
      await new RDSClient(root(world)).send(new ModifyDBSnapshotAttributeCommand(share));
      await later(world, 16);
      return { SNAPSHOT, OTHER_ACCOUNT };
    },
    commands: runbook(
      'snapshot-shared',
      [READ_LOG, /shared/],
      ['aws rds describe-db-snapshot-attributes', /999988887777/],
      ['aws rds modify-db-snapshot-attribute', DONE],
      [
        'aws cloudtrail lookup-events --region eu-west-2 --lookup-attributes AttributeKey=EventName,AttributeValue=ModifyDBSnapshotAttribute',
        /"EventName": "ModifyDBSnapshotAttribute"/,
      ],
      [
        'aws cloudtrail lookup-events --region eu-west-2 --lookup-attributes AttributeKey=EventName,AttributeValue=CreateGrant',
        /"EventName": "CreateGrant"/,
      ],
      ['aws rds describe-db-snapshot-attributes', /"AttributeValues": \[\]/],
    ),
  },
  {
    name: 'the schedule of the daily backup is disabled',
    breaks: async world => (await breakAs('schedule-stopped', world)).words,
    commands: runbook(
      'schedule-stopped',
      ['aws scheduler list-schedules', /daybreak-daily-backup\tDISABLED/],
      ['aws cloudtrail lookup-events', /"EventName": "UpdateSchedule"/],
      ['aws scheduler get-schedule', /"ScheduleExpression": "cron/],
      ['aws scheduler update-schedule', /"ScheduleArn"/],
      ['aws scheduler list-schedules', /daybreak-daily-backup\tENABLED/],
    ),
  },
  {
    name: 'a database does not force TLS',
    breaks: async world => {
      const GROUP = 'supplier-postgres';
      await new RDSClient(root(world)).send(
        new CreateDBParameterGroupCommand({
          DBParameterGroupName: GROUP,
          DBParameterGroupFamily: 'postgres17',
          Description: 'theirs',
        }),
      );
      return { GROUP };
    },
    commands: [
      ...runbook(
        'tls-not-forced',
        [READ_LOG, /"events": \[/],
        ['aws rds describe-db-instances', /daybreak-test-left\t17\.10\ndefault\.postgres17\tin-sync/],
        ['aws rds modify-db-parameter-group', /"DBParameterGroupName": "supplier-postgres"/],
        ['aws cloudtrail lookup-events', /"EventName": "ModifyDBParameterGroup"/],
      ),
      ...on(
        'DEPLOYING.md',
        ['aws rds describe-db-parameters', /"1",\s+"user"/],
        ['aws rds modify-db-parameter-group', DONE],
      ),
    ],
  },
  {
    name: 'what a test and a backup left is still there',
    breaks: async ({ leftInstanceId, leftSnapshotId }) => ({ ID: leftInstanceId, leftSnapshotId }),
    commands: [
      ...runbook('restore-test-inconclusive', ['aws rds describe-db-instances', /"daybreak-test-left",\s+"failed"/]),
      ...runbook(
        'restored-instance-left',
        ['aws rds describe-db-instances', /"daybreak-test-left"/],
        ['aws stepfunctions start-execution', STARTED],
        ['aws rds delete-db-instance', /"DBInstanceStatus": "deleting"/],
      ),
    ],
    rights: async world => {
      await later(world, 3);
      const client = new RDSClient(root(world));
      expect(JSON.stringify(await client.send(new DescribeDBInstancesCommand({})))).not.toContain('daybreak-test-left');
    },
  },
  {
    name: 'a snapshot that no recovery point names was left behind',
    breaks: async ({ leftSnapshotId: ID }) => ({ ID, RECOVERY_POINT: '20261101t023000z' }),
    commands: runbook(
      'unproved-snapshot-left',
      ['aws rds describe-db-snapshots', /daybreak-app-20261101t023000z\tavailable\t/],
      ['aws stepfunctions start-execution', STARTED],
      ['aws s3api list-object-versions', /\[\s*null,\s*null\s*\]/],
      ['aws rds delete-db-snapshot', /"DBSnapshotIdentifier": "daybreak-app-20261101t023000z"/],
    ),
  },
  {
    name: 'a policy is of an earlier release',
    breaks: async world => {
      await putLedgerPolicy(world, ({ Id: _id, ...policy }) => policy);
      return {};
    },
    commands: [
      ...runbook(
        'policy-behind',
        ['npx daybreak keys check', /BEHIND {6}alias\/daybreak\/ledger/, { refused: true }],
        ['npx daybreak keys upgrade --profile ADMIN', /1 policies were put and read back/, { answer: ' --yes' }],
        ['npx daybreak evidence show', /policies\.\w+ /],
        ['npx daybreak keys check', DONE],
      ),
    ],
  },
  {
    name: 'a policy has a statement that is not Daybreak’s',
    breaks: async world => {
      await putLedgerPolicy(world, policy => ({
        ...policy,
        Statement: [
          ...policy.Statement,
          {
            Sid: 'Tool',
            Effect: 'Allow',
            Principal: { AWS: world.readers.operator },
            Action: 'kms:DescribeKey',
            Resource: '*',
          },
        ],
      }));
      return { NAME: 'alias/daybreak/ledger' };
    },
    commands: runbook(
      'policy-behind',
      ['npx daybreak keys check', /not written by Daybreak/, { refused: true }],
      [
        'npx daybreak keys upgrade --profile ADMIN --remove-unknown',
        /1 policies were put and read back/,
        { answer: ' --yes' },
      ],
      ['npx daybreak keys check', DONE],
    ),
  },
  {
    name: 'somebody is to be locked out',
    breaks: async world => {
      world.cloud.iam.putRole({ arn: intruder(world).arn, policies: [EVERYTHING] });
      await new KMSClient(world.cloud.clientConfiguration(intruder(world))).send(new ListAliasesCommand({}));
      return { ROLE: 'intruder' };
    },
    commands: runbook('tampering', ['aws iam put-role-policy', DONE]),
    rights: async world => {
      const client = new KMSClient(world.cloud.clientConfiguration(intruder(world)));
      await expect(client.send(new ListAliasesCommand({}))).rejects.toThrow('not authorized');
    },
  },
  {
    name: 'a policy was added to a role',
    breaks: async () => ({ ROLE: 'intruder', POLICY: 'incident-deny-all' }),
    commands: runbook('README', ['aws iam delete-role-policy', DONE]),
    rights: async world => {
      await new KMSClient(world.cloud.clientConfiguration(intruder(world))).send(new ListAliasesCommand({}));
    },
  },
  {
    name: 'an object of the vault is held by no lock',
    breaks: async world => {
      const { vaultBucket: Bucket } = world.deployment;
      const { Versions = [] } = await new S3Client(root(world)).send(
        new ListObjectVersionsCommand({ Bucket, Prefix: `tenants/${SCHOOL}/objects/` }),
      );
      const KEY = Versions[0]?.Key ?? '';
      kept.object = KEY;
      kept.until = new Date(world.cloud.clock.now().getTime() + LOCKED_FOR_MS).toISOString();
      return { KEY, DATE: kept.until };
    },
    commands: runbook(
      'vault-altered',
      ['aws s3api list-object-versions', /"Key": "tenants\/oak\/objects\//],
      ['aws s3api get-bucket-policy', /"Statement"/],
      ['aws s3api put-bucket-policy', DONE],
      ['aws s3api put-object-retention', DONE],
      ['npx daybreak keys upgrade', /1 policies were put and read back/, { answer: ' --yes' }],
    ),
    rights: async world => {
      const { vaultBucket: Bucket } = world.deployment;
      const { Retention } = await new S3Client(root(world)).send(
        new GetObjectRetentionCommand({ Bucket, Key: kept.object }),
      );
      expect(Retention).toMatchObject({ Mode: 'GOVERNANCE', RetainUntilDate: new Date(kept.until ?? '') });
    },
  },
  {
    name: 'the snapshot of a recovery point was deleted',
    breaks: async world => {
      const broken = await breakAs('snapshot-deleted', world);
      await later(world, 16);
      const words = { ...broken.words, ...(await broken.wordsOfPulse?.()) };
      kept.lost = words;
      return {
        ...words,
        KEY: 'recovery-points/',
        'daily-backup-by-hand-1': 'daily-backup-by-hand-2',
        '2026-11-22T09:15:00.000Z': instantOf(world),
        INCIDENT: 'INC-42',
        YOUR_ID: 'staff-7',
        REASON: 'mistake',
        ID: 'INC-42',
      };
    },
    commands: [
      ...runbook(
        'vault-altered',
        [READ_LOG, /"problem\\":\\"missing/],
        ['aws cloudtrail lookup-events', /"EventName": "DeleteDBSnapshot"/],
        ['aws s3api list-object-versions', /"Key": "recovery-points\//],
        ['aws stepfunctions start-execution', STARTED],
        [`${DAYBREAK}loss list`, /snapshot-missing\/daybreak-app-/],
      ),
      ...firstCommands(/a snapshot is not as it should be/, /missing/),
      ...on('docs/ledger.md', [`${DAYBREAK}loss list`, /snapshot-missing\/daybreak-app-/]),
      ...runbook('vault-altered', [`${DAYBREAK}loss accept`, /accepted, entry \d+/]),
      ...on('docs/ledger.md', [`${DAYBREAK}loss accept`, /accepted, entry \d+/]),
    ],
    rights: async world => {
      await later(world, 20);
      expect(world.cloud.alarms.stateOf('daybreak-snapshot-missing')).toBe('OK');
    },
  },
  {
    name: 'there is a register, and nobody in it',
    breaks: async () => ({}),
    commands: on(
      'docs/register.md',
      [
        `${DAYBREAK}register controller add`,
        /controller\/\S+: entry \d+ of the ledger; counts from/,
        { gives: { CONTROLLER: /(controller\/[a-z2-7]+):/ } },
      ],
      [`${DAYBREAK}register tenant add`, /tenant\/oak: entry \d+ of the ledger; counts from/],
      [`${DAYBREAK}register contact add`, /contact\/\S+: entry \d+ of the ledger; counts from/],
      [`${DAYBREAK}register contact show`, /Head/],
    ),
  },
  {
    name: 'somebody wrote over an entry of the register',
    breaks: async world => {
      const s3 = new S3Client(root(world));
      const Bucket = world.deployment.registerBucket;
      const { Versions: [{ Key = '', ETag } = {}] = [] } = await s3.send(
        new ListObjectVersionsCommand({ Bucket, Prefix: 'entries/contact/' }),
      );
      await s3.send(new PutObjectCommand({ Bucket, Key, Body: '{}', IfMatch: ETag }));
      await later(world, 61 + 45);
      expect(world.cloud.alarms.stateOf('daybreak-register-altered')).toBe('ALARM');
      return { CONTACT: Key.slice('entries/'.length, -'.json'.length), YOUR_ID: 'staff-7' };
    },
    commands: [
      ...runbook('register', [READ_LOG, /"entry\\":\\"contact\/\w+\\",\\"problem\\":\\"altered/]),
      ...firstCommands(/register does not lie/, /altered/),
      ...runbook(
        'register',
        [`${DAYBREAK}register contact show`, /altered/, { refused: true }],
        [`${DAYBREAK}evidence show`, /register\.changed/],
        [`${DAYBREAK}register contact change`, /contact\/\w+: entry \d+ of the ledger/],
        [`${DAYBREAK}register contact confirm`, /confirmed at/],
      ),
      ...firstCommands(/register contact show/, /Head/),
    ],
    rights: async world => {
      await later(world, 20);
      expect(world.cloud.alarms.stateOf('daybreak-register-altered')).toBe('OK');
    },
  },
  {
    name: 'a loss was accepted by mistake',
    breaks: async world => {
      await later(world, 16);
      return { ...kept.lost, ID: 'staff-7' };
    },
    commands: on('docs/ledger.md', [`${DAYBREAK}loss withdraw`, /withdrawn, entry \d+/]),
    rights: async world => {
      await later(world, 20);
      expect(world.cloud.alarms.stateOf('daybreak-snapshot-missing')).toBe('ALARM');
    },
  },
  {
    name: 'the newest entry of the ledger is hidden',
    breaks: async world => {
      kept.hidden = await breakAs('ledger-entry-hidden', world);
      // The change of the policy back cannot be recorded, for all three times that it is tried.
      await later(world, 10);
      return kept.hidden.words;
    },
    commands: [
      ...runbook(
        'ledger-broken',
        [
          `${DAYBREAK}evidence verify --evidence-bucket`,
          /^refused: BROKEN[\s\S]+delete-marker[\s\S]+exit code 1$/,
          { refused: true },
        ],
        ['aws s3api list-object-versions', /"DeleteMarkers": \[/],
        ['aws s3api get-object', /"VersionId"|"ContentLength"/],
        ['aws cloudtrail lookup-events', /"EventName": "PutBucketPolicy"/],
      ),
      ...firstCommands(/sqs receive-message/, /"ReceiptHandle"/),
      ...firstCommands(/step failed/, /"events": \[/),
    ],
    rights: async world => {
      expect(await kept.hidden?.repairByHand?.()).toHaveLength(3);
      await later(world, 1);
    },
  },
  {
    name: 'what could not be recorded waits in the queue',
    breaks: async world => {
      const { LEDGER_KEY_ARN = '', ENTRY_KEY_ARN = '' } = kept.hidden?.words ?? {};
      const [first] = world.cloud.queues.receive(queueArn(world), { most: 1, hiddenForMs: MINUTE_MS }) as Message[];
      return {
        LEDGER_KEY_ARN,
        ENTRY_KEY_ARN,
        URL: `https://sqs.eu-west-2.amazonaws.com/${world.cloud.accountId}/${UNDELIVERED_QUEUE}`,
        HANDLE: first?.ReceiptHandle ?? '',
        payload: JSON.stringify(JSON.parse(first?.Body ?? '{}').requestPayload),
      };
    },
    commands: [
      ...runbook('ledger-broken', [`${DAYBREAK}evidence verify --evidence-bucket`, /^answered: VERIFIED/]),
      ...runbook(
        'tampering',
        [
          'aws lambda invoke',
          /\{"sequences":\[\d+\]\}|"StatusCode": 200/,
          { files: ({ payload = '' }) => ({ 'request-payload.json': payload }) },
        ],
        ['aws sqs delete-message', DONE],
      ),
    ],
    rights: async world => {
      const { queues, clock, alarms, lambda, root: everybody } = world.cloud;
      await clock.advance(2 * MINUTE_MS);
      for (;;) {
        const [next] = queues.receive(queueArn(world), { most: 1, hiddenForMs: MINUTE_MS }) as Message[];
        if (next === undefined) break;
        await lambda.invoke('daybreak-evidence-record-tampering', JSON.parse(next.Body).requestPayload, everybody);
        queues.delete(queueArn(world), next.ReceiptHandle);
      }
      await clock.advance(20 * MINUTE_MS);
      expect(alarms.stateOf('daybreak-tampering-not-recorded')).toBe('OK');
    },
  },
  {
    name: 'an alarm of pulse tells where its log is',
    breaks: async () => ({}),
    commands: firstCommands(
      /a check could not|a root manifest|a policy is not|a database does|a part of the tamper|no recovery point names/,
      DONE,
    ),
  },
];

interface Message {
  readonly Body: string;
  readonly ReceiptHandle: string;
}
interface KeyPolicy {
  readonly Id?: string;
  readonly Statement: readonly object[];
}

/** Changes the policy of the key that signs heads, by hand. */
async function putLedgerPolicy(world: World, change: (policy: KeyPolicy) => object): Promise<void> {
  const KeyId = world.deployment.ledgerKeyArn;
  const { Policy = '' } = await kms(world).send(new GetKeyPolicyCommand({ KeyId }));
  await kms(world).send(new PutKeyPolicyCommand({ KeyId, Policy: JSON.stringify(change(JSON.parse(Policy))) }));
}

function intruder({ cloud }: World) {
  return { kind: 'role', arn: `arn:aws:iam::${cloud.accountId}:role/intruder` } as const;
}

/** Commands that another test runs, as its text shows. */
export const ELSEWHERE: readonly { readonly command: RegExp; readonly test: string; readonly says: string }[] = [
  {
    command: /^npm start -- --rehearse/,
    test: 'test/end-to-end/rehearse.slow.test.ts',
    says: "start('--rehearse', 'snapshot-deleted'",
  },
  {
    command: /^(?:npm ci && )?npm start$|^npm start -- --sql/,
    test: 'test/end-to-end/start.slow.test.ts',
    says: 'passes, and says nothing on stderr',
  },
  {
    command: /^npm run daybreak -- evidence verify(?: --local)?$/,
    test: 'test/runbooks/cli/daybreak.test.ts',
    says: 'verifies the state of a local run',
  },
  { command: /daybreak -- deploy /, test: 'test/runbooks/cli/daybreak.test.ts', says: "['deploy', 'key-statements'" },
  {
    command: /grant-sql \| psql/,
    test: 'test/runbooks/cli/database.slow.test.ts',
    says: 'lets the reader read every table',
  },
  {
    command: /\| zstd -d|&& sha256sum/,
    test: 'test/infra/access/read-without-daybreak.test.ts',
    says: 'a backup is read with S3 and KMS alone',
  },
  {
    command: /^npm run cost/,
    test: 'test/infra/cost/cost.test.ts',
    says: 'stands on the page of costs as npm run cost prints it',
  },
  {
    command: /^npm run (?:--silent )?conformance/,
    test: 'test/conformance/run.slow.test.ts',
    says: 'makes, copies and restores snapshots of a database',
  },
  {
    command: /^npm run sbom/,
    test: 'test/infra/supply-chain/supply-chain.test.ts',
    says: 'writes everything that is shipped, and apart from it',
  },
  { command: /^npm run bench/, test: 'test/bench/scale/scale.test.ts', says: "describe('npm run bench'" },
  { command: /^source <\(/, test: 'test/runbooks/cli/tree.test.ts', says: "describe('completion'" },
  {
    command: /^aws rds modify-db-instance .*--no-deletion-protection/,
    test: 'test/infra/local/rds/service.slow.test.ts',
    says: "includes('--no-deletion-protection')",
  },
];

/** Commands that cannot be run here, and why. */
export const NOT_LOCALLY: readonly { readonly command: RegExp; readonly why: string }[] = [
  { command: /^npx cdk /, why: 'the CDK asks CloudFormation, which has no API in the local cloud' },
  {
    command: /^npm (?:ci(?: && npm test)?|test|audit|outdated)\b(?!.*start)|^npm run test:/,
    why: 'it is about this machine and the registry, and would run these tests',
  },
  { command: /VERB$/, why: 'it is no command: it stands for each' },
  { command: /^(?:cp|git|rm|diff|grep) /, why: 'it moves files of whoever deploys, and asks nothing of Daybreak' },
  {
    command: /^aws ec2 |--enable-iam-database-authentication/,
    why: 'it is about the supplier’s own network and databases',
  },
  {
    command: /^aws (?:iam get-role|iam create-policy-version|s3 ls)/,
    why: 'it is about the people and buckets that the account has already',
  },
  { command: /^aws service-quotas /, why: 'AWS decides it, and may bill for it' },
  { command: /^aws (?:sns|cloudwatch set-alarm-state) /, why: 'a telephone rings, or an address confirms' },
  { command: /^aws cloudformation /, why: 'CloudFormation has no API in the local cloud' },
  { command: /^aws rds describe-events/, why: 'the local RDS keeps no events' },
  {
    command: /^jq 'walk|^KEY=\$\(aws kms create-key|alias\/daybreak\/tenant-ids --target-key-id/,
    why: 'it is for a vault of an earlier release, without that key',
  },
  { command: /schedule-key-deletion .*--pending-window/, why: 'it ends a school’s data' },
];
