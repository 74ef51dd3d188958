import type { Configuration } from '../contracts/configuration.ts';
import type { PulseValues } from '../contracts/pulse.ts';
import { PermanentError } from '../platform/errors.ts';
import { log } from '../platform/log.ts';
import { findInstance, readParameters } from '../platform/rds.ts';
import { assessTls } from './assess-tls.ts';

/** RDS has no instance of a name that the configuration protects. */
export class ProtectedInstanceMissingError extends PermanentError {}

/**
 * How many protected instances let somebody talk to them without TLS 1.2, or may do so.
 * @throws ProtectedInstanceMissingError when the others are counted and one is not there.
 */
export async function readTls({ databases }: Configuration): Promise<PulseValues> {
  const groups = new Map<string, Promise<ReadonlyMap<string, string>>>();
  const valuesOf = (group: string) => {
    const values = groups.get(group) ?? readParameters(group);
    groups.set(group, values);
    return values;
  };
  const missing: string[] = [];
  let count = 0;
  for (const { id, instanceId } of databases) {
    const instance = await findInstance(instanceId);
    if (instance === undefined) {
      missing.push(instanceId);
      continue;
    }
    const described = (instance.DBParameterGroups ?? []).map(
      async ({ DBParameterGroupName: name = '', ParameterApplyStatus: status = 'unknown' }) => ({
        name,
        status,
        values: await valuesOf(name),
      }),
    );
    const reasons = assessTls({ engineVersion: instance.EngineVersion ?? '', groups: await Promise.all(described) });
    for (const reason of reasons) log('error', 'a database does not force TLS', { database: id, reason });
    if (reasons.length > 0) count++;
  }
  if (missing.length > 0) {
    throw new ProtectedInstanceMissingError(
      `RDS has no instance ${missing.join(', ')}; correct the configuration, or find out who deleted it`,
    );
  }
  return { DatabasesWithoutTls: count };
}
