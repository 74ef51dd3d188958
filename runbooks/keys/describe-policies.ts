import { POLICY_VERSIONS } from '../../functions/contracts/policies.ts';
import { tenantKeyAlias, tenantRoot } from '../../functions/contracts/vault-layout.ts';
import { describeDifferences } from '../../functions/platform/policy-comparison.ts';
import { printable } from '../../infra/command-line/printable.ts';
import type { SurveyedPolicy } from './survey-policies.ts';

/** A policy as `--json` prints it. */
export function policyData({ policy, subject, finding }: SurveyedPolicy): object {
  return { policy, subject, neededVersion: POLICY_VERSIONS[policy], ...finding };
}

/** Of policies that differ alike, so many are named; `--json` has all. */
const NAMED = 3;
/** No school is called so. */
const ITS_SCHOOL = '{school}';

/**
 * One line for each policy, and its differences below; schools' keys that differ alike share them. Those that are as they
 * should be are only counted.
 */
export function describePolicies(surveyed: readonly SurveyedPolicy[]): string {
  const alike = new Map<string, { subjects: string[]; lines: readonly string[] }>();
  for (const one of surveyed) {
    if (one.finding.state === 'current') continue;
    const lines = describeFinding(one);
    const key = JSON.stringify([one.policy, one.finding.state, ...lines]);
    const group = alike.get(key) ?? { subjects: [], lines };
    group.subjects.push(printable(one.subject));
    alike.set(key, group);
  }
  const text = [...alike.values()].flatMap(({ subjects, lines: [head = '', ...differences] }) => {
    const [state = '', what = ''] = head.split('\t');
    const more = subjects.length - NAMED;
    const names = [...subjects.slice(0, NAMED), ...(more > 0 ? [`and ${more} more`] : [])].join(', ');
    const count = subjects.length === 1 ? '' : `${subjects.length} alike: `;
    return [`${state.toUpperCase().padEnd(10)}  ${count}${names}: ${what}`, ...differences];
  });
  const current = surveyed.filter(({ finding }) => finding.state === 'current').length;
  return [...text, `${current} of ${surveyed.length} policies are as this release needs them.`].join('\n');
}

/** What there is to say of a policy: its state and a sentence, apart by a tab, and its differences. */
function describeFinding({ policy, subject, finding }: SurveyedPolicy): string[] {
  const head = (text: string) => `${finding.state}\t${text}`;
  const needed = POLICY_VERSIONS[policy];
  if (finding.state === 'current') return [];
  if (finding.state === 'unreadable') return [head(printable(finding.reason))];
  if (finding.state === 'ahead') return [head(`of version ${finding.version}, and this release knows ${needed}`)];
  const version = finding.version === null ? 'of no version' : `of version ${finding.version}`;
  const what = finding.state === 'altered' ? `${version}, and changed since` : version;
  const differences = describeDifferences(finding.differences).map(line => `  ${printable(line)}`);
  return [
    head(`${what}; needed is version ${needed}`),
    ...(policy === 'tenant-key' ? differences.map(line => withoutSchool(line, subject)) : differences),
  ];
}

/** A line with the school's own name taken out: what names another school stays, and is alike with none. */
function withoutSchool(line: string, alias: string): string {
  if (line.includes(ITS_SCHOOL)) return line;
  const school = alias.slice(tenantKeyAlias('').length);
  return line.replaceAll(`/${tenantRoot(school)}`, `/${tenantRoot(ITS_SCHOOL)}`);
}
