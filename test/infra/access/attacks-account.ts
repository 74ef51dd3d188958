import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GetKeyPolicyCommand, KMSClient } from '@aws-sdk/client-kms';
import {
  GetObjectCommand,
  NoSuchKey,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
} from '@aws-sdk/client-s3';
import type { Deployment } from '../../../functions/contracts/configuration.ts';
import { LedgerEntry } from '../../../functions/contracts/ledger.ts';
import { TRAIL_LOG_GROUP } from '../../../functions/contracts/tampering.ts';
import { ledgerEntryKey } from '../../../functions/contracts/vault-layout.ts';
import { roleArn, STEPS, type Step, stepName, WORKFLOWS, workflowName } from '../../../infra/access/role-names.ts';
import { createApp } from '../../../infra/app.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { LocalClock } from '../../../infra/local/clock.ts';
import { LocalCloud } from '../../../infra/local/cloud.ts';
import { deployAssembly } from '../../../infra/local/cloudformation/deploy.ts';
import type { Principal } from '../../../infra/local/service.ts';
import { busEvent } from '../../../infra/local/trail/service.ts';

export const { account } = exampleConfiguration;
const role = (name: string): Principal => ({ kind: 'role', arn: roleArn(account, name) });
export const step = (name: Step): Principal => role(stepName(name));
export const EVERYTHING = { Version: '2012-10-17', Statement: [{ Effect: 'Allow', Action: '*', Resource: '*' }] };

/** Daybreak's roles as they are deployed. */
export const ROLES = [...STEPS.map(stepName), ...WORKFLOWS.map(workflowName), 'daybreak-scheduler'].map(role);
/** Somebody with AdministratorAccess. */
export const administrator = role('administrator');
/** A role of Daybreak that somebody has attached AdministratorAccess to, and taken the guardrails from. */
export const widened = role('daybreak-backup-widened');
/** The same with a role of a capability that has nothing to do with data. */
export const stranger = role('daybreak-workflows-widened');
/** The same with the role of a step that is still to come. */
export const comingRole = (name: string): Principal => role(`daybreak-${name}`);
/** Somebody whom the configuration lets read what lies under the vault key, with AdministratorAccess beside. */
export const operator = role('operator');

// Who refuses, in the words of AccessDenied.
export const NOT_ALLOWED = 'no identity policy allows';
export const IDENTITY_DENIES = 'an identity policy denies';
export const RESOURCE_SILENT = 'no resource policy allows';
export const RESOURCE_DENIES = 'a resource policy denies';
export const ENDPOINT_SILENT = 'no endpoint policy allows';
export const LOCKED = 'Object Lock';
export const ALLOWED = 'allowed';

export type Bucket = 'vault' | 'evidence' | 'work' | 'register';

/** An account in memory with Daybreak deployed as the example configuration says, and what an attack on it needs. */
export class AttackedAccount {
  readonly cloud: LocalCloud;
  readonly deployment: Deployment;
  readonly #clients = new Map<string, { s3: S3Client; kms: KMSClient }>();

  private constructor(cloud: LocalCloud, deployment: Deployment) {
    this.cloud = cloud;
    this.deployment = deployment;
  }

  /** @param stateDirectory keeps it on the disk: then it is served over HTTPS as well (`cloud.listen`). */
  static async create(stateDirectory?: string): Promise<AttackedAccount> {
    const directory = mkdtempSync(join(tmpdir(), 'daybreak-attacks-'));
    try {
      const configuration = { ...exampleConfiguration, operatorRoleArns: [operator.arn] };
      createApp(configuration, { outdir: directory, bundle: false, check: false }).synth();
      const clock = new LocalClock({ startsAt: new Date('2026-11-22T02:00:00Z'), flow: 'manual' });
      const cloud = new LocalCloud({ clock, ...(stateDirectory !== undefined && { directory: stateDirectory }) });
      await deployAssembly(cloud, directory);
      for (const { arn } of [administrator, widened, stranger, operator])
        cloud.iam.putRole({ arn, policies: [EVERYTHING] });
      const { DAYBREAK_DEPLOYMENT = '' } = cloud.lambda.environmentOf('daybreak-backup-plan');
      return new AttackedAccount(cloud, JSON.parse(DAYBREAK_DEPLOYMENT));
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  /** The key that the deployed function creates for a tenant. */
  async createTenantKey(tenant: string): Promise<string> {
    const ensure = async (recordedKeyArn: string | null) => {
      const event = { tenant, recordedKeyArn };
      const outcome = await this.cloud.lambda.invoke('daybreak-tenants-ensure-key', event, this.cloud.root);
      if ('functionError' in outcome) throw new Error(outcome.functionError.errorMessage);
      return (outcome.payload as { keyArn: string }).keyArn;
    };
    return ensure(await ensure(null));
  }

  bucketName(bucket: Bucket): string {
    return this.deployment[`${bucket}Bucket`];
  }

  arnOf(bucket: Bucket, key?: string): string {
    return `arn:aws:s3:::${this.bucketName(bucket)}${key === undefined ? '' : `/${key}`}`;
  }

  s3(principal: Principal): S3Client {
    return this.#clientsOf(principal).s3;
  }

  kms(principal: Principal): KMSClient {
    return this.#clientsOf(principal).kms;
  }

  #clientsOf(principal: Principal) {
    const configuration = this.cloud.clientConfiguration(principal);
    const place = `${principal.arn} ${principal.insideVpc === true}`;
    const clients = this.#clients.get(place) ?? {
      s3: new S3Client(configuration),
      kms: new KMSClient(configuration),
    };
    this.#clients.set(place, clients);
    return clients;
  }

