/**
 * Lets the SDK's clients of this process use a profile of the AWS CLI's files, and nothing else. Keys in the environment
 * would come before or after it, depending on the SDK's release.
 * https://docs.aws.amazon.com/sdkref/latest/guide/feature-static-credentials.html
 * https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html
 */
export function useProfile(profile: string, environment: Record<string, string | undefined>): void {
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']) delete environment[name];
  environment.AWS_PROFILE = profile;
}
