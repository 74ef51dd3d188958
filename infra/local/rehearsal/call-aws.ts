import * as cloudtrail from '@aws-sdk/client-cloudtrail';
import * as cloudwatch from '@aws-sdk/client-cloudwatch';
import * as kms from '@aws-sdk/client-kms';
import * as rds from '@aws-sdk/client-rds';
import * as s3 from '@aws-sdk/client-s3';
import * as scheduler from '@aws-sdk/client-scheduler';
import * as stepfunctions from '@aws-sdk/client-sfn';
import type { ClientConfiguration } from '../../../functions/platform/runtime.ts';
import { LOCAL_REGION } from '../endpoint/request-handler.ts';
import { NotImplementedLocally, type ServiceName } from '../service.ts';
import { asText, query } from './query.ts';

interface Client {
  send(command: unknown): Promise<unknown>;
}
/** A client's package. */
type Module = Readonly<Record<string, unknown>>;

/** An operation of a client's package. */
export interface Operation {
  readonly Command: new (input: object) => object;
  /** The members of its input, by name, and what each is, in the SDK's own code. */
  readonly members: readonly string[];
  readonly types: readonly unknown[];
}

const CLIENTS: Readonly<Record<string, readonly [Module, string]>> = {
  cloudtrail: [cloudtrail, 'CloudTrailClient'],
  cloudwatch: [cloudwatch, 'CloudWatchClient'],
  kms: [kms, 'KMSClient'],
  rds: [rds, 'RDSClient'],
  s3api: [s3, 'S3Client'],
  scheduler: [scheduler, 'SchedulerClient'],
  stepfunctions: [stepfunctions, 'SFNClient'],
};

/** What an answer is kept in, by the name of the file. */
export type Files = Map<string, string>;

/**
 * Does what a command of the AWS CLI does, by the SDK's client of that name; of CloudWatch Logs and Lambda, which have none
 * here, by their protocols. Options are members of the operation's input.
 * @returns what the CLI would print.
 * @throws NotImplementedLocally for a command or an option that is not among these; what the service refuses.
 */
export async function callAws(
  words: readonly string[],
  configuration: ClientConfiguration,
  files: Files,
): Promise<string> {
  const [service = '', operation = '', ...rest] = words;
  const { options, operands } = readOptions(rest);
  if (service === 's3') return copyObject(operation, operands, configuration);
  const { region: _region, query: expression, output, 'cli-binary-format': _format, ...given } = options;
  if (service === 'lambda' && operation === 'invoke') return invoke(given, operands, configuration, files);
  if (operands.length > 0 && !(service === 's3api' && operation === 'get-object')) {
    throw new NotImplementedLocally(`aws ${service} ${operation} with ${operands.join(' ')}`);
  }
  const answer =
    service in BY_PROTOCOL
      ? await callByProtocol(service as keyof typeof BY_PROTOCOL, operation, given, configuration)
      : await callByClient(service, operation, given, configuration, files);
  if (service === 's3api' && operation === 'get-object') {
    const { Body, ...described } = answer as { Body?: { transformToString(): Promise<string> } };
    files.set(operands[0] ?? '', (await Body?.transformToString()) ?? '');
    return JSON.stringify(described, null, 4);
  }
  const found = expression?.[0] === undefined ? answer : query(answer, expression[0]);
  return output?.[0] === 'text' ? asText(found) : JSON.stringify(found, null, 4);
}

type Options = Readonly<Record<string, readonly string[]>>;

function readOptions(words: readonly string[]): { options: Options; operands: string[] } {
  const options: Record<string, string[]> = {};
  const operands: string[] = [];
  let values: string[] | undefined;
  for (const word of words) {
    if (word.startsWith('--')) {
      values = [];
      options[word.slice(2)] = values;
      // Pages give an option one value; what comes after that belongs to the command.
    } else if (values !== undefined && (values.length === 0 || /^[A-Z]\w*=/.test(word))) values.push(word);
    else operands.push(word);
  }
  return { options, operands };
}

/** `--kms-key-id` and `KmsKeyId`, in one form. */
export const squeezed = (name: string) => name.replaceAll('-', '').toLowerCase();
/** Of the SDK's schemas; a list may be one of its own, too, with its name beside it. */
const [NUMBER, BOOLEAN, LIST, LIST_WITH_NAME] = [1, 2, 64, 1];

/** The operation that the CLI calls `describe-key`; undefined where the package has none. */
export function findOperation(module: Module, operation: string): Operation | undefined {
  const name = Object.keys(module).find(key => key.toLowerCase() === `${squeezed(operation)}command`);
  if (name === undefined) return undefined;
  const described = module[`${name.replace(/Command$/, '')}$`] as readonly unknown[] | undefined;
  const input = described?.[4];
  const schema = (typeof input === 'function' ? input() : input) as readonly unknown[] | undefined;
  return {
    Command: module[name] as Operation['Command'],
    members: (schema?.[4] ?? []) as string[],
    types: (schema?.[5] ?? []) as unknown[],
  };
}

