/** https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/CHAP_Limits.html */
export const QUOTAS = { instances: 40, manualSnapshots: 100, sharedAccounts: 20 } as const;

/** The alias of the key that AWS manages for RDS. */
export const AWS_MANAGED_KEY = 'alias/aws/rds';
