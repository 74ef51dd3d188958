import { createHash } from 'node:crypto';
import { DeleteObjectCommand } from '@aws-sdk/client-s3';
import { beforeEach, describe, expect, it } from 'vitest';
import {
  headKey,
  ledgerEntryKey,
  restoreTestRecordKey,
  rootManifestKey,
  segmentKey,
} from '../../../functions/contracts/vault-layout.ts';
import { extendTree, leafHash } from '../../../functions/evidence/merkle.ts';
import { verifyLedger } from '../../../functions/evidence/verify-ledger.ts';
import { canonicalJson, sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { RetryableError } from '../../../functions/platform/errors.ts';
import { signDocument } from '../../../functions/platform/kms.ts';
import {
  callS3,
  listVersions,
  ObjectAccessDeniedError,
  readBytes,
  writeBytes,
} from '../../../functions/platform/s3.ts';
import { lose } from '../../../infra/local/s3/damage.ts';
import type { AwsResponse } from '../../../infra/local/service.ts';
import { chainOf, draft, type LocalLedger, openLedger } from './local-ledger.ts';

let ledger: LocalLedger;
beforeEach(async () => {
  ledger = await openLedger();
});

const appendFive = async () => {
  for (const id of ['a', 'b', 'c', 'd', 'e']) await ledger.appendEntry(draft(id));
};
const read = (key: string) => ledger.run(() => readBytes('evidence', key));
const hide = (key: string) =>
  ledger.run(() => callS3(key, client => client.send(new DeleteObjectCommand({ Bucket: 'evidence', Key: key }))));
/** As the account's owner could, before a lock or past one. */
const destroy = (prefix: string) =>
  ledger.run(async () => {
    for await (const { key, versionId } of listVersions('evidence', prefix)) {
      const request = { Bucket: 'evidence', Key: key, VersionId: versionId, BypassGovernanceRetention: true };
      await callS3(key, client => client.send(new DeleteObjectCommand(request)));
    }
  });
/** Answers reads of a key with other bytes, as if they had been changed below S3. */
const alterBelow = (key: string, alter: (bytes: Buffer) => Buffer, options: { keepChecksum?: boolean } = {}) =>
  ledger.intercept(async (request, next) => {
    const answer = await next();
    if (request.method !== 'GET' || !request.path.endsWith(key)) return answer;
    const bytes = alter(await contentOf(answer));
    const headers = Object.fromEntries(
      Object.entries(answer.headers).filter(([name]) => options.keepChecksum || !name.startsWith('x-amz-checksum')),
    );
    return { ...answer, headers: { ...headers, 'content-length': String(bytes.length) }, body: bytes };
  });
const contentOf = async ({ body }: AwsResponse): Promise<Buffer> => {
  if (body === undefined || typeof body === 'string' || body instanceof Uint8Array) return Buffer.from(body ?? '');
  return Buffer.concat(await body.toArray());
};
const flip = (bytes: Buffer) => Buffer.from(bytes.toString().replace('school-c', 'school-x'));
const found = async () => {
  const { problems, first, verified } = await ledger.verify();
  expect(verified).toBe(problems.length === 0);
  if (problems.length > 0) expect(problems).toContainEqual(first);
  return problems.map(({ sequence, reason }) => `${sequence} ${reason}`);
};

describe('a sound ledger', () => {
  it('is verified, also when it is empty', async () => {
    expect(await ledger.verify()).toEqual({
      verified: true,
      checkedAt: '2026-11-22T03:00:00.000Z',
      entryCount: 0,
      lastSequence: 0,
      lastEntrySha256: null,
      lastRecordedAt: null,
      headCount: 0,
      newestHead: null,
      segmentCount: 0,
      signedFrom: null,
      unsignedTail: { entryCount: 0, ageMs: 0 },
      first: null,
      problems: [],
      problemCount: 0,
    });
    await appendFive();
    expect(await ledger.verify()).toEqual({
      verified: true,
      checkedAt: '2026-11-22T03:00:00.000Z',
      entryCount: 5,
      lastSequence: 5,
      lastEntrySha256: createHash('sha256')
        .update(await read(ledgerEntryKey(5)))
        .digest('hex'),
      lastRecordedAt: '2026-11-22T03:00:00.000Z',
      headCount: 5,
      newestHead: { sequence: 5, signedAt: '2026-11-22T03:00:00.000Z' },
      segmentCount: 0,
      signedFrom: 1,
      unsignedTail: { entryCount: 0, ageMs: 0 },
      first: null,
      problems: [],
      problemCount: 0,
    });
  });

  it('costs one request for each object and each thousand listed, and one to KMS for each key', async () => {
    await ledger.seed(1100);
    await ledger.appendEntry(draft('a'));
    ledger.requests.length = 0;
    const report = await ledger.verify();
    expect([report.verified, report.entryCount, report.headCount, report.segmentCount]).toEqual([true, 1101, 1, 1]);
    const kms = ledger.requests.filter(request => request.startsWith('kms'));
    // And the kept state, with its head and its entry.
    expect([ledger.requests.length, kms.length]).toEqual([1101 + 1 + 1 + (2 + 1 + 1) + 4 + 3, 4]);
  });

  it('counts what is not yet signed, and takes it for broken after 26 hours', async () => {
    await ledger.appendEntry(draft('a'));
    await ledger.append(draft('b'));
    await ledger.clock.advance(60_000);
    await ledger.append(draft('c'));
    await ledger.clock.advance(26 * 3_600_000 - 60_000);
    const report = await ledger.verify();
    expect([report.verified, report.unsignedTail]).toEqual([true, { entryCount: 2, ageMs: 26 * 3_600_000 }]);
    await ledger.clock.advance(1);
    expect(await found()).toEqual(['2 unsigned']);
    await ledger.appendEntry(draft('c'));
    expect(await found()).toEqual([]);
  });

  it('may be appended to meanwhile', async () => {
    await appendFive();
    let listed = false;
    ledger.intercept(async (request, next) => {
      const answer = await next();
      if (!listed && 'versions' in request.query && request.query.prefix === 'ledger/') {
        listed = true;
        await ledger.appendEntry(draft('f'));
      }
      return answer;
    });
    expect(await found()).toEqual([]);
  });
});

describe('tampering', () => {
  beforeEach(appendFive);

  it('names an entry whose bytes were changed below S3, by its head', async () => {
    alterBelow(ledgerEntryKey(3), flip);
    expect(await found()).toEqual(['3 not-by-appender', '3 altered']);
  });

  it('names it by the entry after it where there is no head', async () => {
    await destroy('heads/');
    await ledger.appendEntry(draft('f'));
    alterBelow(ledgerEntryKey(3), flip);
    expect(await found()).toEqual(['3 not-by-appender', '3 altered']);
  });

  it('names bytes that do not fit their checksum', async () => {
    alterBelow(ledgerEntryKey(3), flip, { keepChecksum: true });
    expect(await found()).toEqual(['3 unreadable']);
  });

  it('names an entry that was changed to follow another one', async () => {
    alterBelow(ledgerEntryKey(3), bytes =>
      Buffer.from(bytes.toString().replace(/"previousSha256":"[^"]*"/, `"previousSha256":"${'a'.repeat(64)}"`)),
    );
    expect(await found()).toEqual(['3 altered', '3 not-by-appender', '3 altered']);
  });

  it('names an entry that was written over, and goes on with the one that was appended', async () => {
    await ledger.put(ledgerEntryKey(3), flip(await read(ledgerEntryKey(3))));
    expect(await found()).toEqual(['3 several-versions']);
  });

  it('names a history that was written anew: a fork', async () => {
    const forged = chainOf(5);
    await destroy('ledger/');
    for (const [index, bytes] of forged.entries()) await ledger.put(ledgerEntryKey(index + 1), bytes);
    expect(await found()).toEqual(['1 altered', '2 altered', '3 altered', '4 altered', '5 altered']);
  });

  it('names an entry that a delete marker hides', async () => {
    await hide(ledgerEntryKey(2));
    expect(await found()).toEqual(['2 delete-marker']);
  });

  it('names an entry that was deleted, and a gap', async () => {
    await destroy(ledgerEntryKey(2));
    expect(await found()).toEqual(['2 missing']);
    await destroy(ledgerEntryKey(1));
    await destroy(ledgerEntryKey(3));
    const { problems } = await ledger.verify();
    expect(problems).toEqual([{ sequence: 1, reason: 'missing', detail: 'entries 1 to 3 are missing' }]);
  });

  it('names entries that were taken off the end, as long as a head is left', async () => {
    await destroy(ledgerEntryKey(5));
    await destroy(ledgerEntryKey(4));
    expect(await found()).toEqual(['4 missing']);
    await destroy('ledger/');
    expect(await found()).toEqual(['1 missing']);
  });

  it('names foreign keys among its own', async () => {
    for (const key of ['ledger/6.json', 'ledger/000000000006.json.bak', 'heads/x', 'segments/000000001.json/y']) {
      await ledger.put(key, '{}');
    }
    const { problems } = await ledger.verify();
    expect(problems.map(({ reason, detail }) => `${reason}: ${detail}`).sort()).toEqual([
      'foreign-key: heads/x is no key of the ledger',
      'foreign-key: ledger/000000000006.json.bak is no key of the ledger',
      'foreign-key: ledger/6.json is no key of the ledger',
      'foreign-key: segments/000000001.json/y is no key of the ledger',
    ]);
  });

  it.each([
    ['no JSON', '{'],
    ['deep nesting', `{"a":${'['.repeat(200_000)}${']'.repeat(200_000)}}`],
    ['too many bytes', 'x'.repeat(1024 * 1024 + 1)],
    ['nothing', ''],
    ['a prototype', '{"__proto__":{"sequence":6}}'],
    ['huge numbers', '{"sequence":1e999,"version":1}'],
  ])('names an entry that holds %s', async (_, content) => {
    await ledger.put(ledgerEntryKey(6), content);
    await ledger.put(ledgerEntryKey(7), chainOf(7)[6] ?? '');
    expect(await found()).toEqual(['6 unreadable', '7 not-by-appender']);
  });

  it('names an entry that calls itself another one', async () => {
    alterBelow(ledgerEntryKey(5), bytes => Buffer.from(bytes.toString().replace('"sequence":5', '"sequence":6')));
    expect(await found()).toEqual(['5 not-by-appender', '5 altered', '5 altered']);
  });
});

describe('heads and segments', () => {
  const sign = (document: object) => ledger.run(() => signDocument(document, ledger.deployment.ledgerKeyArn));
  const headDocument = async (sequence: number) => JSON.parse((await read(headKey(sequence))).toString()).document;

  it('names a head that was signed over another hash', async () => {
    await appendFive();
    await ledger.append(draft('f'));
    const document = { ...(await headDocument(5)), sequence: 6, entrySha256: 'a'.repeat(64) };
    await ledger.put(headKey(6), canonicalJson(await sign(document)));
    expect(await found()).toEqual(['6 altered']);
  });

  it('names a head that was signed over another tree', async () => {
    await appendFive();
    await ledger.append(draft('f'));
    const entrySha256 = createHash('sha256')
      .update(await read(ledgerEntryKey(6)))
      .digest('hex');
    await ledger.put(headKey(6), canonicalJson(await sign({ ...(await headDocument(5)), sequence: 6, entrySha256 })));
    expect(await found()).toEqual(['6 altered', '6 state-altered']);
  });

  it('names a head that the signing key did not sign, that was moved, that is none, and that was written over', async () => {
    await appendFive();
    const first = JSON.parse((await read(headKey(1))).toString());
    await ledger.append(draft('f'));
    await ledger.append(draft('g'));
    await ledger.append(draft('h'));
    await ledger.put(headKey(6), canonicalJson({ ...first, document: { ...first.document, sequence: 6 } }));
    await ledger.put(headKey(7), canonicalJson(first));
    await ledger.put(headKey(8), 'null');
    await ledger.put(headKey(2), canonicalJson(first));
    await hide(headKey(3));
    expect(await found()).toEqual([
      '2 several-versions',
      '3 delete-marker',
      '6 head-invalid',
      '7 head-invalid',
      '8 head-invalid',
    ]);
  });

  it('names segments that were closed over other entries, or are not signed', async () => {
    await ledger.seed(2000);
    await ledger.appendEntry(draft('a'));
    const second = JSON.parse((await read(segmentKey(2))).toString());
    await destroy('segments/');
    await ledger.put(segmentKey(1), canonicalJson({ ...second, document: { ...second.document, segment: 1 } }));
    await ledger.put(segmentKey(2), canonicalJson(await sign({ ...second.document, rootSha256: 'a'.repeat(64) })));
    expect(await found()).toEqual(['1000 segment-invalid', '2000 segment-invalid']);
  });
});

describe('what cannot be reached', () => {
  beforeEach(appendFive);

  it.each(['/ledger/', '/ledger-projection/'])('is no verdict: S3 refuses what lies under %s', async place => {
    ledger.intercept(async (request, next) => {
      if (!request.path.includes(place)) return next();
      return { status: 403, headers: {}, body: '<Error><Code>AccessDenied</Code><Message>no</Message></Error>' };
    });
    await expect(ledger.verify()).rejects.toThrow(ObjectAccessDeniedError);
  });

  it('is no verdict: S3 is down', async () => {
    ledger.intercept(async (request, next) => {
      if (!request.path.includes('/ledger/')) return next();
      return { status: 500, headers: {}, body: '<Error><Code>InternalError</Code><Message>no</Message></Error>' };
    });
    await expect(ledger.verify()).rejects.toThrow(RetryableError);
  });
});

describe('what entries speak of', () => {
  const restoreTestId = '20261122t050000z';
  const recoveryPointId = '20261122t023000z';
  const record = { restoreTestId, recoveryPointId, verdict: 'passed' };
  const stored = canonicalJson(record);
  const passed = (recordSha256: string | null) =>
    draft('t', { kind: 'restore-test.completed', body: { ...record, recordSha256 } });
  const why = async () => {
    const { problems } = await ledger.verify();
    return problems.map(({ reason, detail }) => `${reason}: ${detail.replace(/^.* says: /, '')}`);
  };

  it('is there, has the hash, and says the same', async () => {
    await ledger.put(restoreTestRecordKey(restoreTestId), stored);
    await ledger.appendEntry(passed(sha256Hex(stored)));
    expect(await why()).toEqual([]);
  });

  it.each([
    ['is not there', undefined, sha256Hex(stored), 'its record is gone'],
    [
      'is another',
      canonicalJson({ ...record, more: 1 }),
      sha256Hex(stored),
      'the hash of its record is not the one that the ledger recorded',
    ],
    [
      'failed',
      canonicalJson({ ...record, verdict: 'failed' }),
      undefined,
      'its record says something else than the ledger',
    ],
    [
      'is of another test',
      canonicalJson({ ...record, restoreTestId: 'x' }),
      undefined,
      'its record says something else than the ledger',
    ],
    ['is no record', '[', undefined, 'its record says something else than the ledger'],
    ['is named by no hash', stored, null, 'the ledger names no hash of its record'],
  ])('is named where it %s', async (_, content, recordSha256, expected) => {
    if (content !== undefined) await ledger.put(restoreTestRecordKey(restoreTestId), content);
    await ledger.appendEntry(passed(recordSha256 === undefined ? sha256Hex(content ?? '') : recordSha256));
    expect(await why()).toEqual([`record-differs: ${expected}`]);
  });

  it('is a root manifest for a recovery point', async () => {
    const rootManifestSha256 = await ledger.putManifest({ status: 'incomplete' });
    const bytes = await ledger.run(() => readBytes('vault', rootManifestKey(recoveryPointId)));
    lose(ledger.s3, 'vault', rootManifestKey(recoveryPointId));
    const write = (content: Buffer) => ledger.run(() => writeBytes('vault', rootManifestKey(recoveryPointId), content));
    const body = { recoveryPointId, status: 'good', rootManifestSha256 };
    await ledger.appendEntry(draft('b', { kind: 'backup.completed', body }));
    expect(await why()).toEqual(['record-differs: it is gone']);
    await write(bytes);
    expect(await why()).toEqual(['record-differs: it says incomplete, and the ledger not']);
    await write(Buffer.from('{}'));
    expect(await why()).toEqual(['record-differs: it is no root manifest']);
    await ledger.appendEntry(draft('c', { kind: 'backup.completed', body: { ...body, status: 'incomplete' } }));
    await write(bytes);
    // A good point is never superseded.
    expect(await why()).toEqual(['record-differs: it says incomplete, and the ledger not']);
  });
});

describe('a root manifest that is not the recorded one', () => {
  const recoveryPointId = '20261122t023000z';
  const completedAt = '2026-11-22T02:55:00.000Z';
  const why = async (place = ledger.deployment as Parameters<typeof verifyLedger>[0]) => {
    const { problems } = await ledger.run(() => verifyLedger(place, ledger.clock.now()));
    return problems.map(({ reason, detail }) => `${reason}: ${detail.replace(/^.* says: /, '')}`);
  };
  const ANOTHER = 'record-differs: its hash is not the one that the ledger recorded';
  beforeEach(async () => {
    const rootManifestSha256 = await ledger.putManifest({ status: 'incomplete' });
    const body = { recoveryPointId, status: 'incomplete', rootManifestSha256 };
    await ledger.appendEntry(draft('b', { kind: 'backup.completed', body }));
  });

  it('is of a rerun that has not recorded it yet, and for an hour', async () => {
    await ledger.putManifest({ completedAt });
    expect(await why()).toEqual([]);
    await ledger.clock.advance(55 * 60_000);
    expect(await why()).toEqual([ANOTHER]);
  });

  it('is named where its own time has not come', async () => {
    await ledger.putManifest({ completedAt: '2999-01-01T00:00:00.000Z' });
    expect(await why()).toEqual([ANOTHER]);
  });

  it('is named where the recorded one was good, which nothing supersedes', async () => {
    const rootManifestSha256 = await ledger.putManifest({});
    const body = { recoveryPointId, status: 'good', rootManifestSha256 };
    await ledger.appendEntry(draft('c', { kind: 'backup.completed', body }));
    await ledger.putManifest({ completedAt });
    expect(await why()).toEqual([ANOTHER]);
  });

  it('is named where the key of root manifests did not sign it', async () => {
    await ledger.putManifest({ completedAt }, ledger.deployment.entryKeyArn);
    expect(await why()).toEqual(['record-differs: the key of root manifests did not sign it']);
  });

  it('is believed by nobody who has not that key', async () => {
    const { signingKeyArn: _, ...place } = ledger.deployment;
    expect(await why(place)).toEqual([]);
    await ledger.putManifest({ completedAt });
    expect(await why(place)).toEqual([
      'record-differs: without the key of root manifests nobody can tell who signed it',
    ]);
  });
});

describe('a ledger that an earlier release began', () => {
  const signEarlier = (document: object) => ledger.run(() => signDocument(document, ledger.deployment.signingKeyArn));
  const verifyWithout = () =>
    ledger.run(() => {
      const { signingKeyArn: _, ...place } = ledger.deployment;
      return verifyLedger(place, ledger.clock.now());
    });
  const earlierHead = async (sequence: number, entries: readonly Buffer[]) => ({
    version: 1,
    sequence,
    entrySha256: sha256Hex(entries[sequence - 1] ?? ''),
    segmentTree: entries
      .slice(0, sequence)
      .reduce<readonly Buffer[]>((tree, bytes, index) => extendTree(tree, leafHash(bytes), index), [])
      .map(hash => hash.toString('hex')),
    signedAt: '2026-11-22T02:59:00.000Z',
  });

  it('is verified across the change, with the key that signed its heads, and goes on with signed entries', async () => {
    const entries = await ledger.seed(3);
    const head = await earlierHead(3, entries);
    await ledger.put(headKey(3), canonicalJson(await signEarlier(head)));
    expect(await found()).toEqual([]);
    const { sequence } = await ledger.appendEntry(draft('a'));
    const report = await ledger.verify();
    expect([sequence, report.verified, report.headCount, report.signedFrom]).toEqual([4, true, 2, 4]);
    expect((await verifyWithout()).problems.map(({ reason }) => reason)).toEqual(['head-invalid']);
    // What the earlier key signs at or after the first signed entry counts for nothing.
    await ledger.append(draft('b'));
    await ledger.put(headKey(5), canonicalJson(await signEarlier({ ...head, sequence: 5 })));
    expect(await found()).toEqual(['5 head-invalid']);
  });
});
