import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  LEDGER_STATE_FORM,
  LedgerEntry,
  SignedLedgerHead,
  SignedLedgerSegment,
} from '../../../functions/contracts/ledger.ts';
import {
  headKey,
  LEDGER_PROJECTION_KEY,
  ledgerEntryKey,
  restoreTestRecordKey,
  segmentKey,
} from '../../../functions/contracts/vault-layout.ts';
import { append } from '../../../functions/evidence/append.ts';
import { closeSegments } from '../../../functions/evidence/close-segments.ts';
import { leafHash, treeHash } from '../../../functions/evidence/merkle.ts';
import { canonicalJson, sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { readPublicKey, signDocument } from '../../../functions/platform/kms.ts';
import {
  hashState,
  keepLedgerState,
  readKeptState,
  readLedgerEntries,
  readLedgerEntry,
  readLedgerState,
} from '../../../functions/platform/ledger.ts';
import { LedgerBrokenError } from '../../../functions/platform/ledger-entry.ts';
import { callS3, listVersions, readBytes, readBytesIfThere, writeBytes } from '../../../functions/platform/s3.ts';
import { hasValidSignature } from '../../../functions/platform/signature.ts';
import { lose, tamper } from '../../../infra/local/s3/damage.ts';
import { draft, type LocalLedger, openLedger } from './local-ledger.ts';

let ledger: LocalLedger;
beforeEach(async () => {
  ledger = await openLedger();
});

const entriesOf = async (last: number) => {
  const entries = [];
  for await (const { entry } of readLedgerEntries('evidence', 1, last)) entries.push(entry);
  return entries;
};
const state = () => ledger.run(() => readLedgerState(ledger.deployment));
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe('appending', () => {
  it('chains canonical entries from the first one', async () => {
    const first = await ledger.appendEntry(draft('a'));
    const second = await ledger.appendEntry(draft('b', { kind: 'backup.failed', body: { b: 1, a: [null, 'ä'] } }));
    expect([first.sequence, second.sequence]).toEqual([1, 2]);
    const bytes = await ledger.run(() => readBytes('evidence', ledgerEntryKey(2)));
    const { signature, ...content } = LedgerEntry.parse(JSON.parse(bytes.toString()));
    expect(bytes.toString()).toBe(
      `{"actor":"workflow/daily-backup","body":{"a":[null,"ä"],"b":1},"eventId":"b","kind":"backup.failed","previousSha256":"${first.entrySha256}","recordedAt":"2026-11-22T03:00:00.000Z","sequence":2,"signature":${canonicalJson(signature)},"subject":"school-b","version":2}`,
    );
    const entryKey = await ledger.run(() => readPublicKey(ledger.deployment.entryKeyArn));
    expect(hasValidSignature({ document: content, signature }, entryKey)).toBe(true);
    expect(second.entrySha256).toBe(sha256Hex(bytes));
  });

  it('records an event once, and keeps the first record of it', async () => {
    const first = await ledger.appendEntry(draft('a'));
    await ledger.appendEntry(draft('b'));
    expect(await ledger.appendEntry(draft('a'))).toEqual(first);
    expect(await ledger.appendEntry(draft('a', { subject: 'other' }))).toEqual(first);
    expect((await state()).lastSequence).toBe(2);
    expect(ledger.lines.filter(line => line.includes('the first record stands'))).toHaveLength(1);
  });

  it('records an event once though its cached state is gone', async () => {
    const first = await ledger.appendEntry(draft('a'));
    await ledger.appendEntry(draft('b'));
    await ledger.run(() =>
      callS3('work', client => client.send(new DeleteObjectCommand({ Bucket: 'work', Key: LEDGER_PROJECTION_KEY }))),
    );
    expect(await ledger.appendEntry(draft('a'))).toEqual(first);
  });

  it('loses, forks and skips nothing among a hundred at a time', async () => {
    const answers = await Promise.all(numbers(100).map(number => ledger.append(draft(`event/${number % 90}`))));
    const entries = await ledger.run(() => entriesOf(90));
    expect(entries.map(({ sequence }) => sequence)).toEqual(numbers(90));
    expect(new Set(entries.map(({ eventId }) => eventId)).size).toBe(90);
    expect(await ledger.run(() => readLedgerEntry('evidence', 91))).toBeUndefined();
    for (const [index, { sequence }] of answers.entries()) {
      expect(entries[sequence - 1]?.eventId).toBe(`event/${(index + 1) % 90}`);
    }
    const versions = await ledger.run(() => Array.fromAsync(listVersions('evidence', 'ledger/')));
    expect(versions).toHaveLength(90);
    expect((await ledger.verify()).problems).toEqual([]);
  });

  it('finds its own entry when the answer of a successful put was lost', async () => {
    let lost = 0;
    ledger.intercept(async (request, next) => {
      const answer = await next();
      if (request.method === 'PUT' && request.path.includes('/ledger/') && lost++ === 0) {
        throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' });
      }
      return answer;
    });
    const { sequence } = await ledger.append(draft('a'));
    expect([sequence, lost]).toEqual([1, 2]);
    expect((await state()).lastSequence).toBe(1);
  });

  it('tries the same place again after a conflict that nobody won', async () => {
    let conflicts = 0;
    ledger.intercept(async (request, next) => {
      if (request.method !== 'PUT' || !request.path.includes('/ledger/') || conflicts++ >= 3) return next();
      const body = '<Error><Code>ConditionalRequestConflict</Code><Message>conflict</Message></Error>';
      return { status: 409, headers: { 'content-type': 'application/xml' }, body };
    });
    expect((await ledger.append(draft('a'))).sequence).toBe(1);
  });

  it('refuses to follow an entry that a delete marker hides', async () => {
    await ledger.appendEntry(draft('a'));
    await ledger.appendEntry(draft('b'));
    const hide = new DeleteObjectCommand({ Bucket: 'evidence', Key: ledgerEntryKey(2) });
    await ledger.run(() => callS3('evidence', client => client.send(hide)));
    await expect(ledger.append(draft('c'))).rejects.toThrow('a delete marker hides it');
  });

  it('refuses a draft that is too large', async () => {
    await expect(ledger.append(draft('a', { body: { text: 'x'.repeat(1024 * 1024) } }))).rejects.toThrow(
      'record the hash of a file instead',
    );
  });
});

describe('the cached state', () => {
  const cached = () => ledger.run(() => readBytesIfThere('work', LEDGER_PROJECTION_KEY));

  it('makes reading cheap: four requests, and one for a key, when nothing was appended', async () => {
    await ledger.seed(300);
    await ledger.appendEntry(draft('a'));
    ledger.requests.length = 0;
    expect((await state()).lastSequence).toBe(301);
    expect(ledger.requests).toEqual([
      `s3 GET /work/${LEDGER_PROJECTION_KEY}`,
      `s3 GET /evidence/${headKey(301)}`,
      'kms POST /',
      `s3 GET /evidence/${ledgerEntryKey(301)}`,
      `s3 GET /evidence/${ledgerEntryKey(302)}`,
    ]);
  });

  it.each([
    ['is no zstd', Buffer.from('garbage')],
    ['is empty', Buffer.alloc(0)],
  ])('is folded again when it %s', async (_, content) => {
    await ledger.appendEntry(draft('a'));
    const before = await state();
    await ledger.run(() => writeBytes('work', LEDGER_PROJECTION_KEY, content));
    expect(await state()).toEqual(before);
    // Readers keep nothing: who signs keeps what it signed for.
    expect(await cached()).toEqual(content);
    await ledger.appendEntry(draft('b'));
    expect(await ledger.run(() => readKeptState(ledger.deployment))).toEqual({ state: await state() });
  });

  it('is believed by nobody when it was forged, carried on by no append, and named by verify', async () => {
    const record = { restoreTestId: '20261122t050000z', recoveryPointId: '20261122t023000z', verdict: 'failed' };
    await ledger.put(restoreTestRecordKey(record.restoreTestId), canonicalJson(record));
    const test = { ...record, recordSha256: sha256Hex(canonicalJson(record)) };
    await ledger.appendEntry(draft('a', { kind: 'restore-test.completed', body: test }));
    const rootManifestSha256 = await ledger.putManifest({ status: 'incomplete' });
    const point = { recoveryPointId: '20261122t023000z', status: 'incomplete', rootManifestSha256 };
    await ledger.appendEntry(draft('b', { kind: 'backup.completed', body: point }));
    const honest = await state();
    const json = zstdDecompressSync((await cached()) ?? Buffer.alloc(0)).toString();
    const forged = json.replaceAll('"incomplete"', '"good"').replaceAll('"failed"', '"passed"');
    expect(forged).not.toBe(json);
    await ledger.run(() => writeBytes('work', LEDGER_PROJECTION_KEY, zstdCompressSync(forged)));
    expect(await state()).toEqual(honest);
    expect(ledger.lines.filter(line => line.includes('not what was signed for'))).toHaveLength(1);
    expect((await ledger.verify()).problems.map(({ reason }) => reason)).toEqual(['kept-state-forged']);
    await ledger.appendEntry(draft('c'));
    const after = await state();
    expect([after.recoveryPoints, after.restoreTests]).toEqual([honest.recoveryPoints, honest.restoreTests]);
    expect((await ledger.verify()).problems).toEqual([]);
  });

  it('is believed by no head that names another form of it', async () => {
    const { state: honest } = await ledger.append(draft('a', { kind: 'restore-test.failed' }));
    const forged = { ...honest, failures: [] };
    const sha256 = honest.lastEntrySha256;
    const stands = { version: 2, sequence: 1, entrySha256: sha256, segmentTree: [sha256] };
    const head = { ...stands, projectionSha256: hashState(forged), signedAt: '2026-11-22T03:00:00.000Z' };
    const keep = async (stateForm: number) => {
      const signed = await ledger.run(() => signDocument({ ...head, stateForm }, ledger.deployment.ledgerKeyArn));
      await ledger.put(headKey(1), canonicalJson(signed));
      await ledger.run(() => keepLedgerState('work', forged));
    };
    await keep(LEDGER_STATE_FORM);
    expect(await state()).toEqual(forged);
    await keep(LEDGER_STATE_FORM + 1);
    expect(await ledger.run(() => readKeptState(ledger.deployment))).toEqual({ why: 'not signed for' });
    expect(await state()).toEqual(honest);
  });

  it('is unreadable, and no reader runs out of memory, where it is larger than any', async () => {
    await ledger.appendEntry(draft('a'));
    const honest = await state();
    const json = zstdDecompressSync((await cached()) ?? Buffer.alloc(0));
    const bomb = zstdCompressSync(Buffer.concat([Buffer.alloc(64 * 1024 * 1024, ' '), json]));
    await ledger.run(() => writeBytes('work', LEDGER_PROJECTION_KEY, bomb));
    expect(await ledger.run(() => readKeptState(ledger.deployment))).toEqual({ why: 'unreadable' });
    expect(await state()).toEqual(honest);
  });

  it('of an earlier moment hides no entry that is gone: no head is signed where later ones stand', async () => {
    await ledger.appendEntry(draft('a'));
    const earlier = (await cached()) ?? Buffer.alloc(0);
    // What records tampering signs no head.
    await ledger.append(draft('b'));
    for (const id of ['c', 'd']) await ledger.appendEntry(draft(id));
    await ledger.run(() => writeBytes('work', LEDGER_PROJECTION_KEY, earlier));
    expect((await state()).lastSequence).toBe(4);
    lose(ledger.s3, 'evidence', ledgerEntryKey(2));
    await expect(ledger.appendEntry(draft('e'))).rejects.toThrow(LedgerBrokenError);
    expect(await ledger.run(() => readBytesIfThere('evidence', headKey(5)))).toBeUndefined();
  });

  it('is not needed by a function that goes on: what it folded itself costs no more the longer nobody signs a head', async () => {
    const { run, clock, deployment, requests } = ledger;
    const costs = await run(async () => {
      const counts: number[] = [];
      for (const id of 'abcdefghijkl') {
        requests.length = 0;
        await append(draft(id), clock.now(), deployment);
        counts.push(requests.filter(request => request.startsWith('s3')).length);
      }
      return counts;
    });
    expect(new Set(costs.slice(1))).toEqual(new Set([3]));
    // Another function appends, and this one's last entry is replaced meanwhile.
    await run(async () => {
      await append(draft('m'), clock.now(), deployment);
      await ledger.append(draft('n'));
      expect((await append(draft('o'), clock.now(), deployment)).sequence).toBe(15);
      await tamper(ledger.s3, 'evidence', ledgerEntryKey(15), bytes => Buffer.from(`${bytes}`.replace('-o', '-x')));
      await expect(append(draft('p'), clock.now(), deployment)).rejects.toThrow(LedgerBrokenError);
    });
  });

  it('is not carried on by an append after a hand-written entry', async () => {
    await ledger.appendEntry(draft('a'));
    const last = await ledger.run(() => readLedgerEntry('evidence', 1));
    const body = { restoreTestId: '20261122t023000z', recoveryPointId: null, verdict: 'passed' };
    const content = { ...draft('b', { kind: 'restore-test.completed', body }), sequence: 2 };
    const unsigned = { ...content, recordedAt: '2026-11-22T03:00:00.000Z', previousSha256: last?.sha256 };
    const by = (keyArn: string) => ledger.run(() => signDocument({ ...unsigned, version: 2 }, keyArn));
    // The keys of heads and of root manifests sign no entry either.
    for (const keyArn of [undefined, ledger.deployment.ledgerKeyArn, ledger.deployment.signingKeyArn]) {
      const { s3, append, appendEntry, put } = ledger;
      const written =
        keyArn === undefined ? { ...unsigned, version: 1 } : { ...unsigned, version: 2, ...(await by(keyArn)) };
      const { document: _, ...entry } = written as typeof written & { document?: unknown };
      await put(ledgerEntryKey(2), canonicalJson(entry));
      await expect(state()).rejects.toThrow(LedgerBrokenError);
      await expect(append(draft('c'))).rejects.toThrow(LedgerBrokenError);
      await expect(appendEntry(draft('c'))).rejects.toThrow(LedgerBrokenError);
      expect((await ledger.verify()).problems.map(({ reason }) => reason)).toContain('not-by-appender');
      lose(s3, 'evidence', ledgerEntryKey(2));
    }
  });

  it('is folded again when it stems from another chain', async () => {
    await ledger.appendEntry(draft('a'));
    await ledger.appendEntry(draft('b'));
    await ledger.append(draft('c'));
    const other = await openLedger();
    await other.appendEntry(draft('elsewhere'));
    const foreign = await other.run(() => readBytes('work', LEDGER_PROJECTION_KEY));
    await ledger.run(() => writeBytes('work', LEDGER_PROJECTION_KEY, foreign));
    expect((await state()).lastSequence).toBe(3);
  });

  it('costs nothing but time when it cannot be written', async () => {
    ledger.intercept(async (request, next) => {
      if (!request.path.startsWith('/work/')) return next();
      return { status: 403, headers: {}, body: '<Error><Code>AccessDenied</Code><Message>no</Message></Error>' };
    });
    await ledger.appendEntry(draft('a'));
    expect((await ledger.appendEntry(draft('b'))).sequence).toBe(2);
  });
});

describe('signing the head', () => {
  const head = async (sequence: number) =>
    SignedLedgerHead.parse(JSON.parse((await ledger.run(() => readBytes('evidence', headKey(sequence)))).toString()));
  const publicKey = () => ledger.run(() => readPublicKey(ledger.deployment.ledgerKeyArn));

  it('signs every head over the Merkle tree of its segment', async () => {
    const hashes = [];
    for (const number of numbers(5)) hashes.push((await ledger.appendEntry(draft(`${number}`))).entrySha256);
    const key = await publicKey();
    const leaves = (await ledger.run(() => Array.fromAsync(readLedgerEntries('evidence', 1, 5)))).map(({ bytes }) =>
      leafHash(bytes),
    );
    for (const number of numbers(5)) {
      const signed = await head(number);
      expect(hasValidSignature(signed, key)).toBe(true);
      expect(signed.document.entrySha256).toBe(hashes[number - 1]);
      const subtrees = signed.document.segmentTree;
      expect(subtrees).toHaveLength(number.toString(2).replaceAll('0', '').length);
      if (subtrees.length === 1) expect(subtrees).toEqual([treeHash(leaves.slice(0, number)).toString('hex')]);
    }
  });

  it('is done by the rerun when the first run died between entry and head', async () => {
    ledger.intercept((request, next) => {
      if (request.method === 'PUT' && request.path.includes('/heads/')) throw new Error('killed');
      return next();
    });
    await expect(ledger.appendEntry(draft('a'))).rejects.toThrow();
    ledger.intercept((_request, next) => next());
    expect((await ledger.appendEntry(draft('a'))).sequence).toBe(1);
    expect((await head(1)).document.sequence).toBe(1);
    expect((await ledger.verify()).verified).toBe(true);
  });

  it('covers what earlier runs left unsigned', async () => {
    await ledger.seed(40);
    await ledger.appendEntry(draft('a'));
    expect((await head(41)).document.segmentTree).toHaveLength(3);
    expect((await ledger.verify()).unsignedTail).toEqual({ entryCount: 0, ageMs: 0 });
  });

  it('does not build on a head that the signing key did not sign', async () => {
    await ledger.appendEntry(draft('a'));
    await ledger.append(draft('b'));
    const { document, signature } = await head(1);
    const forged = { document: { ...document, sequence: 2, segmentTree: ['f'.repeat(64)] }, signature };
    await ledger.put(headKey(2), JSON.stringify(forged));
    await ledger.appendEntry(draft('c'));
    const entries = await ledger.run(() => Array.fromAsync(readLedgerEntries('evidence', 1, 3)));
    const leaves = entries.map(({ bytes }) => leafHash(bytes));
    expect((await head(3)).document.segmentTree).toEqual([
      treeHash(leaves.slice(0, 2)).toString('hex'),
      leaves[2]?.toString('hex'),
    ]);
  });

  it.each(['', '[]', '{"document":{"sequence":1}}', '['.repeat(200_000)])(
    'does not build on a head that is none',
    async content => {
      await ledger.append(draft('a'));
      await ledger.put(headKey(1), content);
      await ledger.appendEntry(draft('b'));
      expect((await head(2)).document.segmentTree).toHaveLength(1);
    },
  );

  it('refuses to go on where another entry was signed for', async () => {
    await ledger.appendEntry(draft('a'));
    const { document, signature } = await head(1);
    await ledger.put(headKey(2), JSON.stringify({ document: { ...document, sequence: 2 }, signature }));
    await expect(ledger.appendEntry(draft('b'))).rejects.toThrow(LedgerBrokenError);
  });
});

describe('closing segments', () => {
  const segment = async (number: number) =>
    SignedLedgerSegment.parse(
      JSON.parse((await ledger.run(() => readBytes('evidence', segmentKey(number)))).toString()),
    );

  it('closes a segment once, though two closers race and a third comes later', async () => {
    const entries = await ledger.seed(999);
    await state();
    await Promise.all([ledger.appendEntry(draft('a')), ledger.appendEntry(draft('b'))]);
    await ledger.appendEntry(draft('c'));
    const last = await ledger.run(() => readLedgerEntry('evidence', 1000));
    const { document } = await segment(1);
    const leaves = [...entries, last?.bytes ?? Buffer.alloc(0)].map(leafHash);
    expect(document).toEqual({
      version: 2,
      segment: 1,
      firstSequence: 1,
      lastSequence: 1000,
      lastEntrySha256: last?.sha256,
      rootSha256: treeHash(leaves).toString('hex'),
      closedAt: '2026-11-22T03:00:00.000Z',
    });
    const versions = await ledger.run(() => Array.fromAsync(listVersions('evidence', 'segments/')));
    expect(versions.map(({ key }) => key)).toEqual([segmentKey(1)]);
    expect((await ledger.verify()).segmentCount).toBe(1);
  });

  it('reads what many open ones hold once, not once for each of them', async () => {
    const last = (await ledger.seed(2000)).at(-1) ?? Buffer.alloc(0);
    const end = { lastSequence: 2000, lastEntrySha256: sha256Hex(last) };
    ledger.requests.length = 0;
    await ledger.run(() => closeSegments(end, ledger.clock.now(), ledger.deployment));
    expect(ledger.requests.filter(request => /GET \/evidence\/ledger\//.test(request))).toHaveLength(2000);
    expect([(await segment(1)).document.lastSequence, (await segment(2)).document.lastSequence]).toEqual([1000, 2000]);
  });

  it('closes what a killed closer left open', async () => {
    await ledger.seed(999);
    await state();
    ledger.intercept((request, next) => {
      if (request.method === 'PUT' && request.path.includes('/segments/')) throw new Error('killed');
      return next();
    });
    await expect(ledger.appendEntry(draft('a'))).rejects.toThrow();
    ledger.intercept((_request, next) => next());
    await ledger.appendEntry(draft('b'));
    expect((await segment(1)).document.lastSequence).toBe(1000);
    const report = await ledger.verify();
    expect([report.problems, report.entryCount, report.segmentCount]).toEqual([[], 1001, 1]);
  });

  it('closes none over an entry that is not the one which later entries follow', async () => {
    await ledger.seed(999);
    await state();
    ledger.intercept((request, next) => {
      if (request.method === 'PUT' && request.path.includes('/segments/')) throw new Error('killed');
      return next();
    });
    for (const id of ['a', 'b']) await expect(ledger.appendEntry(draft(id))).rejects.toThrow();
    ledger.intercept((_request, next) => next());
    const alter = (bytes: Buffer) => Buffer.from(bytes.toString().replace('school-a', 'school-x'));
    await tamper(ledger.s3, 'evidence', ledgerEntryKey(1000), alter);
    await expect(ledger.appendEntry(draft('c'))).rejects.toThrow(LedgerBrokenError);
    expect(await ledger.run(() => readBytesIfThere('evidence', segmentKey(1)))).toBeUndefined();
  });
});
