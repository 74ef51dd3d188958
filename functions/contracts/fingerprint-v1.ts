import { z } from 'zod';
import { InstantText, Sha256 } from './identifiers.ts';

/** Rows of one bucket: how many, and the sums (decimal text) of their two seeded 64-bit hashes. */
const Digest = z.strictObject({ rows: z.int().min(0), sums: z.tuple([z.string(), z.string()]) });

/**
 * A fingerprint as the first release wrote it: one file for a database, each table in one snapshot, under a horizon of
 * its own. Nothing writes it any more. What is in a vault stays readable: `platform/fingerprint/read-fingerprint.ts`.
 */
export const DatabaseFingerprintV1 = z.strictObject({
  version: z.literal(1),
  databaseId: z.string(),
  moment: z.enum(['before', 'after']),
  serverVersion: z.string(),
  seeds: z.tuple([z.string(), z.string()]),
  schemaSha256: Sha256,
  tables: z.array(
    z.strictObject({
      schema: z.string(),
      table: z.string(),
      kind: z.enum(['table', 'materialized-view']),
      definitionSha256: Sha256,
      bucketColumns: z.array(z.string()),
      bucketCount: z.int().min(1).max(4096),
      horizon: z.string(),
      snapshot: z.string(),
      measuredAt: InstantText,
      settled: z.record(z.string(), Digest),
      recent: z.record(z.string(), Digest),
      removedRowCount: z.int().nullable(),
      fileNode: z.string(),
    }),
  ),
  sequences: z.array(
    z.strictObject({
      schema: z.string(),
      sequence: z.string(),
      lastValue: z.string().nullable(),
      increment: z.string(),
    }),
  ),
  unreadable: z.array(
    z.strictObject({
      schema: z.string(),
      relation: z.string(),
      reason: z.enum([
        'permission-denied',
        'row-level-security',
        'unlogged',
        'foreign-table',
        'large-objects',
        'locked',
        'unreadable',
      ]),
    }),
  ),
  tenants: z.array(z.string()),
});
export type DatabaseFingerprintV1 = z.infer<typeof DatabaseFingerprintV1>;
