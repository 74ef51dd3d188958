import { NotImplementedLocally, type Principal } from '../service.ts';
import type { RdsCore } from './core.ts';
import { arnOf, checkIdentifier } from './identifiers.ts';
import { takePage } from './paging.ts';
import { type Answer, type Parameters, RdsFault } from './query-protocol.ts';
import type { RdsState } from './records.ts';

const FAMILY = 'postgres17';
/** The group of instances that name none. Nobody can change it. */
export const DEFAULT_PARAMETER_GROUP = `default.${FAMILY}`;

/** The parameters that the local RDS knows of the hundreds that a group has, with their defaults in this family. */
const KNOWN: Readonly<Record<string, { readonly value: string; readonly allowed: string }>> = {
  'rds.force_ssl': { value: '1', allowed: '0,1' },
  ssl_min_protocol_version: { value: 'TLSv1.2', allowed: 'TLSv1,TLSv1.1,TLSv1.2,TLSv1.3' },
};

/** A parameter group that somebody made; its values are those that differ from the family's. */
export interface ParameterGroupRecord {
  readonly name: string;
  readonly description: string;
  values: Record<string, string>;
}

/** What an instance in this group is started with. @throws RdsFault DBParameterGroupNotFound */
export function parameterValues(state: RdsState, group: string): Record<string, string> {
  return {
    ...Object.fromEntries(Object.entries(KNOWN).map(([name, { value }]) => [name, value])),
    ...(group === DEFAULT_PARAMETER_GROUP ? {} : findGroup(state, group).values),
  };
}

/** @throws RdsFault DBParameterGroupNotFound */
function findGroup(state: RdsState, name: string): ParameterGroupRecord {
  const found = state.parameterGroups?.find(group => group.name === name);
  if (found !== undefined) return found;
  throw new RdsFault('DBParameterGroupNotFound', `DBParameterGroup not found: ${name}`, 404);
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_CreateDBParameterGroup.html */
export async function createParameterGroup(
  core: RdsCore,
  parameters: Parameters,
  principal: Principal,
): Promise<Answer> {
  const name = checkIdentifier('DBParameterGroupName', parameters.requiredText('DBParameterGroupName'), 255);
  const family = parameters.requiredText('DBParameterGroupFamily');
  const description = parameters.requiredText('Description');
  parameters.refuseUnread();
  const arn = arnOf('pg', name, core.accountId);
  core.authorize(principal, 'rds:CreateDBParameterGroup', arn);
  if (family !== FAMILY) throw new NotImplementedLocally(`the parameter group family ${family}`);
  core.state.parameterGroups ??= [];
  if (core.state.parameterGroups.some(group => group.name === name)) {
    throw new RdsFault('DBParameterGroupAlreadyExists', `Parameter group ${name} already exists`);
  }
  core.state.parameterGroups.push({ name, description, values: {} });
  await core.save();
  return {
    DBParameterGroup: {
      DBParameterGroupName: name,
      DBParameterGroupFamily: family,
      Description: description,
      DBParameterGroupArn: arn,
    },
  };
}

/**
 * Endpoints follow a new value at once. Within a server `SHOW` still answers what it was started with.
 * https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ModifyDBParameterGroup.html
 */
export async function modifyParameterGroup(
  core: RdsCore,
  parameters: Parameters,
  principal: Principal,
): Promise<Answer> {
  const name = parameters.requiredText('DBParameterGroupName').toLowerCase();
  const changes = parameters.records('Parameters');
  parameters.refuseUnread();
  core.authorize(principal, 'rds:ModifyDBParameterGroup', arnOf('pg', name, core.accountId));
  if (name === DEFAULT_PARAMETER_GROUP) {
    throw new RdsFault('InvalidDBParameterGroupState', 'Default DBParameterGroups cannot be modified.');
  }
  const group = findGroup(core.state, name);
  for (const { ParameterName = '', ParameterValue = '', ApplyMethod } of changes) {
    const known = Object.hasOwn(KNOWN, ParameterName) ? KNOWN[ParameterName] : undefined;
    if (known === undefined) throw new NotImplementedLocally(`the parameter ${ParameterName} of a parameter group`);
    if (ApplyMethod !== 'immediate') throw new NotImplementedLocally(`the ApplyMethod ${ApplyMethod}`);
    if (!known.allowed.split(',').includes(ParameterValue)) {
      throw new RdsFault('InvalidParameterValue', `Invalid parameter value: ${ParameterValue} for: ${ParameterName}`);
    }
  }
  for (const { ParameterName = '', ParameterValue = '' } of changes) group.values[ParameterName] = ParameterValue;
  await core.save();
  return { DBParameterGroupName: name };
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBParameters.html */
export function describeParameters(core: RdsCore, parameters: Parameters, principal: Principal): Answer {
  const name = parameters.requiredText('DBParameterGroupName').toLowerCase();
  const { page, marker } = takePage(
    Object.keys(KNOWN).map(id => ({ id })),
    parameters,
  );
  parameters.refuseUnread();
  core.authorize(principal, 'rds:DescribeDBParameters', arnOf('pg', name, core.accountId));
  const values = parameterValues(core.state, name);
  const changed = name === DEFAULT_PARAMETER_GROUP ? {} : findGroup(core.state, name).values;
  return {
    Parameters: page.map(({ id }) => ({
      ParameterName: id,
      ParameterValue: values[id],
      AllowedValues: KNOWN[id]?.allowed,
      Source: Object.hasOwn(changed, id) ? 'user' : 'system',
      ApplyType: 'dynamic',
      DataType: 'string',
      IsModifiable: true,
    })),
    Marker: marker,
  };
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeDBParameterGroups.html */
export function describeParameterGroups(core: RdsCore, parameters: Parameters, principal: Principal): Answer {
  const name = parameters.text('DBParameterGroupName')?.toLowerCase();
  core.authorize(principal, 'rds:DescribeDBParameterGroups', arnOf('pg', name ?? '*', core.accountId));
  const own = core.state.parameterGroups ?? [];
  const found = name === undefined ? own : [findGroup(core.state, name)];
  const { page, marker } = takePage(
    found.map(group => ({ id: group.name, description: group.description })),
    parameters,
  );
  parameters.refuseUnread();
  const DBParameterGroups = page.map(({ id, description }) => ({
    DBParameterGroupName: id,
    DBParameterGroupFamily: FAMILY,
    Description: description,
    DBParameterGroupArn: arnOf('pg', id, core.accountId),
  }));
  return { DBParameterGroups, Marker: marker };
}

/**
 * "The specified DBParameterGroup can't be associated with any DB instances."
 * https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DeleteDBParameterGroup.html
 */
export async function deleteParameterGroup(
  core: RdsCore,
  parameters: Parameters,
  principal: Principal,
): Promise<Answer> {
  const name = parameters.requiredText('DBParameterGroupName').toLowerCase();
  parameters.refuseUnread();
  core.authorize(principal, 'rds:DeleteDBParameterGroup', arnOf('pg', name, core.accountId));
  const group = findGroup(core.state, name);
  if (core.state.instances.some(instance => instance.parameterGroup === name)) {
    throw new RdsFault(
      'InvalidDBParameterGroupState',
      'One or more database instances are still members of this parameter group, so the group cannot be deleted',
    );
  }
  core.state.parameterGroups = (core.state.parameterGroups ?? []).filter(other => other !== group);
  await core.save();
  return {};
}
