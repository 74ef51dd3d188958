import { createHash } from 'node:crypto';
import {
  CHECKSUM_ALGORITHMS,
  type ChecksumAlgorithm,
  checkChecksumValue,
  checksumHeader,
  type RunningChecksum,
  readAlgorithm,
  startChecksum,
} from './checksums.ts';
import { decodeChunks } from './chunked-body.ts';
import { invalidRequest, malformedXml, notImplemented, S3Error } from './errors.ts';
import { type Exchange, header } from './exchange.ts';
import { readXml, type XmlElement } from './xml.ts';

/** A request's body as it is read. The iteration fails where the content is not what the request says of it. */
export interface VerifiedBody {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Of the content, in base64, once the iteration has ended; the checksum is of `algorithm`. */
  readonly digests: () => { md5: string; checksum: string };
  readonly algorithm: ChecksumAlgorithm;
  /** The algorithm of the checksum that the request carries. */
  readonly claimed: ChecksumAlgorithm | undefined;
  /** True where the request carries an MD5 or a checksum of its content. */
  readonly isProtected: boolean;
}

const MAXIMUM_DOCUMENT_BYTES = 2 * 1024 * 1024;

/**
 * Opens a request's body: decodes `aws-chunked`, and checks length, `Content-MD5`, `x-amz-content-sha256` and the
 * checksum, which may come as a header or as a trailer
 * (https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html).
 * @param kept the checksum to compute; by default that which the request carries, or else CRC64NVME, as S3 does.
 */
export function openBody(exchange: Exchange, kept?: ChecksumAlgorithm): VerifiedBody {
  const payloadHash = header(exchange, 'x-amz-content-sha256') ?? 'UNSIGNED-PAYLOAD';
  const framing = readFraming(payloadHash);
  const claim = readChecksumClaim(exchange);
  const contentMd5 = readContentMd5(exchange);
  const algorithm = kept ?? claim?.algorithm ?? 'CRC64NVME';
  const expectedBytes = readLength(exchange, framing !== undefined);
  let digests: { md5: string; checksum: string } | undefined;

  async function* chunks(): AsyncGenerator<Uint8Array> {
    const md5 = createHash('md5');
    const checksum = startChecksum(algorithm);
    const claimedChecksum =
      claim === undefined || claim.algorithm === algorithm ? undefined : startChecksum(claim.algorithm);
    const sha256: RunningChecksum | undefined = /^[0-9a-f]{64}$/.test(payloadHash) ? createHash('sha256') : undefined;
    let trailer: string | undefined;
    let receivedBytes = 0;
    const raw = rawChunks(exchange);
    const decoded =
      framing === undefined
        ? raw
        : decodeChunks(raw, framing.signed, (name, value) => {
            if (name === claim?.trailer) trailer = value;
            else if (name !== 'x-amz-trailer-signature') throw invalidRequest(`The trailer ${name} was not announced`);
          });
    for await (const chunk of decoded) {
      receivedBytes += chunk.length;
      if (receivedBytes > expectedBytes) break;
      md5.update(chunk);
      checksum.update(chunk);
      claimedChecksum?.update(chunk);
      sha256?.update(chunk);
      yield chunk;
    }
    if (receivedBytes !== expectedBytes) {
      throw new S3Error(
        400,
        'IncompleteBody',
        'You did not provide the number of bytes specified by the Content-Length HTTP header',
      );
    }
    const found = { md5: md5.digest('base64'), checksum: checksum.digest().toString('base64') };
    if (contentMd5 !== undefined && contentMd5 !== found.md5) throw badDigest('Content-MD5');
    if (sha256 !== undefined && sha256.digest().toString('hex') !== payloadHash) {
      throw new S3Error(
        400,
        'XAmzContentSHA256Mismatch',
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
      );
    }
    if (claim !== undefined) {
      const claimed = claim.trailer === undefined ? claim.value : trailer;
      if (claimed === undefined)
        throw invalidRequest(`The trailer ${claim.trailer} was announced and is not in the body`);
      const computed = claimedChecksum?.digest().toString('base64') ?? found.checksum;
      if (checkChecksumValue(claim.algorithm, claimed) !== computed) throw badDigest(claim.algorithm);
    }
    digests = found;
  }
  return {
    chunks: chunks(),
    algorithm,
    claimed: claim?.algorithm,
    isProtected: claim !== undefined || contentMd5 !== undefined,
    digests: () => {
      if (digests === undefined) throw new Error('a body was asked for its digests before it was read');
      return digests;
    },
  };
}

/**
 * The request's XML document.
 * @param isProtectionRequired S3 wants an MD5 or a checksum of this document.
 * @throws S3Error `MalformedXML`, or what `openBody` throws.
 */
