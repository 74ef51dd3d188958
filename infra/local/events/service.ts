import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { LocalClock } from '../clock.ts';
import { answerJson, type JsonOperation } from '../endpoint/json-service.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import type { AsynchronousInvocations } from '../lambda/asynchronous.ts';
import type { LocalMetrics } from '../monitoring/metrics.ts';
import { readProperties } from '../read-properties.ts';
import {
  AccessDenied,
  type Authorizer,
  type AwsRequest,
  type AwsResponse,
  NotImplementedLocally,
  type Service,
} from '../service.ts';
import type { LocalQueues } from '../sqs/queues.ts';
import { compileEventPattern, InvalidEventPatternError } from './pattern.ts';

/** An event as EventBridge hands it to targets. */
export interface BusEvent {
  readonly source: string;
  readonly 'detail-type': string;
  readonly time: string;
  /** ARNs. @default none */
  readonly resources?: readonly string[];
  readonly detail: Readonly<Record<string, unknown>>;
}

const InputTransformer = z.strictObject({
  InputPathsMap: z.record(z.string().regex(/^(?!AWS\.)[\w-]{1,256}$/i), z.string()).default({}),
  InputTemplate: z.string(),
});

const RuleProperties = z.strictObject({
  Name: z.string().regex(/^[.\w-]{1,64}$/),
  Description: z.string().max(512).optional(),
  State: z.enum(['ENABLED', 'DISABLED']).default('ENABLED'),
  EventPattern: z.record(z.string(), z.unknown()),
  Targets: z
    .array(
      z.strictObject({
        Id: z.string(),
        Arn: z.string(),
        InputTransformer,
        DeadLetterConfig: z.strictObject({ Arn: z.string() }).optional(),
      }),
    )
    .max(5),
  Tags: z.unknown().optional(),
});

interface Rule {
  readonly name: string;
  readonly arn: string;
  readonly pattern: string;
  readonly matches: (event: unknown) => boolean;
  readonly targets: z.output<typeof RuleProperties>['Targets'];
  enabled: boolean;
}

const WHOLE_EVENT = '<aws.events.event.json>';
/** https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html */
const PATTERN_LIMIT = 4096;

/**
 * EventBridge's default bus: hands events that match a rule to its targets, which are functions here, and counts how often
 * each rule fired. https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rules.html
 */
export class LocalEventBridge implements Service {
  readonly #clock: LocalClock;
  readonly #authorizer: Authorizer;
  readonly #accountId: string;
  readonly #metrics: LocalMetrics;
  readonly #invocations: AsynchronousInvocations;
  readonly #queues: LocalQueues;
  readonly #rules = new Map<string, Rule>();
  readonly #operations: Readonly<Record<string, JsonOperation>>;

