import { randomBytes } from 'node:crypto';
import type { Decision } from '../contracts/decisions.ts';
import { RegisterEntryId } from '../contracts/identifiers.ts';
import { kindOfEntry, type RegisterContent, type RegisterKind } from '../contracts/register.ts';
import { REGISTER_PREFIX, registerEntryKey } from '../contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../platform/canonical-json.ts';
import { PermanentError } from '../platform/errors.ts';
import { readLedgerState } from '../platform/ledger.ts';
import type { RecordedEntry } from '../platform/ledger-projection.ts';
import { currentRuntime } from '../platform/runtime.ts';
import {
  deleteObject,
  listObjects,
  ObjectNotFoundError,
  PreconditionFailedError,
  readBytes,
  readChunks,
  readObject,
  writeBytes,
} from '../platform/s3.ts';
import {
  findRecorded,
  LONGEST_DOCUMENT_BYTES,
  type RegisterPlace,
  readContent,
  readRegister,
  VERSIONS_SEARCHED,
  writeDocument,
} from './read-register.ts';

/** The entry is not as it has to be for what was asked; the message says what to do. */
export class EntryNotAsAskedError extends PermanentError {}
/** Somebody else changed the entry at the same time: nobody's words are lost, and these do not count. */
export class EntryChangedMeanwhileError extends PermanentError {}

/** Has the ledger record an act. It throws where nothing was recorded. */
export type Recorder = (decision: Decision) => Promise<void>;

/** An entry after an act, as the ledger has it. */
export interface KeptEntry {
  readonly id: RegisterEntryId;
  readonly recorded: RecordedEntry;
}

/**
 * The words go to the bucket first, in the name of the person who keeps the register, and then their hash to the ledger, by
 * the workflow that records decisions: no word passes through it. Whoever is stopped between the two leaves words that do not
 * count beside those that do, and the same call again takes them on and has them recorded. Each write is conditional on what
 * was read, and each act names the hash that it followed: of two editors one is told.
 */

/** Adds an entry. @param id null where it is to be drawn. @throws EntryNotAsAskedError where it is there already. */
export async function addEntry(
  place: RegisterPlace,
  {
    kind,
    id: given,
    content,
    by,
  }: { kind: RegisterKind; id: RegisterEntryId | null; content: RegisterContent; by: string },
  record: Recorder,
): Promise<KeptEntry> {
  const { register } = await readLedgerState(place);
  if (given !== null && register[given] !== undefined) {
    throw new EntryNotAsAskedError(`${given} is there already: change it`);
  }
  const id = given ?? (await findLeft(place, kind, content, register)) ?? draw(kind);
  return change(place, { id, content, by, previous: undefined }, record);
}

/**
 * Changes an entry. Where that changes none of its words, and another version lies in their place, they are put back.
 * @param edit makes the new words of those that the ledger recorded last.
 * @throws EntryNotAsAskedError where there is no such entry, its words are gone, or nothing would change.
 */
export async function changeEntry(
  place: RegisterPlace,
  { id, edit, by }: { id: RegisterEntryId; edit: (content: RegisterContent) => RegisterContent; by: string },
  record: Recorder,
): Promise<KeptEntry> {
  const previous = await requireRecorded(place, id);
  const { sha256 } = previous.latest;
  const bytes = await findRecorded(place, id, previous.latest);
  const content = bytes && readContent(id, bytes);
  if (bytes === undefined || content === undefined) {
    throw new EntryNotAsAskedError(whyGone(id));
  }
  const edited = edit(content);
  if (canonicalJson(edited) !== canonicalJson(content))
    return change(place, { id, content: edited, by, previous }, record);
  const current = await readCurrent(place, id);
  const isThere = current !== undefined && sha256Hex(current.bytes) === sha256;
  if (isThere && current.versionId === previous.latest.versionId) {
    throw new EntryNotAsAskedError(`${id} says that already: nothing to change`);
  }
  // Written anew though they may lie there: as a version that no earlier entry of the ledger can have named.
  const versionId = requireVersion(await write(place, id, bytes, current?.eTag));
  await record({ kind: 'register.put-back', entry: id, sha256, versionId, by });
  return readBack(place, id, { sha256, versionId });
}

