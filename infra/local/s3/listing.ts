import { crc32 } from 'node:zlib';
import type { AwsResponse } from '../service.ts';
import { authorize } from './authorization.ts';
import type { KeyVersions, ObjectVersion, Version } from './bucket.ts';
import { invalidArgument } from './errors.ts';
import { bucketOf, type Exchange, isoDate, query } from './exchange.ts';
import { compareKeys, type SortedKeys } from './key-order.ts';
import { writeXml, type XmlNode } from './xml.ts';

const MAXIMUM_KEYS = 1000;

/** Which keys a listing shows, and how many. */
export interface Selection {
  readonly prefix: string;
  readonly delimiter: string | undefined;
  readonly maximum: number;
  /** Writes a key, prefix or marker into the answer: percent-encoded where the request asks for it. */
  readonly encode: (text: string) => string;
  readonly encodingType: string | undefined;
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html */
export async function listObjectsV2(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:ListBucket', { bucket });
  const selection = readSelection(exchange, 'max-keys');
  const token = query(exchange, 'continuation-token');
  const startAfter = query(exchange, 'start-after');
  const page = listCurrent(
    bucket.keys,
    selection,
    token === undefined ? startAfter : readToken(token),
    token !== undefined,
  );
  const { encode } = selection;
  return listResponse([
    'ListBucketResult',
    [
      ['Name', bucket.name],
      ['Prefix', encode(selection.prefix)],
      startAfter === undefined ? undefined : ['StartAfter', encode(startAfter)],
      token === undefined ? undefined : ['ContinuationToken', token],
      page.next === undefined ? undefined : ['NextContinuationToken', writeToken(page.next)],
      ['KeyCount', page.objects.length + page.commonPrefixes.length],
      ...pageNodes(exchange, selection, page),
    ],
  ]);
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjects.html, the older version, which some tools still use. */
export async function listObjects(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:ListBucket', { bucket });
  const selection = readSelection(exchange, 'max-keys');
  const marker = query(exchange, 'marker');
  const page = listCurrent(bucket.keys, selection, marker, true);
  const { encode } = selection;
  return listResponse([
    'ListBucketResult',
    [
      ['Name', bucket.name],
      ['Prefix', encode(selection.prefix)],
      ['Marker', encode(marker ?? '')],
      page.next === undefined ? undefined : ['NextMarker', encode(page.next)],
      ...pageNodes(exchange, selection, page),
    ],
  ]);
}

interface Page {
  readonly objects: ObjectVersion[];
  readonly commonPrefixes: string[];
  /** The last key or common prefix of this page, where there are more. */
  readonly next: string | undefined;
}

/** One page of the current objects after `after`; `resumes` as in `selectKeys`. */
function listCurrent(
  keys: SortedKeys<KeyVersions>,
  selection: Selection,
  after: string | undefined,
  resumes: boolean,
): Page {
  const objects: ObjectVersion[] = [];
  const commonPrefixes: string[] = [];
  let last: string | undefined;
  for (const found of selectKeys(keys, selection, after, resumes, ({ versions }) => versions[0]?.kind === 'object')) {
    if (objects.length + commonPrefixes.length === selection.maximum) return { objects, commonPrefixes, next: last };
    if (typeof found === 'string') {
      commonPrefixes.push(found);
      last = found;
    } else {
      objects.push(found.versions[0] as ObjectVersion);
      last = found.key;
    }
  }
  return { objects, commonPrefixes, next: undefined };
}

/**
 * The keys below the prefix that come after `after`, in order, with those that share a common prefix rolled up into it.
 * @param resumes `after` ended an earlier page: where it is a common prefix, all of its keys were listed.
 */
export function* selectKeys<T extends { readonly key: string }>(
  keys: SortedKeys<T>,
  { prefix, delimiter, maximum }: Pick<Selection, 'prefix' | 'delimiter' | 'maximum'>,
  after: string | undefined,
  resumes: boolean,
  isShown: (value: T) => boolean,
): Generator<T | string> {
  if (maximum === 0) return;
  const isPrefixDone =
    resumes && delimiter !== undefined && after !== undefined && rollUp(after, prefix, delimiter) === after;
  const walk = keys.walk(key => {
    if (compareKeys(key, prefix) < 0) return false;
    if (after === undefined) return true;
    return compareKeys(key, after) > 0 && !(isPrefixDone && key.startsWith(after));
  });
  for (let value = walk.next(); value?.key.startsWith(prefix); ) {
    const rolledUp = delimiter === undefined ? undefined : rollUp(value.key, prefix, delimiter);
    if (!isShown(value)) {
      value = walk.next();
    } else if (rolledUp === undefined) {
      yield value;
      value = walk.next();
    } else {
      yield rolledUp;
      value = walk.next(rolledUp);
    }
  }
}

function rollUp(key: string, prefix: string, delimiter: string): string | undefined {
  if (delimiter === '' || !key.startsWith(prefix)) return undefined;
  const at = key.indexOf(delimiter, prefix.length);
  return at === -1 ? undefined : key.slice(0, at + delimiter.length);
}

function pageNodes(
  exchange: Exchange,
  selection: Selection,
  { objects, commonPrefixes, next }: Page,
): (XmlNode | undefined)[] {
  const withOwner = query(exchange, 'fetch-owner') === 'true';
  return [
    ...selectionNodes(selection, 'MaxKeys'),
    ['IsTruncated', next !== undefined],
    ...objects.map((object): XmlNode => ['Contents', objectNodes(exchange, selection, object, withOwner)]),
    ...commonPrefixNodes(selection, commonPrefixes),
  ];
}

function objectNodes(
  exchange: Exchange,
  { encode }: Selection,
  object: ObjectVersion,
  withOwner: boolean,
): (XmlNode | undefined)[] {
  return [
    ['Key', encode(object.key)],
    ['LastModified', isoDate(object.lastModifiedMs)],
    ['ETag', `"${object.eTag}"`],
    ['ChecksumAlgorithm', object.checksum.algorithm],
    ['ChecksumType', object.checksum.type],
    ['Size', object.sizeBytes],
    ['StorageClass', object.storageClass],
    withOwner ? ownerNode(exchange) : undefined,
  ];
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html */
export async function listObjectVersions(exchange: Exchange): Promise<AwsResponse> {
  const bucket = bucketOf(exchange);
  authorize(exchange, 's3:ListBucketVersions', { bucket });
  const selection = readSelection(exchange, 'max-keys');
  const keyMarker = query(exchange, 'key-marker');
  const versionIdMarker = query(exchange, 'version-id-marker') || undefined;
  if (versionIdMarker !== undefined && !keyMarker) {
    throw invalidArgument(
      'version-id-marker',
      versionIdMarker,
      'A version-id marker cannot be specified without a key marker.',
    );
  }
  const nodes: XmlNode[] = [];
  const commonPrefixes: string[] = [];
  let last: { key: string; versionId?: string } | undefined;
  let isTruncated = false;
  const found = versionsInOrder(bucket.keys, selection, keyMarker, versionIdMarker);
  for (const item of found) {
    if (nodes.length + commonPrefixes.length === selection.maximum) {
      isTruncated = true;
      break;
    }
    if (typeof item === 'string') {
      commonPrefixes.push(item);
      last = { key: item };
    } else {
      nodes.push(versionNode(exchange, selection, item.version, item.isLatest));
      last = item.version;
    }
  }
  const { encode } = selection;
  return listResponse([
    'ListVersionsResult',
    [
      ['Name', bucket.name],
      ['Prefix', encode(selection.prefix)],
      ['KeyMarker', encode(keyMarker ?? '')],
      ['VersionIdMarker', versionIdMarker ?? ''],
      isTruncated && last !== undefined ? ['NextKeyMarker', encode(last.key)] : undefined,
      isTruncated && last?.versionId !== undefined ? ['NextVersionIdMarker', last.versionId] : undefined,
      ...selectionNodes(selection, 'MaxKeys'),
      ['IsTruncated', isTruncated],
      ...nodes,
      ...commonPrefixNodes(selection, commonPrefixes),
    ],
  ]);
}

function* versionsInOrder(
  keys: SortedKeys<KeyVersions>,
  selection: Selection,
  keyMarker: string | undefined,
  versionIdMarker: string | undefined,
): Generator<string | { version: Version; isLatest: boolean }> {
  if (keyMarker !== undefined && versionIdMarker !== undefined && selection.maximum > 0) {
    // The rest of the key at which the page before ended.
    const versions = keyMarker.startsWith(selection.prefix) ? (keys.get(keyMarker)?.versions ?? []) : [];
    const at = versions.findIndex(version => version.versionId === versionIdMarker);
    if (at !== -1) for (const version of versions.slice(at + 1)) yield { version, isLatest: false };
  }
  for (const found of selectKeys(keys, selection, keyMarker, true, () => true)) {
    if (typeof found === 'string') yield found;
    else for (const [index, version] of found.versions.entries()) yield { version, isLatest: index === 0 };
  }
}

function versionNode(exchange: Exchange, selection: Selection, version: Version, isLatest: boolean): XmlNode {
  const identity: XmlNode[] = [
    ['VersionId', version.versionId],
    ['IsLatest', isLatest],
  ];
  return version.kind === 'object'
    ? ['Version', [...objectNodes(exchange, selection, version, true), ...identity]]
    : [
        'DeleteMarker',
        [
          ['Key', selection.encode(version.key)],
          ['LastModified', isoDate(version.lastModifiedMs)],
          ownerNode(exchange),
          ...identity,
        ],
      ];
}

export function ownerNode(exchange: Exchange, name = 'Owner'): XmlNode {
  return [name, [['ID', exchange.core.accountId]]];
}

/** The parameters that all listings share. @param maximumName `max-keys`, `max-uploads` */
export function readSelection(exchange: Exchange, maximumName: string): Selection {
  const encodingType = query(exchange, 'encoding-type');
  if (encodingType !== undefined && encodingType !== 'url') {
    throw invalidArgument('encoding-type', encodingType, 'Invalid Encoding Method specified in Request');
  }
  return {
    prefix: query(exchange, 'prefix') ?? '',
    delimiter: query(exchange, 'delimiter') || undefined,
    maximum: readMaximum(exchange, maximumName),
    encode: encodingType === undefined ? text => text : urlEncode,
    encodingType,
  };
}

/** A page's size: at most 1,000, which is also the default. */
export function readMaximum(exchange: Exchange, name: string): number {
  const value = query(exchange, name);
  if (value === undefined || value === '') return MAXIMUM_KEYS;
  if (!/^\d{1,10}$/.test(value) || Number(value) > 2 ** 31 - 1) {
    throw invalidArgument(name, value, `Argument ${name} must be an integer between 0 and 2147483647`);
  }
  return Math.min(Number(value), MAXIMUM_KEYS);
}

export function selectionNodes(selection: Selection, maximumElement: string): (XmlNode | undefined)[] {
  const { delimiter, encodingType, encode, maximum } = selection;
  return [
    delimiter === undefined ? undefined : ['Delimiter', encode(delimiter)],
    encodingType === undefined ? undefined : ['EncodingType', encodingType],
    [maximumElement, maximum],
  ];
}

export function commonPrefixNodes({ encode }: Selection, prefixes: readonly string[]): XmlNode[] {
  return prefixes.map(prefix => ['CommonPrefixes', [['Prefix', encode(prefix)]]]);
}

export function listResponse(document: XmlNode): AwsResponse {
  return { status: 200, headers: { 'content-type': 'application/xml' }, body: writeXml(document) };
}

/** S3's `encoding-type=url`: as in a form, a space becomes `+`; slashes stay. */
function urlEncode(text: string): string {
  return encodeURIComponent(text)
    .replaceAll('%2F', '/')
    .replaceAll('%20', '+')
    .replaceAll(/[!'()]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

// Opaque to clients, and with a checksum, so that whatever was not made here is refused.
function writeToken(after: string): string {
  const text = Buffer.from(after);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(text));
  return Buffer.concat([check, text]).toString('base64');
}

function readToken(token: string): string {
  const bytes = Buffer.from(token, 'base64');
  const text = bytes.subarray(4);
  if (bytes.length < 5 || bytes.toString('base64') !== token || bytes.readUInt32BE(0) !== crc32(text)) {
    throw invalidArgument('continuation-token', token, 'The continuation token provided is incorrect');
  }
  return text.toString();
}
