import { NotImplementedLocally } from '../service.ts';

/**
 * What the AWS CLI's `--query` takes from an answer: names, `[]`, lists and objects of them.
 * https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-filter.html
 * @throws NotImplementedLocally for more of JMESPath than that.
 */
export function query(value: unknown, expression: string): unknown {
  const [, step = '', rest = ''] = /^([\w-]+|\[\]|\[[A-Za-z_][^[\]]*\]|\{[^{}]*\})\.?(.*)$/.exec(expression) ?? [];
  if (step === '') throw new NotImplementedLocally(`--query ${expression}`);
  const goOn = (found: unknown) => (rest === '' ? found : query(found, rest));
  if (step === '[]') return Array.isArray(value) ? value.map(goOn) : null;
  if (value === null || value === undefined) return null;
  if (step.startsWith('[')) {
    return goOn(
      step
        .slice(1, -1)
        .split(',')
        .map(part => query(value, part.trim())),
    );
  }
  if (step.startsWith('{')) {
    const members = step
      .slice(1, -1)
      .split(',')
      .map(part => part.split(':'));
    return goOn(Object.fromEntries(members.map(([name = '', part = '']) => [name.trim(), query(value, part.trim())])));
  }
  const found = (value as Readonly<Record<string, unknown>>)[step] ?? null;
  // A list after a name goes on with each of its members.
  return rest.startsWith('[]') ? query(found, rest) : goOn(found);
}

/** As `--output text` prints it. https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-output-format.html */
export function asText(value: unknown): string {
  if (!Array.isArray(value)) return cell(value);
  return value.some(Array.isArray) ? value.map(asText).join('\n') : value.map(cell).join('\t');
}

function cell(value: unknown): string {
  if (value === null || value === undefined) return 'None';
  if (typeof value === 'object' && !(value instanceof Date))
    throw new NotImplementedLocally('--output text of objects');
  return value instanceof Date ? value.toISOString() : String(value);
}
