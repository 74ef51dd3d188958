import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Finding, Verdict } from '../../functions/contracts/restore-test-record.ts';
import { SCHEDULES, scheduleName } from '../../functions/contracts/schedules.ts';
import { WORKFLOWS, workflowName } from '../../infra/access/role-names.ts';
import { readConfiguration } from '../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../infra/config/example.ts';
import { alarmsOf } from '../../infra/monitoring/alarms.ts';
import { tamperAlarmsOf } from '../../infra/monitoring/tamper-alarms.ts';
import { tamperRules } from '../../infra/monitoring/tamper-rules.ts';
import { VERB_GROUPS } from '../../runbooks/cli/verb-groups.ts';

const root = join(import.meta.dirname, '../..');
const pages = readdirSync(join(root, 'runbooks'))
  .filter(name => name.endsWith('.md') && name !== 'README.md')
  .map(name => ({ name, text: readFileSync(join(root, 'runbooks', name), 'utf8') }));
const source = globSync(['functions/**/*.ts', 'infra/workflows/*.ts'], { cwd: root })
  .map(path => readFileSync(join(root, path), 'utf8'))
  .join('\n');
const matches = (text: string, pattern: RegExp) => [
  ...new Set([...text.matchAll(pattern)].map(match => match[1] ?? '')),
];

describe.each(pages)('runbooks/$name', ({ text }) => {
  it('says what it means, the first command, what to decide and what never to do, on one page', () => {
    expect(text).toMatch(/^# .+\n\n\*\*What it means\.\*\*/);
    for (const heading of ['## First command\n\n```sh\n', '## Decide\n\n|', '## Never\n\n-']) {
      expect(text).toContain(heading);
    }
    expect(text.split('\n').length).toBeLessThan(60);
  });

  it('names only commands, errors, workflows and pages that exist', () => {
    const verbs = VERB_GROUPS.flatMap(group => group.verbs.map(({ name }) => `${group.name} ${name}`));
    for (const command of matches(text, /npm run daybreak -- (\w+(?: [a-z][a-z-]*)+)/g))
      expect(verbs).toContain(command);
    for (const error of matches(text, /`(?:[^`]*\W)?(\w+Error)\b/g)) {
      const isDefined = new RegExp(`class ${error} extends|(?:(?:Error|[fF]ailure):|=) '${error}'`).test(source);
      expect(isDefined, error).toBe(true);
    }
    for (const machine of matches(text, /stateMachine:([\w-]+)/g))
      expect(WORKFLOWS.map(workflowName)).toContain(machine);
    for (const page of matches(text, /\]\(([\w-]+\.md)\)/g))
      expect(existsSync(join(root, 'runbooks', page))).toBe(true);
  });
});

describe('runbooks/README.md', () => {
  const readme = readFileSync(join(root, 'runbooks/README.md'), 'utf8');
  const configuration = readConfiguration(exampleConfiguration);
  const rules = tamperRules(configuration, []);

  it('is told of each tamper rule by the page that tells what it took', () => {
    const page = pages.find(({ name }) => name === 'tampering.md')?.text ?? '';
    const [, table = ''] = page.split('## Decide\n');
    const named = matches(table, /^\| (.+?) \|/gm).flatMap(cell => matches(cell, /`([\w-]+)`/g));
    const ids = tamperAlarmsOf(rules).map(({ id }) => id.replace(/^tamper-/, ''));
    expect(named.toSorted()).toEqual([...ids, 'watch-stopped'].toSorted());
  });

  it('says what is to be there before the first night', () => {
    expect(readme).toContain('## Before your first night\n\n1. ');
  });
});

it('explains every finding of a restore test, and every verdict that is not passed', () => {
  const [failed, inconclusive] = ['restore-test-failed.md', 'restore-test-inconclusive.md'].map(
    page => pages.find(({ name }) => name === page)?.text ?? '',
  );
  for (const kind of Finding.shape.kind.options) expect(failed).toContain(`\`${kind}\``);
  expect(Verdict.options).toEqual(['passed', 'failed', 'inconclusive', 'could-not-start']);
  expect(inconclusive).toContain('*Could not start*');
});

it('explains every reason for which the ledger is broken', () => {
  const report = readFileSync(join(root, 'functions/evidence/ledger-report.ts'), 'utf8');
  const reasons = matches(report, /^ {4}\| '([a-z-]+)'/gm);
  expect(reasons).toHaveLength(14);
  const page = pages.find(({ name }) => name === 'ledger-broken.md')?.text ?? '';
  for (const reason of reasons) expect(page).toContain(`\`${reason}\``);
});

it('has no page that neither an alarm nor another page leads to', () => {
  const alarms = alarmsOf(readConfiguration(exampleConfiguration));
  const linked = pages.flatMap(({ text }) => matches(text, /\]\(([\w-]+\.md)\)/g));
  const reached = new Set([...alarms.map(({ runbook }) => runbook), ...linked]);
  expect(pages.map(({ name }) => name).filter(name => !reached.has(name))).toEqual([]);
});

it('names every schedule where it says what a stopped one is', () => {
  const page = pages.find(({ name }) => name === 'schedule-stopped.md')?.text ?? '';
  expect(matches(page, /`(daybreak-[\w-]+)`/g).sort()).toEqual(SCHEDULES.map(scheduleName).sort());
});

it('names only settings that the configuration has', () => {
  const source = ['infra/config/configuration.ts', 'functions/contracts/configuration.ts']
    .map(path => readFileSync(join(root, path), 'utf8'))
    .join('\n');
  const guide = readFileSync(join(root, 'DEPLOYING.md'), 'utf8');
  const named = [...pages.map(({ text }) => text), guide].flatMap(text =>
    matches(
      text,
      /`((?:vault|evidence|quotas|restoreTest|network|databases|buckets|retention|schedules|concurrency)(?:\[\])?\.\w+)`/g,
    ),
  );
  expect(named.length).toBeGreaterThan(4);
  expect(named.filter(name => !source.includes(`${name.replace(/^.*\./, '')}:`))).toEqual([]);
});
