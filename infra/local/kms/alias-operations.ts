import { z } from 'zod';
import { KeyOperationError } from '../service.ts';
import type { KeyAccess } from './access.ts';
import { checkState, type Key } from './key.ts';
import type { Alias } from './key-store.ts';
import { AliasName, KeyId, Limit, Marker, type Operation, operation, pageOf } from './parameters.ts';

const MAX_ALIASES_PER_KEY = 50;

/** CreateAlias, UpdateAlias, DeleteAlias and ListAliases. */
export function aliasOperations(access: KeyAccess): Record<string, Operation> {
  const findAlias = (name: string): { alias: Alias; key: Key } => {
    const alias = access.store.aliases.get(name);
    const key = alias === undefined ? undefined : access.store.keys.get(alias.keyId);
    if (alias === undefined || key === undefined) {
      throw new KeyOperationError('NotFoundException', `Alias ${access.arnPrefix}${name} is not found.`);
    }
    return { alias, key };
  };

  return {
    CreateAlias: operation(
      'CreateAlias',
      z.strictObject({ AliasName, TargetKeyId: KeyId }),
      ({ AliasName: name, TargetKeyId }, caller) => {
        access.authorizeAccount(caller, 'CreateAlias', {}, access.arnPrefix + name);
        const named = access.find(TargetKeyId, false);
        access.authorize(caller, 'CreateAlias', named);
        checkState(named.key, 'not-pending', access.nowMs());
        createAlias(access, name, named.key);
        return {};
      },
    ),
    UpdateAlias: operation(
      'UpdateAlias',
      z.strictObject({ AliasName, TargetKeyId: KeyId }),
      ({ AliasName: name, TargetKeyId }, caller) => {
        access.authorizeAccount(caller, 'UpdateAlias', {}, access.arnPrefix + name);
        const { alias, key: previous } = findAlias(name);
        access.authorize(caller, 'UpdateAlias', { key: previous, alias: undefined });
        const { key } = access.find(TargetKeyId, false);
        access.authorize(caller, 'UpdateAlias', { key, alias: undefined });
        checkState(key, 'not-pending', access.nowMs());
        if (key.spec !== previous.spec) {
          throw new KeyOperationError(
            'ValidationException',
            `${name} stands for a key of another type than ${key.arn}`,
          );
        }
        if (key !== previous) checkAliasCount(access, key);
        alias.keyId = key.id;
        alias.updatedAtMs = access.nowMs();
        access.saveAliases(previous, key);
        return {};
      },
    ),
    DeleteAlias: operation('DeleteAlias', z.strictObject({ AliasName }), ({ AliasName: name }, caller) => {
      access.authorizeAccount(caller, 'DeleteAlias', {}, access.arnPrefix + name);
      const { key } = findAlias(name);
      access.authorize(caller, 'DeleteAlias', { key, alias: undefined });
      access.store.aliases.delete(name);
      access.saveAliases(key);
      return {};
    }),
    ListAliases: operation(
      'ListAliases',
      z.strictObject({ KeyId: KeyId.optional(), Limit: Limit(100), Marker }),
      ({ KeyId: keyId, ...paging }, caller) => {
        access.authorizeAccount(caller, 'ListAliases');
        const only = keyId === undefined ? undefined : access.find(keyId, false).key.id;
        const all = [...access.store.aliases.values()].filter(alias => only === undefined || alias.keyId === only);
        const { page, ...more } = pageOf(all, paging, 50);
        const Aliases = page.map(alias => ({
          AliasName: alias.name,
          AliasArn: access.arnPrefix + alias.name,
          TargetKeyId: alias.keyId,
          CreationDate: alias.createdAtMs / 1000,
          LastUpdatedDate: alias.updatedAtMs / 1000,
        }));
        return { Aliases, ...more };
      },
    ),
  };
}

/** Gives a key another name. @throws KeyOperationError InvalidAliasNameException, AlreadyExistsException, LimitExceededException */
export function createAlias(access: KeyAccess, name: string, key: Key): void {
  if (!name.startsWith('alias/') || name === 'alias/') {
    throw new KeyOperationError(
      'InvalidAliasNameException',
      'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
    );
  }
  if (name.startsWith('alias/aws/')) {
    throw new KeyOperationError('InvalidAliasNameException', 'Alias must not start with the prefix "alias/aws/".');
  }
  if (access.store.aliases.has(name)) {
    throw new KeyOperationError(
      'AlreadyExistsException',
      `An alias with the name ${access.arnPrefix}${name} already exists`,
    );
  }
  checkAliasCount(access, key);
  const nowMs = access.nowMs();
  access.store.aliases.set(name, { name, keyId: key.id, createdAtMs: nowMs, updatedAtMs: nowMs });
  access.saveAliases(key);
}

function checkAliasCount(access: KeyAccess, key: Key): void {
  if (access.store.aliasesOf(key).length >= MAX_ALIASES_PER_KEY) {
    throw new KeyOperationError('LimitExceededException', `${key.arn} has ${MAX_ALIASES_PER_KEY} aliases already`);
  }
}
