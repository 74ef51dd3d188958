import { z } from 'zod';
import { KeyOperationError } from '../service.ts';
import type { KeyAccess } from './access.ts';
import { type Key, type KeySpec, metadataOf, newKey, type StateRule } from './key.ts';
import { generateMaterial } from './key-material.ts';
import { checkKeyPolicy, defaultKeyPolicy } from './key-policy.ts';
import {
  Description,
  GrantTokens,
  KeyId,
  Limit,
  Marker,
  mergeTags,
  type Operation,
  operation,
  pageOf,
  Tags,
  tagConditions,
} from './parameters.ts';

const MS_PER_DAY = 24 * 60 * 60 * 1000;
const Spec = z.enum(['SYMMETRIC_DEFAULT', 'ECC_NIST_P256', 'HMAC_256']);
const Usage = z.enum(['ENCRYPT_DECRYPT', 'SIGN_VERIFY', 'GENERATE_VERIFY_MAC']);
const USAGE_OF: Readonly<Record<KeySpec, Key['usage']>> = {
  SYMMETRIC_DEFAULT: 'ENCRYPT_DECRYPT',
  ECC_NIST_P256: 'SIGN_VERIFY',
  HMAC_256: 'GENERATE_VERIFY_MAC',
};
const PolicyName = z.literal('default').optional();

/** CreateKey and everything that describes or changes a key, its policy, tags, rotation and state. */
export function keyOperations(access: KeyAccess): Record<string, Operation> {
  /** An operation on one key, named by id or ARN, that needs nothing more than its own permission. */
  const onKey = <S extends z.ZodRawShape>(
    name: string,
    state: StateRule,
    shape: S,
    run: (key: Key, parameters: z.output<z.ZodObject<S>>) => object,
  ): Record<string, Operation> => ({
    [name]: operation(name, z.strictObject({ KeyId, ...shape }), (parameters, caller) =>
      run(
        access.use(caller, name, (parameters as { KeyId: string }).KeyId, { state }),
        parameters as z.output<z.ZodObject<S>>,
      ),
    ),
  });
  const saved = (key: Key, answer: object = {}): object => {
    access.save(key);
    return answer;
  };

  return {
    CreateKey: operation(
      'CreateKey',
      z.strictObject({
        Policy: z.string().optional(),
        Description: Description.default(''),
        KeyUsage: Usage.optional(),
        CustomerMasterKeySpec: Spec.optional(),
        KeySpec: Spec.optional(),
        Origin: z.literal('AWS_KMS').optional(),
        BypassPolicyLockoutSafetyCheck: z.boolean().default(false),
        Tags: Tags.default([]),
        MultiRegion: z.literal(false).optional(),
      }),
      (parameters, caller) => {
        const { Policy = defaultKeyPolicy(access.accountId), Tags: tags, KeySpec, CustomerMasterKeySpec } = parameters;
        const bypassLockoutCheck = parameters.BypassPolicyLockoutSafetyCheck;
        const spec = KeySpec ?? CustomerMasterKeySpec ?? 'SYMMETRIC_DEFAULT';
        const usage = usageFor(spec, parameters.KeyUsage);
        const merged = mergeTags(new Map(), tags);
        const conditions = {
          'kms:KeySpec': spec,
          'kms:KeyUsage': usage,
          'kms:KeyOrigin': 'AWS_KMS',
          'kms:MultiRegion': 'false',
          'kms:BypassPolicyLockoutSafetyCheck': String(bypassLockoutCheck),
          ...tagConditions(tags),
        };
        access.authorizeAccount(caller, 'CreateKey', conditions);
        if (tags.length > 0) access.authorizeAccount(caller, 'TagResource', conditions, `${access.arnPrefix}key/*`);
        checkKeyPolicy(Policy, caller.principal, { bypassLockoutCheck });
        const key = createKey(access, {
          spec,
          usage,
          description: parameters.Description,
          policy: Policy,
          tags: merged,
        });
        return { KeyMetadata: metadataOf(key, access.accountId) };
      },
    ),
    DescribeKey: operation('DescribeKey', z.strictObject({ KeyId, GrantTokens }), (parameters, caller) => {
      const key = access.use(caller, 'DescribeKey', parameters.KeyId, { aliases: true, state: 'any' });
      return { KeyMetadata: metadataOf(key, access.accountId) };
    }),
    ListKeys: operation('ListKeys', z.strictObject({ Limit: Limit(1000), Marker }), (parameters, caller) => {
      access.authorizeAccount(caller, 'ListKeys');
      const { page, ...more } = pageOf([...access.store.keys.values()], parameters, 100);
      return { Keys: page.map(({ id, arn }) => ({ KeyId: id, KeyArn: arn })), ...more };
    }),
    ...onKey('UpdateKeyDescription', 'not-pending', { Description }, (key, parameters) => {
      key.description = parameters.Description;
      return saved(key);
    }),
    ...onKey('EnableKey', 'not-pending', {}, key => {
      key.state = 'Enabled';
      return saved(key);
    }),
    ...onKey('DisableKey', 'not-pending', {}, key => {
      stopUse(key, 'Disabled', access);
      return saved(key);
    }),
    ScheduleKeyDeletion: operation(
      'ScheduleKeyDeletion',
      z.strictObject({ KeyId, PendingWindowInDays: z.int().min(7).max(30).default(30) }),
      ({ KeyId: keyId, PendingWindowInDays: days }, caller) => {
        const conditions = { 'kms:ScheduleKeyDeletionPendingWindowInDays': String(days) };
        const key = access.use(caller, 'ScheduleKeyDeletion', keyId, { state: 'not-pending', conditions });
        stopUse(key, 'PendingDeletion', access);
        key.deletionAtMs = access.nowMs() + days * MS_PER_DAY;
        access.scheduleDestruction(key);
        return saved(key, {
          KeyId: key.arn,
          DeletionDate: key.deletionAtMs / 1000,
          KeyState: key.state,
          PendingWindowInDays: days,
        });
      },
    ),
    ...onKey('CancelKeyDeletion', 'any', {}, key => {
      if (key.state !== 'PendingDeletion') {
        throw new KeyOperationError('KMSInvalidStateException', `${key.arn} is not pending deletion.`);
      }
      key.state = 'Disabled';
      key.deletionAtMs = undefined;
      return saved(key, { KeyId: key.arn });
    }),
    ...onKey('GetKeyPolicy', 'any', { PolicyName }, key => ({ Policy: key.policy, PolicyName: 'default' })),
    ...onKey('ListKeyPolicies', 'any', { Limit: Limit(1000), Marker }, () => ({
      PolicyNames: ['default'],
      Truncated: false,
    })),
    PutKeyPolicy: operation(
      'PutKeyPolicy',
      z.strictObject({
        KeyId,
        PolicyName,
        Policy: z.string(),
        BypassPolicyLockoutSafetyCheck: z.boolean().default(false),
      }),
      ({ KeyId: keyId, Policy, BypassPolicyLockoutSafetyCheck: bypassLockoutCheck }, caller) => {
        const conditions = { 'kms:BypassPolicyLockoutSafetyCheck': String(bypassLockoutCheck) };
        const key = access.use(caller, 'PutKeyPolicy', keyId, { state: 'any', conditions });
        checkKeyPolicy(Policy, caller.principal, { bypassLockoutCheck });
        key.policy = Policy;
        return saved(key);
      },
    ),
    TagResource: operation('TagResource', z.strictObject({ KeyId, Tags }), ({ KeyId: keyId, Tags: tags }, caller) => {
      const key = access.use(caller, 'TagResource', keyId, { state: 'not-pending', conditions: tagConditions(tags) });
      key.tags = mergeTags(key.tags, tags);
      return saved(key);
    }),
    UntagResource: operation(
      'UntagResource',
      z.strictObject({ KeyId, TagKeys: z.array(z.string().min(1).max(128)) }),
      ({ KeyId: keyId, TagKeys: names }, caller) => {
        const conditions: Record<string, readonly string[]> = names.length > 0 ? { 'aws:TagKeys': names } : {};
        const key = access.use(caller, 'UntagResource', keyId, { state: 'not-pending', conditions });
        for (const name of names) key.tags.delete(name);
        return saved(key);
      },
    ),
    ...onKey('ListResourceTags', 'any', { Limit: Limit(50), Marker }, (key, parameters) => {
      const { page, ...more } = pageOf([...key.tags], parameters, 50);
      return { Tags: page.map(([TagKey, TagValue]) => ({ TagKey, TagValue })), ...more };
    }),
    ...onKey(
      'EnableKeyRotation',
      'enabled',
      { RotationPeriodInDays: z.int().min(90).max(2560).default(365) },
      (key, { RotationPeriodInDays: periodDays }) => {
        checkRotates(key);
        key.rotation = { enabledAtMs: access.nowMs(), periodDays };
        return saved(key);
      },
    ),
    ...onKey('DisableKeyRotation', 'enabled', {}, key => {
      checkRotates(key);
      key.rotation = undefined;
      return saved(key);
    }),
    ...onKey('GetKeyRotationStatus', 'any', {}, key => {
      checkRotates(key);
      const { rotation } = key;
      if (rotation === undefined || key.state === 'PendingDeletion') {
        return { KeyId: key.arn, KeyRotationEnabled: false };
      }
      const periodMs = rotation.periodDays * MS_PER_DAY;
      const past = Math.floor((access.nowMs() - rotation.enabledAtMs) / periodMs);
      return {
        KeyId: key.arn,
        KeyRotationEnabled: true,
        RotationPeriodInDays: rotation.periodDays,
        NextRotationDate: (rotation.enabledAtMs + (past + 1) * periodMs) / 1000,
      };
    }),
  };
}

