import { describe, expect, it } from 'vitest';
import { assessTls } from '../../../functions/pulse/assess-tls.ts';

const judge = (engineVersion: string, values: Record<string, string> = {}, status = 'in-sync') =>
  assessTls({ engineVersion, groups: [{ name: 'g', status, values: new Map(Object.entries(values)) }] });
const NOT_FORCED = (value: string) => `in the parameter group g rds.force_ssl is ${value}; it must be 1`;
const TOO_OLD = (value: string) =>
  `in the parameter group g ssl_min_protocol_version is ${value}; it must be TLSv1.2 or TLSv1.3`;

describe('an instance', () => {
  it.each<[string, string, Record<string, string>, string[]]>([
    ['of 17 by default forces TLS 1.2', '17.10', {}, []],
    ['of 15 by default forces TLS 1.2', '15.2', {}, []],
    ['of 14 by default does not', '14.19', {}, [NOT_FORCED('0')]],
    ['of 12 by default takes old versions too', '12.22', {}, [NOT_FORCED('0'), TOO_OLD('TLSv1')]],
    ['of 14 does when told', '14.19', { 'rds.force_ssl': '1' }, []],
    ['of 17 does not when told so', '17.10', { 'rds.force_ssl': '0' }, [NOT_FORCED('0')]],
    ['takes TLS 1.3 alone', '17.10', { ssl_min_protocol_version: 'TLSv1.3' }, []],
    ['takes TLS 1.1', '17.10', { ssl_min_protocol_version: 'TLSv1.1' }, [TOO_OLD('TLSv1.1')]],
    ['takes any version', '17.10', { ssl_min_protocol_version: '' }, [TOO_OLD('not set')]],
    ['of no known version', '', {}, [NOT_FORCED('0'), TOO_OLD('TLSv1')]],
  ])('%s', (_what, engineVersion, values, expected) => {
    expect(judge(engineVersion, values)).toEqual(expected);
  });

  it('whose values wait for a reboot is not known to force TLS', () => {
    expect(judge('17.10', {}, 'pending-reboot')).toEqual([
      'the parameter group g is pending-reboot: its values are not all in force',
    ]);
  });

  it('without a parameter group is not known to force TLS', () => {
    expect(assessTls({ engineVersion: '17.10', groups: [] })).toEqual(['RDS names no parameter group of it']);
  });
});
