import type pg from 'pg';
import {
  AccessDenied,
  type AwsRequest,
  type AwsResponse,
  NotImplementedLocally,
  type Principal,
  type Service,
} from '../service.ts';
import { QUOTAS } from './account.ts';
import { type LocalRdsOptions, RdsCore } from './core.ts';
import { createInstance, deleteInstance, describeInstances, modifyInstance, restoreInstance } from './instances.ts';
import {
  createParameterGroup,
  deleteParameterGroup,
  describeParameterGroups,
  describeParameters,
  modifyParameterGroup,
} from './parameter-groups.ts';
import { type Answer, answerXml, faultXml, Parameters, RdsFault } from './query-protocol.ts';
import {
  copySnapshot,
  createSnapshot,
  deleteSnapshot,
  describeSnapshotAttributes,
  describeSnapshots,
  modifySnapshotAttribute,
} from './snapshots.ts';
import { addTags, listTags, removeTags } from './tags.ts';

type Operation = (core: RdsCore, parameters: Parameters, principal: Principal) => Answer | Promise<Answer>;

const OPERATIONS: Readonly<Record<string, Operation>> = {
  AddTagsToResource: addTags,
  CopyDBSnapshot: copySnapshot,
  CreateDBInstance: createInstance,
  CreateDBParameterGroup: createParameterGroup,
  CreateDBSnapshot: createSnapshot,
  DeleteDBInstance: deleteInstance,
  DeleteDBParameterGroup: deleteParameterGroup,
  DeleteDBSnapshot: deleteSnapshot,
  DescribeAccountAttributes: describeAccountAttributes,
  DescribeDBInstances: describeInstances,
  DescribeDBParameterGroups: describeParameterGroups,
  DescribeDBParameters: describeParameters,
  DescribeDBSnapshotAttributes: describeSnapshotAttributes,
  DescribeDBSnapshots: describeSnapshots,
  ListTagsForResource: listTags,
  ModifyDBInstance: modifyInstance,
  ModifyDBParameterGroup: modifyParameterGroup,
  ModifyDBSnapshotAttribute: modifySnapshotAttribute,
  RemoveTagsFromResource: removeTags,
  RestoreDBInstanceFromDBSnapshot: restoreInstance,
};

/**
 * RDS for PostgreSQL, locally. Instances are real PostgreSQL servers behind endpoints with TLS and IAM authentication,
 * snapshots are real hot backups, encrypted under data keys of the local KMS. States pass by the local clock. It keeps its
 * state below `directory`: a later process opens it again. It never ends by itself: `close` it.
 */
export class LocalRds implements Service {
  /** The certificate (PEM) that the endpoints' certificates are under; written by `open`. */
  readonly caFile: string;
  readonly #core: RdsCore;
  #opened: Promise<void> | undefined;

  constructor(options: LocalRdsOptions) {
    this.#core = new RdsCore(options);
    this.caFile = this.#core.caFile;
  }

  /** Starts the instances that an earlier process left. The first request does it too. */
  open(): Promise<void> {
    this.#opened ??= this.#core.open();
    return this.#opened;
  }

  /** Waits for what is under way, and stops every server. */
  async close(): Promise<void> {
    if (this.#opened === undefined) return;
    await this.#opened;
    await this.#core.close();
  }

  /** Resolves when no copying or starting is under way in the background. States may still have to pass by the clock. */
  settle(): Promise<void> {
    return this.#core.settle();
  }

  /** A connection to an instance's server as its superuser, past its endpoint: what only the local cloud can do. */
  async connect(instanceId: string, database?: string): Promise<pg.Client> {
    await this.open();
    return this.#core.serverOf(this.#core.instance(instanceId)).connect(database);
  }

  async handle(request: AwsRequest): Promise<AwsResponse> {
    try {
      const parameters = new Parameters(new URLSearchParams(await readForm(request)));
      const operation = Object.hasOwn(OPERATIONS, parameters.action) ? OPERATIONS[parameters.action] : undefined;
      if (operation === undefined) throw new NotImplementedLocally(`rds:${parameters.action}`);
      await this.open();
      this.#core.sweep();
      return answerXml(parameters.action, await operation(this.#core, parameters, request.principal));
    } catch (error) {
      if (error instanceof RdsFault) return faultXml(error);
      if (error instanceof AccessDenied) return faultXml({ code: 'AccessDenied', message: error.message, status: 403 });
      if (error instanceof NotImplementedLocally) {
        return faultXml({ code: 'NotImplementedLocally', message: error.message, status: 400 });
      }
      throw error;
    }
  }
}

async function readForm({ body }: AwsRequest): Promise<string> {
  if (body === undefined) return '';
  if (body instanceof Uint8Array) return Buffer.from(body).toString('utf8');
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks).toString('utf8');
}

/** https://docs.aws.amazon.com/AmazonRDS/latest/APIReference/API_DescribeAccountAttributes.html */
function describeAccountAttributes(core: RdsCore, parameters: Parameters, principal: Principal): Answer {
  parameters.refuseUnread();
  core.authorize(principal, 'rds:DescribeAccountAttributes', '*');
  const manual = core.state.snapshots.filter(({ type }) => type === 'manual').length;
  return {
    AccountQuotas: [
      { AccountQuotaName: 'DBInstances', Used: core.state.instances.length, Max: QUOTAS.instances },
      { AccountQuotaName: 'ManualSnapshots', Used: manual, Max: QUOTAS.manualSnapshots },
    ],
  };
}