/** Makes a key and keeps it. */
export function createKey(
  access: KeyAccess,
  definition: Pick<Key, 'spec' | 'usage' | 'description' | 'policy' | 'tags'>,
): Key {
  const key = newKey(
    { ...definition, material: generateMaterial(definition.spec) },
    { arnPrefix: access.arnPrefix, nowMs: access.nowMs() },
  );
  access.save(key);
  return key;
}

/** The usage of a key of this spec. @throws KeyOperationError ValidationException when another was asked for. */
export function usageFor(spec: KeySpec, usage: Key['usage'] | undefined): Key['usage'] {
  const possible = USAGE_OF[spec];
  // AWS takes a missing usage for encryption, which the others cannot do.
  if ((usage ?? 'ENCRYPT_DECRYPT') !== possible) {
    throw new KeyOperationError(
      'ValidationException',
      usage === undefined
        ? 'You must specify a KeyUsage value for an asymmetric or HMAC KMS key.'
        : `KeyUsage ${usage} is not compatible with KeySpec ${spec}`,
    );
  }
  return possible;
}

/** AWS takes a while to refuse what it has just been told to refuse. */
function stopUse(key: Key, state: 'Disabled' | 'PendingDeletion', access: KeyAccess): void {
  if (key.state === 'Enabled') key.worksUntilMs = access.nowMs() + access.propagationDelayMs;
  key.state = state;
}

function checkRotates(key: Key): void {
  if (key.spec !== 'SYMMETRIC_DEFAULT') {
    throw new KeyOperationError(
      'UnsupportedOperationException',
      `${key.arn} does not encrypt, and so does not rotate.`,
    );
  }
}