  constructor(options: {
    clock: LocalClock;
    authorizer: Authorizer;
    accountId: string;
    metrics: LocalMetrics;
    invocations: AsynchronousInvocations;
    queues: LocalQueues;
  }) {
    this.#clock = options.clock;
    this.#authorizer = options.authorizer;
    this.#accountId = options.accountId;
    this.#metrics = options.metrics;
    this.#invocations = options.invocations;
    this.#queues = options.queues;
    const named = (name: string, act: (rule: Rule) => object): JsonOperation => ({
      members: ['Name'],
      run: ({ Name }, principal) => {
        const resource = `${this.#arnPrefix}${String(Name)}`;
        this.#authorizer.authorize({ principal, action: `events:${name}`, resource, context: {} });
        const rule = this.#rules.get(String(Name));
        return rule === undefined
          ? { error: 'ResourceNotFoundException', message: `Rule ${String(Name)} does not exist on EventBus default.` }
          : act(rule);
      },
    });
    this.#operations = {
      DescribeRule: named('DescribeRule', ({ name, arn, enabled, pattern }) => ({
        Name: name,
        Arn: arn,
        EventPattern: pattern,
        State: enabled ? 'ENABLED' : 'DISABLED',
        EventBusName: 'default',
      })),
      DisableRule: named('DisableRule', rule => this.#enable(rule, false)),
      EnableRule: named('EnableRule', rule => this.#enable(rule, true)),
      TestEventPattern: {
        members: ['Event', 'EventPattern'],
        run: ({ Event, EventPattern }, principal) => {
          this.#authorizer.authorize({ principal, action: 'events:TestEventPattern', resource: '*', context: {} });
          return testPattern(String(Event), String(EventPattern));
        },
      },
    };
  }

  /**
   * Creates a rule from the properties of `AWS::Events::Rule`, or replaces the one of that name. @returns its ARN.
   * @throws NotImplementedLocally naming a property or operator that is not implemented.
   */
  putRule(properties: unknown): string {
    const {
      Name: name,
      State,
      EventPattern,
      Targets: targets,
    } = readProperties(RuleProperties, properties, 'an EventBridge rule');
    for (const { InputTransformer } of targets) transform(InputTransformer, {});
    const pattern = JSON.stringify(EventPattern);
    if (pattern.length > PATTERN_LIMIT) throw new Error(`the pattern of the rule ${name} is longer than AWS takes`);
    const arn = `${this.#arnPrefix}${name}`;
    const matches = compileEventPattern(EventPattern);
    this.#rules.set(name, { name, arn, pattern, matches, targets, enabled: State === 'ENABLED' });
    return arn;
  }

  deleteRule(name: string): void {
    this.#rules.delete(name);
  }

  ruleNames(): string[] {
    return [...this.#rules.keys()];
  }

  /** The names of the rules that an event matches, enabled or not. */
  rulesFor(event: BusEvent): string[] {
    return [...this.#rules.values()].filter(({ matches }) => matches(event)).map(({ name }) => name);
  }

  /** Hands an event to the targets of every enabled rule that it matches. */
  putEvent(event: BusEvent): void {
    const whole = {
      version: '0',
      id: randomUUID(),
      account: this.#accountId,
      region: LOCAL_REGION,
      resources: [],
      ...event,
    };
    for (const rule of this.#rules.values()) {
      if (!rule.enabled || !rule.matches(whole)) continue;
      const value = { timestamp: this.#clock.now(), value: 1, unit: 'Count' };
      this.#metrics.put('AWS/Events', 'TriggeredRules', { RuleName: rule.name }, value);
      for (const { Arn, InputTransformer, DeadLetterConfig } of rule.targets) {
        try {
          const input = transform(InputTransformer, whole);
          this.#invocations.enqueue(Arn, input, { service: 'events.amazonaws.com', sourceArn: rule.arn });
        } catch (error) {
          if (!(error instanceof AccessDenied)) throw error;
          this.#metrics.put('AWS/Events', 'FailedInvocations', { RuleName: rule.name }, value);
          if (DeadLetterConfig !== undefined) this.#queues.send(DeadLetterConfig.Arn, whole);
        }
      }
    }
  }

  handle(request: AwsRequest): Promise<AwsResponse> {
    return answerJson(request, 'AWSEvents.', 'EventBridge', this.#operations);
  }

  get #arnPrefix(): string {
    return `arn:aws:events:${LOCAL_REGION}:${this.#accountId}:rule/`;
  }

  #enable(rule: Rule, enabled: boolean): object {
    rule.enabled = enabled;
    return {};
  }
}

// https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_TestEventPattern.html
const MANDATORY = ['id', 'account', 'source', 'time', 'region', 'resources', 'detail-type'];

function testPattern(eventText: string, patternText: string): object {
  const invalid = (message: string) => ({ error: 'InvalidEventPatternException', message });
  if (patternText.length > PATTERN_LIMIT) return invalid(`Event pattern is longer than ${PATTERN_LIMIT} characters`);
  const event = JSON.parse(eventText) as object;
  const missing = MANDATORY.find(field => !Object.hasOwn(event, field));
  // What AWS answers then is not documented.
  if (missing !== undefined) throw new NotImplementedLocally(`TestEventPattern of an event without ${missing}`);
  try {
    return { Result: compileEventPattern(JSON.parse(patternText))(event) };
  } catch (error) {
    if (error instanceof InvalidEventPatternError)
      return invalid(`Event pattern is not valid. Reason: ${error.message}`);
    throw error;
  }
}

/**
 * Fills a template in: a variable stands for a JSON value, and within a string for its text.
 * https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
 */
function transform({ InputPathsMap, InputTemplate }: z.output<typeof InputTransformer>, event: object): unknown {
  const values = new Map<string, unknown>([[WHOLE_EVENT, event]]);
  for (const [name, path] of Object.entries(InputPathsMap)) values.set(`<${name}>`, valueAt(path, event));
  // The strings of the template, and the variables outside of them.
  const filled = InputTemplate.replaceAll(/"(?:[^"\\]|\\.)*"|<[^<>]*>/g, part => {
    if (!part.startsWith('"')) return JSON.stringify(valueIn(part, values));
    return part.replaceAll(/<[^<>]*>/g, variable => {
      const value = valueIn(variable, values);
      return JSON.stringify(typeof value === 'string' ? value : JSON.stringify(value)).slice(1, -1);
    });
  });
  return JSON.parse(filled);
}

function valueIn(variable: string, values: ReadonlyMap<string, unknown>): unknown {
  if (!values.has(variable)) throw new NotImplementedLocally(`${variable} in an input template`);
  return values.get(variable) ?? null;
}

function valueAt(path: string, event: object): unknown {
  if (!/^\$(?:\.[\w-]+)+$/.test(path)) throw new NotImplementedLocally(`the path ${path} of an input transformer`);
  let value: unknown = event;
  for (const name of path.split('.').slice(1)) {
    value = value !== null && typeof value === 'object' ? (value as Record<string, unknown>)[name] : undefined;
  }
  return value;
}
