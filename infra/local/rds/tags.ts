import type { Principal } from '../service.ts';
import type { RdsCore } from './core.ts';
import { identifierOf } from './identifiers.ts';
import { type Answer, type Parameters, RdsFault } from './query-protocol.ts';
import type { InstanceRecord, SnapshotRecord } from './records.ts';

const MOST_TAGS = 50;

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_AddTagsToResource.html */
export async function addTags(core: RdsCore, parameters: Parameters, principal: Principal): Promise<Answer> {
  const arn = parameters.requiredText('ResourceName');
  const tags = parameters.tags('Tags');
  parameters.refuseUnread();
  const resource = findResource(core, arn);
  core.authorize(principal, 'rds:AddTagsToResource', arn, { of: resource.found, requestTags: tags });
  const found = resource.orThrow();
  const merged = { ...found.tags, ...tags };
  if (Object.keys(merged).length > MOST_TAGS) {
    throw new RdsFault('InvalidParameterValue', `A resource has at most ${MOST_TAGS} tags.`);
  }
  found.tags = merged;
  await core.save();
  return {};
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_RemoveTagsFromResource.html */
export async function removeTags(core: RdsCore, parameters: Parameters, principal: Principal): Promise<Answer> {
  const arn = parameters.requiredText('ResourceName');
  const names = parameters.texts('TagKeys') ?? [];
  parameters.refuseUnread();
  const resource = findResource(core, arn);
  core.authorize(principal, 'rds:RemoveTagsFromResource', arn, { of: resource.found, tagKeys: names });
  const found = resource.orThrow();
  found.tags = Object.fromEntries(Object.entries(found.tags).filter(([name]) => !names.includes(name)));
  await core.save();
  return {};
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_ListTagsForResource.html */
export function listTags(core: RdsCore, parameters: Parameters, principal: Principal): Answer {
  const arn = parameters.requiredText('ResourceName');
  parameters.refuseUnread();
  const resource = findResource(core, arn);
  core.authorize(principal, 'rds:ListTagsForResource', arn, { of: resource.found });
  return { TagList: Object.entries(resource.orThrow().tags).map(([Key, Value]) => ({ Key, Value })) };
}

// Whether the resource is there is told only to those who may ask.
function findResource(
  core: RdsCore,
  arn: string,
): { found: InstanceRecord | SnapshotRecord | undefined; orThrow: () => InstanceRecord | SnapshotRecord } {
  const kind = /^arn:aws:rds:[^:]*:[^:]*:(db|snapshot):/.exec(arn)?.[1] as 'db' | 'snapshot' | undefined;
  if (kind === undefined)
    throw new RdsFault('InvalidParameterValue', `${arn} is not the ARN of an instance or snapshot.`);
  const id = identifierOf(kind, arn, core.accountId);
  const resources: readonly (InstanceRecord | SnapshotRecord)[] =
    kind === 'db' ? core.state.instances : core.state.snapshots;
  return {
    found: resources.find(resource => resource.id === id),
    orThrow: () => (kind === 'db' ? core.instance(id) : core.snapshot(id)),
  };
}
