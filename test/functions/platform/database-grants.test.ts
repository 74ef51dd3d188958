import { describe, expect, it } from 'vitest';
import { readerGrants } from '../../../functions/platform/database-grants.ts';

describe('readerGrants', () => {
  it('grants reading and IAM, never writing or superuser', () => {
    const sql = readerGrants();
    expect(sql).toContain('GRANT rds_iam TO "daybreak_reader";');
    expect(sql).toContain('GRANT CONNECT ON DATABASE');
    expect(sql).toContain('GRANT pg_read_all_data TO "daybreak_reader";');
    expect(sql).not.toMatch(/pg_write|SUPERUSER|INSERT|UPDATE|DELETE/);
    expect(sql.match(/\$daybreak\$/g)).toHaveLength(8);
  });
  it('quotes the name of the reader', () => {
    const sql = readerGrants(`o'dd"; DROP`);
    expect(sql).toContain(`GRANT rds_iam TO "o'dd""; DROP";`);
    expect(sql).toContain(`rolname = 'o''dd"; DROP'`);
  });
  it('ends no quotes where the name has them', () => {
    const sql = readerGrants('a$daybreak$; DROP ROLE b; --');
    const blocks = sql.split('$daybreak_$').filter((_part, index) => index % 2 === 1);
    expect(blocks).toHaveLength(4);
    expect(readerGrants('a$daybreak$$daybreak_$')).toContain('DO $daybreak__$');
  });
});
