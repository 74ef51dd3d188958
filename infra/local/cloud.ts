import { join } from 'node:path';
import type { ClientConfiguration } from '../../functions/platform/runtime.ts';
import type { LocalClock } from './clock.ts';
import { StackRegistry } from './cloudformation/stack-registry.ts';
import { CredentialStore, type IssuedCredentials } from './endpoint/credentials.ts';
import { type HttpFront, type HttpFrontOptions, startHttpFront } from './endpoint/http-front.ts';
import { localClientConfiguration, type RequestObservers, type Services } from './endpoint/request-handler.ts';
import { LocalEventBridge } from './events/service.ts';
import { LocalIam } from './iam/authorizer.ts';
import { LocalIdentity } from './iam/service.ts';
import { LocalKms } from './kms/service.ts';
import { AsynchronousInvocations } from './lambda/asynchronous.ts';
import { LocalLambda } from './lambda/service.ts';
import { LocalLogs } from './logs/service.ts';
import { LocalAlarms } from './monitoring/alarms.ts';
import { LocalMetrics } from './monitoring/metrics.ts';
import { LocalCloudWatch } from './monitoring/service.ts';
import { caFileIn, openSecureContext } from './rds/certificates.ts';
import { LocalRds } from './rds/service.ts';
import { LocalS3 } from './s3/service.ts';
import { LocalScheduler } from './scheduler/service.ts';
import { NotImplementedLocally, type Principal } from './service.ts';
import { LocalQueues } from './sqs/queues.ts';
import { LocalSqs } from './sqs/service.ts';
import { LocalStates } from './states/service.ts';
import { executionStatusEvent } from './states/status-event.ts';
import { LocalTagging } from './tagging/service.ts';
import { LocalTrail } from './trail/service.ts';

/** The account that the local cloud is, unless another is given. */
export const LOCAL_ACCOUNT = '111122223333';

export interface LocalCloudOptions extends RequestObservers {
  readonly clock: LocalClock;
  /** @default LOCAL_ACCOUNT */
  readonly accountId?: string;
  /** Where the state lies, each service in a folder of its own. @default in memory only, and then without RDS */
  readonly directory?: string;
  /** How long a key still works after it was disabled or scheduled for deletion. @default 0 */
  readonly keyPropagationDelayMs?: number;
  /** Told when work of RDS in the background fails. */
  readonly onWorkFailed?: (what: string, error: unknown) => void;
}

/**
 * One AWS account with one Region, in this process: IAM, KMS, S3, RDS, Lambda, Step Functions, EventBridge and its
 * Scheduler, CloudTrail, CloudWatch's metrics, alarms and filters on logs over one clock. SDK clients reach it with `clientConfiguration`, everybody else with `listen`.
 */
export class LocalCloud {
  readonly clock: LocalClock;
  readonly accountId: string;
  /** The account itself: may do everything that resource policies do not deny. */
  readonly root: Principal;
  readonly iam: LocalIam;
  readonly kms: LocalKms;
  readonly s3: LocalS3;
  readonly lambda: LocalLambda;
  readonly states: LocalStates;
  readonly scheduler: LocalScheduler;
  readonly metrics: LocalMetrics;
  readonly alarms: LocalAlarms;
  /** What CloudFormation knows. */
  readonly stacks = new StackRegistry();
  readonly queues: LocalQueues;
  /** What AWS services invoke: rules and filters hand events to functions. */
  readonly invocations: AsynchronousInvocations;
  readonly events: LocalEventBridge;
  readonly logs: LocalLogs;
  readonly trail: LocalTrail;
  readonly #rds: LocalRds | undefined;
  readonly #tlsDirectory: string | undefined;
  readonly #services: Services;
  readonly #observers: RequestObservers;
  readonly #credentials = new CredentialStore();
  readonly #configurations = new Map<string, ClientConfiguration>();
  readonly #fronts = new Set<HttpFront>();
  #closed: Promise<void> | undefined;

