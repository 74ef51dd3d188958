import { join } from 'node:path';
import type { Bucket, BucketDefinition, MultipartUpload, ObjectVersion, UploadedPart, Version } from './bucket.ts';
import { type Content, ContentStore } from './content.ts';
import { Journal } from './journal.ts';
import { SortedKeys } from './key-order.ts';
import type { Segment } from './sealed-content.ts';

/** Everything that can happen to the state. Replaying all records gives the state again. */
type StateRecord =
  | { type: 'bucket'; definition: BucketDefinition; createdMs: number }
  | { type: 'bucket-removed'; bucket: string }
  | { type: 'policy'; bucket: string; policy: unknown }
  /** The new newest version; `completes` names the upload that it came from and ends. */
  | { type: 'version'; bucket: string; version: Version; completes?: string }
  | { type: 'version-changed'; bucket: string; key: string; versionId: string; change: Partial<ObjectVersion> }
  | { type: 'version-removed'; bucket: string; key: string; versionId: string }
  | { type: 'upload'; bucket: string; upload: MultipartUpload }
  | { type: 'part'; bucket: string; uploadId: string; part: UploadedPart }
  | { type: 'upload-removed'; bucket: string; uploadId: string };

/**
 * The buckets and all they hold, in memory; with a directory also in a journal there, from which another process opens
 * the same state. Each change is one synchronous step, so whoever checks and then changes without waiting is atomic.
 */
export class ObjectStore {
  readonly buckets = new Map<string, Bucket>();
  readonly contents: ContentStore;
  readonly #journal: Journal | undefined;

  constructor(directory: string | undefined) {
    this.contents = new ContentStore(directory === undefined ? undefined : join(directory, 'content'));
    if (directory === undefined) return;
    this.#journal = new Journal(join(directory, 'journal.jsonl'), line => {
      this.#apply(mapSegments(line as StateRecord, readContent) as StateRecord);
    });
    const named = new Set([...this.#allContents()].map(content => (content.kind === 'file' ? content.id : '')));
    this.contents.removeUnnamed(id => named.has(id));
  }

  /** Writes the change down, makes it, and removes the content that nothing names any more. */
  commit(record: StateRecord): void {
    this.#journal?.append(mapSegments(record, writeContent));
    for (const content of this.#apply(record)) this.contents.remove(content);
  }

  /** Lets go of the journal's file; the store takes no change after it. */
  close(): void {
    this.#journal?.close();
  }

  /** @returns the content that the change left unnamed */
  #apply(record: StateRecord): Content[] {
    if (record.type === 'bucket') {
      this.#createBucket(record.definition, record.createdMs);
      return [];
    }
    const bucket = this.buckets.get(record.bucket);
    if (bucket === undefined) throw new Error(`the local S3's journal names a bucket that it never created`);
    switch (record.type) {
      case 'bucket-removed':
        this.buckets.delete(record.bucket);
        return [...bucket.uploads.values()].flatMap(({ parts }) =>
          [...parts.values()].map(part => part.segment.content),
        );
      case 'policy':
        bucket.policy = record.policy;
        return [];
      case 'version':
        return [...addVersion(bucket, record.version), ...endUpload(bucket, record.completes, record.version)];
      case 'version-changed':
        return changeVersion(bucket, record.key, record.versionId, record.change);
      case 'version-removed':
        return removeVersion(bucket, record.key, record.versionId);
      case 'upload':
        bucket.uploads.set(record.upload.uploadId, { upload: record.upload, parts: new Map() });
        return [];
      case 'part': {
        const parts = bucket.uploads.get(record.uploadId)?.parts;
        const replaced = parts?.get(record.part.partNumber);
        parts?.set(record.part.partNumber, record.part);
        return replaced === undefined ? [] : [replaced.segment.content];
      }
      case 'upload-removed':
        return endUpload(bucket, record.uploadId, undefined);
    }
  }

  #createBucket(definition: BucketDefinition, createdMs: number): void {
    const standing = this.buckets.get(definition.name);
    const versioning = definition.versioning ?? (definition.objectLock === undefined ? 'Unversioned' : 'Enabled');
    this.buckets.set(definition.name, {
      definition,
      name: definition.name,
      versioning,
      createdMs: standing?.createdMs ?? createdMs,
      policy: definition.policy,
      keys: standing?.keys ?? new SortedKeys(),
      uploads: standing?.uploads ?? new Map(),
      completed: standing?.completed ?? new Map(),
      deletions: standing?.deletions ?? new Map(),
    });
  }

  *#allContents(): Generator<Content> {
    for (const bucket of this.buckets.values()) {
      for (const { versions } of bucket.keys.values()) yield* versions.flatMap(contentsOf);
      for (const { parts } of bucket.uploads.values()) for (const { segment } of parts.values()) yield segment.content;
    }
  }
}

