import { sha256Hex } from '../canonical-json.ts';
import type { Query } from '../postgres.ts';

/** What is not the user's: PostgreSQL's own schemas, temporary ones, and what an extension brought (its version counts). */
const USER_SCHEMA = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'";
const notOfExtension = (catalog: string, oid: string) =>
  `NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '${catalog}'::regclass AND e.objid = ${oid} AND e.deptype = 'e')`;

/** For `pg_namespace n`: the condition that it belongs to the user. */
export const inUserSchema = USER_SCHEMA;

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

// Each part is one SELECT of one text for each object.
const SCHEMA_PARTS: Readonly<Record<string, string>> = {
  schemas: `SELECT jsonb_build_array(n.nspname, pg_get_userbyid(n.nspowner), n.nspacl::text)::text
    FROM pg_namespace n WHERE ${USER_SCHEMA} AND ${notOfExtension('pg_namespace', 'n.oid')}`,
  // Tables, materialized views' rows and partitions are fingerprinted one by one; here is what holds no rows of its own.
  relations: `SELECT jsonb_build_array(n.nspname, c.relname, ${relationDefinition},
      CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, c.relispopulated,
      (SELECT jsonb_build_array(s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle)
         FROM pg_sequence s WHERE s.seqrelid = c.oid),
      (SELECT jsonb_agg(jsonb_build_array(d.refobjid::regclass, a.attname))
         FROM pg_depend d JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
        WHERE c.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')))::text
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm', 'p', 'c', 'S', 'f') AND c.relpersistence <> 't'
      AND ${USER_SCHEMA} AND ${notOfExtension('pg_class', 'c.oid')}`,
  functions: `SELECT jsonb_build_array(n.nspname, p.proname, pg_get_function_identity_arguments(p.oid),
      CASE WHEN p.prokind <> 'a' THEN pg_get_functiondef(p.oid) END,
      (SELECT jsonb_build_array(g.aggkind, g.aggtransfn, g.aggfinalfn, g.aggcombinefn, g.aggtranstype::regtype, g.agginitval)
         FROM pg_aggregate g WHERE g.aggfnoid = p.oid),
      pg_get_userbyid(p.proowner), p.proacl::text)::text
    FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE ${USER_SCHEMA} AND ${notOfExtension('pg_proc', 'p.oid')}`,
  types: `SELECT jsonb_build_array(n.nspname, t.typname, t.typtype, pg_get_userbyid(t.typowner), t.typacl::text,
      format_type(NULLIF(t.typbasetype, 0), t.typtypmod), t.typnotnull, t.typdefault, t.typcollation::regcollation,
      (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
      (SELECT jsonb_agg(jsonb_build_array(k.conname, pg_get_constraintdef(k.oid)) ORDER BY k.conname COLLATE "C")
         FROM pg_constraint k WHERE k.contypid = t.oid),
      (SELECT jsonb_build_array(r.rngsubtype::regtype, r.rngcollation::regcollation, r.rngcanonical, r.rngsubdiff)
         FROM pg_range r WHERE r.rngtypid = t.oid))::text
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
    WHERE t.typtype IN ('e', 'd', 'r') AND ${USER_SCHEMA} AND ${notOfExtension('pg_type', 't.oid')}`,
  extensions: `SELECT jsonb_build_array(x.extname, x.extversion, n.nspname)::text
    FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace`,
  eventTriggers: `SELECT jsonb_build_array(v.evtname, v.evtevent, v.evtfoid::regprocedure, v.evtenabled, v.evttags)::text
    FROM pg_event_trigger v WHERE ${notOfExtension('pg_event_trigger', 'v.oid')}`,
  publications: `SELECT jsonb_build_array(u.pubname, u.puballtables, u.pubinsert, u.pubupdate, u.pubdelete, u.pubtruncate,
      (SELECT jsonb_agg(q.prrelid::regclass ORDER BY q.prrelid::regclass::text COLLATE "C") FROM pg_publication_rel q WHERE q.prpubid = u.oid))::text
    FROM pg_publication u`,
  defaultPrivileges: `SELECT jsonb_build_array(pg_get_userbyid(f.defaclrole), n.nspname, f.defaclobjtype, f.defaclacl::text)::text
    FROM pg_default_acl f LEFT JOIN pg_namespace n ON n.oid = f.defaclnamespace`,
};

/** SHA-256 of everything in the schema that is not inside a table. The server hashes each part; no definition travels. */
export async function hashSchema(query: Query): Promise<string> {
  const hashes: string[] = [];
  for (const [part, select] of Object.entries(SCHEMA_PARTS)) {
    const [row] = await query<{ hash: string }>(
      `SELECT encode(sha256(convert_to(coalesce(string_agg(d.text, E'\\n' ORDER BY d.text COLLATE "C"), ''), 'UTF8')), 'hex') AS hash
         FROM (${select}) AS d (text)`,
    );
    hashes.push(`${part} ${row?.hash}`);
  }
  return sha256Hex(hashes.join('\n'));
}
