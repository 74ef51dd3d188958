import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { Content, ContentStore } from './content.ts';
import { S3Error } from './errors.ts';

/**
 * One piece of an object's content: the whole of it, or one part of a multipart upload. With a `nonce` it is stored as
 * AES-256-GCM under the object's data key, frame by frame (each with its tag), so that a range can be read without the rest.
 */
export interface Segment {
  readonly sizeBytes: number;
  readonly content: Content;
  /** 8 random bytes in base64; the frame's number makes it up to GCM's 12. */
  readonly nonce?: string;
}

const FRAME_BYTES = 64 * 1024;
const TAG_BYTES = 16;

/** Stores a plaintext, encrypted under `dataKey` where there is one. */
export async function storeSegment(
  store: ContentStore,
  plaintext: AsyncIterable<Uint8Array>,
  dataKey: Buffer | undefined,
): Promise<Segment> {
  const nonce = dataKey === undefined ? undefined : randomBytes(8);
  let sizeBytes = 0;
  async function* frames(): AsyncGenerator<Buffer> {
    let number = 0;
    for await (const frame of inFrames(plaintext)) {
      sizeBytes += frame.length;
      yield dataKey === undefined || nonce === undefined ? frame : sealFrame(frame, dataKey, nonce, number++);
    }
  }
  const content = await store.write(frames());
  return { sizeBytes, content, ...(nonce === undefined ? {} : { nonce: nonce.toString('base64') }) };
}

/**
 * The plaintext from `from` up to `to` (exclusive), counted over all segments.
 * It stays readable meanwhile, whatever happens to the object.
 * @throws S3Error `InternalError` when the stored bytes were altered (GCM's tag does not fit).
 */
export function readSegments(
  store: ContentStore,
  segments: readonly Segment[],
  dataKey: Buffer | undefined,
  from: number,
  to: number,
): AsyncGenerator<Buffer> {
  const release = store.hold(segments.map(segment => segment.content));
  return readHeldSegments(store, segments, dataKey, from, to, release);
}

async function* readHeldSegments(
  store: ContentStore,
  segments: readonly Segment[],
  dataKey: Buffer | undefined,
  from: number,
  to: number,
  release: () => void,
): AsyncGenerator<Buffer> {
  try {
    let start = 0;
    for (const segment of segments) {
      const first = Math.max(from - start, 0);
      const end = Math.min(to - start, segment.sizeBytes);
      if (first < end) yield* readSegment(store, segment, dataKey, first, end);
      start += segment.sizeBytes;
    }
  } finally {
    release();
  }
}

async function* readSegment(
  store: ContentStore,
  segment: Segment,
  dataKey: Buffer | undefined,
  from: number,
  to: number,
): AsyncGenerator<Buffer> {
  const { content, nonce } = segment;
  if (nonce === undefined) {
    yield* store.read(content, from, to, FRAME_BYTES);
    return;
  }
  if (dataKey === undefined) throw new Error('an encrypted segment was to be read without its data key');
  let number = Math.floor(from / FRAME_BYTES);
  const lastFrame = Math.floor((to - 1) / FRAME_BYTES);
  const storedFrameBytes = FRAME_BYTES + TAG_BYTES;
  const storedBytes = segment.sizeBytes + Math.ceil(segment.sizeBytes / FRAME_BYTES) * TAG_BYTES;
  const storedEnd = Math.min((lastFrame + 1) * storedFrameBytes, storedBytes);
  for await (const stored of store.read(content, number * storedFrameBytes, storedEnd, storedFrameBytes)) {
    const frame = openFrame(stored, dataKey, Buffer.from(nonce, 'base64'), number);
    const frameStart = number++ * FRAME_BYTES;
    yield frame.subarray(Math.max(from - frameStart, 0), Math.min(to - frameStart, frame.length));
  }
}

async function* inFrames(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let kept: Uint8Array[] = [];
  let keptBytes = 0;
  for await (const chunk of chunks) {
    let rest = chunk;
    while (keptBytes + rest.length >= FRAME_BYTES) {
      const missing = FRAME_BYTES - keptBytes;
      yield Buffer.concat([...kept, rest.subarray(0, missing)]);
      rest = rest.subarray(missing);
      kept = [];
      keptBytes = 0;
    }
    if (rest.length > 0) kept.push(rest);
    keptBytes += rest.length;
  }
  if (keptBytes > 0) yield Buffer.concat(kept);
}

function frameNonce(nonce: Buffer, number: number): Buffer {
  const full = Buffer.alloc(12);
  nonce.copy(full);
  full.writeUInt32BE(number, 8);
  return full;
}

function sealFrame(frame: Buffer, dataKey: Buffer, nonce: Buffer, number: number): Buffer {
  const cipher = createCipheriv('aes-256-gcm', dataKey, frameNonce(nonce, number));
  return Buffer.concat([cipher.update(frame), cipher.final(), cipher.getAuthTag()]);
}

function openFrame(stored: Buffer, dataKey: Buffer, nonce: Buffer, number: number): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', dataKey, frameNonce(nonce, number));
  decipher.setAuthTag(stored.subarray(stored.length - TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(stored.subarray(0, stored.length - TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new S3Error(500, 'InternalError', 'The stored ciphertext of this object was altered on disk.', { cause });
  }
}