/** Says that an entry is still right. @param on the day. */
export async function confirmEntry(
  place: RegisterPlace,
  { id, by, on }: { id: RegisterEntryId; by: string; on: string },
  record: Recorder,
): Promise<KeptEntry> {
  const { latest } = await requireRecorded(place, id);
  // Nobody confirms what cannot be read.
  const { sha256 } = latest;
  if ((await findRecorded(place, id, latest)) === undefined) {
    throw new EntryNotAsAskedError(whyGone(id));
  }
  await record({ kind: 'register.confirmed', entry: id, sha256, by, on });
  return requireStanding(place, id, sha256);
}

function whyGone(id: RegisterEntryId): string {
  return `the words of ${id} are gone: they lie neither in the version that was recorded nor in the ${VERSIONS_SEARCHED} newest others; remove it, and add it anew`;
}

/**
 * Removes an entry: first for the ledger, from when on it does not count, and then its words. They go with the last of their
 * old versions, 35 days later. What was added and never recorded is removed in the same way.
 * @returns whether there was an entry in the ledger.
 */
export async function removeEntry(
  place: RegisterPlace,
  { id, by }: { id: RegisterEntryId; by: string },
  record: Recorder,
): Promise<{ wasRecorded: boolean }> {
  const recorded = (await readLedgerState(place)).register[id];
  const current = await readCurrent(place, id);
  if (kindOfEntry(id) === 'controller') await refuseWhileNamed(place, id);
  if (recorded === undefined && current === undefined) throw new EntryNotAsAskedError(`there is no ${id}`);
  if (recorded !== undefined) {
    await record({ kind: 'register.removed', entry: id, previousSha256: recorded.latest.sha256, by });
    if ((await readLedgerState(place)).register[id] !== undefined) throw changedMeanwhile(id);
  }
  if (current !== undefined) {
    try {
      await deleteObject(place.registerBucket, registerEntryKey(id), { ifMatch: current.eTag });
    } catch (error) {
      throw isMeanwhile(error) ? changedMeanwhile(id, error) : error;
    }
    if ((await readCurrent(place, id)) !== undefined) throw changedMeanwhile(id);
  }
  return { wasRecorded: recorded !== undefined };
}

async function change(
  place: RegisterPlace,
  {
    id,
    content,
    by,
    previous,
  }: { id: RegisterEntryId; content: RegisterContent; by: string; previous: RecordedEntry | undefined },
  record: Recorder,
): Promise<KeptEntry> {
  if ('controller' in content) await requireRecorded(place, content.controller);
  const current = await readCurrent(place, id);
  const lying = current && readContent(id, current.bytes);
  const isThere = lying !== undefined && canonicalJson(lying) === canonicalJson(content);
  const lies =
    isThere && current !== undefined ? current : await write(place, id, writeDocument(id, content), current?.eTag);
  const words = { sha256: sha256Hex(lies.bytes), versionId: requireVersion(lies) };
  const previousSha256 = previous?.latest.sha256 ?? null;
  await record({ kind: 'register.changed', entry: id, ...words, previousSha256, by });
  return readBack(place, id, words);
}

/** @throws EntryNotAsAskedError naming a tenant or contact of this controller: without it nobody could say whose they are. */
async function refuseWhileNamed(place: RegisterPlace, controller: RegisterEntryId): Promise<void> {
  const now = currentRuntime().clock.now();
  const named = await readRegister(place, now, id => ['tenant', 'contact'].includes(kindOfEntry(id)));
  for (const { id, latest } of named.values()) {
    if (latest !== undefined && 'controller' in latest && latest.controller === controller) {
      throw new EntryNotAsAskedError(`${id} is of ${controller}: remove that first, or change its controller`);
    }
  }
}

/** Words that an add of the same left before they were recorded, so that it leaves one entry however often it is run. */
async function findLeft(
  { registerBucket }: RegisterPlace,
  kind: RegisterKind,
  content: RegisterContent,
  register: Readonly<{ [id: string]: RecordedEntry }>,
): Promise<RegisterEntryId | undefined> {
  for await (const { objects } of listObjects(registerBucket, `${REGISTER_PREFIX}${kind}/`)) {
    for (const { key, sizeBytes } of objects) {
      const { data: id } = RegisterEntryId.safeParse(key.slice(REGISTER_PREFIX.length, -'.json'.length));
      if (id === undefined || register[id] !== undefined || sizeBytes > LONGEST_DOCUMENT_BYTES) continue;
      const lying = readContent(id, await readBytes(registerBucket, key));
      if (canonicalJson(lying ?? null) === canonicalJson(content)) return id;
    }
  }
  return undefined;
}

