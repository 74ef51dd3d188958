import { rm } from 'node:fs/promises';
import {
  CreateDBInstanceCommand,
  CreateDBParameterGroupCommand,
  DeleteDBParameterGroupCommand,
  DescribeDBParameterGroupsCommand,
  DescribeDBParametersCommand,
  ModifyDBParameterGroupCommand,
} from '@aws-sdk/client-rds';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ACCOUNT, makeLocalRds, type TestRds } from './local-rds.ts';

let local: TestRds;
beforeAll(async () => {
  local = await makeLocalRds();
  const group = { DBParameterGroupName: 'App', DBParameterGroupFamily: 'postgres17', Description: 'of the app' };
  await local.client.send(new CreateDBParameterGroupCommand(group));
});
afterAll(async () => {
  await local.rds.close();
  await rm(local.directory, { recursive: true });
});

async function read(DBParameterGroupName: string) {
  const { Parameters = [] } = await local.client.send(new DescribeDBParametersCommand({ DBParameterGroupName }));
  return Parameters.map(({ ParameterName, ParameterValue, Source }) => [ParameterName, ParameterValue, Source]);
}
const set = (DBParameterGroupName: string, ParameterName: string, ParameterValue: string) =>
  local.client.send(
    new ModifyDBParameterGroupCommand({
      DBParameterGroupName,
      Parameters: [{ ParameterName, ParameterValue, ApplyMethod: 'immediate' }],
    }),
  );

describe('a parameter group', () => {
  it('is listed with those that somebody made, and deleted', async () => {
    const group = { DBParameterGroupName: 'other', DBParameterGroupFamily: 'postgres17', Description: 'other' };
    await local.client.send(new CreateDBParameterGroupCommand(group));
    const names = async () => {
      const { DBParameterGroups = [] } = await local.client.send(new DescribeDBParameterGroupsCommand({}));
      return DBParameterGroups.map(({ DBParameterGroupName }) => DBParameterGroupName);
    };
    expect(await names()).toEqual(['app', 'other']);
    const remove = () => local.client.send(new DeleteDBParameterGroupCommand({ DBParameterGroupName: 'Other' }));
    await remove();
    expect(await names()).toEqual(['app']);
    await expect(remove()).rejects.toThrow('DBParameterGroup not found: other');
  });

  it('has the values of its family until somebody changes one', async () => {
    const ofFamily = [
      ['rds.force_ssl', '1', 'system'],
      ['ssl_min_protocol_version', 'TLSv1.2', 'system'],
    ];
    expect([await read('default.postgres17'), await read('app')]).toEqual([ofFamily, ofFamily]);
    await set('app', 'rds.force_ssl', '0');
    expect(await read('app')).toEqual([['rds.force_ssl', '0', 'user'], ofFamily[1]]);
    expect(await read('default.postgres17')).toEqual(ofFamily);
  });

  it('asks IAM for itself', async () => {
    local.asked.length = 0;
    await read('app');
    expect(local.asked.map(({ action, resource }) => `${action} ${resource}`)).toEqual([
      `rds:DescribeDBParameters arn:aws:rds:eu-west-2:${ACCOUNT}:pg:app`,
    ]);
  });

  it.each<[string, () => Promise<unknown>, string]>([
    ['of no such name', () => read('none'), 'DBParameterGroupNotFound'],
    ['of AWS, to be changed', () => set('default.postgres17', 'rds.force_ssl', '0'), 'InvalidDBParameterGroupState'],
    ['with a value that is none', () => set('app', 'rds.force_ssl', '2'), 'InvalidParameterValue'],
    ['with a parameter that is not known here', () => set('app', 'work_mem', '1'), 'NotImplementedLocally'],
  ])('%s is refused', async (_what, act, code) => {
    await expect(act()).rejects.toMatchObject({ name: expect.stringMatching(new RegExp(`^${code}(?:Fault)?$`)) });
  });

  it('has to be there for an instance that names it', async () => {
    const instance = {
      DBInstanceIdentifier: 'app',
      DBInstanceClass: 'db.t4g.medium',
      Engine: 'postgres',
      AllocatedStorage: 20,
      MasterUsername: 'supplier',
      MasterUserPassword: 'not-used-by-anything',
      DBParameterGroupName: 'none',
    };
    await expect(local.client.send(new CreateDBInstanceCommand(instance))).rejects.toMatchObject({
      name: 'DBParameterGroupNotFoundFault',
    });
  });
});