  constructor({ clock, directory, ...options }: LocalCloudOptions) {
    const accountId = options.accountId ?? LOCAL_ACCOUNT;
    const within = (name: string): { directory?: string } =>
      directory === undefined ? {} : { directory: join(directory, name) };
    this.clock = clock;
    this.#tlsDirectory = within('tls').directory;
    this.accountId = accountId;
    this.root = { kind: 'root', arn: `arn:aws:iam::${accountId}:root` };
    this.#observers = options.onRequest === undefined ? {} : { onRequest: options.onRequest };
    this.iam = new LocalIam({ clock });
    const shared = { clock, authorizer: this.iam, accountId };
    const delay = options.keyPropagationDelayMs;
    this.kms = new LocalKms({
      ...shared,
      ...within('kms'),
      ...(delay === undefined ? {} : { propagationDelayMs: delay }),
    });
    this.s3 = new LocalS3({ ...shared, keys: this.kms, ...within('s3') });
    if (directory !== undefined) {
      this.#rds = new LocalRds({
        ...shared,
        keys: this.kms,
        directory: join(directory, 'rds'),
        resolveCredentials: accessKeyId => this.#credentials.find(accessKeyId),
        ...(options.onWorkFailed === undefined ? {} : { onWorkFailed: options.onWorkFailed }),
      });
    }
    this.metrics = new LocalMetrics({ clock });
    this.alarms = new LocalAlarms({ clock, metrics: this.metrics, accountId });
    const clientConfiguration = (principal: Principal) => this.clientConfiguration(principal);
    this.lambda = new LocalLambda({
      ...shared,
      clientConfiguration,
      metrics: this.metrics,
      runtimeEnvironment: this.#rds === undefined ? {} : { DAYBREAK_DATABASE_CA_FILE: this.#rds.caFile },
    });
    this.queues = new LocalQueues({ clock, metrics: this.metrics });
    this.invocations = new AsynchronousInvocations({
      clock,
      queues: this.queues,
      invoke: (name, event) => this.lambda.invokeFromQueue(name, event),
    });
    const watching = { ...shared, metrics: this.metrics, invocations: this.invocations, queues: this.queues };
    this.events = new LocalEventBridge(watching);
    this.logs = new LocalLogs(watching);
    this.lambda.onLine((_name, line, logGroup) => this.logs.keep(logGroup, line));
    this.trail = new LocalTrail({ ...shared, events: this.events, logs: this.logs });
    this.kms.onServiceGrant = ({ principal, viaService, keyArn }) =>
      this.trail.record({
        principal,
        eventSource: 'kms.amazonaws.com',
        eventName: 'CreateGrant',
        requestParameters: { keyId: keyArn, granteePrincipal: viaService },
        resources: [{ accountId, type: 'AWS::KMS::Key', ARN: keyArn }],
        invokedBy: viaService.replace(/\.[a-z]{2}-[a-z]+-\d\./, '.'),
      });
    this.states = new LocalStates({ ...shared, clientConfiguration, lambda: this.lambda });
    this.states.onEvent(({ kind, executionArn, time }) => {
      if (kind !== 'execution-started' && kind !== 'execution-ended') return;
      const event = executionStatusEvent(this.states.describeExecution(executionArn), time);
      if (event !== undefined) this.events.putEvent(event);
    });
    this.scheduler = new LocalScheduler({ ...shared, lambda: this.lambda, states: this.states });
    const identity = new LocalIdentity({ iam: this.iam, accountId });
    const services: Services = {
      kms: this.kms,
      s3: this.s3,
      lambda: this.lambda,
      states: this.states,
      scheduler: this.scheduler,
      events: this.events,
      cloudtrail: this.trail,
      monitoring: new LocalCloudWatch({ alarms: this.alarms, authorizer: this.iam }),
      logs: this.logs,
      iam: identity,
      sts: identity,
      sqs: new LocalSqs({ ...shared, queues: this.queues }),
      tagging: new LocalTagging({ ...shared, kms: this.kms }),
      ...(this.#rds === undefined ? {} : { rds: this.#rds }),
    };
    this.#services = Object.fromEntries(
      Object.entries(services).map(([name, service]) => [name, this.trail.watch(service)]),
    );
  }

  /** RDS, whose servers need a place on disk. @throws NotImplementedLocally for a cloud in memory. */
  get rds(): LocalRds {
    if (this.#rds === undefined) throw new NotImplementedLocally('RDS without a state directory');
    return this.#rds;
  }

  /**
   * What an SDK client that acts as `principal` is built with: always the same object for the same principal and place.
   * From inside the VPC there is a way to S3 and KMS alone.
   */
  clientConfiguration(principal: Principal): ClientConfiguration {
    const place = `${principal.arn} ${principal.insideVpc === true}`;
    let configuration = this.#configurations.get(place);
    if (configuration === undefined) {
      const credentials = this.issueCredentials(principal);
      const services = principal.insideVpc ? { s3: this.s3, kms: this.kms } : this.#services;
      configuration = { ...localClientConfiguration(services, principal, this.#observers), credentials };
      this.#configurations.set(place, configuration);
    }
    return configuration;
  }

  /** The access key with which clients outside this process act as `principal`. */
  issueCredentials(principal: Principal): IssuedCredentials {
    return this.#credentials.issue(principal);
  }

  /**
   * Serves the cloud on 127.0.0.1 until it is closed: over HTTPS where it has a directory, over HTTP otherwise or if
   * asked to. Buckets whose policies want TLS answer over HTTPS only; clients then trust `caFile` (`AWS_CA_BUNDLE`).
   */
  async listen(
    options: Pick<HttpFrontOptions, 'port' | 'onFailure'> & { plain?: boolean } = {},
  ): Promise<HttpFront & { readonly caFile: string | undefined }> {
    const { plain = false, ...more } = options;
    const directory = plain ? undefined : this.#tlsDirectory;
    const front = await startHttpFront({
      ...more,
      ...(directory === undefined ? {} : { secureContext: await openSecureContext(directory) }),
      ...this.#observers,
      services: this.#services,
      credentials: this.#credentials,
    });
    this.#fronts.add(front);
    return { ...front, caFile: directory === undefined ? undefined : caFileIn(directory) };
  }

  /** Ends the fronts, stops every database server and lets go of the state's files. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const front of this.#fronts) await front.close();
    await this.#rds?.close();
    this.alarms.close();
    this.s3.close();
  }
}
