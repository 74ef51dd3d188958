import type { z } from 'zod';
import type { SupplierConfiguration } from '#configuration';

/** Who answers for the example's rules, and when they are looked at again. */
const answered = { owner: 'data protection officer', nextReview: '2027-11-01' } as const;

/**
 * A supplier with one database and one bucket. Copy it to `daybreak.config.ts` in the project's folder, and put your own ids
 * in.
 */
export const exampleConfiguration: z.input<typeof SupplierConfiguration> = {
  account: '111122223333',
  region: 'eu-west-2',
  databases: [
    {
      id: 'wellbeing',
      instanceId: 'wellbeing-production',
      resourceId: 'db-EXAMPLE0000000000000000000',
      databaseName: 'wellbeing',
      rootTable: 'school',
      rootColumn: 'id',
      kmsKeyArn: 'arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-00000000000a',
      securityGroupId: 'sg-0000000000000000a',
    },
  ],
  buckets: [
    {
      id: 'uploads',
      name: 'example-wellbeing-uploads',
      tenantPrefix: 'schools/{tenant}/',
      kmsKeyArns: ['arn:aws:kms:eu-west-2:111122223333:key/00000000-0000-4000-8000-00000000000b'],
    },
  ],
  vault: { lockMode: 'governance', eventHoldDays: 35 },
  evidence: { lockMode: 'governance', retentionYears: 7 },
  network: {
    vpcId: 'vpc-0000000000000000a',
    isolatedSubnets: [
      { subnetId: 'subnet-0000000000000000a', availabilityZone: 'eu-west-2a', routeTableId: 'rtb-0000000000000000a' },
      { subnetId: 'subnet-0000000000000000b', availabilityZone: 'eu-west-2b', routeTableId: 'rtb-0000000000000000b' },
    ],
    s3PrefixListId: 'pl-0000000000000000a',
    hasS3Endpoint: false,
    kmsEndpointSecurityGroupId: null,
  },
  schedules: {
    dailyBackup: { hour: 2, minute: 30 },
    restoreTest: { dayOfMonth: 5, at: { hour: 4, minute: 30 } },
  },
  // How long what is kept, why, and who answers for it: put your own policy in. `daybreak retention show` prints it for schools.
  retention: {
    snapshotDays: 35,
    policy: {
      promise: { coolingOffDays: 14, erasureDays: 14, automatedBackupDays: 7, beyondUseDays: 30, goneDays: 120 },
      rules: {
        recoveryPoints: { ...answered, clause: 'Backup policy, 3.1', lawfulBasis: 'public-task' },
        incompleteRecoveryPoints: {
          ...answered,
          maximumDays: 7,
          clause: 'Backup policy, 3.1',
          lawfulBasis: 'public-task',
        },
        scratch: { ...answered, maximumDays: 2, clause: 'Backup policy, 4.2', lawfulBasis: 'public-task' },
        workFiles: { ...answered, maximumDays: 14, clause: 'Backup policy, 4.2', lawfulBasis: 'public-task' },
        logs: { ...answered, maximumDays: 400, clause: 'Security policy, 7.3', lawfulBasis: 'legitimate-interests' },
        exports: { ...answered, maximumDays: 30, clause: 'Retention policy, 5.4', lawfulBasis: 'contract' },
        archives: {
          ...answered,
          keep: { monthly: 12, yearly: 6 },
          clause: 'Retention policy, 2.1',
          lawfulBasis: 'public-task',
        },
        register: {
          ...answered,
          yearsAfterContract: 6,
          clause: 'Retention policy, 6.1',
          lawfulBasis: 'legal-obligation',
        },
      },
    },
  },
  // Who is woken, and who reads the rest in the morning.
  pagers: [{ sms: '+447700900123' }],
  contacts: ['backups@school-supplier.example'],
  // Who may read the records; here, whom Identity Center signs in as an administrator.
  operatorRoleArns: [
    'arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/*AWSReservedSSO_AdministratorAccess_*',
  ],
  restoreTest: { instanceClass: 'db.t4g.medium' },
};
