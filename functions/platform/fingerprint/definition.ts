/** For `pg_namespace n`: the condition that it belongs to the user, and neither to PostgreSQL nor to one session. */
export const inUserSchema = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'";

/**
 * SQL for the definition of the relation `c` (a row of `pg_class`) as JSON: everything that decides what its rows mean
 * and who may see them. It names things, never by oid, so that it is the same for every reader. Statistics, the physical
 * place and the history are left out.
 */
export const relationDefinition = `jsonb_build_object(
  'kind', c.relkind, 'persistence', c.relpersistence, 'owner', pg_get_userbyid(c.relowner), 'privileges', c.relacl::text,
  'rowSecurity', c.relrowsecurity, 'forceRowSecurity', c.relforcerowsecurity, 'options', c.reloptions,
  'replicaIdentity', c.relreplident, 'partitionKey', pg_get_partkeydef(c.oid), 'bound', pg_get_expr(c.relpartbound, c.oid),
  'type', CASE WHEN c.reloftype <> 0 THEN c.reloftype::regtype END,
  'parents', (SELECT jsonb_agg(i.inhparent::regclass ORDER BY i.inhseqno) FROM pg_inherits i WHERE i.inhrelid = c.oid),
  'columns', (SELECT jsonb_agg(jsonb_build_object(
      'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'notNull', a.attnotnull,
      'default', (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum),
      'identity', a.attidentity, 'generated', a.attgenerated, 'collation', a.attcollation::regcollation,
      'options', a.attoptions, 'privileges', a.attacl::text) ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'constraints', (SELECT jsonb_agg(jsonb_build_array(k.conname, pg_get_constraintdef(k.oid), k.convalidated) ORDER BY k.conname COLLATE "C")
    FROM pg_constraint k WHERE k.conrelid = c.oid),
  'indexes', (SELECT jsonb_agg(jsonb_build_array(pg_get_indexdef(x.indexrelid), x.indisvalid, x.indisreplident) ORDER BY pg_get_indexdef(x.indexrelid) COLLATE "C")
    FROM pg_index x WHERE x.indrelid = c.oid),
  'triggers', (SELECT jsonb_agg(jsonb_build_array(pg_get_triggerdef(t.oid), t.tgenabled) ORDER BY t.tgname COLLATE "C")
    FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
  'rules', (SELECT jsonb_agg(jsonb_build_array(pg_get_ruledef(w.oid), w.ev_enabled) ORDER BY w.rulename COLLATE "C")
    FROM pg_rewrite w WHERE w.ev_class = c.oid),
  'policies', (SELECT jsonb_agg(jsonb_build_array(p.polname, p.polcmd, p.polpermissive,
      (SELECT array_agg(CASE o WHEN 0 THEN 'public' ELSE pg_get_userbyid(o) END) FROM unnest(p.polroles) o)::text,
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) ORDER BY p.polname COLLATE "C")
    FROM pg_policy p WHERE p.polrelid = c.oid)
)::text`;