function addVersion(bucket: Bucket, version: Version): Content[] {
  let entry = bucket.keys.get(version.key);
  if (entry === undefined) {
    entry = { key: version.key, versions: [] };
    bucket.keys.add(entry);
  }
  const replaced = version.versionId === 'null' ? entry.versions.filter(({ versionId }) => versionId === 'null') : [];
  entry.versions = [version, ...entry.versions.filter(other => !replaced.includes(other))];
  if (version.kind === 'delete-marker') countDeletion(bucket, version.key);
  return replaced.flatMap(contentsOf);
}

function changeVersion(bucket: Bucket, key: string, versionId: string, change: Partial<ObjectVersion>): Content[] {
  const entry = bucket.keys.get(key);
  const index = entry?.versions.findIndex(version => version.versionId === versionId) ?? -1;
  const version = entry?.versions[index];
  if (entry === undefined || version?.kind !== 'object') throw new Error('the changed version does not exist');
  entry.versions = entry.versions.with(index, { ...version, ...change });
  return change.segments === undefined ? [] : contentsOf(version);
}

function removeVersion(bucket: Bucket, key: string, versionId: string): Content[] {
  const entry = bucket.keys.get(key);
  if (entry === undefined) return [];
  const removed = entry.versions.filter(version => version.versionId === versionId);
  entry.versions = entry.versions.filter(version => version.versionId !== versionId);
  if (entry.versions.length === 0) bucket.keys.remove(key);
  countDeletion(bucket, key);
  return removed.flatMap(contentsOf);
}

function endUpload(bucket: Bucket, uploadId: string | undefined, version: Version | undefined): Content[] {
  if (uploadId === undefined) return [];
  const parts = bucket.uploads.get(uploadId)?.parts ?? new Map<number, UploadedPart>();
  bucket.uploads.delete(uploadId);
  const kept = new Set<Segment>(version?.kind === 'object' ? version.segments : []);
  return [...parts.values()].filter(part => !kept.has(part.segment)).map(part => part.segment.content);
}

function countDeletion(bucket: Bucket, key: string): void {
  bucket.deletions.set(key, (bucket.deletions.get(key) ?? 0) + 1);
}

function contentsOf(version: Version): Content[] {
  return version.kind === 'object' ? version.segments.map(segment => segment.content) : [];
}

/** The record with each of its segments changed by `convert`. */
function mapSegments(record: StateRecord, convert: (segment: Segment) => unknown): unknown {
  switch (record.type) {
    case 'part':
      return { ...record, part: { ...record.part, segment: convert(record.part.segment) } };
    case 'version':
      return record.version.kind === 'object'
        ? { ...record, version: { ...record.version, segments: record.version.segments.map(convert) } }
        : record;
    case 'version-changed':
      return record.change.segments === undefined
        ? record
        : { ...record, change: { ...record.change, segments: record.change.segments.map(convert) } };
    default:
      return record;
  }
}

/** JSON cannot hold bytes: content in memory is written as base64. */
function writeContent(segment: Segment): unknown {
  const { content } = segment;
  return content.kind === 'file' ? segment : { ...segment, content: { base64: content.bytes.toString('base64') } };
}

function readContent(written: Segment): Segment {
  const content = written.content as Content | { base64: string };
  if (!('base64' in content)) return written;
  return { ...written, content: { kind: 'memory', bytes: Buffer.from(content.base64, 'base64') } };
}
