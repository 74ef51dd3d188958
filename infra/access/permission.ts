import type { PolicyStatementProps } from 'aws-cdk-lib/aws-iam';

/** An ARN of which a `*` or `?` leaves a part open. */
export interface Pattern {
  readonly pattern: string;
  /** Why the resources cannot be named more narrowly, in a sentence for who audits it. */
  readonly reason: string;
}

/** What a permission is for: one resource by its ARN, or a pattern with its reason. */
export type Resource = string | Pattern;

/** A statement of a role's policy: it allows, unless it says otherwise. */
export interface Permission {
  /** `Deny` takes away what another statement allows with a `*`, and needs no reason for its own. @default Allow */
  readonly effect?: 'Allow' | 'Deny';
  readonly actions: readonly string[];
  readonly resources: readonly Resource[];
  readonly conditions?: PolicyStatementProps['conditions'];
}

/** A resource as a policy names it. */
export function arnOf(resource: Resource): string {
  return typeof resource === 'string' ? resource : resource.pattern;
}
