import { z } from 'zod';
import type { LocalClock } from '../clock.ts';
import { answerJson, type JsonOperation } from '../endpoint/json-service.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import type { LocalEventBridge } from '../events/service.ts';
import type { LocalLogs } from '../logs/service.ts';
import { readProperties } from '../read-properties.ts';
import { type Authorizer, type AwsRequest, type AwsResponse, NotImplementedLocally, type Service } from '../service.ts';
import { lookUp } from './look-up.ts';
import { changesSomething, type Deed, deedOf, isDataEvent, type TrailRecord, trailRecord } from './record.ts';

const Texts = z.array(z.string()).min(1);
const Properties = z.strictObject({
  TrailName: z.string(),
  IsLogging: z.boolean(),
  IsMultiRegionTrail: z.literal(true),
  IncludeGlobalServiceEvents: z.literal(true),
  // What becomes of log files is not simulated: nothing is written to the bucket.
  EnableLogFileValidation: z.boolean(),
  S3BucketName: z.string(),
  KMSKeyId: z.string(),
  CloudWatchLogsLogGroupArn: z.string(),
  CloudWatchLogsRoleArn: z.string(),
  AdvancedEventSelectors: z
    .array(
      z.strictObject({
        Name: z.string().optional(),
        FieldSelectors: z.array(
          z.strictObject({ Field: z.string(), Equals: Texts.optional(), StartsWith: Texts.optional() }),
        ),
      }),
    )
    .min(1),
  Tags: z.unknown().optional(),
});
type Trail = Omit<z.output<typeof Properties>, 'IsLogging'> & { readonly arn: string; logging: boolean };
type FieldSelector = Trail['AdvancedEventSelectors'][number]['FieldSelectors'][number];

/**
 * CloudTrail with one trail: every request to the local cloud that changes something becomes a record of the documented
 * shape, refused ones too. What the trail's selectors choose goes to its log, and to EventBridge in its own Region: IAM's is
 * us-east-1. There is no delay here; AWS's is some minutes.
 * https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html
 */
export class LocalTrail implements Service {
  readonly #clock: LocalClock;
  readonly #authorizer: Authorizer;
  readonly #accountId: string;
  readonly #events: LocalEventBridge;
  readonly #logs: LocalLogs;
  readonly #operations: Readonly<Record<string, JsonOperation>>;
  readonly #listeners = new Set<(record: TrailRecord) => void>();
  readonly #history: TrailRecord[] = [];
  #trail: Trail | undefined;

