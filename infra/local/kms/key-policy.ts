import { Policy } from '../iam/policy.ts';
import { accountOf } from '../iam/principal.ts';
import { KeyOperationError, NotImplementedLocally, type Principal } from '../service.ts';

const MAX_POLICY_BYTES = 32_768;

/** The policy of a key that is created without one: the account decides. */
export function defaultKeyPolicy(accountId: string): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Id: 'key-default-1',
    Statement: [
      {
        Sid: 'Enable IAM User Permissions',
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${accountId}:root` },
        Action: 'kms:*',
        Resource: '*',
      },
    ],
  });
}

/**
 * Checks a key policy as CreateKey and PutKeyPolicy do: it can be read, and it would let its author change it again.
 * https://docs.aws.amazon.com/kms/latest/APIReference/API_PutKeyPolicy.html
 * @throws KeyOperationError MalformedPolicyDocumentException, LimitExceededException; NotImplementedLocally.
 */
export function checkKeyPolicy(text: string, author: Principal, options: { bypassLockoutCheck: boolean }): void {
  if (Buffer.byteLength(text) > MAX_POLICY_BYTES) {
    throw new KeyOperationError('LimitExceededException', `a key policy is at most ${MAX_POLICY_BYTES} bytes long`);
  }
  let policy: Policy;
  try {
    policy = new Policy(text, 'resource');
  } catch (error) {
    if (error instanceof NotImplementedLocally || !(error instanceof Error)) throw error;
    throw new KeyOperationError('MalformedPolicyDocumentException', error.message);
  }
  if (options.bypassLockoutCheck) return;
  const account = accountOf(author.arn);
  const context = new Map([
    ['aws:principalarn', author.arn],
    ['aws:principalaccount', account],
    ['kms:calleraccount', account],
  ]);
  const request = { principal: author, action: 'kms:PutKeyPolicy', resource: '*', bounded: false };
  const verdict = policy.judge({ ...request, context: () => context, lookUp: name => context.get(name.toLowerCase()) });
  if (verdict !== 'allow' && verdict !== 'allow-account') {
    throw new KeyOperationError(
      'MalformedPolicyDocumentException',
      'The new key policy will not allow you to update the key policy in the future.',
    );
  }
}
