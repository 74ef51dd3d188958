import {
  DeleteObjectCommand,
  ListObjectsCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
} from '@aws-sdk/client-s3';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys } from '../../../../infra/local/s3/key-order.ts';
import { errorOf, startS3 } from './local-s3.ts';

const decode = (text = '') => decodeURIComponent(text.replaceAll('+', ' '));

/** What S3 documents: keys in order, each common prefix once. */
function model(keys: readonly string[], prefix: string, delimiter: string, after: string): string[] {
  const items = keys
    .filter(key => key.startsWith(prefix) && compareKeys(key, after) > 0)
    .map(key => {
      const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
      return at === -1 ? key : key.slice(0, at + delimiter.length);
    });
  return [...new Set(items)].sort(compareKeys);
}

describe('ListObjectsV2', () => {
  it('lists, pages and rolls up like the model, for any keys', async () => {
    const character = fc.constantFrom('a', 'b', '/', ' ', '+', '%', 'é', '\u{1f3eb}', '\uffee');
    const key = fc.string({ unit: character, minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(key, { maxLength: 25 }),
        fc.string({ unit: character, maxLength: 2 }),
        fc.constantFrom('', '/', 'b', '//'),
        fc.string({ unit: character, maxLength: 2 }),
        fc.integer({ min: 1, max: 7 }),
        async (keys, prefix, delimiter, startAfter, MaxKeys) => {
          const { client, s3 } = startS3();
          for (const each of keys) await s3.seedObject('plain', each, '');
          const found: string[] = [];
          let token: string | undefined;
          do {
            const page = await client.send(
              new ListObjectsV2Command({
                Bucket: 'plain',
                Prefix: prefix,
                Delimiter: delimiter,
                StartAfter: startAfter,
                MaxKeys,
                ContinuationToken: token,
                EncodingType: 'url',
              }),
            );
            const items = [
              ...(page.Contents ?? []).map(({ Key }) => decode(Key)),
              ...(page.CommonPrefixes ?? []).map(({ Prefix }) => decode(Prefix)),
            ].sort(compareKeys);
            expect(page.KeyCount).toBe(items.length);
            expect(items.length).toBeLessThanOrEqual(MaxKeys);
            found.push(...items);
            token = page.NextContinuationToken;
            expect(page.IsTruncated).toBe(token !== undefined);
          } while (token !== undefined);
          // A start-after that lies inside a common prefix does not hide the prefix: later keys of it are still listed.
          expect(found).toEqual(model(keys, prefix, delimiter, startAfter));
        },
      ),
      { numRuns: 60 },
    );
  });

  it('encodes as S3 does', async () => {
    const { s3, send } = startS3();
    await s3.seedObject('plain', 'a b+c/ü&.txt', '');
    const list = { 'list-type': '2', 'encoding-type': 'url', prefix: 'a b' };
    const { body } = await send({ path: '/plain', query: list });
    expect(String(body)).toContain('<Prefix>a+b</Prefix>');
    expect(String(body)).toContain('<Key>a+b%2Bc/%C3%BC%26.txt</Key>');
    const plain = await send({ path: '/plain', query: { 'list-type': '2' } });
    expect(String(plain.body)).toContain('<Key>a b+c/ü&amp;.txt</Key>');
  });

  it('leaves out what a delete marker hides', async () => {
    const { client, s3 } = startS3();
    for (const key of ['a', 'b', 'c']) await s3.seedObject('versioned', key, '');
    await client.send(new DeleteObjectCommand({ Bucket: 'versioned', Key: 'b' }));
    const page = await client.send(new ListObjectsV2Command({ Bucket: 'versioned' }));
    expect(page.Contents?.map(({ Key }) => Key)).toEqual(['a', 'c']);
  });

  it.each([
    [{ 'max-keys': '-1' }, 'InvalidArgument'],
    [{ 'max-keys': 'many' }, 'InvalidArgument'],
    [{ 'continuation-token': 'AAAA' }, 'InvalidArgument'],
    [{ 'continuation-token': '' }, 'InvalidArgument'],
    [{ 'continuation-token': Buffer.from('made up').toString('base64') }, 'InvalidArgument'],
    [{ 'encoding-type': 'gzip' }, 'InvalidArgument'],
    [{ 'max-keys': ['1', '2'] }, 'InvalidArgument'],
    [{ unknown: '1' }, 'NotImplemented'],
  ])('refuses %j', async (query, code) => {
    const { send } = startS3();
    expect(errorOf(await send({ path: '/plain', query: { 'list-type': '2', ...query } })).code).toBe(code);
  });

  it('answers max-keys 0 with nothing, and more than 1,000 with 1,000', async () => {
    const { client, s3 } = startS3();
    for (let index = 0; index < 1001; index++) await s3.seedObject('plain', `k${index}`, '');
    const none = await client.send(new ListObjectsV2Command({ Bucket: 'plain', MaxKeys: 0 }));
    expect([none.KeyCount, none.IsTruncated]).toEqual([0, false]);
    const most = await client.send(new ListObjectsV2Command({ Bucket: 'plain', MaxKeys: 5000 }));
    expect([most.KeyCount, most.MaxKeys, most.IsTruncated]).toEqual([1000, 1000, true]);
  });

  it('is also there in its first version', async () => {
    const { client, s3 } = startS3();
    for (const key of ['a/1', 'a/2', 'b', 'c']) await s3.seedObject('plain', key, '');
    const first = await client.send(new ListObjectsCommand({ Bucket: 'plain', Delimiter: '/', MaxKeys: 2 }));
    expect([first.CommonPrefixes?.[0]?.Prefix, first.Contents?.[0]?.Key, first.NextMarker]).toEqual(['a/', 'b', 'b']);
    const second = await client.send(new ListObjectsCommand({ Bucket: 'plain', Delimiter: '/', Marker: 'b' }));
    expect(second.Contents?.map(({ Key }) => Key)).toEqual(['c']);
  });
});

