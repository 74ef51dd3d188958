import { isDeepStrictEqual } from 'node:util';
import type { LocalClock } from '../clock.ts';
import { accountOf } from '../iam/principal.ts';
import {
  AccessDenied,
  type AuthorizationRequest,
  type Authorizer,
  KeyOperationError,
  NotImplementedLocally,
  type Principal,
} from '../service.ts';
import { checkState, type Grant, type Key, type NamedKey, type StateRule } from './key.ts';
import type { EncryptionContext } from './key-material.ts';
import { KeyStore } from './key-store.ts';

/** Who calls, and through which service. */
export interface Caller {
  readonly principal: Principal;
  /** `s3.eu-west-2.amazonaws.com`, where a service calls on the principal's behalf. */
  readonly viaService?: string;
  /** False over plain HTTP. @default true */
  readonly secure?: boolean;
}

/** Condition keys beside those that the key itself gives. */
export type Conditions = AuthorizationRequest['context'];

/** Finds keys, and judges whether a caller may use them: everything that all operations share. */
export class KeyAccess {
  readonly store: KeyStore;
  readonly accountId: string;
  /** `arn:aws:kms:eu-west-2:111122223333:` */
  readonly arnPrefix: string;
  readonly propagationDelayMs: number;
  readonly #clock: LocalClock;
  readonly #authorizer: Authorizer;
  readonly #conditionsOfKey = new WeakMap<Key, Conditions>();
  readonly #policies = new WeakMap<Key, { text: string; document: unknown }>();

  constructor(options: {
    clock: LocalClock;
    authorizer: Authorizer;
    accountId: string;
    directory: string | undefined;
    propagationDelayMs: number;
  }) {
    this.#clock = options.clock;
    this.#authorizer = options.authorizer;
    this.accountId = options.accountId;
    this.arnPrefix = `arn:aws:kms:eu-west-2:${options.accountId}:`;
    this.propagationDelayMs = options.propagationDelayMs;
    this.store = new KeyStore(options.directory);
    for (const key of [...this.store.keys.values()]) {
      if (!this.#destroyIfDue(key)) this.scheduleDestruction(key);
    }
  }

  nowMs(): number {
    return this.#clock.now().getTime();
  }

  /** Finds a key by id or ARN and, where `aliases` says so, by alias. @throws KeyOperationError NotFoundException */
  find(keyId: string, aliases: boolean): NamedKey {
    const name = keyId.startsWith(this.arnPrefix) ? keyId.slice(this.arnPrefix.length).replace(/^key\//, '') : keyId;
    if (name.startsWith('alias/aws/')) throw new NotImplementedLocally(`keys managed by AWS (${name})`);
    const alias = aliases && name.startsWith('alias/') ? name : undefined;
    const key = this.store.keys.get(alias === undefined ? name : (this.store.aliases.get(alias)?.keyId ?? ''));
    if (key === undefined || this.#destroyIfDue(key)) throw notFound(this.arnPrefix, name, aliases);
    return { key, alias };
  }

  /** Finds the key, asks whether the caller may do `action` with it, and whether its state allows it: in AWS's order. */
  use(
    caller: Caller,
    action: string,
    keyId: string,
    options: {
      aliases?: boolean;
      state: StateRule;
      conditions?: Conditions;
      encryptionContext?: EncryptionContext;
      /** The grant that is to be made: a grantee may give no more than it was given. */
      givesOn?: Pick<Grant, 'operations' | 'constraints'>;
    },
  ): Key {
    const { conditions, encryptionContext, givesOn } = options;
    const named = this.find(keyId, options.aliases ?? false);
    this.authorize(caller, action, named, conditions, encryptionContext, givesOn);
    checkState(named.key, options.state, this.nowMs());
    return named.key;
  }

  /** @throws AccessDenied unless the key's policy, with the caller's own, or a grant allows the action. */
  authorize(
    caller: Caller,
    action: string,
    { key, alias }: NamedKey,
    conditions: Conditions = {},
    encryptionContext?: EncryptionContext,
    givesOn?: Pick<Grant, 'operations' | 'constraints'>,
  ): void {
    const context: Record<string, string | readonly string[]> = {
      ...this.#conditionsOf(key),
      ...this.#callerConditions(caller),
      ...conditions,
    };
    if (alias !== undefined) context['kms:RequestAlias'] = alias;
    if (encryptionContext !== undefined) {
      const names = Object.keys(encryptionContext);
      if (names.length > 0) context['kms:EncryptionContextKeys'] = names;
      for (const name of names) context[`kms:EncryptionContext:${name}`] = encryptionContext[name] ?? '';
    }
    try {
      this.#authorizer.authorize({
        principal: caller.principal,
        action: `kms:${action}`,
        resource: key.arn,
        resourcePolicy: this.#policyOf(key),
        resourcePolicyRequired: true,
        context,
      });
    } catch (error) {
      const denied = error instanceof AccessDenied && !error.message.includes('explicit deny');
      if (!denied || !key.grants.some(grant => grants(grant, caller, action, encryptionContext, givesOn))) throw error;
    }
  }

  /** For what no key's policy speaks of: CreateKey, ListKeys, aliases by their own ARN. */
  authorizeAccount(caller: Caller, action: string, conditions: Conditions = {}, resource = '*'): void {
    this.#authorizer.authorize({
      principal: caller.principal,
      action: `kms:${action}`,
      resource,
      context: { ...this.#callerConditions(caller), ...conditions },
    });
  }

