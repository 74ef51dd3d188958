import { describe, expect, it } from 'vitest';
import { Configuration } from '../../../functions/contracts/configuration.ts';
import { ConfigurationError, readConfiguration, runtimeConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';

const [database] = exampleConfiguration.databases;
const otherKeyArn = 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-0000000000ff';
const [bucket] = exampleConfiguration.buckets;
if (database === undefined || bucket === undefined) throw new Error('the example protects nothing');
const { network, schedules } = exampleConfiguration;
const [subnet, otherSubnet] = network.isolatedSubnets;
const account = exampleConfiguration.account;
const otherKey = 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-00000000000c';
const existing = {
  vaultKeyArn: otherKey.replace(/c$/, 'e'),
  signingKeyArn: otherKey.replace(/c$/, 'd'),
  tenantIdKeyArn: otherKey.replace(/c$/, '8'),
  ledgerKeyArn: otherKey.replace(/c$/, '1'),
  entryKeyArn: otherKey.replace(/c$/, '2'),
  logKeyArn: otherKey.replace(/c$/, 'f'),
  trailKeyArn: otherKey.replace(/c$/, '9'),
};

/** Patterns that fit every role, or every role of a path. */
const EVERYBODY = ['*', 'team/**', '?*', '????????*', 'team/*?'];

/** So many databases, each an instance of its own. */
const databases = (count: number) =>
  Array.from({ length: count }, (_, index) => ({
    ...database,
    id: `database-${index}`,
    instanceId: `instance-${index}`,
    resourceId: `db-INSTANCE${index}`,
  }));

/** What is printed for a change of the example: each problem's line, and then the lines of configuration as they stand. */
function problemsOf(change: Record<string, unknown>): string[] {
  try {
    readConfiguration({ ...exampleConfiguration, ...change });
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    const [headline, ...problems] = error.message.split('\n');
    expect(headline).toBe('the configuration cannot be deployed:');
    return problems;
  }
  return [];
}

const NO_SUCH_HOUR =
  'no schedule between 01:00 and 01:59 Europe/London: the last Sunday of March has no such time, and the last Sunday of October has it twice';
const TOO_CLOSE =
  '- schedules.restoreTest.at: the restore test begins within 120 minutes of the daily backup, which may take that long: it would test the day before, and both would wait for RDS; leave 120 minutes between them';

describe('the configuration', () => {
  it('accepts the example', () => {
    expect(problemsOf({})).toEqual([]);
  });

  it.each(['http://heartbeat.example/1', 'heartbeat.example', 'ftp://heartbeat.example', ''])(
    'sends no heartbeat to %j',
    heartbeatUrl => {
      expect(problemsOf({ heartbeatUrl })[0]).toBe('- heartbeatUrl: must be an https address');
    },
  );

  it.each(['eu-west-1', 'us-east-1', 'eu-west-3', ''])('refuses the Region %j with the reason', region => {
    expect(problemsOf({ region })).toEqual([
      '- region: must be eu-west-2: backups of UK schools stay in the United Kingdom, and the UK has one AWS Region',
      `    region: ${JSON.stringify(region)}`,
    ]);
  });

  it.each([
    [0, 59, []],
    [1, 0, [`- schedules.dailyBackup: ${NO_SUCH_HOUR}`, '    schedules.dailyBackup: {"hour":1,"minute":0}']],
    [1, 59, [`- schedules.dailyBackup: ${NO_SUCH_HOUR}`, '    schedules.dailyBackup: {"hour":1,"minute":59}']],
    [2, 0, []],
  ])('judges a backup at %i:%i', (hour, minute, problems) => {
    expect(problemsOf({ schedules: { ...schedules, dailyBackup: { hour, minute } } })).toEqual(problems);
  });

  it('refuses a restore test at half past one, too', () => {
    const restoreTest = { dayOfMonth: 5, at: { hour: 1, minute: 30 } };
    expect(problemsOf({ schedules: { dailyBackup: { hour: 22, minute: 0 }, restoreTest } })).toEqual([
      `- schedules.restoreTest.at: ${NO_SUCH_HOUR}`,
      '    schedules.restoreTest.at: {"hour":1,"minute":30}',
    ]);
  });

  it.each<[string, string[], string[]]>([
    [
      'nobody',
      [],
      ['- contacts: must name at least one e-mail address: an alarm that nobody gets is none', '    contacts: []'],
    ],
    [
      'what is no address',
      ['on call', 'a@b.example'],
      ['- contacts[0]: must be an e-mail address', '    contacts[0]: "on call"'],
    ],
    ['two', ['a@b.example', 'c@d.example'], []],
  ])('judges %s as contacts', (_name, contacts, problems) => {
    expect(problemsOf({ contacts })).toEqual(problems);
  });

  const WITHOUT_PAGERS =
    "must say who is woken at night: pagers: [{ sms: '+447700900123' }], or { webhook: 'https://…' } of a service that rings, or, where an e-mail wakes somebody, { email: '…' }; docs/pagers.md has what each needs";
  const NO_PAGER =
    "must be one of { email: 'name@school-supplier.example' }, { sms: '+447700900123' } and { webhook: 'https://…' }";
  it.each<[string, unknown, string[]]>([
    ['none', undefined, [`- pagers: ${WITHOUT_PAGERS}`, '    pagers: not there']],
    ['nobody', [], [`- pagers: ${WITHOUT_PAGERS}`, '    pagers: []']],
    [
      'one of each kind',
      [{ email: 'a@b.example' }, { sms: '+447700900123' }, { webhook: 'https://on.call.example/k' }],
      [],
    ],
    [
      'a number without its country',
      [{ sms: '07700900123' }],
      [
        '- pagers[0].sms: must be a number with its country, without spaces: +447700900123',
        '    pagers[0].sms: "07700900123"',
      ],
    ],
    [
      'a way that is not encrypted',
      [{ webhook: 'http://x.example' }],
      ['- pagers[0].webhook: must be an https address', '    pagers[0].webhook: "http://x.example"'],
    ],
    ['a bare address', ['a@b.example'], [`- pagers[0]: ${NO_PAGER}`, '    pagers[0]: "a@b.example"']],
  ])('judges %s as pagers', (_name, pagers, problems) => {
    expect(problemsOf({ pagers })).toEqual(problems);
  });

  it.each<[string, string[]]>([
    ['https://git.example/daybreak/blob/main/runbooks', []],
    [
      'http://git.example/runbooks',
      ['- runbookBaseUrl: must be an https address', '    runbookBaseUrl: "http://git.example/runbooks"'],
    ],
  ])('judges %s as where the pages are', (runbookBaseUrl, problems) => {
    expect(problemsOf({ runbookBaseUrl })).toEqual(problems);
  });

  it('refuses to go without contacts', () => {
    expect(problemsOf({ contacts: undefined })).toEqual([
      '- contacts: Invalid input: expected array, received undefined',
      '    contacts: not there',
    ]);
  });

  it.each<[string, number, number | undefined, number | undefined, string[]]>([
    ['two databases of 35 days', 2, undefined, undefined, []],
    [
      'three databases of 35 days',
      3,
      undefined,
      undefined,
      [
        '- retention.snapshotDays: 3 instances × (35 days and the one before the sweep) = 108 snapshots (and 3 intermediate) do not fit into 85, which is 85 % of the quota of 100 manual snapshots; the rest is for reruns and snapshots of your own, and above it an alarm sounds: have the quota raised to 131 and name it',
        '    retention.snapshotDays: 35',
        '    quotas.manualSnapshots: 100',
      ],
    ],
    [
      'one database too long',
      1,
      90,
      undefined,
      [
        '- retention.snapshotDays: 1 instance × 90 days = 90 snapshots (and 1 intermediate) do not fit into 85, which is 85 % of the quota of 100 manual snapshots; the rest is for reruns and snapshots of your own, and above it an alarm sounds: keep them for 84 days, or have the quota raised to 108 and name it',
        '    retention.snapshotDays: 90',
        '    quotas.manualSnapshots: 100',
      ],
    ],
    ['as long as the message says', 1, 84, undefined, []],
    ['three databases with the quota that the message says', 3, undefined, 131, []],
    ['three databases with one less', 3, undefined, 130, [expect.stringContaining('do not fit into 110')] as string[]],
    ['three databases without a policy, as earlier releases did', 3, 35, 128, []],
    ['no database', 0, 365, undefined, []],
  ])('judges %s against the quota of snapshots', (_name, count, snapshotDays, manualSnapshots, problems) => {
    const found = problemsOf({
      databases: databases(count),
      ...(snapshotDays && { retention: { snapshotDays } }),
      ...(manualSnapshots && { quotas: { manualSnapshots } }),
    });
    expect(found.slice(0, problems.length)).toEqual(problems);
    expect(found.length === 0).toBe(problems.length === 0);
  });

  it.each([
    [{ tenants: 0 }, '- concurrency.tenants: Too small: expected number to be >=1'],
    [{ tenants: 1001 }, '- concurrency.tenants: Too big: expected number to be <=1000'],
    [{ databases: 41 }, '- concurrency.databases: Too big: expected number to be <=40'],
    [{ databases: 1.5 }, '- concurrency.databases: Invalid input: expected int, received number'],
    [{ functions: 4 }, '- concurrency: Unrecognized key: "functions"'],
  ])('does not do %j at once', (concurrency, problem) => {
    expect(problemsOf({ concurrency })[0]).toBe(problem);
  });

  it.each<[object, number | undefined, string[]]>([
    [{}, undefined, []],
    [{ tenants: 40, databases: 4 }, 57, []],
    [
      { tenants: 40, databases: 4 },
      56,
      [
        '- concurrency.tenants: tenants and twice databases are 48 functions at once, which do not fit into 47, 85 % of the 56 that the account may run; your app needs the rest: take fewer, or have the quota raised and name it',
        '    concurrency.tenants: 40',
        '    concurrency.databases: 4',
        '    quotas.concurrentFunctions: 56',
      ],
    ],
    [{ tenants: 4, databases: 2 }, 10, []],
    [{ tenants: 5, databases: 2 }, 10, [expect.stringContaining('are 9 functions at once')] as string[]],
  ])('judges %o against a quota of functions of %s', (concurrency, concurrentFunctions, problems) => {
    const found = problemsOf({ concurrency, ...(concurrentFunctions && { quotas: { concurrentFunctions } }) });
    expect(found.slice(0, Math.max(1, problems.length))).toEqual(problems);
  });

  it('does 40 schools and 4 databases at once, if it says nothing else', () => {
    expect(readConfiguration(exampleConfiguration).concurrency).toEqual({ tenants: 40, databases: 4 });
    expect(readConfiguration({ ...exampleConfiguration, concurrency: { tenants: 4 } }).concurrency).toEqual({
      tenants: 4,
      databases: 4,
    });
  });

  it.each<[number, string[]]>([
    [
      31,
      [
        '- retention.snapshotDays: the recovery point that one monthly restore test proved would be gone before the next one proves another: keep them for 32 days at least',
        '    retention.snapshotDays: 31',
        '    schedules.restoreTest.dayOfMonth: 5',
      ],
    ],
    [32, []],
  ])('judges %i days against the interval of the restore tests', (snapshotDays, problems) => {
    const vault = { ...exampleConfiguration.vault, eventHoldDays: 30 };
    expect(problemsOf({ vault, retention: { snapshotDays } })).toEqual(problems);
  });

  it.each<[string, [number, number], [number, number], boolean]>([
    ['two hours after it', [2, 30], [4, 30], true],
    ['a minute less', [2, 30], [4, 29], false],
    ['at the same time', [2, 30], [2, 30], false],
    ['an hour before it', [6, 0], [5, 0], false],
    ['across midnight', [23, 30], [0, 30], false],
    ['across midnight, and late enough', [22, 59], [0, 59], true],
  ])('judges a restore test %s', (_name, [hour, minute], [testHour, testMinute], fits) => {
    const dailyBackup = { hour, minute };
    const restoreTest = { dayOfMonth: 5, at: { hour: testHour, minute: testMinute } };
    expect(problemsOf({ schedules: { dailyBackup, restoreTest } })).toEqual(
      fits
        ? []
        : [
            TOO_CLOSE,
            `    schedules.restoreTest.at: {"hour":${testHour},"minute":${testMinute}}`,
            `    schedules.dailyBackup: {"hour":${hour},"minute":${minute}}`,
          ],
    );
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    [
      'two databases of one id',
      { databases: [database, { ...database, instanceId: 'other', resourceId: 'db-OTHER' }] },
      [
        '- databases[1].id: another database has this id; ids stand in the names of snapshots',
        '    databases[1].id: "wellbeing"',
        '    databases[0].id: "wellbeing"',
      ],
    ],
    [
      'a gap that is accepted twice, and one of no database',
      {
        accepted: ['wellbeing/large-objects', 'wellbeing/large-objects', 'other/large-objects'].map(what => ({
          what,
          reason: 'being-removed',
        })),
      },
      [
        '- accepted[1].what: this gap is accepted twice; give one reason',
        '    accepted[1].what: "wellbeing/large-objects"',
        '    accepted[0].what: "wellbeing/large-objects"',
        '- accepted[2].what: must begin with the id of one of the databases, as a restore test prints the name of a gap',
        '    accepted[2].what: "other/large-objects"',
      ],
    ],
    [
      'one database of an instance twice',
      { databases: [database, { ...database, id: 'other' }] },
      [
        '- databases[1].databaseName: another entry backs this database of this instance up',
        '    databases[1].databaseName: "wellbeing"',
        '    databases[0].databaseName: "wellbeing"',
      ],
    ],
    [
      'two databases of one instance that say different things of it',
      {
        databases: [
          database,
          {
            ...database,
            id: 'other',
            databaseName: 'other',
            resourceId: 'db-OTHER',
            port: 5433,
            kmsKeyArn: otherKeyArn,
          },
        ],
      },
      [
        '- databases[1].resourceId: another entry of this instance says otherwise; an instance has one of it',
        '    databases[1].resourceId: "db-OTHER"',
        '    databases[0].resourceId: "db-EXAMPLE0000000000000000000"',
        '- databases[1].port: another entry of this instance says otherwise; an instance has one of it',
        '    databases[1].port: 5433',
        '    databases[0].port: 5432',
        '- databases[1].kmsKeyArn: another entry of this instance says otherwise; an instance has one of it',
        `    databases[1].kmsKeyArn: "${otherKeyArn}"`,
        `    databases[0].kmsKeyArn: "${database?.kmsKeyArn}"`,
      ],
    ],
    [
      'one resource id twice',
      { databases: [database, { ...database, id: 'other', instanceId: 'other' }] },
      [
        '- databases[1].resourceId: an entry of another instance has this resource id; every instance has one of its own, and the reader is let into that one alone',
        '    databases[1].resourceId: "db-EXAMPLE0000000000000000000"',
        '    databases[0].resourceId: "db-EXAMPLE0000000000000000000"',
      ],
    ],
    [
      'a database named like what is deleted every day',
      { databases: [{ ...database, id: 'intermediate-results' }] },
      [
        '- databases[0].id: must not begin with "intermediate": its backups would be named like intermediate snapshots, which are deleted',
        '    databases[0].id: "intermediate-results"',
      ],
    ],
    [
      'an instance named like what is deleted after a test',
      { databases: [{ ...database, instanceId: 'daybreak-test-wellbeing' }] },
      [
        "- databases[0].instanceId: is named like one of Daybreak's restored databases, which are deleted after their test",
        '    databases[0].instanceId: "daybreak-test-wellbeing"',
      ],
    ],
    [
      'two buckets of one id',
      { buckets: [bucket, { ...bucket, name: 'other-bucket' }] },
      [
        '- buckets[1].id: another bucket has this id; ids stand in the names of manifests',
        '    buckets[1].id: "uploads"',
        '    buckets[0].id: "uploads"',
      ],
    ],
    [
      'overlapping prefixes of one bucket',
      { buckets: [bucket, { ...bucket, id: 'other', tenantPrefix: '{tenant}/' }] },
      [
        '- buckets[1].name: another entry names this bucket: what lies under no tenant, and what both prefixes reach, would be backed up twice',
        '    buckets[1].name: "example-wellbeing-uploads"',
        '    buckets[0].name: "example-wellbeing-uploads"',
      ],
    ],
    [
      'the vault itself',
      { buckets: [{ ...bucket, name: 'daybreak-vault-111122223333-eu-west-2' }] },
      [
        "- buckets[0].name: is one of Daybreak's own buckets, which cannot be backed up into itself",
        '    buckets[0].name: "daybreak-vault-111122223333-eu-west-2"',
        '    account: "111122223333"',
      ],
    ],
    ['no bucket', { buckets: [] }, ['- buckets: must name at least one bucket', '    buckets: []']],
    [
      'one subnet twice',
      { network: { ...network, isolatedSubnets: [subnet, { ...otherSubnet, subnetId: subnet?.subnetId }] } },
      [
        '- network.isolatedSubnets[1].subnetId: this subnet is named twice',
        '    network.isolatedSubnets[1].subnetId: "subnet-0000000000000000a"',
        '    network.isolatedSubnets[0].subnetId: "subnet-0000000000000000a"',
      ],
    ],
    [
      'one Availability Zone',
      { network: { ...network, isolatedSubnets: [subnet, { ...otherSubnet, availabilityZone: 'eu-west-2a' }] } },
      [
        '- network.isolatedSubnets[0].availabilityZone: must span two Availability Zones at least, as a DB subnet group demands',
        '    network.isolatedSubnets[0].availabilityZone: "eu-west-2a"',
        '    network.isolatedSubnets[1].availabilityZone: "eu-west-2a"',
      ],
    ],
    [
      'an Availability Zone of another Region',
      { network: { ...network, isolatedSubnets: [subnet, { ...otherSubnet, availabilityZone: 'eu-west-1b' }] } },
      [
        '- network.isolatedSubnets[1].availabilityZone: must be one of eu-west-2, e.g. eu-west-2a',
        '    network.isolatedSubnets[1].availabilityZone: "eu-west-1b"',
        '    region: "eu-west-2"',
      ],
    ],
    [
      'a database without a key',
      { databases: [{ ...database, kmsKeyArn: null }] },
      [
        "- databases[0].kmsKeyArn: without a key of yours the storage, and each day's intermediate snapshot, is not encrypted, or only under a key of AWS that you can neither see nor revoke: move the database to encrypted storage and name its key, or say in acceptedWithoutKey why you accept it",
        '    databases[0].kmsKeyArn: null',
        '    databases[0].acceptedWithoutKey: not there',
      ],
    ],
    [
      'a database without a key that nobody says why',
      { databases: [{ ...database, kmsKeyArn: null, acceptedWithoutKey: 'yes' }] },
      [
        '- databases[0].acceptedWithoutKey: must say in a sentence why, and until when',
        '    databases[0].acceptedWithoutKey: "yes"',
      ],
    ],
    [
      'a database without a key that is accepted in words',
      { databases: [{ ...database, kmsKeyArn: null, acceptedWithoutKey: 'sse-rds until it is moved in May 2027' }] },
      [],
    ],
    [
      'a database with a key that is accepted without one',
      { databases: [{ ...database, acceptedWithoutKey: 'sse-rds until it is moved in May 2027' }] },
      [
        '- databases[0].kmsKeyArn: names a key, and accepts that there is none: remove the one that is not so',
        `    databases[0].kmsKeyArn: "${database.kmsKeyArn}"`,
        '    databases[0].acceptedWithoutKey: "sse-rds until it is moved in May 2027"',
      ],
    ],
    [
      'an alias for a key',
      { databases: [{ ...database, kmsKeyArn: 'arn:aws:kms:eu-west-2:111122223333:alias/rds' }] },
      [
        '- databases[0].kmsKeyArn: must be the ARN of a KMS key in eu-west-2 (an alias is none)',
        '    databases[0].kmsKeyArn: "arn:aws:kms:eu-west-2:111122223333:alias/rds"',
      ],
    ],
    [
      'a key of another Region',
      { buckets: [{ ...bucket, kmsKeyArns: [otherKey.replace('eu-west-2', 'eu-west-1')] }] },
      [
        '- buckets[0].kmsKeyArns[0]: must be the ARN of a KMS key in eu-west-2 (an alias is none)',
        '    buckets[0].kmsKeyArns[0]: "arn:aws:kms:eu-west-1:111122223333:key/00000000-0000-4000-8000-00000000000c"',
      ],
    ],
    [
      'a lock that outlasts what it protects',
      { vault: { lockMode: 'governance', eventHoldDays: 36 } },
      [
        '- vault.eventHoldDays: the lock would hold an object for 36 days after the last recovery point that needs it is gone, longer than recovery points are kept: hold it for 35 days at most',
        '    vault.eventHoldDays: 36',
        '    retention.snapshotDays: 35',
      ],
    ],
    [
      'evidence under a weaker lock than the vault',
      { vault: { lockMode: 'compliance', eventHoldDays: 35 } },
      [
        '- evidence.lockMode: what proves the backups would be easier to delete than the backups: an administrator can get past a governance lock',
        '    evidence.lockMode: "governance"',
        '    vault.lockMode: "compliance"',
      ],
    ],
    ['evidence under a stronger lock than the vault', { evidence: { lockMode: 'compliance', retentionYears: 7 } }, []],
    [
      'copies that are taken for abandoned while their test runs',
      { restoreTest: { abandonedAfterMs: 23 * 3_600_000 } },
      [
        '- restoreTest.abandonedAfterMs: a restore test may run for 23 hours, and would lose the copy that it reads: wait longer than 82800000 ms',
        '    restoreTest.abandonedAfterMs: 82800000',
      ],
    ],
    [
      "another account's boundary",
      { permissionsBoundaryArn: 'arn:aws:iam::444455556666:policy/boundary' },
      [
        '- permissionsBoundaryArn: is a policy of another account; a boundary must be of the account whose roles it bounds',
        '    permissionsBoundaryArn: "arn:aws:iam::444455556666:policy/boundary"',
        '    account: "111122223333"',
      ],
    ],
    [
      "another account's operators",
      { operatorRoleArns: [`arn:aws:iam::${account}:role/ops`, 'arn:aws:iam::444455556666:role/ops'] },
      [
        "- operatorRoleArns[1]: is a role of another account; the keys let in roles of the vault's own account alone",
        '    operatorRoleArns[1]: "arn:aws:iam::444455556666:role/ops"',
        '    account: "111122223333"',
      ],
    ],
    [
      'everybody as operators',
      { operatorRoleArns: EVERYBODY.map(name => `arn:aws:iam::${account}:role/${name}`) },
      EVERYBODY.flatMap((name, index) => [
        `- operatorRoleArns[${index}]: must say which role: a * or ? alone would let everybody read what lies under the vault key`,
        `    operatorRoleArns[${index}]: "arn:aws:iam::111122223333:role/${name}"`,
      ]),
    ],
    [
      'a bucket by a pattern',
      { buckets: [{ ...bucket, name: 'example-wellbeing-upload?' }] },
      ['- buckets[0].name: must be the name of one bucket', '    buckets[0].name: "example-wellbeing-upload?"'],
    ],
    ['operators by a pattern', { operatorRoleArns: [`arn:aws:iam::${account}:role/AWSReservedSSO_Ops_*`] }, []],
    ['an existing vault', { existing }, []],
    [
      'an existing vault with one key for all',
      { existing: { ...existing, signingKeyArn: existing.vaultKeyArn } },
      [
        '- existing.signingKeyArn: each key of the vault is another one: aws kms describe-key of alias/daybreak/vault, signing, ledger, entries, tenant-ids, logs, trail and register prints one each',
        `    existing.signingKeyArn: "${existing.vaultKeyArn}"`,
        `    existing.vaultKeyArn: "${existing.vaultKeyArn}"`,
      ],
    ],
    [
      "an existing vault of another account's",
      { existing: { ...existing, signingKeyArn: existing.signingKeyArn.replace(account, '444455556666') } },
      [
        "- existing.signingKeyArn: is a key of another account; the vault's keys are in the vault's own",
        `    existing.signingKeyArn: "${existing.signingKeyArn.replace(account, '444455556666')}"`,
        '    account: "111122223333"',
      ],
    ],
    [
      'sources under the key of an existing vault',
      {
        existing: { ...existing, vaultKeyArn: otherKey },
        databases: [{ ...database, kmsKeyArn: otherKey }],
        buckets: [{ ...bucket, kmsKeyArns: [otherKey] }],
      },
      ['databases[0].kmsKeyArn', 'buckets[0].kmsKeyArns[0]'].flatMap(path => [
        `- ${path}: is the vault's key: what it backs up would be lost with the same key`,
        `    ${path}: "${otherKey}"`,
        `    existing.vaultKeyArn: "${otherKey}"`,
      ]),
    ],
    [
      'an account as a number',
      { account: 111122223333 },
      ['- account: Invalid input: expected string, received number', '    account: 111122223333'],
    ],
    [
      'a register whose changes count at once',
      { register: { coolingOffDays: 0 } },
      [
        '- register.coolingOffDays: must be a day at least: nobody could stop a forged contact',
        '    register.coolingOffDays: 0',
      ],
    ],
    [
      'a register whose changes wait longer than old versions are kept',
      { register: { coolingOffDays: 29 } },
      [
        '- register.coolingOffDays: must be 28 days at most: what counts until then is an old version, and old versions go after 35',
        '    register.coolingOffDays: 29',
      ],
    ],
    ['a member that does not exist', { retenttion: {} }, ['- configuration: Unrecognized key: "retenttion"']],
  ])('judges %s', (_name, change, problems) => {
    expect(problemsOf(change)).toEqual(problems);
  });

  it('names every problem at once', () => {
    const found = problemsOf({ region: 'eu-west-1', account: '1', buckets: [] });
    expect(found.filter(line => line.startsWith('- ')).map(line => line.slice(2, line.indexOf(':')))).toEqual([
      'account',
      'region',
      'buckets',
    ]);
  });

  it.each([undefined, null, 'text'])('refuses %j in the place of a configuration', configuration => {
    expect(() => readConfiguration(configuration)).toThrow(
      /^the configuration cannot be deployed:\n- configuration: Invalid input: expected object, received \w+$/,
    );
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
      accepted: [],
      register: { coolingOffDays: 7 },
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
