import { createPublicKey, type KeyObject } from 'node:crypto';
import {
  CreateAliasCommand,
  CreateKeyCommand,
  DescribeKeyCommand,
  GenerateMacCommand,
  GetKeyPolicyCommand,
  GetPublicKeyCommand,
  KMSClient,
  KMSServiceException,
  ListAliasesCommand,
  ListKeysCommand,
  ListResourceTagsCommand,
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
/** A policy does not allow the role this action with the key. */
export class KeyAccessDeniedError extends KeyServiceError {}

/** Runs one KMS call on this runtime's client and translates its errors. `what` names the key in messages. */
export async function callKms<T>(what: string, call: (client: KMSClient) => Promise<T>): Promise<T> {
  try {
    return await call(awsClient(KMSClient));
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const status = cause instanceof KMSServiceException ? cause.$metadata.httpStatusCode : undefined;
    const { name, message } = cause;
    if (['NotFoundException', 'DisabledException', 'KMSInvalidStateException'].includes(name)) {
      throw new KeyUnusableError(`${what}: ${name}`, { cause });
    }
    if (
      status === undefined ||
      status >= 500 ||
      // KeyUnavailableException: "You can retry the request."
      ['ThrottlingException', 'DependencyTimeoutException', 'KeyUnavailableException'].includes(name)
    ) {
      throw new RetryableError(`${what}: KMS did not answer well (${name}: ${message})`, { cause });
    }
    const Refusal = name === 'AccessDeniedException' ? KeyAccessDeniedError : KeyServiceError;
    throw new Refusal(`${what}: KMS refused (${name}: ${message})`, { cause });
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

/** Every alias of the account that stands for a key, in this Region, with the key's id. */
export async function* listAliases(): AsyncGenerator<{ alias: string; arn: string; keyId: string }> {
  let marker: string | undefined;
  do {
    const page = await callKms('aliases', client =>
      client.send(new ListAliasesCommand({ Marker: marker, Limit: 100 })),
    );
    for (const { AliasName = '', AliasArn = '', TargetKeyId } of page.Aliases ?? []) {
      // AWS's own are there before their keys.
      if (TargetKeyId !== undefined) yield { alias: AliasName, arn: AliasArn, keyId: TargetKeyId };
    }
    marker = page.Truncated ? page.NextMarker : undefined;
  } while (marker !== undefined);
}

/** The text of a key's policy. @param key its id or ARN: no alias. @throws KeyUnusableError where there is no such key. */
export async function readKeyPolicy(key: string): Promise<string> {
  const { Policy = '' } = await callKms(key, client => client.send(new GetKeyPolicyCommand({ KeyId: key })));
  return Policy;
}

/** How many KMS keys the account has in this Region, AWS's own included. */
export async function countKeys(): Promise<number> {
  let count = 0;
  let marker: string | undefined;
  do {
    const page = await callKms('keys', client => client.send(new ListKeysCommand({ Marker: marker, Limit: 1000 })));
    count += page.Keys?.length ?? 0;
    marker = page.Truncated ? page.NextMarker : undefined;
  } while (marker !== undefined);
  return count;
}

/** Creates a symmetric key with its tags. Its policy may lock out the creator: the account's administrators keep it. */
export async function createKey(options: {
  description: string;
  policy: unknown;
  tags: Record<string, string>;
}): Promise<string> {
  const { KeyMetadata } = await callKms(options.description, client =>
    client.send(
      new CreateKeyCommand({
        Description: options.description,
        // The defaults, said aloud: a policy's condition on them never waits for KMS to fill them in.
        KeySpec: 'SYMMETRIC_DEFAULT',
        MultiRegion: false,
        Policy: JSON.stringify(options.policy),
        BypassPolicyLockoutSafetyCheck: true,
        Tags: Object.entries(options.tags).map(([TagKey, TagValue]) => ({ TagKey, TagValue })),
      }),
    ),
  );
  return KeyMetadata?.Arn ?? '';
}

/** Gives a key its alias. Returns false when the alias is another key's. */
export async function createAlias(alias: string, keyArn: string): Promise<boolean> {
  try {
    await callKms(alias, client => client.send(new CreateAliasCommand({ AliasName: alias, TargetKeyId: keyArn })));
    return true;
  } catch (error) {
    if (error instanceof KeyServiceError && error.cause instanceof Error) {
      if (error.cause.name === 'AlreadyExistsException') return false;
    }
    throw error;
  }
}

/**
 * An enabled key that carries the tag and has no alias; undefined where there is none. KMS cannot search by tag, so this
 * reads all aliases, and the tags of each key without one.
 */
export async function findKeyWithoutAlias(tag: string, value: string): Promise<string | undefined> {
  const aliased = new Set<string>();
  for await (const { keyId } of listAliases()) aliased.add(keyId);
  let marker: string | undefined;
  do {
    const page = await callKms('keys', client => client.send(new ListKeysCommand({ Marker: marker, Limit: 1000 })));
    for (const { KeyId = '', KeyArn = '' } of page.Keys ?? []) {
      if (aliased.has(KeyId)) continue;
      if ((await readKeyTags(KeyArn))[tag] === value && (await findKey(KeyArn))?.enabled) return KeyArn;
    }
    marker = page.Truncated ? page.NextMarker : undefined;
  } while (marker !== undefined);
  return undefined;
}

/**
 * A key's tags; none for a key whose own policy keeps them from this role, as keys of others in the account may.
 * @throws KeyAccessDeniedError when it is the role's policies that do not allow it.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
 */
export async function readKeyTags(keyArn: string): Promise<Record<string, string>> {
  try {
    const { Tags } = await callKms(keyArn, client => client.send(new ListResourceTagsCommand({ KeyId: keyArn })));
    return Object.fromEntries((Tags ?? []).map(({ TagKey = '', TagValue = '' }) => [TagKey, TagValue]));
  } catch (error) {
    if (error instanceof KeyAccessDeniedError && /because no identity-based policy allows/.test(error.message))
      throw error;
    if (error instanceof KeyServiceError || error instanceof KeyUnusableError) return {};
    throw error;
  }
}

/**
 * The HMAC of a text, in hexadecimal. KMS takes 1 to 4,096 bytes, so that it is given the SHA-256 of the text, whatever its
 * length. https://docs.aws.amazon.com/kms/latest/APIReference/API_GenerateMac.html
 */
export async function macOf(text: string, keyArn: string): Promise<string> {
  const { Mac } = await callKms(keyArn, client =>
    client.send(
      new GenerateMacCommand({
        KeyId: keyArn,
        Message: Buffer.from(sha256Hex(text), 'hex'),
        MacAlgorithm: 'HMAC_SHA_256',
      }),
    ),
  );
  return Buffer.from(Mac ?? []).toString('hex');
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
