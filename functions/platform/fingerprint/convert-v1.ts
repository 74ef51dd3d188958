import type {
  DatabaseFingerprint,
  DigestsPlace,
  SequenceState,
  TableFingerprint,
} from '../../contracts/fingerprint.ts';
import type { DatabaseFingerprintV1 } from '../../contracts/fingerprint-v1.ts';
import { BucketDigests } from './bucket-digests.ts';
import type { StoredFingerprint, TableDigests } from './fingerprint-file.ts';

type TableV1 = DatabaseFingerprintV1['tables'][number];

/**
 * A fingerprint of version 1 as those of today are read. A table of it has the shape of its definition, and was seen by
 * one snapshot. Deleted rows were not counted apart from updated ones, so each removed row may have been deleted.
 */
export function convertV1(stored: DatabaseFingerprintV1): StoredFingerprint {
  const { tenants, schemaSha256: _, ...rest } = stored;
  const horizons = stored.tables.map(({ horizon }) => BigInt(horizon));
  const index: DatabaseFingerprint = {
    ...rest,
    version: 2,
    catalogsSha256: null,
    // Each is the `xmin` of a snapshot of this measurement.
    horizon: horizons.reduce((latest, horizon) => (horizon > latest ? horizon : latest), 0n).toString(),
    tables: stored.tables.map(convertTable),
    sequences: stored.sequences.map(convertSequence),
    describedAt: null,
    instanceDatabases: [],
    unreadable: stored.unreadable.map(relation => ({ ...relation, rowCount: null })),
    // How the database compares ids was not kept.
    root: { comparison: 'unknown', tenants: tenants.map(id => ({ id, comparedAs: id })), rowsWithoutId: 0 },
  };
  return {
    index,
    // The place of a table's digests is the table's own number.
    readDigests: async ({ digests, bucketCount }) => digestsOf(stored.tables[digests.offset], bucketCount),
    checkParts: async () => {},
  };
}

function convertTable({ settled, recent, measuredAt, ...table }: TableV1, number: number): TableFingerprint {
  const rowsOf = (part: TableV1['settled']) => Object.values(part).reduce((sum, { rows }) => sum + rows, 0);
  const digests: DigestsPlace = { partSha256: '0'.repeat(64), offset: number, byteCount: 0 };
  return {
    ...table,
    shape: { of: 'definition', sha256: table.definitionSha256 },
    isOneSnapshot: true,
    firstMeasuredAt: measuredAt,
    lastMeasuredAt: measuredAt,
    rowCount: rowsOf(settled) + rowsOf(recent),
    deletedRowCount: table.removedRowCount,
    digests,
  };
}

const LOWEST = -(2n ** 63n);
const HIGHEST = 2n ** 63n - 1n;

/**
 * What version 1 says of a sequence bounds it on one side: how far it had logged in advance was not kept. Where it has no
 * value it does not say whether the sequence was never used, or could not be read.
 */
function convertSequence({ lastValue, ...sequence }: DatabaseFingerprintV1['sequences'][number]): SequenceState {
  return {
    ...sequence,
    minimum: LOWEST.toString(),
    maximum: HIGHEST.toString(),
    cycle: false,
    fileNode: '',
    value: lastValue === null ? null : { lastValue, isCalled: true, logCount: Number.MAX_SAFE_INTEGER },
  };
}

function digestsOf(table: TableV1 | undefined, bucketCount: number): TableDigests {
  const read = (part: TableV1['settled'] = {}) => {
    const digests = new BucketDigests(bucketCount);
    for (const [bucket, { rows, sums }] of Object.entries(part)) {
      digests.add(Number(bucket), rows, BigInt(sums[0]), BigInt(sums[1]));
    }
    return digests;
  };
  return { settled: read(table?.settled), recent: read(table?.recent) };
}
