/** One statement of an IAM policy, as JSON. */
export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: 'Allow' | 'Deny';
  readonly Principal?: { readonly AWS: string };
  readonly Action?: readonly string[];
  readonly NotAction?: readonly string[];
  readonly Resource: string | readonly string[];
  readonly Condition?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export interface PolicyDocument {
  readonly Version: '2012-10-17';
  readonly Statement: readonly PolicyStatement[];
}

/** A customer managed policy to create. */
export interface ManagedPolicy {
  readonly name: string;
  /** Who it is for, in one sentence. */
  readonly purpose: string;
  readonly document: PolicyDocument;
}

/** How long a managed policy may be, without its white space. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html */
const LONGEST_POLICY = 6144;

/** @throws Error naming a policy that IAM would refuse for its length. */
export function managedPolicy(name: string, purpose: string, statements: readonly PolicyStatement[]): ManagedPolicy {
  const document: PolicyDocument = { Version: '2012-10-17', Statement: statements };
  const length = JSON.stringify(document).replaceAll(/\s/g, '').length;
  if (length > LONGEST_POLICY) {
    throw new Error(`the policy ${name} has ${length} characters, and IAM takes ${LONGEST_POLICY}: split it`);
  }
  return { name, purpose, document };
}
