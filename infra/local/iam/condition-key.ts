import { NotImplementedLocally } from '../service.ts';

/** Global keys that every request carries, or that the service which asks puts into the context. */
const FILLED_IN = [
  'aws:CurrentTime',
  'aws:EpochTime',
  'aws:PrincipalAccount',
  'aws:PrincipalArn',
  'aws:PrincipalIsAWSService',
  'aws:PrincipalType',
  'aws:RequestTag/',
  'aws:RequestedRegion',
  'aws:ResourceAccount',
  'aws:ResourceTag/',
  'aws:SecureTransport',
  'aws:TagKeys',
  'aws:ViaAWSService',
];

/** Global keys that a request by a function's role does not have in AWS either. */
const ABSENT = [
  'aws:FederatedProvider',
  'aws:MultiFactorAuthAge',
  'aws:MultiFactorAuthPresent',
  'aws:PrincipalOrgID',
  'aws:PrincipalOrgPaths',
  'aws:PrincipalServiceName',
  'aws:Referer',
  'aws:SourceAccount',
  'aws:SourceArn',
  'aws:SourceOrgID',
  'aws:username',
];

const KNOWN = [...FILLED_IN, ...ABSENT].map(key => key.toLowerCase());

/**
 * Refuses a global condition key that a request in AWS would carry and one here does not, so that no policy is judged
 * by a key that is silently missing. Keys of services are theirs to fill in.
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
 */
export function checkConditionKey(key: string): void {
  const lower = key.toLowerCase();
  if (!lower.startsWith('aws:')) return;
  if (!KNOWN.some(known => (known.endsWith('/') ? lower.startsWith(known) : lower === known))) {
    throw new NotImplementedLocally(`the condition key ${key}`);
  }
}
