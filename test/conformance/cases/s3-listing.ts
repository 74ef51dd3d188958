import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  PutObjectCommand,
  S3ServiceException,
} from '@aws-sdk/client-s3';
import { answer, type ConformanceCase } from '../case.ts';
import type { Scratch } from '../scratch.ts';
import { plainBucket, unlistedBucket, versionedBucket } from './buckets.ts';
import { s3Api, s3Guide } from './pages.ts';

const WALK = 'functions/platform/s3.ts: listObjects';
const VERSIONS = 'functions/evidence/list-numbered.ts: verify reads every version of every entry';
const ODD_NAMES = ['a b', 'a+b', 'a%2Fb', 'ü', '😀', '<&>"\'', 'tab\there', 'line\nbreak', '(x)*!~'];
// In the order of their UTF-8 bytes; in UTF-16, as JavaScript sorts, the last two change places.
const IN_ORDER = ['A', 'Z', 'a', 'é', '～', '😀'];

const decode = (encoded = '') => decodeURIComponent(encoded.replaceAll('+', ' '));

async function putAll(scratch: Scratch, Bucket: string, prefix: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await scratch.s3.send(new PutObjectCommand({ Bucket, Key: `${prefix}${name}`, Body: 'x' }));
  }
}

/** Listings, versions, and what is answered for what is not there. */
export const s3ListingCases: readonly ConformanceCase[] = [
  {
    service: 'S3',
    name: 'names with any characters come back from a listing with encoding-type url',
    restsOn: `${WALK}: no file is missed for its name`,
    page: s3Api('ListObjectsV2'),
    expected: [...ODD_NAMES].sort(),
    observe: async scratch => {
      const Bucket = await plainBucket(scratch);
      await putAll(scratch, Bucket, 'odd/', ODD_NAMES);
      const { Contents = [] } = await scratch.s3.send(
        new ListObjectsV2Command({ Bucket, Prefix: 'odd/', EncodingType: 'url' }),
      );
      return Contents.map(({ Key }) => decode(Key).slice('odd/'.length)).sort();
    },
  },
  {
    service: 'S3',
    name: 'a listing is in the order of the names’ UTF-8 bytes, also across its pages',
    restsOn: 'functions/backup/compare-listing.ts and functions/platform/key-order.ts: two listings are merged',
    page: s3Guide('ListingKeysUsingAPIs'),
    expected: IN_ORDER,
    observe: async scratch => {
      const Bucket = await plainBucket(scratch);
      await putAll(scratch, Bucket, 'order/', [...IN_ORDER].reverse());
      const found: string[] = [];
      let ContinuationToken: string | undefined;
      do {
        const page = await scratch.s3.send(
          new ListObjectsV2Command({
            Bucket,
            Prefix: 'order/',
            EncodingType: 'url',
            MaxKeys: 2,
            ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
          }),
        );
        found.push(...(page.Contents ?? []).map(({ Key }) => decode(Key).slice('order/'.length)));
        ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (ContinuationToken !== undefined);
      return found;
    },
  },
  {
    service: 'S3',
    name: 'a delimiter rolls names up into common prefixes, and StartAfter begins after a name',
    restsOn: 'functions/backup/list-tenants.ts: tenants are the common prefixes',
    page: s3Api('ListObjectsV2'),
    expected: { prefixes: ['tree/a/', 'tree/b/'], objects: ['tree/c'], after: ['tree/b/', 'tree/c'] },
    observe: async scratch => {
      const Bucket = await plainBucket(scratch);
      await putAll(scratch, Bucket, 'tree/', ['a/1', 'a/2', 'b/1', 'c']);
      const tree = { Bucket, Prefix: 'tree/', Delimiter: '/' };
      const page = await scratch.s3.send(new ListObjectsV2Command(tree));
      const after = await scratch.s3.send(new ListObjectsV2Command({ ...tree, StartAfter: 'tree/a/2' }));
      const prefixesOf = (one: typeof page) => (one.CommonPrefixes ?? []).map(({ Prefix = '' }) => Prefix);
      const objectsOf = (one: typeof page) => (one.Contents ?? []).map(({ Key = '' }) => Key);
      return {
        prefixes: prefixesOf(page),
        objects: objectsOf(page),
        after: [...prefixesOf(after), ...objectsOf(after)],
      };
    },
  },
  {
    service: 'S3',
    name: 'versions are listed by name, the newest first, with their delete markers, one page after the other',
    restsOn: VERSIONS,
    page: s3Api('ListObjectVersions'),
    expected: ['a marker latest', 'a 2', 'a 1', 'b 1 latest'],
    observe: async scratch => {
      const Bucket = await versionedBucket(scratch);
      const write = async (name: string, Body: string) =>
        (await scratch.s3.send(new PutObjectCommand({ Bucket, Key: `versions/${name}`, Body }))).VersionId;
      const numbers = new Map([
        [await write('a', '1'), '1'],
        [await write('a', '2'), '2'],
        [await write('b', '1'), '1'],
      ]);
      const { VersionId } = await scratch.s3.send(new DeleteObjectCommand({ Bucket, Key: 'versions/a' }));
      numbers.set(VersionId, 'marker');
      const found: string[] = [];
      let markers: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined } | undefined = {};
      while (markers !== undefined) {
        const page: Awaited<ReturnType<typeof list>> = await list(scratch, Bucket, markers);
        for (const one of [...(page.Versions ?? []), ...(page.DeleteMarkers ?? [])]) {
          const name = one.Key?.slice('versions/'.length);
          found.push(`${name} ${numbers.get(one.VersionId)}${one.IsLatest ? ' latest' : ''}`);
        }
        markers = page.IsTruncated
          ? { KeyMarker: page.NextKeyMarker, VersionIdMarker: page.NextVersionIdMarker }
          : undefined;
      }
      return found;
    },
  },
  {
    service: 'S3',
    name: 'what is not there is 404 for who may list the bucket, and 403 for who may not',
    restsOn:
      'infra/steps/shared-permissions.ts: readers may list; “not there” must not look like “refused”, nor the other way round',
    page: s3Api('GetObject'),
    expected: { listed: '404 NoSuchKey', head: '404 NotFound', unlisted: '403 AccessDenied' },
    observe: async scratch => {
      const missing = (Bucket: string) => ({ Bucket, Key: 'not-there' });
      const listed = missing(await plainBucket(scratch));
      return {
        listed: await answer(scratch.s3.send(new GetObjectCommand(listed))),
        head: await answer(scratch.s3.send(new HeadObjectCommand(listed))),
        unlisted: await answer(scratch.s3.send(new GetObjectCommand(missing(await unlistedBucket(scratch))))),
      };
    },
  },
  {
    service: 'S3',
    name: 'what a delete marker hides is 404 with x-amz-delete-marker: true',
    restsOn: 'functions/platform/s3.ts: isDeleteMarker, by which a deleted ledger entry is told from one never written',
    page: s3Guide('DeleteMarker'),
    expected: { answer: '404 NoSuchKey', marked: true },
    observe: async scratch => {
      const named = { Bucket: await versionedBucket(scratch), Key: 'listing/marked' };
      await scratch.s3.send(new PutObjectCommand({ ...named, Body: 'x' }));
      await scratch.s3.send(new DeleteObjectCommand(named));
      let marked = false;
      const read = scratch.s3.send(new GetObjectCommand(named)).catch((error: unknown) => {
        marked = error instanceof S3ServiceException && error.$response?.headers['x-amz-delete-marker'] === 'true';
        throw error;
      });
      return { answer: await answer(read), marked };
    },
  },
];

function list(
  scratch: Scratch,
  Bucket: string,
  markers: { KeyMarker?: string | undefined; VersionIdMarker?: string | undefined },
) {
  const input = { Bucket, Prefix: 'versions/', MaxKeys: 1, ...markers };
  return scratch.s3.send(new ListObjectVersionsCommand(input));
}
