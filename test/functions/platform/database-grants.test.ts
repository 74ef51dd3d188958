import { describe, expect, it } from 'vitest';
import { readerGrants } from '../../../functions/platform/database-grants.ts';

describe('readerGrants', () => {
  it('grants reading and IAM, never writing or superuser', () => {
    const sql = readerGrants();
    expect(sql).toContain('GRANT rds_iam TO "daybreak_reader";');
    expect(sql).toContain('GRANT CONNECT ON DATABASE');
    expect(sql).toContain('GRANT pg_read_all_data TO "daybreak_reader";');
    expect(sql).not.toMatch(/pg_write|SUPERUSER|INSERT|UPDATE|DELETE/);
  });
  it('quotes the name of the reader', () => {
    const sql = readerGrants(`o'dd"; DROP`);
    expect(sql).toContain(`GRANT rds_iam TO "o'dd""; DROP";`);
    expect(sql).toContain(`rolname = 'o''dd"; DROP'`);
  });
});
