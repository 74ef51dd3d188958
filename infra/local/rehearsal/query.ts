import { NotImplementedLocally } from '../service.ts';

type Value = unknown;
type Expression = (value: Value) => Value;

/**
 * What the AWS CLI's `--query` takes from an answer, in the part of JMESPath that the pages use: names, indices, `[]`,
 * filters, lists and objects, pipes, and three functions. https://jmespath.org/specification.html
 * @throws NotImplementedLocally for more of JMESPath than that.
 */
export function query(value: unknown, expression: string): unknown {
  const parser = new Parser(expression);
  const parsed = parser.pipe();
  parser.end();
  return parsed(value);
}

const TOKEN =
  /\s*(?:(?<name>[A-Za-z_]\w*)|(?<raw>'(?:[^'\\]|\\.)*')|(?<literal>`(?:[^`\\]|\\.)*`)|(?<number>-?\d+)|(?<sign>\[\?|\[\]|==|!=|<=|>=|&&|\|\||[[\]{}().,:|@<>!]))/y;

const COMPARE: Readonly<Record<string, (a: Value, b: Value) => boolean>> = {
  '==': (a, b) => JSON.stringify(a) === JSON.stringify(b),
  '!=': (a, b) => JSON.stringify(a) !== JSON.stringify(b),
  '<': (a, b) => Number(a) < Number(b),
  '<=': (a, b) => Number(a) <= Number(b),
  '>': (a, b) => Number(a) > Number(b),
  '>=': (a, b) => Number(a) >= Number(b),
};
const FUNCTIONS: Readonly<Record<string, (...parameters: Value[]) => Value>> = {
  starts_with: (text, start) => String(text).startsWith(String(start)),
  contains: (within, part) => (Array.isArray(within) ? within.includes(part) : String(within).includes(String(part))),
  join: (glue, parts) => (parts as Value[]).join(String(glue)),
};
const isFalse = (value: Value) =>
  value === null || value === undefined || value === false || value === '' || (Array.isArray(value) && !value.length);

class Parser {
  readonly #text: string;
  readonly #tokens: string[] = [];
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    TOKEN.lastIndex = 0;
    for (let match = TOKEN.exec(text); match !== null; match = TOKEN.exec(text)) {
      this.#tokens.push(match[0].trim());
      if (TOKEN.lastIndex === text.trimEnd().length) return;
    }
    throw this.#unknown();
  }

  pipe(): Expression {
    let left = this.#comparison();
    while (this.#take('|')) {
      const [before, after] = [left, this.#comparison()];
      left = value => after(before(value));
    }
    return left;
  }

  end(): void {
    if (this.#at < this.#tokens.length) throw this.#unknown();
  }

  #comparison(): Expression {
    const left = this.#steps();
    const compare = COMPARE[this.#tokens[this.#at] ?? ''];
    if (compare === undefined) return left;
    this.#at++;
    const right = this.#steps();
    return value => compare(left(value), right(value));
  }

  /** A name or the like, and what is taken from it; a list or filter goes on with each of its members. */
  #steps(): Expression {
    let expression = this.#first();
    for (;;) {
      const before = expression;
      if (this.#take('.')) {
        const step = this.#first();
        expression = value => onValue(before(value), step);
      } else if (this.#tokens[this.#at] === '[]' || this.#tokens[this.#at] === '[?') {
        const list = this.#list();
        const rest = this.#rest();
        expression = value => {
          const found = list(before(value));
          return Array.isArray(found) ? found.map(rest).filter(each => each !== null) : null;
        };
      } else if (this.#tokens[this.#at] === '[' && /^-?\d+$/.test(this.#tokens[this.#at + 1] ?? '')) {
        const index = Number(this.#tokens[this.#at + 1]);
        this.#at += 2;
        this.#expect(']');
        expression = value => onValue(before(value), found => (Array.isArray(found) ? found.at(index) : null));
      } else return expression;
    }
  }

  /** What is taken of each member of a list. */
  #rest(): Expression {
    if (!['.', '[', '[]', '[?'].includes(this.#tokens[this.#at] ?? '')) return value => value;
    if (this.#tokens[this.#at] !== '.') throw this.#unknown();
    this.#at++;
    return this.#steps();
  }

  /** `[]` flattens by one level, `[?…]` chooses. */
  #list(): Expression {
    if (this.#take('[]')) return value => (Array.isArray(value) ? value.flat() : null);
    this.#expect('[?');
    const condition = this.#comparison();
    this.#expect(']');
    return value => (Array.isArray(value) ? value.filter(each => !isFalse(condition(each))) : null);
  }

  #first(): Expression {
    const token = this.#tokens[this.#at] ?? '';
    if (token === '[]' || token === '[?') return value => value;
    this.#at++;
    if (token === '@') return value => value;
    if (token.startsWith("'")) return () => token.slice(1, -1);
    if (token.startsWith('`')) return () => JSON.parse(token.slice(1, -1));
    if (token === '[') {
      const parts = this.#parts(']', () => this.pipe());
      return value => parts.map(part => part(value) ?? null);
    }
    if (token === '{') {
      const parts = this.#parts('}', () => {
        const name = this.#tokens[this.#at++] ?? '';
        this.#expect(':');
        return [name, this.pipe()] as const;
      });
      return value => Object.fromEntries(parts.map(([name, part]) => [name, part(value) ?? null]));
    }
    if (!/^[A-Za-z_]/.test(token)) throw this.#unknown();
    if (this.#take('(')) {
      const run = FUNCTIONS[token];
      if (run === undefined) throw this.#unknown();
      const parts = this.#parts(')', () => this.pipe());
      return value => run(...parts.map(part => part(value)));
    }
    return value =>
      onValue(value, found =>
        typeof found === 'object' && Object.hasOwn(found as object, token)
          ? (found as Readonly<Record<string, Value>>)[token]
          : null,
      );
  }

  #parts<T>(end: string, read: () => T): T[] {
    const parts = [read()];
    while (this.#take(',')) parts.push(read());
    this.#expect(end);
    return parts;
  }

  #take(token: string): boolean {
    if (this.#tokens[this.#at] !== token) return false;
    this.#at++;
    return true;
  }

  #expect(token: string): void {
    if (!this.#take(token)) throw this.#unknown();
  }

  #unknown(): NotImplementedLocally {
    return new NotImplementedLocally(`--query ${this.#text}`);
  }
}

/** Nothing comes of nothing. */
function onValue(value: Value, step: Expression): Value {
  return value === null || value === undefined ? null : (step(value) ?? null);
}

/** As `--output text` prints it. https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-output-format.html */
export function asText(value: unknown): string {
  if (!Array.isArray(value)) return cell(value);
  if (!value.some(Array.isArray)) return value.map(cell).join('\t');
  // Of a row, the cells come first, and a list in it is a line of its own.
  const cells = value.filter(each => !Array.isArray(each));
  const lists = value.filter(each => Array.isArray(each)).map(asText);
  return [...(cells.length > 0 ? [cells.map(cell).join('\t')] : []), ...lists].join('\n');
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'object' && !(value instanceof Date)) return ofObject(value);
  return value instanceof Date ? value.toISOString() : String(value);
}

/** Of an object, its values in the order of their names. Lists in it are rows of their own, which begin with their name. */
function ofObject(value: object): string {
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  if (members.some(([, each]) => typeof each === 'object' && each !== null && !(each instanceof Date)))
    throw new NotImplementedLocally('--output text of objects in objects');
  return members.map(([, each]) => cell(each)).join('\t');
}
