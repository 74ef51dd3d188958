import { Validations } from 'aws-cdk-lib';
import type { IConstruct } from 'constructs';

/** Shorter ones say nothing about the resource that they stand beside. */
const SHORTEST_REASON = 30;

/**
 * Records, beside the construct, why rules of a pack (`AwsSolutions-S1`, `NIST.800.53.R5-LambdaDLQ`) do not hold for it and
 * for what lies in it.
 * @throws Error when the reason is none.
 */
export function acknowledge(construct: IConstruct, rules: readonly string[], reason: string): void {
  if (reason.trim().length < SHORTEST_REASON) {
    throw new Error(
      `${construct.node.path}: ${rules.join(', ')} is acknowledged without a reason; write why it is right`,
    );
  }
  for (const rule of rules) {
    // A rule's name begins with its pack's, which the CDK wants in front once more.
    Validations.of(construct).acknowledge({ id: `${rule.slice(0, rule.indexOf('-'))}::${rule}`, reason });
  }
}
