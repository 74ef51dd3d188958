import type { z } from 'zod';
import type { SupplierConfiguration } from '../../config/configuration.ts';
import { exampleConfiguration } from '../../config/example.ts';

type Configuration = z.input<typeof SupplierConfiguration>;

/** A database of the local cloud to protect. */
export type LocalDatabase = Pick<
  Configuration['databases'][number],
  'id' | 'instanceId' | 'resourceId' | 'databaseName' | 'rootTable' | 'rootColumn'
> & { readonly kmsKeyArn?: string };

/** A bucket of the local cloud to protect. */
export type LocalBucket = Pick<Configuration['buckets'][number], 'id' | 'name' | 'tenantPrefix' | 'kmsKeyArns'>;

/** The configuration of a run in the local cloud. There is no network in it, so that part stays the example's. */
export function localConfiguration(options: {
  account: string;
  databases: readonly LocalDatabase[];
  buckets: readonly LocalBucket[];
  restoreTest?: Configuration['restoreTest'];
  operatorRoleArns?: Configuration['operatorRoleArns'];
}): Configuration {
  const { account, databases, buckets, restoreTest, operatorRoleArns } = options;
  return {
    ...exampleConfiguration,
    account,
    databases: databases.map(database => ({
      securityGroupId: 'sg-00000000',
      ...(database.kmsKeyArn === undefined && {
        acceptedWithoutKey: 'It is a database of the local cloud, made for a run of it.',
      }),
      kmsKeyArn: null,
      ...database,
    })),
    buckets: [...buckets],
    ...(restoreTest && { restoreTest }),
    ...(operatorRoleArns && { operatorRoleArns }),
  };
}