function draw(kind: RegisterKind): RegisterEntryId {
  const letters = Array.from(randomBytes(16), byte => 'abcdefghijklmnopqrstuvwxyz234567'[byte % 32]);
  return `${kind}/${letters.join('')}`;
}

interface LyingVersion {
  readonly bytes: Buffer;
  readonly versionId: string | undefined;
}

async function readCurrent(
  { registerBucket }: RegisterPlace,
  id: RegisterEntryId,
): Promise<(LyingVersion & { eTag: string }) | undefined> {
  try {
    const { body, sizeBytes, eTag, versionId } = await readObject(registerBucket, registerEntryKey(id));
    const version = { eTag, versionId };
    if (sizeBytes <= LONGEST_DOCUMENT_BYTES)
      return { ...version, bytes: Buffer.concat(await Array.fromAsync(readChunks(id, body))) };
    // It is no document, and is written over or deleted without being read.
    body.destroy();
    return { ...version, bytes: Buffer.alloc(0) };
  } catch (error) {
    if (error instanceof ObjectNotFoundError) return undefined;
    throw error;
  }
}

async function write(
  { registerBucket }: RegisterPlace,
  id: RegisterEntryId,
  bytes: Buffer,
  eTag: string | undefined,
): Promise<LyingVersion> {
  const options = { contentType: 'application/json' };
  try {
    const condition = eTag === undefined ? { onlyIfAbsent: true } : { ifMatch: eTag };
    const { versionId } = await writeBytes(registerBucket, registerEntryKey(id), bytes, { ...options, ...condition });
    return { bytes, versionId };
  } catch (error) {
    throw isMeanwhile(error) ? changedMeanwhile(id, error) : error;
  }
}

/** @throws EntryNotAsAskedError: what is written over in a bucket without versions is gone, and nobody could tell. */
function requireVersion({ versionId }: LyingVersion): string {
  if (versionId !== undefined && versionId !== 'null') return versionId;
  throw new EntryNotAsAskedError(
    'not recorded: the register’s bucket keeps no versions. See who changed it (runbooks/tampering.md), have an administrator enable its versioning, and run this again',
  );
}

async function requireRecorded(place: RegisterPlace, id: RegisterEntryId): Promise<RecordedEntry> {
  const recorded = (await readLedgerState(place)).register[id];
  if (recorded === undefined) {
    throw new EntryNotAsAskedError(
      `the ledger holds no ${id}: register ${kindOfEntry(id)} show has those that there are`,
    );
  }
  return recorded;
}

/** @throws EntryChangedMeanwhileError where the ledger's newest words are others. */
async function requireStanding(place: RegisterPlace, id: RegisterEntryId, sha256: string): Promise<KeptEntry> {
  const recorded = (await readLedgerState(place)).register[id];
  if (recorded?.latest.sha256 !== sha256) throw changedMeanwhile(id);
  return { id, recorded };
}

/** The same, where they lie in the bucket as well, as the version that was recorded. */
async function readBack(
  place: RegisterPlace,
  id: RegisterEntryId,
  { sha256, versionId }: { sha256: string; versionId: string },
): Promise<KeptEntry> {
  const kept = await requireStanding(place, id, sha256);
  const current = await readCurrent(place, id);
  const isThere = current !== undefined && sha256Hex(current.bytes) === sha256 && current.versionId === versionId;
  if (!isThere || kept.recorded.latest.versionId !== versionId) throw changedMeanwhile(id);
  return kept;
}

/** The object is another one than was read, or gone. */
function isMeanwhile(error: unknown): boolean {
  return error instanceof PreconditionFailedError || error instanceof ObjectNotFoundError;
}

function changedMeanwhile(id: RegisterEntryId, cause?: unknown): EntryChangedMeanwhileError {
  return new EntryChangedMeanwhileError(
    `somebody else changed ${id} at the same time: see register ${kindOfEntry(id)} show, and run this again if it is still right`,
    { cause },
  );
}
