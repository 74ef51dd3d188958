import { NotImplementedLocally } from '../service.ts';

/** What references in a template point at. */
export interface ReferenceScope {
  /** `Ref` of a parameter, pseudo parameter or resource. @throws TemplateError for a name that is none. */
  ref(name: string): unknown;
  /** `Fn::GetAtt`. @throws TemplateError for a resource or attribute that is none. */
  attribute(resource: string, attribute: string): unknown;
  /** `Fn::ImportValue`. @throws TemplateError for an export that is none. */
  exported(name: string): unknown;
  /** `Fn::GetStackOutput`. @throws TemplateError for an output that is none. */
  stackOutput(stack: string, output: string): unknown;
}

/** A template is not what CloudFormation would accept. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
}

/**
 * Replaces every intrinsic function in a part of a template by its value. `where` names the part in messages.
 * @throws NotImplementedLocally for a function that is not among these, by name.
 * https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html
 */
export function resolveIntrinsics(value: unknown, scope: ReferenceScope, where: string): unknown {
  if (Array.isArray(value)) {
    return value
      .map((item, index) => resolveIntrinsics(item, scope, `${where}[${index}]`))
      .filter(item => item !== undefined);
  }
  if (value === null || typeof value !== 'object') return value;
  const entries = Object.entries(value);
  const [name, argument] = entries[0] ?? [];
  if (entries.length === 1 && name !== undefined && (name === 'Ref' || name.startsWith('Fn::'))) {
    return callIntrinsic(name, argument, scope, where);
  }
  return Object.fromEntries(
    entries
      .map(([key, part]) => [key, resolveIntrinsics(part, scope, `${where}.${key}`)] as const)
      .filter(([, part]) => part !== undefined),
  );
}

function callIntrinsic(name: string, argument: unknown, scope: ReferenceScope, where: string): unknown {
  const resolve = (part: unknown) => resolveIntrinsics(part, scope, where);
  const text = (part: unknown): string => {
    const resolved = resolve(part);
    if (typeof resolved === 'string' || typeof resolved === 'number' || typeof resolved === 'boolean') {
      return String(resolved);
    }
    throw new TemplateError(`${where}: ${name} wants text`);
  };
  const list = (part: unknown, length?: number): unknown[] => {
    const resolved = Array.isArray(part) ? part : resolve(part);
    if (Array.isArray(resolved) && (length === undefined || resolved.length === length)) return resolved;
    throw new TemplateError(`${where}: ${name} wants a list${length === undefined ? '' : ` of ${length}`}`);
  };
  switch (name) {
    case 'Ref':
      return scope.ref(text(argument));
    case 'Fn::GetAtt': {
      const [resource, attribute] =
        typeof argument === 'string' ? splitOnce(argument, '.') : list(argument, 2).map(text);
      return scope.attribute(resource ?? '', attribute ?? '');
    }
    case 'Fn::Join': {
      const [separator, parts] = list(argument, 2);
      return list(parts).map(text).join(text(separator));
    }
    case 'Fn::Select': {
      const [index, items] = list(argument, 2);
      const chosen = list(items)[Number(text(index))];
      if (chosen === undefined) throw new TemplateError(`${where}: Fn::Select finds no item ${text(index)}`);
      return resolve(chosen);
    }
    case 'Fn::Split': {
      const [separator, source] = list(argument, 2);
      return text(source).split(text(separator));
    }
    case 'Fn::Sub': {
      const [template, variables] = typeof argument === 'string' ? [argument, {}] : list(argument, 2);
      return substitute(text(template), variables as Record<string, unknown>, text);
    }
    case 'Fn::ImportValue':
      return scope.exported(text(argument));
    case 'Fn::GetStackOutput': {
      const { StackName, OutputName, ...others } = argument as Record<string, unknown>;
      const [other] = Object.keys(others);
      if (other !== undefined) throw new NotImplementedLocally(`${other} of Fn::GetStackOutput (${where})`);
      return scope.stackOutput(text(StackName), text(OutputName));
    }
    default:
      throw new NotImplementedLocally(`the intrinsic function ${name} (${where})`);
  }
}

function substitute(template: string, variables: Record<string, unknown>, text: (part: unknown) => string): string {
  return template.replaceAll(/\$\{(!?)([^}]*)\}/g, (_whole, literal: string, name: string) => {
    if (literal) return `\${${name}}`;
    if (Object.hasOwn(variables, name)) return text(variables[name]);
    return text(name.includes('.') ? { 'Fn::GetAtt': splitOnce(name, '.') } : { Ref: name });
  });
}

function splitOnce(value: string, separator: string): [string, string] {
  const at = value.indexOf(separator);
  return at < 0 ? [value, ''] : [value.slice(0, at), value.slice(at + separator.length)];
}

/** The logical ids that a part of a template refers to. */
export function findReferences(value: unknown): Set<string> {
  const found = new Set<string>();
  const visit = (part: unknown): void => {
    if (part === null || typeof part !== 'object') return;
    if (Array.isArray(part)) {
      for (const item of part) visit(item);
      return;
    }
    for (const [key, inner] of Object.entries(part)) {
      if (key === 'Ref' && typeof inner === 'string') found.add(inner);
      else if (key === 'Fn::GetAtt' && Array.isArray(inner)) found.add(String(inner[0]));
      else if (key === 'Fn::GetAtt' && typeof inner === 'string') found.add(splitOnce(inner, '.')[0]);
      else if (key === 'Fn::Sub') {
        const template = Array.isArray(inner) ? inner[0] : inner;
        for (const [, name = ''] of String(template).matchAll(/\$\{([^!}][^}]*)\}/g))
          found.add(splitOnce(name, '.')[0]);
        visit(Array.isArray(inner) ? inner[1] : undefined);
      } else visit(inner);
    }
  };
  visit(value);
  return found;
}
