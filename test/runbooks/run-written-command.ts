import * as kms from '@aws-sdk/client-kms';
import * as rds from '@aws-sdk/client-rds';
import * as scheduler from '@aws-sdk/client-scheduler';
import * as stepfunctions from '@aws-sdk/client-sfn';
import type { ClientConfiguration } from '../../functions/platform/runtime.ts';

// biome-ignore lint/suspicious/noExplicitAny: commands are looked up by their names.
type Any = any;
const CLIENTS: Record<string, [Record<string, Any>, string]> = {
  kms: [kms, 'KMSClient'],
  rds: [rds, 'RDSClient'],
  scheduler: [scheduler, 'SchedulerClient'],
  stepfunctions: [stepfunctions, 'SFNClient'],
};
const squeezed = (name: string) => name.replaceAll('-', '').toLowerCase();

/** A command of a page with its words in capitals replaced. @throws Error when the page has no such command. */
export function writtenIn(page: string, command: string, replacements: Readonly<Record<string, string>>): string {
  const at = page.indexOf(command);
  if (at < 0) throw new Error(`the page has no ${command}`);
  const [text = ''] = /^[^`\n]+/.exec(page.slice(at).replaceAll(/`.*$/gm, '')) ?? [];
  // The longest first: one word may stand in another.
  const words = Object.entries(replacements).sort(([a], [b]) => b.length - a.length);
  return words.reduce((written, [word, value]) => written.replaceAll(word, value), text);
}

/**
 * Does what a written command of the AWS CLI does, with the SDK: its options are members of the operation's input.
 * @param files the content of files that it names.
 */
export async function runWritten(
  text: string,
  configuration: ClientConfiguration,
  files: Readonly<Record<string, object>> = {},
): Promise<Any> {
  const words = [...text.matchAll(/(?:[^\s"']|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replace(/^(['"])(.*)\1$/, '$2'),
  );
  const [, service = '', operation = '', ...rest] = words;
  const [client, clientName] = CLIENTS[service] ?? [{}, ''];
  const name = Object.keys(client).find(key => key.toLowerCase() === `${squeezed(operation)}command`);
  if (name === undefined) throw new Error(`no command: ${text}`);
  const schema: string[] = membersOf(client, name.replace(/Command$/, ''));
  const input: Record<string, unknown> = {};
  for (let at = 0; at < rest.length; at++) {
    // What the answer is kept in.
    if (rest[at] === '>') break;
    const option = squeezed(rest[at]?.slice(2) ?? '');
    if (['region', 'query', 'output'].includes(option)) {
      at++;
      continue;
    }
    if (option === 'cliinputjson') {
      Object.assign(input, files[rest[++at]?.replace('file://', '') ?? '']);
      continue;
    }
    const isNo = !schema.some(one => one.toLowerCase() === option);
    const member = schema.find(one => one.toLowerCase() === option.replace(isNo ? /^no/ : '', ''));
    if (member === undefined) throw new Error(`no option ${option}: ${text}`);
    const values: string[] = [];
    while (rest[at + 1] !== undefined && !/^(?:--|>)/.test(rest[at + 1] ?? '')) values.push(rest[++at] ?? '');
    input[member] = values.length === 0 ? !isNo : /^Values/.test(member) ? values : values[0];
  }
  const sdk = new client[clientName](configuration);
  return sdk.send(new client[name](input));
}

function membersOf(client: Record<string, Any>, operation: string): string[] {
  const named = [`${operation}Input$`, `${operation}Request$`, `${operation}Message$`].map(key => client[key]);
  const input = named.find(Array.isArray) ?? client[`${operation}$`]?.[4];
  return ((typeof input === 'function' ? input() : input)?.[4] ?? []) as string[];
}
