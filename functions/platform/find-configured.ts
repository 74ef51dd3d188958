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

/** The databases of one instance, ordered by id. @throws NotConfiguredError where it has none */
export function databasesOf(configuration: Configuration, instanceId: string): DatabaseConfiguration[] {
  const found = configuration.databases
    .filter(database => database.instanceId === instanceId)
    .sort((a, b) => (a.id < b.id ? -1 : 1));
  if (found.length === 0) throw new NotConfiguredError(`no database of instance ${instanceId} is in the configuration`);
  return found;
}

/**
 * The database that an instance's snapshots are named after: its only one, or the first by id.
 * @throws NotConfiguredError
 */
export function databaseThatNames(configuration: Configuration, instanceId: string): string {
  return (databasesOf(configuration, instanceId)[0] as DatabaseConfiguration).id;
}

/** The configuration of one bucket. @throws NotConfiguredError */
export function findBucket(configuration: Configuration, bucketId: string): BucketConfiguration {
  const bucket = configuration.buckets.find(({ id }) => id === bucketId);
  if (bucket === undefined) throw new NotConfiguredError(`bucket ${bucketId} is not in the configuration`);
  return bucket;
}
