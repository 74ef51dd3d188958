import { describe, expect, it } from 'vitest';
import { Configuration } from '../../../functions/contracts/configuration.ts';
import { ConfigurationError, readConfiguration, runtimeConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';

type Input = Parameters<typeof readConfiguration>[0];
const [database] = exampleConfiguration.databases;
const [bucket] = exampleConfiguration.buckets;
if (database === undefined || bucket === undefined) throw new Error('the example protects nothing');

function problemsOf(change: Record<string, unknown>): string[] {
  try {
    readConfiguration({ ...exampleConfiguration, ...change } as Input);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const [headline, ...problems] = error.message.split('\n');
    expect(headline).toBe('the configuration cannot be deployed:');
    return problems;
  }
  return [];
}

const backupAt = (hour: number, minute: number) => ({
  schedules: { ...exampleConfiguration.schedules, dailyBackup: { hour, minute } },
});
const NO_SUCH_HOUR =
  'no schedule between 01:00 and 01:59 Europe/London: the last Sunday of March has no such time, and the last Sunday of October has it twice';

describe('the configuration', () => {
  it('accepts the example', () => {
    expect(problemsOf({})).toEqual([]);
  });

  it.each(['eu-west-1', 'us-east-1', 'eu-west-3', ''])('refuses the Region %j with the reason', region => {
    expect(problemsOf({ region })).toEqual([
      '- region: must be eu-west-2: backups of UK schools stay in the United Kingdom, and the UK has one AWS Region',
    ]);
  });

  it.each([
    [0, 59, []],
    [1, 0, [`- schedules.dailyBackup: ${NO_SUCH_HOUR}`]],
    [1, 59, [`- schedules.dailyBackup: ${NO_SUCH_HOUR}`]],
    [2, 0, []],
  ])('judges a backup at %i:%i', (hour, minute, problems) => {
    expect(problemsOf(backupAt(hour, minute))).toEqual(problems);
  });

  it('refuses a restore test at half past one, too', () => {
    const schedules = {
      ...exampleConfiguration.schedules,
      restoreTest: { dayOfMonth: 5, at: { hour: 1, minute: 30 } },
    };
    expect(problemsOf({ schedules })).toEqual([`- schedules.restoreTest.at: ${NO_SUCH_HOUR}`]);
  });

  it.each<[string, string[], string[]]>([
    ['nobody', [], ['- contacts: must name at least one e-mail address: an alarm that nobody gets is none']],
    ['what is no address', ['on call', 'a@b.example'], ['- contacts[0]: must be an e-mail address']],
    ['two', ['a@b.example', 'c@d.example'], []],
  ])('judges %s as contacts', (_name, contacts, problems) => {
    expect(problemsOf({ contacts })).toEqual(problems);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    [
      'two databases of one id',
      { databases: [database, { ...database, instanceId: 'other' }] },
      ['- databases[1].id: another database has this id; ids stand in the names of snapshots'],
    ],
    [
      'one instance twice',
      { databases: [database, { ...database, id: 'other' }] },
      [
        '- databases[1].instanceId: another entry backs this instance up; a snapshot holds all databases of an instance',
      ],
    ],
    [
      'two buckets of one id',
      { buckets: [bucket, { ...bucket, name: 'other-bucket' }] },
      ['- buckets[1].id: another bucket has this id; ids stand in the names of manifests'],
    ],
    [
      'overlapping prefixes of one bucket',
      { buckets: [bucket, { ...bucket, id: 'other', tenantPrefix: '{tenant}/' }] },
      [
        '- buckets[1].name: another entry names this bucket: what lies under no tenant, and what both prefixes reach, would be backed up twice',
      ],
    ],
    [
      'the vault itself',
      { buckets: [{ ...bucket, name: 'daybreak-vault-111122223333-eu-west-2' }] },
      ["- buckets[0].name: is one of Daybreak's own buckets, which cannot be backed up into itself"],
    ],
    ['no bucket', { buckets: [] }, ['- buckets: must name at least one bucket']],
    [
      'one Availability Zone',
      {
        network: {
          ...exampleConfiguration.network,
          isolatedSubnets: exampleConfiguration.network.isolatedSubnets.map(subnet => ({
            ...subnet,
            availabilityZone: 'eu-west-2a',
          })),
        },
      },
      ['- network.isolatedSubnets: must span two Availability Zones at least, as a DB subnet group demands'],
    ],
    [
      'an alias for a key',
      { databases: [{ ...database, kmsKeyArn: 'arn:aws:kms:eu-west-2:111122223333:alias/rds' }] },
      ['- databases[0].kmsKeyArn: must be the ARN of a KMS key in eu-west-2 (an alias is none)'],
    ],
    [
      'a key of another Region',
      {
        buckets: [
          { ...bucket, kmsKeyArns: ['arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-00000000000b'] },
        ],
      },
      ['- buckets[0].kmsKeyArns[0]: must be the ARN of a KMS key in eu-west-2 (an alias is none)'],
    ],
    [
      'an account as a number',
      { account: 111122223333 },
      ['- account: Invalid input: expected string, received number'],
    ],
    ['a member that does not exist', { retention: {} }, ['- configuration: Unrecognized key: "retention"']],
  ])('names %s', (_name, change, problems) => {
    expect(problemsOf(change)).toEqual(problems);
  });

  it('has one line for each problem', () => {
    expect(problemsOf({ region: 'eu-west-1', account: '1', buckets: [] })).toHaveLength(3);
  });

  it('gives the functions what concerns them, in the form that they read', () => {
    const runtime = runtimeConfiguration(readConfiguration(exampleConfiguration), {
      subnetGroupName: 'isolated',
      securityGroupId: 'sg-1',
    });
    expect(Configuration.parse(runtime)).toEqual({
      databases: [
        {
          id: 'wellbeing',
          instanceId: 'wellbeing-production',
          databaseName: 'wellbeing',
          rootTable: 'school',
          rootColumn: 'id',
          readerUser: 'daybreak_reader',
        },
      ],
      buckets: [{ id: 'uploads', name: 'example-wellbeing-uploads', tenantPrefix: 'schools/{tenant}/' }],
      restoreTest: {
        objectsPerTenant: 20,
        minimumCoveragePercent: 95,
        instanceClass: 'db.t4g.medium',
        abandonedAfterMs: 86_400_000,
        subnetGroupName: 'isolated',
        securityGroupId: 'sg-1',
      },
    });
  });
});