  put(principal: Principal, bucket: Bucket, Key: string, more: Partial<PutObjectCommandInput> = {}) {
    return this.s3(principal).send(new PutObjectCommand({ Bucket: this.bucketName(bucket), Key, Body: 'x', ...more }));
  }

  async versionOf(bucket: Bucket, Key: string) {
    const named = { Bucket: this.bucketName(bucket), Key };
    const { VersionId } = await this.s3(this.cloud.root).send(new GetObjectCommand(named));
    return { ...named, VersionId };
  }

  /** Who refuses what the local services do not carry out, judged by the deployed policies. */
  async judge(principal: Principal, action: string, resource: string, context = {}): Promise<string> {
    const { iam } = this.cloud;
    const request = { principal, action, resource, context };
    const [, , service, , , name = ''] = resource.split(/[:/]/);
    if (service === 's3') {
      const resourcePolicy = this.cloud.s3.core.store.buckets.get(name)?.policy;
      return attempt(() => iam.authorize({ ...request, resourcePolicy }));
    }
    if (service !== 'kms') return attempt(() => iam.authorize(request));
    const { Policy = '' } = await this.kms(this.cloud.root).send(new GetKeyPolicyCommand({ KeyId: resource }));
    const resourcePolicy: unknown = JSON.parse(Policy);
    return attempt(() => iam.authorize({ ...request, resourcePolicy, resourcePolicyRequired: true }));
  }

  /** What the rules notice while somebody acts: `objects`, `objects (refused)`. Each is recorded before this returns. */
  async noticed(act: () => unknown): Promise<string[]> {
    const { trail, events, logs, invocations } = this.cloud;
    const names = new Set<string>();
    const stop = trail.onRecord(record => {
      const inRegion = record.awsRegion === 'eu-west-2' ? events.rulesFor(busEvent(record)) : [];
      for (const name of [...inRegion, ...logs.filtersFor(TRAIL_LOG_GROUP, record)]) names.add(name);
    });
    await act();
    await invocations.settle();
    stop();
    return [...names].map(name =>
      name.replace(/^daybreak-tamper-(.+?)(?:-(refused|upgrade))?$/, '$1 ($2)').replace(' ()', ''),
    );
  }

  /** What a principal does with a service that the local cloud does not have, as CloudTrail would record it. */
  does(principal: Principal, deed: Omit<Parameters<LocalCloud['trail']['record']>[0], 'principal'>) {
    return this.cloud.trail.record({ principal, ...deed });
  }

  /** The entries of the ledger. */
  async ledger(): Promise<LedgerEntry[]> {
    const entries: LedgerEntry[] = [];
    for (let sequence = 1; ; sequence++) {
      const Key = ledgerEntryKey(sequence);
      try {
        const command = new GetObjectCommand({ Bucket: this.bucketName('evidence'), Key });
        const { Body } = await this.s3(this.cloud.root).send(command);
        entries.push(LedgerEntry.parse(JSON.parse((await Body?.transformToString()) ?? '')));
      } catch (error) {
        if (error instanceof NoSuchKey) return entries;
        throw error;
      }
    }
  }

  /** The tamper alarms that sound, without the pulse's. */
  sounding(): string[] {
    return this.cloud.alarms
      .list()
      .flatMap(({ name, state }) => (/^daybreak-tamper(?!-watch)/.test(name) && state === 'ALARM' ? [name] : []))
      .map(name => name.replace('daybreak-', ''));
  }

  /** The names of Daybreak's roles that are allowed something. */
  async whoMay(action: string, resource: string, context = {}): Promise<string[]> {
    const answers = await Promise.all(ROLES.map(principal => this.judge(principal, action, resource, context)));
    return ROLES.filter((_, index) => answers[index] === ALLOWED).map(({ arn }) => arn.replace(/^.*\/daybreak-/, ''));
  }
}

/** Who refuses an act; or that it is allowed. @throws what is no refusal. */
export async function attempt(act: () => unknown): Promise<string> {
  try {
    await act();
    return ALLOWED;
  } catch (error) {
    const { name, message } = error as Error;
    if (!name.startsWith('AccessDenied')) throw error;
    if (message.includes('object protected by object lock')) return LOCKED;
    if (message.endsWith('explicit deny in an identity-based policy')) return IDENTITY_DENIES;
    if (message.endsWith('explicit deny in a resource-based policy')) return RESOURCE_DENIES;
    if (/because no identity-based policy allows/.test(message)) return NOT_ALLOWED;
    if (/because no VPC endpoint policy allows/.test(message)) return ENDPOINT_SILENT;
    if (/because no resource-based policy allows/.test(message)) return RESOURCE_SILENT;
    throw error;
  }
}

/** Every answer that Daybreak's roles get, each once. */
export async function ofAllRoles(ask: (principal: Principal) => Promise<string>): Promise<string[]> {
  return [...new Set(await Promise.all(ROLES.map(ask)))].sort();
}
