import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { LocalClock } from '../clock.ts';
import {
  AccessDenied,
  type Authorizer,
  type AwsRequest,
  type AwsResponse,
  KeyOperationError,
  type KeyOperations,
  NotImplementedLocally,
  type Principal,
  type Service,
} from '../service.ts';
import { KeyAccess } from './access.ts';
import { aliasOperations, createAlias } from './alias-operations.ts';
import { cryptographicOperations, decrypt, useToEncrypt } from './cryptographic-operations.ts';
import { grantOperations } from './grant-operations.ts';
import type { KeySpec, KeyUsage } from './key.ts';
import { encryptWith, keyIdOf } from './key-material.ts';
import { createKey, keyOperations, usageFor } from './key-operations.ts';
import { checkKeyPolicy, defaultKeyPolicy } from './key-policy.ts';
import { mergeTags, type Operation } from './parameters.ts';

/** `AWS::KMS::Key`, as a template defines it. */
export interface KeyTemplate {
  readonly description?: string;
  /** The policy document, as an object or JSON text; without it the account decides. */
  readonly policy?: unknown;
  readonly keySpec?: KeySpec;
  readonly keyUsage?: KeyUsage;
  readonly tags?: Readonly<Record<string, string>>;
  readonly enableRotation?: boolean;
}

type KeyUse = Omit<Parameters<KeyOperations['decryptDataKey']>[0], 'ciphertext'>;

const MAX_BODY_BYTES = 1024 * 1024;

/**
 * The local KMS: symmetric keys, P-256 signing keys and HMAC keys, with the policies, grants, states and the waiting period before
 * deletion that AWS has. Keys are kept in memory or, with `directory`, in files that hold their secrets in plain.
 * Rotation is recorded only: KMS hides which material it uses, and old ciphertexts stay readable either way.
 */
export class LocalKms implements Service, KeyOperations {
  readonly #access: KeyAccess;
  readonly #accountId: string;
  readonly #operations: ReadonlyMap<string, Operation>;