describe('ListObjectVersions', () => {
  it('lists all versions and markers, the newest first, on pages of any size', async () => {
    const { client } = startS3();
    const written: { key: string; id: string }[] = [];
    const Bucket = 'versioned';
    for (const key of ['a', 'b', 'a', 'c/1', 'a']) {
      const { VersionId } = await client.send(new PutObjectCommand({ Bucket, Key: key, Body: 'x' }));
      written.unshift({ key, id: VersionId ?? '' });
    }
    const marker = await client.send(new DeleteObjectCommand({ Bucket, Key: 'b' }));
    written.unshift({ key: 'b', id: marker.VersionId ?? '' });
    const expected = ['a', 'b', 'c/1'].flatMap(key => written.filter(version => version.key === key));
    for (const MaxKeys of [1, 2, 3, 100]) {
      const found: { key: string; id: string }[] = [];
      let keyMarker: string | undefined;
      let versionMarker: string | undefined;
      for (;;) {
        const page = await client.send(
          new ListObjectVersionsCommand({ Bucket, MaxKeys, KeyMarker: keyMarker, VersionIdMarker: versionMarker }),
        );
        const all = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])];
        for (const { key, id } of expected) if (all.some(v => v.VersionId === id)) found.push({ key, id });
        if (!page.IsTruncated) break;
        keyMarker = page.NextKeyMarker;
        versionMarker = page.NextVersionIdMarker;
      }
      expect(found).toEqual(expected);
    }
    const whole = await client.send(new ListObjectVersionsCommand({ Bucket }));
    expect(whole.DeleteMarkers?.map(({ Key, IsLatest }) => [Key, IsLatest])).toEqual([['b', true]]);
    expect(whole.Versions?.filter(({ IsLatest }) => IsLatest).map(({ Key }) => Key)).toEqual(['a', 'c/1']);
    const rolled = await client.send(new ListObjectVersionsCommand({ Bucket, Delimiter: '/' }));
    expect(rolled.CommonPrefixes).toEqual([{ Prefix: 'c/' }]);
  });

  it('lists, pages and rolls up versions and markers like the model, from behind any key', async () => {
    const character = fc.constantFrom('a', 'b', '/', ' ', 'é');
    const key = fc.string({ unit: character, minLength: 1, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(key, fc.boolean()), { maxLength: 20 }),
        fc.string({ unit: character, maxLength: 1 }),
        fc.constantFrom('', '/', 'b'),
        fc.option(key, { nil: undefined }),
        fc.integer({ min: 1, max: 5 }),
        async (events, prefix, delimiter, startAfter, MaxKeys) => {
          const { client } = startS3();
          const Bucket = 'versioned';
          const written: { key: string; id: string }[] = [];
          for (const [Key, isDeletion] of events) {
            const command = isDeletion
              ? client.send(new DeleteObjectCommand({ Bucket, Key }))
              : client.send(new PutObjectCommand({ Bucket, Key, Body: 'x' }));
            written.unshift({ key: Key, id: (await command).VersionId ?? '' });
          }
          const keys = written.map(version => version.key);
          const isRolledUp = (item: string) =>
            !keys.includes(item) || (delimiter !== '' && item.slice(prefix.length).endsWith(delimiter));
          const expected = model(keys, prefix, delimiter, startAfter ?? '').flatMap(item => {
            if (!isRolledUp(item)) return written.filter(version => version.key === item).map(({ id }) => id);
            // A page may end with a prefix, which is then the next page's marker: it is behind with all that is below it.
            return item === startAfter ? [] : [item];
          });
          const found: string[] = [];
          let keyMarker = startAfter;
          let versionMarker: string | undefined;
          for (;;) {
            const page = await client.send(
              new ListObjectVersionsCommand({
                Bucket,
                Prefix: prefix,
                Delimiter: delimiter,
                MaxKeys,
                KeyMarker: keyMarker,
                VersionIdMarker: versionMarker,
              }),
            );
            const versions = [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])].map(
              ({ Key = '', VersionId = '' }) => ({
                key: Key,
                id: VersionId,
              }),
            );
            const age = ({ id }: { id: string }) => written.findIndex(version => version.id === id);
            const items = [
              ...versions,
              ...(page.CommonPrefixes ?? []).map(({ Prefix = '' }) => ({ key: Prefix, id: Prefix })),
            ];
            expect(items.length).toBeLessThanOrEqual(MaxKeys);
            found.push(...items.sort((a, b) => compareKeys(a.key, b.key) || age(a) - age(b)).map(({ id }) => id));
            if (!page.IsTruncated) break;
            keyMarker = page.NextKeyMarker;
            versionMarker = page.NextVersionIdMarker;
          }
          expect(found).toEqual(expected);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('refuses a version marker without a key marker', async () => {
    const { send } = startS3();
    const query = { versions: '', 'version-id-marker': 'x' };
    expect(errorOf(await send({ path: '/versioned', query })).code).toBe('InvalidArgument');
  });
});
