import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  DescribeKeyCommand,
  GetPublicKeyCommand,
  KMSClient,
  KMSServiceException,
  SignCommand,
  VerifyCommand,
} from '@aws-sdk/client-kms';
import { canonicalJson, sha256Hex } from './canonical-json.ts';
import { PermanentError, RetryableError } from './errors.ts';
import { awsClient } from './runtime.ts';

/** The key does not exist, is disabled, or is going to be deleted. */
export class KeyUnusableError extends PermanentError {}
/**
 * A tenant's key cannot be used, so the tenant cannot be backed up or read: an erased tenant never gets a new key by itself.
 */
export class TenantKeyUnusableError extends KeyUnusableError {}
/** KMS refused the request for another lasting reason. */
export class KeyServiceError extends PermanentError {}

/** Runs one KMS call on this runtime's client and translates its errors. `what` names the key in messages. */
export async function callKms<T>(what: string, call: (client: KMSClient) => Promise<T>): Promise<T> {
  try {
    return await call(awsClient(KMSClient));
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const status = cause instanceof KMSServiceException ? cause.$metadata.httpStatusCode : undefined;
    const { name, message } = cause;
    if (
      ['NotFoundException', 'DisabledException', 'KMSInvalidStateException', 'KeyUnavailableException'].includes(name)
    ) {
      throw new KeyUnusableError(`${what}: ${name}`, { cause });
    }
    if (
      status === undefined ||
      status >= 500 ||
      name === 'ThrottlingException' ||
      name === 'DependencyTimeoutException'
    ) {
      throw new RetryableError(`${what}: KMS did not answer well (${name}: ${message})`, { cause });
    }
    throw new KeyServiceError(`${what}: KMS refused (${name}: ${message})`, { cause });
  }
}

/** The ARN of the key behind an alias; undefined where there is no such alias. */
export async function findKey(alias: string): Promise<{ arn: string; enabled: boolean } | undefined> {
  try {
    const { KeyMetadata } = await callKms(alias, client => client.send(new DescribeKeyCommand({ KeyId: alias })));
    return { arn: KeyMetadata?.Arn ?? '', enabled: KeyMetadata?.Enabled ?? false };
  } catch (error) {
    if (error instanceof KeyUnusableError) return undefined;
    throw error;
  }
}

/** Signs a document's canonical JSON: ECDSA P-256 with SHA-256, DER in base64. */
export async function signDocument<T>(
  document: T,
  keyArn: string,
): Promise<{ document: T; signature: { keyArn: string; algorithm: 'ECDSA_SHA_256'; value: string } }> {
  const { Signature } = await callKms(keyArn, client =>
    client.send(
      new SignCommand({
        KeyId: keyArn,
        Message: digest(document),
        MessageType: 'DIGEST',
        SigningAlgorithm: 'ECDSA_SHA_256',
      }),
    ),
  );
  return {
    document,
    signature: { keyArn, algorithm: 'ECDSA_SHA_256', value: Buffer.from(Signature ?? []).toString('base64') },
  };
}

/**
 * Whether `signature` is `keyArn`'s over the document. The caller names the key that it trusts: the one that the
 * signature names is not asked.
 */
export async function verifyDocument(
  { document, signature }: { document: unknown; signature: { value: string } },
  keyArn: string,
): Promise<boolean> {
  try {
    const { SignatureValid } = await awsClient(KMSClient).send(
      new VerifyCommand({
        KeyId: keyArn,
        Message: digest(document),
        MessageType: 'DIGEST',
        Signature: Buffer.from(signature.value, 'base64'),
        SigningAlgorithm: 'ECDSA_SHA_256',
      }),
    );
    return SignatureValid === true;
  } catch (error) {
    if (error instanceof Error && error.name === 'KMSInvalidSignatureException') return false;
    return callKms(keyArn, () => Promise.reject(error));
  }
}

/** The public half of a signing key, to verify any number of signatures with `hasValidSignature` without a call for each. */
export async function readPublicKey(keyArn: string): Promise<KeyObject> {
  const { PublicKey } = await callKms(keyArn, client => client.send(new GetPublicKeyCommand({ KeyId: keyArn })));
  return createPublicKey({ key: Buffer.from(PublicKey ?? []), format: 'der', type: 'spki' });
}

function digest(document: unknown): Uint8Array {
  return Buffer.from(sha256Hex(canonicalJson(document)), 'hex');
}
