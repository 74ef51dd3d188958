import type { BucketConfiguration, Configuration, DatabaseConfiguration } from '../contracts/configuration.ts';
import { PermanentError } from './errors.ts';

/** A step was asked for a database or bucket that the configuration does not name. */
export class NotConfiguredError extends PermanentError {}

/** The configuration of one database. @throws NotConfiguredError */
export function findDatabase(configuration: Configuration, databaseId: string): DatabaseConfiguration {
  const database = configuration.databases.find(({ id }) => id === databaseId);
  if (database === undefined) throw new NotConfiguredError(`database ${databaseId} is not in the configuration`);
  return database;
}

/** The configuration of one bucket. @throws NotConfiguredError */
export function findBucket(configuration: Configuration, bucketId: string): BucketConfiguration {
  const bucket = configuration.buckets.find(({ id }) => id === bucketId);
  if (bucket === undefined) throw new NotConfiguredError(`bucket ${bucketId} is not in the configuration`);
  return bucket;
}
