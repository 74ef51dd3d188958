import { findTlsGaps } from '../platform/tls-settings.ts';

/** A protected instance, as RDS describes it, with the values of its parameter groups. */
export interface InstanceParameters {
  readonly engineVersion: string;
  readonly groups: readonly {
    readonly name: string;
    /** `in-sync`, or what keeps the group's values from being in force. */
    readonly status: string;
    readonly values: ReadonlyMap<string, string>;
  }[];
}

/** Why it is not certain that an instance forces TLS 1.2 or newer; empty when it is. */
export function assessTls({ engineVersion, groups }: InstanceParameters): string[] {
  if (groups.length === 0) return ['RDS names no parameter group of it'];
  return groups.flatMap(({ name, status, values }) => [
    ...findTlsGaps(values, engineVersion).map(gap => `in the parameter group ${name} ${gap}`),
    ...(status === 'in-sync' ? [] : [`the parameter group ${name} is ${status}: its values are not all in force`]),
  ]);
}