export async function readDocument(
  exchange: Exchange,
  root: string,
  isProtectionRequired = false,
): Promise<XmlElement> {
  const body = openBody(exchange);
  if (isProtectionRequired && !body.isProtected) {
    throw invalidRequest('Missing required header for this request: Content-MD5 OR x-amz-checksum-*');
  }
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of body.chunks) {
    sizeBytes += chunk.length;
    if (sizeBytes > MAXIMUM_DOCUMENT_BYTES) throw malformedXml();
    chunks.push(chunk);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
  } catch {
    throw malformedXml();
  }
  const document = readXml(text);
  if (document.name !== root) throw malformedXml();
  return document;
}

function badDigest(what: string): S3Error {
  return what === 'Content-MD5'
    ? new S3Error(400, 'BadDigest', 'The Content-MD5 you specified did not match what we received.')
    : new S3Error(400, 'BadDigest', `The ${what} you specified did not match the calculated checksum.`);
}

function readFraming(payloadHash: string): { signed: boolean } | undefined {
  switch (payloadHash) {
    case 'STREAMING-UNSIGNED-PAYLOAD-TRAILER':
      return { signed: false };
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD':
    case 'STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER':
      return { signed: true };
    default:
      if (payloadHash !== 'UNSIGNED-PAYLOAD' && !/^[0-9a-f]{64}$/.test(payloadHash)) {
        throw notImplemented(`x-amz-content-sha256: ${payloadHash}`);
      }
      return undefined;
  }
}

function readChecksumClaim(
  exchange: Exchange,
):
  | { algorithm: ChecksumAlgorithm; value: string; trailer?: undefined }
  | { algorithm: ChecksumAlgorithm; trailer: string }
  | undefined {
  const claims = CHECKSUM_ALGORITHMS.flatMap(algorithm => {
    const value = header(exchange, checksumHeader(algorithm));
    return value === undefined ? [] : [{ algorithm, value: checkChecksumValue(algorithm, value) }];
  });
  const trailer = header(exchange, 'x-amz-trailer')?.toLowerCase();
  const named = header(exchange, 'x-amz-sdk-checksum-algorithm');
  if (claims.length > 1 || (claims.length === 1 && trailer !== undefined)) {
    throw invalidRequest('Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.');
  }
  if (trailer !== undefined) {
    const algorithm = /^x-amz-checksum-(\w+)$/.exec(trailer)?.[1];
    if (algorithm === undefined) throw notImplemented(`trailer ${trailer}`);
    return { algorithm: readAlgorithm(algorithm), trailer };
  }
  const [claim] = claims;
  if (named !== undefined) {
    const algorithm = readAlgorithm(named);
    if (claim === undefined && header(exchange, 'content-md5') === undefined) {
      throw invalidRequest(
        'x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.',
      );
    }
    if (claim !== undefined && claim.algorithm !== algorithm) {
      throw invalidRequest('Value for x-amz-sdk-checksum-algorithm header is invalid.');
    }
  }
  return claim;
}

function readContentMd5(exchange: Exchange): string | undefined {
  const value = header(exchange, 'content-md5');
  if (value === undefined) return undefined;
  const bytes = Buffer.from(value, 'base64');
  if (bytes.length !== 16 || bytes.toString('base64') !== value) {
    throw new S3Error(400, 'InvalidDigest', 'The Content-MD5 you specified was invalid.');
  }
  return value;
}

function readLength(exchange: Exchange, isChunked: boolean): number {
  const { body } = exchange.request;
  const stated = header(exchange, isChunked ? 'x-amz-decoded-content-length' : 'content-length');
  if (stated !== undefined) {
    if (!/^\d{1,15}$/.test(stated)) throw invalidRequest(`The content length ${stated} is not a number`);
    const bytes = Number(stated);
    if (bytes > exchange.core.limits.maximumCopyBytes) {
      throw new S3Error(400, 'EntityTooLarge', 'Your proposed upload exceeds the maximum allowed size', {
        details: { ProposedSize: stated, MaxSizeAllowed: String(exchange.core.limits.maximumCopyBytes) },
      });
    }
    return bytes;
  }
  if (body === undefined) return 0;
  if (body instanceof Uint8Array && !isChunked) return body.length;
  throw new S3Error(411, 'MissingContentLength', 'You must provide the Content-Length HTTP header.');
}

async function* rawChunks(exchange: Exchange): AsyncGenerator<Uint8Array> {
  const { body } = exchange.request;
  if (body === undefined) return;
  if (body instanceof Uint8Array) {
    if (body.length > 0) yield body;
    return;
  }
  try {
    for await (const chunk of body) yield typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Uint8Array);
  } catch (cause) {
    throw new S3Error(400, 'RequestTimeout', 'The request body was not sent to its end.', { cause });
  }
}
