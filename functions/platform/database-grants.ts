import { quoteIdentifier } from './postgres.ts';

/**
 * The SQL that an administrator (on RDS a member of `rds_superuser`) runs once in each protected database, before its
 * first backup; running it again changes nothing. It creates the reader, who may log in with IAM alone and read
 * everything, and the extensions with which a restored copy is checked: they are in every snapshot from then on. What
 * is created later, by whomever, the reader reads as well: `pg_read_all_data` needs no grant for a table or owner.
 * A role that is there already and can do more than read is refused, before anything of it is changed.
 *
 * What the server refuses is printed as a notice, and the rest is done: without BYPASSRLS, tables under row-level
 * security are reported as unreadable; without `amcheck`, heap pages are read but not checked in their structure.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
 * https://www.postgresql.org/docs/14/predefined-roles.html
 */
export function readerGrants(reader = 'daybreak_reader'): string {
  const role = quoteIdentifier(reader);
  const literal = `'${reader.replaceAll("'", "''")}'`;
  const tag = unusedTag(reader);
  return `DO ${tag}
BEGIN
  IF EXISTS (
    SELECT FROM pg_catalog.pg_roles r
     WHERE r.rolname = ${literal}
       AND (r.rolsuper OR r.rolcreaterole OR r.rolcreatedb OR r.rolreplication
         OR EXISTS (SELECT FROM pg_catalog.pg_shdepend d
                     WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = r.oid AND d.deptype = 'o')
         OR EXISTS (SELECT FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid
                     WHERE m.member = r.oid AND g.rolname NOT IN ('rds_iam', 'pg_read_all_data'))
         OR EXISTS (SELECT FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
                     WHERE a.grantee = r.oid AND a.privilege_type <> 'SELECT'))
  ) THEN
    RAISE EXCEPTION 'the role % is there, and can do more than read: name one for Daybreak alone', ${literal};
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = ${literal}) THEN
    CREATE ROLE ${role} LOGIN;
  END IF;
END
${tag};

DO ${tag}
BEGIN
  EXECUTE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO %I', pg_catalog.current_database(), ${literal});
END
${tag};

GRANT rds_iam TO ${role};
GRANT pg_read_all_data TO ${role};
ALTER ROLE ${role} LOGIN;
ALTER ROLE ${role} SET default_transaction_read_only = on;

DO ${tag}
BEGIN
  ALTER ROLE ${role} BYPASSRLS;
EXCEPTION WHEN insufficient_privilege THEN
  RAISE NOTICE 'BYPASSRLS was not granted: tables under row-level security will be reported as unreadable';
END
${tag};

DO ${tag}
DECLARE
  wanted text;
  routine regprocedure;
BEGIN
  FOREACH wanted IN ARRAY ARRAY['amcheck', 'pg_prewarm'] LOOP
    BEGIN
      EXECUTE pg_catalog.format('CREATE EXTENSION IF NOT EXISTS %I', wanted);
      FOR routine IN
        SELECT d.objid::regprocedure
          FROM pg_catalog.pg_depend d
          JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
         WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass
           AND d.classid = 'pg_catalog.pg_proc'::regclass
           AND d.deptype = 'e' AND e.extname = wanted
           AND d.objid::regprocedure::text !~ 'autoprewarm'
      LOOP
        EXECUTE pg_catalog.format('GRANT EXECUTE ON FUNCTION %s TO %I', routine, ${literal});
      END LOOP;
    EXCEPTION WHEN insufficient_privilege OR feature_not_supported OR undefined_file THEN
      RAISE NOTICE 'the extension % is not available', wanted;
    END;
  END LOOP;
END
${tag};
`;
}

/** A tag for dollar quotes that the name does not end. */
function unusedTag(name: string): string {
  let tag = '$daybreak$';
  while (name.includes(tag)) tag = `${tag.slice(0, -1)}_$`;
  return tag;
}
