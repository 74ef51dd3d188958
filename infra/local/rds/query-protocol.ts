import { randomUUID } from 'node:crypto';
import { type AwsResponse, NotImplementedLocally } from '../service.ts';

/** An error that RDS answers, by its own code. */
export class RdsFault extends Error {
  override readonly name = 'RdsFault';
  readonly code: string;
  readonly status: number;
  constructor(code: string, message: string, status = 400) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

interface Tree {
  [name: string]: string | Tree;
}

/**
 * The parameters of one request in AWS's query protocol (`Tags.Tag.1.Key=…`). It notes what an operation reads, so that a
 * parameter that nothing reads is refused by name.
 */
export class Parameters {
  readonly action: string;
  readonly #tree: Tree = Object.create(null);
  readonly #unread: Set<string>;

  constructor(form: URLSearchParams) {
    this.action = form.get('Action') ?? '';
    for (const [path, value] of form) {
      const steps = path.split('.');
      const last = steps.pop() ?? '';
      let node = this.#tree;
      for (const step of steps) {
        const next = node[step];
        if (typeof next === 'object') {
          node = next;
        } else {
          const made: Tree = Object.create(null);
          node[step] = made;
          node = made;
        }
      }
      node[last] = value;
    }
    this.#unread = new Set(Object.keys(this.#tree).filter(name => name !== 'Action' && name !== 'Version'));
  }

  /** @throws NotImplementedLocally naming the parameters that the operation did not read. */
  refuseUnread(): void {
    if (this.#unread.size > 0) {
      throw new NotImplementedLocally(`rds:${this.action} with the parameter ${[...this.#unread].sort().join(', ')}`);
    }
  }

  text(name: string): string | undefined {
    this.#unread.delete(name);
    const value = this.#tree[name];
    if (typeof value === 'object') throw new RdsFault('MalformedInput', `${name} must be a single value.`);
    return value;
  }

  /** @throws RdsFault MissingParameter */
  requiredText(name: string): string {
    const value = this.text(name);
    if (value === undefined || value === '') {
      throw new RdsFault('MissingParameter', `The request must contain the parameter ${name}.`);
    }
    return value;
  }

  boolean(name: string): boolean | undefined {
    const value = this.text(name);
    if (value === undefined || value === 'true' || value === 'false')
      return value === undefined ? value : value === 'true';
    throw new RdsFault('MalformedInput', `${name} must be true or false.`);
  }

  integer(name: string, range: { min: number; max: number }): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = /^-?\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
    if (number >= range.min && number <= range.max) return number;
    throw new RdsFault('InvalidParameterValue', `Invalid value for ${name}: must be ${range.min} to ${range.max}.`);
  }

  texts(name: string): string[] | undefined {
    return this.#list(name)?.map(item => {
      if (typeof item === 'string') return item;
      throw new RdsFault('MalformedInput', `${name} must be a list of values.`);
    });
  }

  tags(name: string): Record<string, string> {
    const tags: Record<string, string> = {};
    for (const item of this.#list(name) ?? []) {
      const { Key, Value } = item as Tree;
      if (typeof Key !== 'string' || Key.length > 128 || !/^[\p{L}\p{Z}\p{N}_.:/=+\-@]+$/u.test(Key)) {
        throw new RdsFault('InvalidParameterValue', 'Tag keys have 1 to 128 letters, digits, spaces or _.:/=+-@.');
      }
      if (/^(aws|rds):/i.test(Key)) {
        throw new RdsFault('InvalidParameterValue', `Tag keys must not begin with aws: or rds:, as ${Key} does.`);
      }
      tags[Key] = typeof Value === 'string' ? Value : '';
    }
    return tags;
  }

  /** A list of groups of values. */
  records(name: string): Record<string, string | undefined>[] {
    return (this.#list(name) ?? []).map(item => {
      if (typeof item === 'object' && Object.values(item).every(value => typeof value === 'string')) {
        return item as Record<string, string>;
      }
      throw new RdsFault('MalformedInput', `${name} must be a list of groups of values.`);
    });
  }

  filters(name: string): { name: string; values: string[] }[] {
    return (this.#list(name) ?? []).map(item => {
      const { Name, Values } = item as Tree;
      return { name: String(Name), values: membersOf(Values).map(String) };
    });
  }

  #list(name: string): (string | Tree)[] | undefined {
    this.#unread.delete(name);
    const value = this.#tree[name];
    // An empty list travels as `Name=`.
    return value === undefined ? undefined : membersOf(value);
  }
}

// Lists come as `Name.<member>.1` from the SDK; other clients also send `Name.1`.
function membersOf(value: string | Tree | undefined): (string | Tree)[] {
  if (typeof value !== 'object') return [];
  const names = Object.keys(value);
  const [only] = names;
  const inner = only === undefined ? undefined : value[only];
  if (names.length === 1 && typeof inner === 'object' && !/^\d+$/.test(only ?? '')) return membersOf(inner);
  return names.sort((a, b) => Number(a) - Number(b)).map(index => value[index] as string | Tree);
}

/** What an operation answers, by AWS's member names. Undefined members are left out. */
export type Answer = { readonly [name: string]: Value };
type Value = string | number | boolean | Date | undefined | Answer | readonly Value[];

// The element that one member of a list is written as, where it is not `member`.
const LIST_MEMBERS: Readonly<Record<string, string>> = {
  AccountQuotas: 'AccountQuota',
  AttributeValues: 'AttributeValue',
  DBInstances: 'DBInstance',
  DBParameterGroups: 'DBParameterGroup',
  DBSnapshotAttributes: 'DBSnapshotAttribute',
  DBSnapshots: 'DBSnapshot',
  Parameters: 'Parameter',
  TagList: 'Tag',
  VpcSecurityGroups: 'VpcSecurityGroupMembership',
};

/** A successful answer. */
export function answerXml(action: string, answer: Answer): AwsResponse {
  const requestId = randomUUID();
  const body = `<${action}Response xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><${action}Result>${members(answer)}</${action}Result><ResponseMetadata><RequestId>${requestId}</RequestId></ResponseMetadata></${action}Response>`;
  return { status: 200, headers: { 'content-type': 'text/xml', 'x-amzn-requestid': requestId }, body };
}

/** An error. */
export function faultXml({ code, message, status }: Pick<RdsFault, 'code' | 'message' | 'status'>): AwsResponse {
  const requestId = randomUUID();
  const body = `<ErrorResponse xmlns="http://rds.amazonaws.com/doc/2014-10-31/"><Error><Type>${status < 500 ? 'Sender' : 'Receiver'}</Type><Code>${escapeXml(code)}</Code><Message>${escapeXml(message)}</Message></Error><RequestId>${requestId}</RequestId></ErrorResponse>`;
  return { status, headers: { 'content-type': 'text/xml', 'x-amzn-requestid': requestId }, body };
}

function members(answer: Answer): string {
  return Object.entries(answer)
    .map(([name, value]) => (value === undefined ? '' : `<${name}>${written(name, value)}</${name}>`))
    .join('');
}

function written(name: string, value: Exclude<Value, undefined>): string {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) {
    const member = LIST_MEMBERS[name] ?? 'member';
    return value.map(item => `<${member}>${written(member, item)}</${member}>`).join('');
  }
  return typeof value === 'object' ? members(value as Answer) : escapeXml(String(value));
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll(/[^\t\n\r\u0020-\uD7FF\uE000-\uFFFD]/g, '\uFFFD');
}