async function callByClient(
  service: string,
  operation: string,
  options: Options,
  configuration: ClientConfiguration,
  files: Files,
): Promise<unknown> {
  const [module = {}, clientName = ''] = CLIENTS[service] ?? [];
  const found = findOperation(module, operation);
  if (found === undefined) throw new NotImplementedLocally(`aws ${service} ${operation}`);
  const { Command, members, types } = found;
  const input: Record<string, unknown> = {};
  let most = Number.POSITIVE_INFINITY;
  for (const [option, values] of Object.entries(options)) {
    if (option === 'max-items') most = Number(values[0]);
    else if (option === 'cli-input-json') {
      Object.assign(input, JSON.parse(files.get(values[0]?.replace('file://', '') ?? '') ?? '{}'));
    } else {
      const find = (name: string) => members.findIndex(member => member.toLowerCase() === squeezed(name));
      const isOff = find(option) < 0 && option.startsWith('no-');
      const index = find(isOff ? option.slice('no-'.length) : option);
      const member = members[index];
      if (member === undefined) throw new NotImplementedLocally(`--${option} of aws ${service} ${operation}`);
      const given = values.map(value =>
        value.startsWith('file://') ? (files.get(value.slice('file://'.length)) ?? '') : value,
      );
      input[member] = isOff ? false : readValue(given, types[index]);
    }
  }
  const Client = module[clientName] as new (configuration: ClientConfiguration) => Client;
  const { $metadata: _metadata, ...answer } = (await new Client(configuration).send(new Command(input))) as Record<
    string,
    unknown
  >;
  if (most === Number.POSITIVE_INFINITY) return answer;
  // The CLI itself ends after so many.
  return Object.fromEntries(
    Object.entries(answer).flatMap(([member, value]) =>
      Array.isArray(value) ? [[member, value.slice(0, most)]] : member === 'nextToken' ? [] : [[member, value]],
    ),
  );
}

function readValue(values: readonly string[], type: unknown): unknown {
  const [value] = values;
  if (value === undefined) return true;
  if (type === NUMBER) return Number(value);
  if (type === BOOLEAN) return value === 'true';
  if (!/^[A-Z]\w*=/.test(value)) return isList(type) ? values : value;
  // https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-shorthand.html
  const structures = values.map(each =>
    Object.fromEntries(
      each.split(',').map(pair => {
        const [name = '', text = ''] = pair.split(/=(.*)/s, 2);
        return [name, /^\d{4}-\d\d-\d\dT/.test(text) ? new Date(text) : text];
      }),
    ),
  );
  return isList(type) ? structures : structures[0];
}

function isList(type: unknown): boolean {
  const schema: unknown = typeof type === 'function' ? type() : type;
  if (!Array.isArray(schema)) return schema === LIST;
  const [kind, name] = schema;
  return typeof name === 'string' ? kind === LIST_WITH_NAME : isList(kind);
}

async function copyObject(
  operation: string,
  operands: readonly string[],
  configuration: ClientConfiguration,
): Promise<string> {
  const [, Bucket, Key] = /^s3:\/\/([^/]+)\/(.+)$/.exec(operands[0] ?? '') ?? [];
  if (operation !== 'cp' || operands[1] !== '-' || Bucket === undefined) {
    throw new NotImplementedLocally(`aws s3 ${operation} ${operands.join(' ')}`);
  }
  const { Body } = await new s3.S3Client(configuration).send(new s3.GetObjectCommand({ Bucket, Key }));
  return (await Body?.transformToString()) ?? '';
}

/** Of services without a client here: the name that is signed for, and what begins the target of a request in JSON. */
const BY_PROTOCOL = {
  iam: ['iam', undefined],
  lambda: ['lambda', undefined],
  logs: ['logs', 'Logs_20140328.'],
  resourcegroupstaggingapi: ['tagging', 'ResourceGroupsTaggingAPI_20170126.'],
  sqs: ['sqs', 'AmazonSQS.'],
  sts: ['sts', undefined],
} as const satisfies Record<string, readonly [ServiceName, string | undefined]>;

/** The options of their commands that are no text. */
const READ_OPTION: Readonly<Record<string, (values: readonly string[]) => unknown>> = {
  'start-time': ([value]) => Number(value),
  'visibility-timeout': ([value]) => Number(value),
  'max-number-of-messages': ([value]) => Number(value),
  'resource-type-filters': values => values,
  'tag-filters': values =>
    values.map(value => {
      const { Key, Values } = Object.fromEntries(value.split(',').map(pair => pair.split(/=(.*)/s, 2)));
      return { Key, Values: [Values] };
    }),
};