  /** Keeps a change to a key. */
  save(key: Key): void {
    this.#conditionsOfKey.delete(key);
    this.store.saveKey(key);
  }

  /** Keeps a change to the aliases of a key. */
  saveAliases(...keys: readonly Key[]): void {
    for (const key of keys) this.#conditionsOfKey.delete(key);
    this.store.saveAliases();
  }

  /** Destroys the key when its waiting period ends, unless it is cancelled before. */
  scheduleDestruction(key: Key): void {
    if (key.deletionAtMs !== undefined) {
      this.#clock.at(new Date(key.deletionAtMs), () => this.#destroyIfDue(key));
    }
  }

  #destroyIfDue(key: Key): boolean {
    if (key.deletionAtMs === undefined || key.deletionAtMs > this.nowMs()) return false;
    if (this.store.keys.has(key.id)) this.store.destroyKey(key);
    return true;
  }

  #callerConditions({ principal, viaService, secure }: Caller): Record<string, string> {
    const context: Record<string, string> = { 'kms:CallerAccount': accountOf(principal.arn) };
    if (secure === false) context['aws:SecureTransport'] = 'false';
    if (viaService !== undefined) {
      context['kms:ViaService'] = viaService;
      context['aws:ViaAWSService'] = 'true';
    }
    return context;
  }

  #conditionsOf(key: Key): Conditions {
    let conditions = this.#conditionsOfKey.get(key);
    if (conditions === undefined) {
      const aliases = this.store.aliasesOf(key);
      conditions = {
        'kms:KeySpec': key.spec,
        'kms:KeyUsage': key.usage,
        'kms:KeyOrigin': 'AWS_KMS',
        'kms:MultiRegion': 'false',
        ...(aliases.length > 0 ? { 'kms:ResourceAliases': aliases } : {}),
        ...Object.fromEntries([...key.tags].map(([name, value]) => [`aws:ResourceTag/${name}`, value])),
      };
      this.#conditionsOfKey.set(key, conditions);
    }
    return conditions;
  }

  // The same object for the same text, so that the authorizer reads a policy once.
  #policyOf(key: Key): unknown {
    let policy = this.#policies.get(key);
    if (policy?.text !== key.policy) {
      policy = { text: key.policy, document: JSON.parse(key.policy) };
      this.#policies.set(key, policy);
    }
    return policy?.document;
  }
}

// Constraints are for what has an encryption context: "DescribeKey", "RetireGrant" and the like they do not bind. Who may
// make grants by a grant makes none that allows more: its operations, under constraints as strict or stricter.
// https://docs.aws.amazon.com/kms/latest/developerguide/create-grant-overview.html
function grants(
  { granteePrincipal, operations, constraints }: Grant,
  caller: Caller,
  action: string,
  context: EncryptionContext = {},
  givesOn?: Pick<Grant, 'operations' | 'constraints'>,
): boolean {
  if (granteePrincipal !== caller.principal.arn || !operations.includes(action)) return false;
  if (givesOn !== undefined) {
    return (
      givesOn.operations.every(given => operations.includes(given)) && isAsStrict(givesOn.constraints, constraints)
    );
  }
  const { EncryptionContextEquals: equals, EncryptionContextSubset: subset } = constraints;
  if (!ENCRYPTION_OPERATIONS.some(operation => operation === action)) return true;
  return (
    (subset === undefined || contains(context, subset)) &&
    (equals === undefined || (contains(context, equals) && Object.keys(context).length === Object.keys(equals).length))
  );
}

/** What keys for encryption alone do. It takes an encryption context. */
export const ENCRYPTION_OPERATIONS = [
  'Decrypt',
  'Encrypt',
  'GenerateDataKey',
  'GenerateDataKeyWithoutPlaintext',
  'ReEncryptFrom',
  'ReEncryptTo',
] as const;

function isAsStrict(given: Grant['constraints'], own: Grant['constraints']): boolean {
  const { EncryptionContextEquals: equals, EncryptionContextSubset: subset } = own;
  if (equals !== undefined) return isDeepStrictEqual(given.EncryptionContextEquals, equals);
  if (subset === undefined) return true;
  return contains(given.EncryptionContextSubset ?? given.EncryptionContextEquals ?? {}, subset);
}

const contains = (context: EncryptionContext, expected: EncryptionContext) =>
  Object.entries(expected).every(([name, value]) => Object.hasOwn(context, name) && context[name] === value);

function notFound(arnPrefix: string, name: string, aliases: boolean): KeyOperationError {
  if (name.startsWith('alias/')) {
    const message = aliases ? `Alias ${arnPrefix}${name} is not found.` : `Invalid keyId '${name}'`;
    return new KeyOperationError('NotFoundException', message);
  }
  const arn = name.startsWith('arn:') ? name : `${arnPrefix}key/${name}`;
  return new KeyOperationError('NotFoundException', `Key '${arn}' does not exist`);
}