  /**
   * @param options.propagationDelayMs how long a key still works after it was disabled or scheduled for deletion; AWS is
   * eventually consistent there. Default 0.
   */
  constructor(options: {
    clock: LocalClock;
    authorizer: Authorizer;
    accountId: string;
    directory?: string;
    propagationDelayMs?: number;
  }) {
    this.#accountId = options.accountId;
    const access = new KeyAccess({
      ...options,
      directory: options.directory,
      propagationDelayMs: options.propagationDelayMs ?? 0,
    });
    this.#access = access;
    this.#operations = new Map(
      Object.entries({
        ...keyOperations(access),
        ...aliasOperations(access),
        ...grantOperations(access),
        ...cryptographicOperations(access),
      }),
    );
  }

  /** Told of each grant that an AWS service makes in the name of its caller. */
  onServiceGrant?: (grant: { principal: Principal; viaService: string; keyArn: string }) => void;

  async handle(request: AwsRequest): Promise<AwsResponse> {
    try {
      const target = request.headers['x-amz-target'] ?? '';
      const name = target.replace(/^TrentService\./, '');
      const operation = this.#operations.get(name);
      if (operation === undefined)
        throw new NotImplementedLocally(`the operation ${target || 'without a name'} of KMS`);
      const parameters = await readParameters(request);
      return respond(200, operation.run(parameters, { principal: request.principal, secure: request.secure }));
    } catch (error) {
      if (error instanceof KeyOperationError) return respondError(error.code, error.message);
      if (error instanceof AccessDenied) return respondError('AccessDeniedException', error.message);
      if (error instanceof NotImplementedLocally) return respondError('NotImplementedLocally', error.message);
      throw error;
    }
  }

  generateDataKey({ keyId, ...use }: KeyUse & { keyId: string }): {
    plaintext: Buffer;
    ciphertext: Buffer;
    keyArn: string;
  } {
    const key = useToEncrypt(this.#access, use, 'GenerateDataKey', keyId, use.encryptionContext);
    const plaintext = randomBytes(32);
    return { plaintext, ciphertext: encryptWith(key, plaintext, use.encryptionContext), keyArn: key.arn };
  }

  decryptDataKey({ ciphertext, ...use }: KeyUse & { ciphertext: Uint8Array }): { plaintext: Buffer; keyArn: string } {
    const keyId = keyIdOf(ciphertext);
    const { key, plaintext } = decrypt(this.#access, use, 'Decrypt', ciphertext, use.encryptionContext, keyId);
    return { plaintext, keyArn: key.arn };
  }

  describeForService({ keyId, grants, ...use }: KeyUse & { keyId: string; grants: boolean }): {
    keyArn: string;
    enabled: boolean;
  } {
    const key = this.#access.use(use, 'DescribeKey', keyId, { aliases: true, state: 'any' });
    if (grants) {
      const conditions = { 'kms:GrantIsForAWSResource': 'true' };
      this.#access.use(use, 'CreateGrant', keyId, { aliases: true, state: 'any', conditions });
      this.onServiceGrant?.({ ...use, keyArn: key.arn });
    }
    return { keyArn: key.arn, enabled: key.state === 'Enabled' };
  }

  /** Creates a key as CloudFormation does, and answers what `Ref` and `Arn` stand for. */
  createKeyFromTemplate(template: KeyTemplate): { keyId: string; keyArn: string } {
    const { policy = defaultKeyPolicy(this.#accountId), keySpec: spec = 'SYMMETRIC_DEFAULT' } = template;
    const text = typeof policy === 'string' ? policy : JSON.stringify(policy);
    checkKeyPolicy(text, this.#root(), { bypassLockoutCheck: false });
    const tags = Object.entries(template.tags ?? {}).map(([TagKey, TagValue]) => ({ TagKey, TagValue }));
    const key = createKey(this.#access, {
      spec,
      usage: usageFor(spec, template.keyUsage),
      description: template.description ?? '',
      policy: text,
      tags: mergeTags(new Map(), tags),
    });
    if (template.enableRotation === true) {
      key.rotation = { enabledAtMs: this.#access.nowMs(), periodDays: 365 };
      this.#access.save(key);
    }
    return { keyId: key.id, keyArn: key.arn };
  }

  /** Gives a key an alias, as CloudFormation does. @param targetKeyId the key's id or ARN. */
  createAliasFromTemplate(aliasName: string, targetKeyId: string): void {
    createAlias(this.#access, aliasName, this.#access.find(targetKeyId, false).key);
  }

  /** Every key with its tags, for who looks for one by them. */
  tagged(): { readonly arn: string; readonly tags: ReadonlyMap<string, string> }[] {
    return [...this.#access.store.keys.values()].map(({ arn, tags }) => ({ arn, tags }));
  }

  #root(): Principal {
    return { kind: 'root', arn: `arn:aws:iam::${this.#accountId}:root` };
  }
}

async function readParameters({ body }: AwsRequest): Promise<unknown> {
  const bytes = body instanceof Readable ? await buffer(body) : (body ?? new Uint8Array());
  if (bytes.byteLength > MAX_BODY_BYTES) {
    throw new KeyOperationError('RequestEntityTooLarge', `a request is at most ${MAX_BODY_BYTES} bytes long`);
  }
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
  try {
    const parameters: unknown = JSON.parse(text, refusePrototype);
    if (typeof parameters === 'object' && parameters !== null && !Array.isArray(parameters)) return parameters;
  } catch (error) {
    if (error instanceof KeyOperationError) throw error;
    // What is no JSON is answered like JSON that is no object.
  }
  throw new KeyOperationError('SerializationException', 'the request is not a JSON object');
}

// Schemas drop this name silently: an encryption context would lose an entry that it is bound to.
function refusePrototype(name: string, value: unknown): unknown {
  if (name === '__proto__') throw new KeyOperationError('ValidationException', 'no parameter is named __proto__');
  return value;
}

function respond(status: number, body: object): AwsResponse {
  const headers = { 'content-type': 'application/x-amz-json-1.1', 'x-amzn-requestid': randomUUID() };
  return { status, headers, body: JSON.stringify(body) };
}

function respondError(code: string, message: string): AwsResponse {
  return respond(400, { __type: code, message });
}
