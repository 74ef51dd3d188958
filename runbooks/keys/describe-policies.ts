import { POLICY_VERSIONS } from '../../functions/contracts/policies.ts';
import { describeDifferences } from '../../functions/platform/policy-comparison.ts';
import { printable } from '../../infra/command-line/printable.ts';
import type { SurveyedPolicy } from './survey-policies.ts';

/** A policy as `--json` prints it. */
export function policyData({ policy, subject, finding }: SurveyedPolicy): object {
  return { policy, subject, neededVersion: POLICY_VERSIONS[policy], ...finding };
}

/** One line for each policy, and its differences below. Those that are as they should be are only counted. */
export function describePolicies(surveyed: readonly SurveyedPolicy[]): string {
  const current = surveyed.filter(({ finding }) => finding.state === 'current').length;
  const lines = surveyed.flatMap(({ policy, subject, finding }) => {
    const head = (text: string) => `${finding.state.toUpperCase().padEnd(10)}  ${printable(subject)}: ${text}`;
    switch (finding.state) {
      case 'current':
        return [];
      case 'unreadable':
        return [head(printable(finding.reason))];
      case 'ahead':
        return [head(`of version ${finding.version}, and this release knows ${POLICY_VERSIONS[policy]}`)];
      default: {
        const version = finding.version === null ? 'of no version' : `of version ${finding.version}`;
        const what = finding.state === 'altered' ? `${version}, and changed since` : version;
        const differences = describeDifferences(finding.differences).map(line => `  ${printable(line)}`);
        return [head(`${what}; needed is version ${POLICY_VERSIONS[policy]}`), ...differences];
      }
    }
  });
  return [...lines, `${current} of ${surveyed.length} policies are as this release needs them.`].join('\n');
}