async function callByProtocol(
  service: keyof typeof BY_PROTOCOL,
  operation: string,
  options: Options,
  configuration: ClientConfiguration,
): Promise<unknown> {
  const [signedFor, prefix] = BY_PROTOCOL[service];
  const name = operation.replaceAll(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());
  if (service === 'lambda') {
    if (operation !== 'get-function-configuration') throw new NotImplementedLocally(`aws lambda ${operation}`);
    const path = `/2015-03-31/functions/${options['function-name']?.[0]}/configuration`;
    return JSON.parse((await send(configuration, { service, method: 'GET', path })).text);
  }
  const members = Object.entries(options).map(([option, values]) => {
    const member = option.replaceAll(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());
    return [member, READ_OPTION[option]?.(values) ?? values[0]] as const;
  });
  const call = { service: signedFor, method: 'POST', path: '/' };
  if (prefix === undefined) {
    const body = new URLSearchParams({ Action: name, ...Object.fromEntries(members.map(([m, v]) => [m, String(v)])) });
    const { text } = await send(configuration, { ...call, body: String(body) });
    const [, result = ''] = new RegExp(`<${name}Result>(.*)</${name}Result>`, 's').exec(text) ?? [];
    return Object.fromEntries([...result.matchAll(/<(\w+)>([^<]*)</g)].map(([, member, value]) => [member, value]));
  }
  const json = async (input: object): Promise<Record<string, unknown>> =>
    JSON.parse((await send(configuration, { ...call, target: prefix + name, body: JSON.stringify(input) })).text);
  if (service !== 'logs') return json(Object.fromEntries(members));
  if (operation !== 'filter-log-events') throw new NotImplementedLocally(`aws logs ${operation}`);
  const input = Object.fromEntries(members.map(([member, value]) => [lowerFirst(member), value]));
  const events: unknown[] = [];
  for (let nextToken: unknown; ; ) {
    const page = await json({ ...input, ...(nextToken !== undefined && { nextToken }) });
    events.push(...(page.events as unknown[]));
    nextToken = page.nextToken;
    if (nextToken === undefined) return { events, searchedLogStreams: [] };
  }
}

const lowerFirst = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);

async function invoke(
  options: Options,
  operands: readonly string[],
  configuration: ClientConfiguration,
  files: Files,
): Promise<string> {
  const path = `/2015-03-31/functions/${options['function-name']?.[0]}/invocations`;
  const [payload = '{}'] = options.payload ?? [];
  const body = payload.startsWith('file://') ? (files.get(payload.slice('file://'.length)) ?? '') : payload;
  const { text, headers } = await send(configuration, { service: 'lambda', method: 'POST', path, body });
  const [file = ''] = operands;
  if (file !== '/dev/stdout') files.set(file, text);
  const failed = headers['x-amz-function-error'];
  const answer = JSON.stringify(
    { StatusCode: 200, ...(failed && { FunctionError: failed }), ExecutedVersion: '$LATEST' },
    null,
    4,
  );
  return file === '/dev/stdout' ? `${text}${answer}` : answer;
}

interface Call {
  readonly service: ServiceName;
  readonly method: string;
  readonly path: string;
  readonly target?: string;
  readonly body?: string;
}

/** What a service said no to. */
class ServiceRefusalError extends Error {
  override readonly name = 'ServiceRefusalError';
}

async function send(
  { requestHandler }: ClientConfiguration,
  { service, method, path, target, body }: Call,
): Promise<{ text: string; headers: Readonly<Record<string, string>> }> {
  const handler = requestHandler as {
    handle(request: object): Promise<{
      response: { statusCode: number; headers: Record<string, string>; body: Uint8Array };
    }>;
  };
  const headers = {
    // In process nobody checks it: it says which service is called.
    authorization: `AWS4-HMAC-SHA256 Credential=LOCAL/20260101/${LOCAL_REGION}/${service}/aws4_request, SignedHeaders=host, Signature=0`,
    'content-type':
      target !== undefined
        ? 'application/x-amz-json-1.1'
        : service === 'lambda'
          ? 'application/json'
          : 'application/x-www-form-urlencoded',
    ...(target && { 'x-amz-target': target }),
  };
  const { response } = await handler.handle({ method, path, headers, body });
  const text = Buffer.from(response.body).toString('utf8');
  if (response.statusCode >= 400) {
    const { code, message } = refusalIn(text, response.headers['x-amzn-errortype']);
    if (code === 'NotImplementedLocally')
      throw new NotImplementedLocally(message.replace(/^the local cloud does not implement /, ''));
    throw new ServiceRefusalError(`${code}: ${message}`);
  }
  return { text, headers: response.headers };
}

function refusalIn(text: string, header = ''): { code: string; message: string } {
  const [, code, message = ''] = /<Code>([^<]*)<\/Code><Message>([^<]*)</.exec(text) ?? [];
  if (code !== undefined) return { code, message };
  const said = JSON.parse(text) as { __type?: string; message?: string; Message?: string };
  return { code: said.__type ?? header, message: said.message ?? said.Message ?? '' };
}
