/** A policy document as CloudFormation resolves it. */
interface PolicyDocument {
  readonly Version?: string;
  readonly Statement: Statement | readonly Statement[];
}
interface Statement {
  readonly Effect: string;
  readonly Action?: string | readonly string[];
  readonly Resource?: string | readonly string[];
  readonly Condition?: Conditions;
}
type Conditions = Readonly<Record<string, Readonly<Record<string, string | readonly string[]>>>>;

/** One action on one resource under one condition, as a statement of its own. */
export interface Allowance {
  readonly action: string;
  readonly resource: string;
  readonly conditions: Conditions | undefined;
}

/** How the local IAM calls an allowance. */
export function nameOf({ action, resource, conditions }: Allowance): string {
  return `${action} on ${resource}${conditions === undefined ? '' : ` if ${JSON.stringify(conditions)}`}`;
}

/**
 * What documents allow, in single allowances that together allow the same, and what they deny, as it is written. Of a
 * condition that names several values any one suffices, so that each is an allowance.
 */
export function splitPolicies(documents: readonly unknown[]): { allowances: Allowance[]; denials: Statement[] } {
  const statements = documents.flatMap(document => listOf((document as PolicyDocument).Statement));
  const allowances = statements
    .filter(({ Effect }) => Effect === 'Allow')
    .flatMap(statement =>
      listOf(statement.Action ?? []).flatMap(action =>
        listOf(statement.Resource ?? []).flatMap(resource =>
          splitConditions(statement.Condition).map(conditions => ({ action, resource, conditions })),
        ),
      ),
    );
  const distinct = new Map(allowances.map(allowance => [nameOf(allowance), allowance]));
  return { allowances: [...distinct.values()], denials: statements.filter(({ Effect }) => Effect === 'Deny') };
}

/** A document with these allowances and denials. */
export function joinPolicy(allowances: readonly Allowance[], denials: readonly Statement[]): PolicyDocument {
  const allow = ({ action, resource, conditions }: Allowance) => ({
    Effect: 'Allow',
    Action: action,
    Resource: resource,
    ...(conditions && { Condition: conditions }),
  });
  return { Version: '2012-10-17', Statement: [...allowances.map(allow), ...denials] };
}

const ANY_VALUE_SUFFICES = /^(?:String|Arn)(?:Equals|Like)$/;

function splitConditions(conditions: Conditions | undefined): (Conditions | undefined)[] {
  if (conditions === undefined) return [undefined];
  let split: Conditions[] = [{}];
  for (const [operator, keys] of Object.entries(conditions)) {
    for (const [key, values] of Object.entries(keys)) {
      const alternatives = ANY_VALUE_SUFFICES.test(operator) ? listOf(values) : [values];
      split = split.flatMap(one =>
        alternatives.map(value => ({ ...one, [operator]: { ...one[operator], [key]: value } })),
      );
    }
  }
  return split;
}

function listOf<T>(value: T | readonly T[]): readonly T[] {
  return Array.isArray(value) ? value : [value as T];
}
