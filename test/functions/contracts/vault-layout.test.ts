import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DatabaseConfiguration } from '../../../functions/contracts/configuration.ts';
import { RecoveryPointId } from '../../../functions/contracts/identifiers.ts';
import * as layout from '../../../functions/contracts/vault-layout.ts';

/** Ids that hyphens, dates and Daybreak's own words would make run into one another. */
const words = fc
  .array(fc.constantFrom('a', 'b', 'intermediate', 'test', 'shared', '20261122t023000z', '1'), {
    minLength: 1,
    maxLength: 3,
  })
  .map(parts => parts.join('-'));
const valid = (schema: { safeParse: (value: string) => { success: boolean } }) =>
  words.filter(id => schema.safeParse(id).success);
const databaseId = valid(DatabaseConfiguration.shape.id);
const tenant = fc.option(fc.constantFrom('a', 'b', 'shared', 'manifests', 'a-b'), { nil: null });
const id = fc
  .constantFrom('20261122t023000z', '20261123t023000z', '21261122t023000z', '20261122t023001z')
  .filter(text => RecoveryPointId.safeParse(text).success);
const moment = fc.constantFrom('before' as const, 'after' as const);
const sha256 = fc.constantFrom('a'.repeat(64), 'b'.repeat(64));
const resourceId = fc.constantFrom('db-A', 'db-B');

/** One of several kinds of names, which lie side by side, with what it was made from. */
const named = <T extends readonly unknown[]>(kind: string, from: fc.Arbitrary<T>, name: (...parts: T) => string) =>
  from.map(parts => ({ from: JSON.stringify([kind, ...parts]), name: name(...parts) }));

describe.each([
  [
    'snapshots',
    fc.oneof(
      named('intermediate', fc.tuple(id, databaseId), layout.intermediateSnapshotId),
      named('vault', fc.tuple(id, databaseId), layout.vaultSnapshotId),
    ),
  ],
  ['instances', named('test', fc.tuple(id, databaseId), layout.restoreTestInstanceId)],
  [
    'keys in the vault bucket',
    fc.oneof(
      named('fingerprint', fc.tuple(id, databaseId, moment), layout.fingerprintKey),
      named('root', fc.tuple(id), layout.rootManifestKey),
      named('secret', fc.tuple(tenant), layout.namingSecretKey),
      named('object', fc.tuple(tenant, sha256), layout.objectKey),
      named('manifest', fc.tuple(tenant, sha256), layout.manifestKey),
      named('not covered', fc.tuple(tenant, sha256), layout.notCoveredKey),
    ),
  ],
  [
    'keys in the work bucket',
    fc.oneof(
      named('items', fc.tuple(fc.constantFrom('backup' as const, 'restore-test' as const), id), layout.itemsKey),
      named('progress', fc.tuple(id, databaseId, moment), layout.fingerprintProgressKey),
      named(
        'test',
        fc.tuple(id, databaseId, resourceId, fc.constantFrom('hydration' as const, 'verification' as const)),
        layout.databaseTestKey,
      ),
    ),
  ],
])('%s', (_what, names) => {
  it('of two things never have one name', () => {
    fc.assert(
      fc.property(names, names, (one, other) => {
        expect(one.name === other.name).toBe(one.from === other.from);
      }),
      { numRuns: 3000 },
    );
  });
});