  constructor(options: {
    clock: LocalClock;
    authorizer: Authorizer;
    accountId: string;
    events: LocalEventBridge;
    logs: LocalLogs;
  }) {
    this.#clock = options.clock;
    this.#authorizer = options.authorizer;
    this.#accountId = options.accountId;
    this.#events = options.events;
    this.#logs = options.logs;
    const named = (name: string, act: (trail: Trail) => object): JsonOperation => ({
      members: ['Name'],
      run: ({ Name }, principal) => {
        const resource = this.#arnOf(String(Name));
        this.#authorizer.authorize({ principal, action: `cloudtrail:${name}`, resource, context: {} });
        return this.#trail?.arn === resource
          ? act(this.#trail)
          : { error: 'TrailNotFoundException', message: `Unknown trail: ${String(Name)}` };
      },
    });
    this.#operations = {
      GetTrailStatus: named('GetTrailStatus', ({ logging }) => ({ IsLogging: logging })),
      StartLogging: named('StartLogging', trail => this.#log(trail, true)),
      StopLogging: named('StopLogging', trail => this.#log(trail, false)),
      LookupEvents: {
        members: ['LookupAttributes', 'StartTime', 'EndTime', 'MaxResults', 'NextToken'],
        run: (input, principal) => {
          this.#authorizer.authorize({ principal, action: 'cloudtrail:LookupEvents', resource: '*', context: {} });
          return lookUp(this.#history, input, this.#clock.now());
        },
      },
    };
  }

  /** Creates the trail of `AWS::CloudTrail::Trail`, or replaces it. @throws NotImplementedLocally for a property or a second trail. */
  putTrail(properties: unknown): string {
    const { IsLogging: logging, ...trail } = readProperties(Properties, properties, 'a trail');
    const arn = this.#arnOf(trail.TrailName);
    if (this.#trail !== undefined && this.#trail.arn !== arn) throw new NotImplementedLocally('a second trail');
    for (const { Field } of trail.AdvancedEventSelectors.flatMap(({ FieldSelectors }) => FieldSelectors))
      fieldOf(Field);
    this.#trail = { ...trail, arn, logging };
    return arn;
  }

  deleteTrail(name: string): void {
    if (this.#trail?.TrailName === name) this.#trail = undefined;
  }

  /** The service, with everything that is done through it recorded. */
  watch(service: Service): Service {
    return {
      handle: async request => {
        const response = await service.handle(request);
        const isHeard = this.#trail?.logging || !isDataEvent(request);
        if (isHeard && changesSomething(request)) this.record(deedOf(request, response, this.#clock.now()));
        return response;
      },
    };
  }

  /** Records what is done: also what the local cloud has no service for, and what AWS's services do in somebody's name. */
  record(deed: Omit<Deed, 'at'> & { at?: Date }): TrailRecord {
    const record = trailRecord({ at: this.#clock.now(), ...deed });
    this.deliver(record);
    return record;
  }

  /** Hands a record to whom the trail hands it, as CloudTrail may do twice. */
  deliver(record: TrailRecord): void {
    // The history is there without a trail, and holds no data events.
    if (record.eventCategory === 'Management') this.#history.push(record);
    const trail = this.#trail;
    if (!trail?.logging || !trail.AdvancedEventSelectors.some(selector => chooses(selector.FieldSelectors, record)))
      return;
    for (const listener of this.#listeners) listener(record);
    const [, group = ''] = /:log-group:([^:]+)/.exec(trail.CloudWatchLogsLogGroupArn) ?? [];
    this.#logs.write(group, record);
    if (record.awsRegion === LOCAL_REGION) this.#events.putEvent(busEvent(record));
  }

  /** Calls `listener` with each record that the trail delivers. @returns what ends that. */
  onRecord(listener: (record: TrailRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  handle(request: AwsRequest): Promise<AwsResponse> {
    // The AWS CLI says it with a namespace before it, which JavaScript's SDK leaves out.
    const target = request.headers['x-amz-target'] ?? '';
    const [prefix = ''] = /^(?:com\.amazonaws\.cloudtrail\.v20131101\.)?CloudTrail_20131101\./.exec(target) ?? [];
    return answerJson(request, prefix || 'CloudTrail_20131101.', 'CloudTrail', this.#operations);
  }

  #arnOf(name: string): string {
    return name.startsWith('arn:') ? name : `arn:aws:cloudtrail:${LOCAL_REGION}:${this.#accountId}:trail/${name}`;
  }

  #log(trail: Trail, logging: boolean): object {
    trail.logging = logging;
    return {};
  }
}

/** A record as EventBridge has it. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html */
export function busEvent(record: TrailRecord) {
  const service = record.eventSource.replace('.amazonaws.com', '');
  const kind = record.eventType === 'AwsServiceEvent' ? 'AWS Service Event' : 'AWS API Call';
  return { source: `aws.${service}`, 'detail-type': `${kind} via CloudTrail`, time: record.eventTime, detail: record };
}

// https://docs.aws.amazon.com/awscloudtrail/latest/userguide/filtering-data-events.html
function chooses(selectors: readonly FieldSelector[], record: TrailRecord): boolean {
  return selectors.every(({ Field, Equals = [], StartsWith = [] }) =>
    fieldOf(Field)(record).some(value => Equals.includes(value) || StartsWith.some(prefix => value.startsWith(prefix))),
  );
}

function fieldOf(field: string): (record: TrailRecord) => string[] {
  const ofResources = (name: string) => (record: TrailRecord) =>
    ((record.resources ?? []) as readonly Readonly<Record<string, string>>[]).flatMap(resource => resource[name] ?? []);
  switch (field) {
    case 'eventCategory':
      return ({ eventCategory }) => [eventCategory];
    case 'eventName':
      return ({ eventName }) => [eventName];
    case 'readOnly':
      return ({ readOnly }) => [String(readOnly)];
    case 'resources.type':
      return ofResources('type');
    case 'resources.ARN':
      // Whether the prefix by which `DeleteObjects` names its bucket counts is not documented: here it does not.
      return ofResources('ARN');
    default:
      throw new NotImplementedLocally(`the field ${field} of an event selector`);
  }
}
