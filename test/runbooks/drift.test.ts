import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { TamperRuleId } from '../../functions/contracts/tampering.ts';
import { HANDLER_PERMISSIONS } from '../infra/access/handler-permissions.ts';
import { DRIFT_DETECTION } from '../infra/drift-detection.ts';

const RUNBOOKS = join(import.meta.dirname, '../../runbooks');
const pages = readdirSync(RUNBOOKS)
  .filter(name => name.endsWith('.md'))
  .map(name => ({ name, text: readFileSync(join(RUNBOOKS, name), 'utf8') }));
const unseen = Object.keys(DRIFT_DETECTION).filter(type => DRIFT_DETECTION[type] !== 'yes');
const ELSEWHERE = '(README.md#what-was-changed-by-hand)';

/** What an alarm of tampering, or a row of another page, can be about, of what a deployment makes. */
const CONCERNS: Readonly<Record<Exclude<TamperRuleId, UNCHANGEABLE> | 'watch-stopped' | OtherRow, readonly string[]>> =
  {
    buckets: ['AWS::S3::Bucket', 'AWS::S3::BucketPolicy'],
    objects: ['AWS::S3::Bucket'],
    trail: ['AWS::CloudTrail::Trail'],
    'trail-log': ['AWS::Logs::LogGroup', 'AWS::Logs::MetricFilter', 'AWS::Logs::SubscriptionFilter'],
    'event-rules': ['AWS::Events::Rule'],
    alarms: ['AWS::CloudWatch::Alarm', 'AWS::CloudWatch::CompositeAlarm', 'AWS::CloudWatch::Dashboard'],
    topics: ['AWS::SNS::Topic', 'AWS::SNS::TopicPolicy', 'AWS::SNS::Subscription'],
    queues: ['AWS::SQS::Queue', 'AWS::SQS::QueuePolicy'],
    'watch-stopped': ['AWS::CloudTrail::Trail', 'AWS::Events::Rule'],
    functions: ['AWS::Lambda::Function', 'AWS::Lambda::Permission', 'AWS::Lambda::EventInvokeConfig'],
    workflows: ['AWS::StepFunctions::StateMachine'],
    schedules: ['AWS::Scheduler::Schedule'],
    identity: ['AWS::IAM::Role', 'AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'],
    'backup-failed.md: InvalidConfigurationError': ['AWS::Lambda::Function'],
    'pulse-silent.md: no lines at all': ['AWS::Lambda::Function', 'AWS::IAM::Role', 'AWS::IAM::Policy'],
    'pulse-silent.md: InvalidConfigurationError': ['AWS::Lambda::Function'],
    'schedule-stopped.md: npx cdk deploy --revert-drift DaybreakWorkflows': ['AWS::Scheduler::Schedule'],
  };
/** What these tell of is no resource of a template, or is put back otherwise. */
type UNCHANGEABLE =
  | 'snapshot-deleted'
  | 'snapshot-changed'
  | 'snapshot-taken'
  | 'key-changed'
  | 'key-destroyed'
  | 'grants'
  | 'aliases'
  | 'evidence'
  | 'findings';
type OtherRow =
  | 'backup-failed.md: InvalidConfigurationError'
  | 'pulse-silent.md: no lines at all'
  | 'pulse-silent.md: InvalidConfigurationError'
  | 'schedule-stopped.md: npx cdk deploy --revert-drift DaybreakWorkflows';

/** The lines of pages that tell their reader to revert drift, and the rows of `CONCERNS` that each is about. */
const lines = pages
  .filter(({ name }) => name !== 'README.md')
  .flatMap(({ name, text }) =>
    text
      .split('\n')
      .filter(line => line.includes('--revert-drift'))
      .map(line => {
        const first = line.startsWith('|') ? (line.split('|')[1] ?? '') : line;
        const named = name === 'tampering.md' ? [...first.matchAll(/`([\w-]+)`/g)].map(([, id = '']) => id) : [];
        const row = `${name}: ${first.split(',')[0]?.replaceAll('`', '').trim()}`;
        return { name, line, about: named.length > 0 ? named : [row] };
      }),
  );

it('knows of each type that the templates have whether drift detection sees it', () => {
  expect(Object.keys(DRIFT_DETECTION).sort()).toEqual(Object.keys(HANDLER_PERMISSIONS).sort());
});

it('finds what each line that reverts drift is about, and no line that is not there', () => {
  expect(lines.flatMap(({ about }) => about).toSorted()).toEqual(Object.keys(CONCERNS).sort());
});

describe.each(lines)('$name: $line', ({ line, about }) => {
  it('leads on where what it is about has a type that drift detection does not see', () => {
    const types = about.flatMap(row => CONCERNS[row as keyof typeof CONCERNS]);
    expect(types.filter(type => !(type in DRIFT_DETECTION))).toEqual([]);
    expect(line.includes(ELSEWHERE)).toBe(types.some(type => unseen.includes(type)));
  });
});

it('says of each type that it does not see what puts it back, once', () => {
  const readme = pages.find(({ name }) => name === 'README.md')?.text ?? '';
  const [, section = ''] = /\n## What was changed by hand\n([\s\S]*?)\n## /.exec(readme) ?? [];
  const rows = section.split('\n').filter(line => line.startsWith('| `AWS::'));
  const named = rows.map(row => [...(row.split('|')[1] ?? '').matchAll(/`(AWS::[\w:]+)`/g)].map(([, type]) => type));
  expect(named.flat().toSorted()).toEqual(unseen);
  for (const row of rows) expect(row.split('|')[2]).toMatch(/`(?:npx|aws) [^`]+`/);
  expect(section).toContain('read on 2026-11-30');
});
