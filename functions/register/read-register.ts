import { randomBytes } from 'node:crypto';
import type { Deployment } from '../contracts/configuration.ts';
import type { RegisterEntryId } from '../contracts/identifiers.ts';
import { kindOfEntry, REGISTER_CONTENTS, type RegisterContent, RegisterDocument } from '../contracts/register.ts';
import { entryOfRegisterKey, REGISTER_PREFIX, registerEntryKey } from '../contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../platform/canonical-json.ts';
import { inOrder } from '../platform/in-order.ts';
import { type LedgerPlace, readLedgerState } from '../platform/ledger.ts';
import type { RecordedEntry } from '../platform/ledger-projection.ts';
import { parseDocument } from '../platform/parse-document.ts';
import { type ListedVersion, listVersions, ObjectNotFoundError, readBytes } from '../platform/s3.ts';
import { type ReadEntry, type Register, waits } from './judge-register.ts';

/** Where the register lies, and the ledger that says what of it counts. */
export type RegisterPlace = LedgerPlace & Pick<Deployment, 'registerBucket'>;

/** What the ledger recorded of words: which version holds them. */
type RecordedWords = Pick<RecordedEntry['latest'], 'sha256' | 'versionId'>;

/** No entry is as long; somebody else's may be made to fill the memory. */
export const LONGEST_DOCUMENT_BYTES = 1024 * 1024;
const AT_ONCE = { underWay: 16, waiting: 1024 };
/** Somebody may write over an entry without end: of one whose recorded version is gone so many are searched for its words. */
export const VERSIONS_SEARCHED = 300;

/**
 * Reads entries of the register, and compares each with what the ledger recorded of it. What counts is found by its hash
 * among all versions that are there: so an entry that was written over, hidden or deleted within the last 35 days is read as
 * it was recorded, and says that something else lies there.
 * @param isAsked which entries.
 */
export async function readRegister(
  place: RegisterPlace,
  now: Date,
  isAsked: (id: RegisterEntryId) => boolean = () => true,
): Promise<Register> {
  const { register } = await readLedgerState(place);
  const versions = new Map<RegisterEntryId, ListedVersion[]>();
  for await (const version of listVersions(place.registerBucket, REGISTER_PREFIX)) {
    const id = entryOfRegisterKey(version.key);
    if (id === undefined || !isAsked(id)) continue;
    const listed = versions.get(id);
    if (listed === undefined) versions.set(id, [version]);
    else listed.push(version);
  }
  const ids = new Set([...(Object.keys(register) as RegisterEntryId[]).filter(isAsked), ...versions.keys()]);
  const read = (id: RegisterEntryId) => readEntry(place, id, register[id], versions.get(id) ?? [], now);
  const entries = inOrder([...ids].sort(), read, AT_ONCE);
  return new Map((await Array.fromAsync(entries)).map(entry => [entry.id, entry]));
}

/** A document with these words, under a salt that nobody knows. */
export function writeDocument(entry: RegisterEntryId, content: RegisterContent): Buffer {
  const salt = randomBytes(32).toString('base64url');
  return Buffer.from(canonicalJson({ version: 1, entry, salt, content }));
}

/** The words of a document; undefined where it is none of this entry. */
export function readContent(entry: RegisterEntryId, bytes: Buffer): RegisterContent | undefined {
  const document = parseDocument(RegisterDocument, bytes);
  if (document?.entry !== entry) return undefined;
  return REGISTER_CONTENTS[kindOfEntry(entry)].safeParse(document.content).data;
}

/** The document that was recorded, in the version that the ledger names or among the newest 300 others; undefined where it is in none. */
export async function findRecorded(
  { registerBucket }: Pick<RegisterPlace, 'registerBucket'>,
  entry: RegisterEntryId,
  recorded: RecordedWords,
): Promise<Buffer | undefined> {
  const key = registerEntryKey(entry);
  const versions = (await Array.fromAsync(listVersions(registerBucket, key))).filter(version => version.key === key);
  return (await findByHash(registerBucket, versions, [recorded])).get(recorded.sha256)?.bytes;
}

async function readEntry(
  { registerBucket }: RegisterPlace,
  id: RegisterEntryId,
  recorded: RecordedEntry | undefined,
  versions: readonly ListedVersion[],
  now: Date,
): Promise<ReadEntry> {
  const current = versions.find(({ isLatest }) => isLatest);
  const isThere = current !== undefined && !current.isDeleteMarker;
  if (recorded === undefined) {
    return { id, recorded, latest: undefined, before: undefined, lies: isThere ? 'something else' : 'nothing' };
  }
  const latest = recorded.latest.sha256;
  // What counted before is needed for as long as it counts, and may be gone afterwards.
  const before = waits({ recorded }, now) ? (recorded.before ?? undefined) : undefined;
  const asked = before === undefined ? [recorded.latest] : [recorded.latest, before];
  const found = await findByHash(registerBucket, versions, asked);
  const words = (sha256: string | undefined) => {
    const bytes = sha256 === undefined ? undefined : found.get(sha256)?.bytes;
    return bytes && readContent(id, bytes);
  };
  const { versionId } = recorded.latest;
  const isAsRecorded = current?.versionId === versionId && found.get(latest)?.versionId === versionId;
  const lies = !isThere ? 'nothing' : isAsRecorded ? 'as recorded' : 'something else';
  return { id, recorded, latest: words(latest), before: words(before?.sha256), lies };
}

/** Reads the versions that the ledger names, and then the newest others, until each of the hashes was met. */
async function findByHash(
  bucket: string,
  versions: readonly ListedVersion[],
  recorded: readonly RecordedWords[],
): Promise<Map<string, { bytes: Buffer; versionId: string }>> {
  const found = new Map<string, { bytes: Buffer; versionId: string }>();
  const readable = versions.filter(
    ({ isDeleteMarker, sizeBytes }) => !isDeleteMarker && sizeBytes <= LONGEST_DOCUMENT_BYTES,
  );
  const isNamed = ({ versionId }: ListedVersion) => recorded.some(words => words.versionId === versionId);
  const others = readable.filter(version => !isNamed(version));
  for (const { key, versionId } of [...readable.filter(isNamed), ...others.slice(0, VERSIONS_SEARCHED)]) {
    if (recorded.every(({ sha256 }) => found.has(sha256))) return found;
    try {
      const bytes = await readBytes(bucket, key, { versionId });
      const hash = sha256Hex(bytes);
      if (recorded.some(({ sha256 }) => sha256 === hash) && !found.has(hash)) found.set(hash, { bytes, versionId });
    } catch (error) {
      // An old version may go between the listing and this.
      if (!(error instanceof ObjectNotFoundError)) throw error;
    }
  }
  return found;
}
