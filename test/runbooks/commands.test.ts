import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as cloudwatch from '@aws-sdk/client-cloudwatch';
import * as kms from '@aws-sdk/client-kms';
import * as rds from '@aws-sdk/client-rds';
import * as s3 from '@aws-sdk/client-s3';
import * as scheduler from '@aws-sdk/client-scheduler';
import * as stepfunctions from '@aws-sdk/client-sfn';
import * as sns from '@aws-sdk/client-sns';
import { describe, expect, it } from 'vitest';
import { SCHEDULES, scheduleName } from '../../functions/contracts/schedules.ts';
import { operatorPolicy } from '../../infra/access/operator-policy.ts';
import type { ManagedPolicy } from '../../infra/access/policy-document.ts';
import { responderPolicy } from '../../infra/access/responder-policy.ts';
import { STEPS, stepName, WORKFLOWS, workflowName } from '../../infra/access/role-names.ts';
import { readConfiguration } from '../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../infra/config/example.ts';
import { findOperation, squeezed } from '../../infra/local/rehearsal/call-aws.ts';
import { alarmsOf } from '../../infra/monitoring/alarms.ts';
import { tamperAlarmsOf } from '../../infra/monitoring/tamper-alarms.ts';
import { tamperRules } from '../../infra/monitoring/tamper-rules.ts';
import { VERB_GROUPS } from '../../runbooks/cli/verb-groups.ts';
import { commandsIn, commandsInShell, type WrittenCommand } from './written-commands.ts';

const root = join(import.meta.dirname, '../..');
const configuration = readConfiguration(exampleConfiguration);
const pages = [
  ...['runbooks', 'docs'].flatMap(folder =>
    readdirSync(join(root, folder))
      .filter(name => name.endsWith('.md'))
      .map(name => `${folder}/${name}`),
  ),
  ...['README.md', 'DEPLOYING.md'],
].map(name => ({ name, text: readFileSync(join(root, name), 'utf8') }));
const alarms = [...alarmsOf(configuration), ...tamperAlarmsOf(tamperRules(configuration, []))].map(
  ({ id, command }) => ({ name: `alarm ${id}`, text: command }),
);
const written = [
  ...pages.flatMap(({ name, text }) => commandsIn(text).map(command => ({ name, ...command }))),
  ...alarms.flatMap(({ name, text }) => commandsInShell(text).map(command => ({ name, ...command }))),
];

/** What the CLI takes with every command. https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-options.html */
const GLOBAL = ['region', 'query', 'output', 'profile', 'cli-binary-format', 'cli-input-json'];
/** https://docs.aws.amazon.com/cli/latest/userguide/cli-usage-pagination.html */
const PAGING = ['max-items', 'page-size', 'starting-token', 'max-results'];

const CLIENTS: Record<string, Record<string, unknown>> = {
  'aws cloudwatch': cloudwatch,
  'aws kms': kms,
  'aws rds': rds,
  'aws s3api': s3,
  'aws scheduler': scheduler,
  'aws sns': sns,
  'aws stepfunctions': stepfunctions,
};

/** The commands of services whose clients Daybreak does without, with their options, as the CLI's reference has them. */
const REFERENCE: Record<string, string> = {
  'aws s3 cp': '',
  'aws s3 rm': '',
  'aws s3 ls': '',
  'aws cloudformation describe-stacks': 'stack-name',
  'aws cloudformation update-termination-protection': 'enable-termination-protection stack-name',
  'aws cloudformation list-stack-resources': 'stack-name',
  'aws cloudtrail lookup-events': 'lookup-attributes start-time end-time',
  'aws ec2 associate-route-table': 'route-table-id subnet-id',
  'aws ec2 create-route-table': 'vpc-id',
  'aws ec2 create-subnet': 'vpc-id cidr-block availability-zone',
  'aws ec2 describe-managed-prefix-lists': 'filters',
  'aws ec2 describe-route-tables': 'filters',
  'aws ec2 describe-security-groups': 'filters group-ids',
  'aws ec2 describe-subnets': 'filters',
  'aws ec2 describe-vpc-endpoints': 'filters',
  'aws iam create-policy': 'policy-name policy-document',
  'aws iam create-policy-version': 'policy-arn policy-document set-as-default',
  'aws iam attach-role-policy': 'role-name policy-arn',
  'aws iam delete-role-policy': 'role-name policy-name',
  'aws iam get-role': 'role-name',
  'aws iam put-role-policy': 'role-name policy-name policy-document',
  'aws lambda get-account-settings': '',
  'aws lambda get-function-configuration': 'function-name',
  'aws lambda invoke': 'function-name payload',
  'aws logs filter-log-events': 'log-group-name start-time filter-pattern',
  'aws resourcegroupstaggingapi get-resources': 'resource-type-filters tag-filters',
  'aws service-quotas get-service-quota': 'service-code quota-code',
  'aws service-quotas list-service-quotas': 'service-code',
  'aws service-quotas request-service-quota-increase': 'service-code quota-code desired-value',
  'aws sqs delete-message': 'queue-url receipt-handle',
  'aws sqs get-queue-url': 'queue-name',
  'aws sqs receive-message': 'queue-url visibility-timeout max-number-of-messages',
  'aws sts get-caller-identity': '',
};

const camel = (operation: string) => operation.replaceAll(/(?:^|-)(\w)/g, (_, letter: string) => letter.toUpperCase());

/** The options that a command has, without dashes; undefined where there is no such command. */
function optionsOf({ service, operation }: WrittenCommand): string[] | undefined {
  const reference = REFERENCE[`${service} ${operation}`];
  if (reference !== undefined) return reference.split(' ').filter(Boolean).map(squeezed);
  return findOperation(CLIENTS[service] ?? {}, operation)?.members.map(squeezed);
}

describe.each([...pages, ...alarms])('$name', ({ name }) => {
  it('has only commands, with options, that there are', () => {
    const wrong = written
      .filter(command => command.name === name)
      .flatMap(command => {
        if (command.service.startsWith('daybreak ')) return daybreakProblems(command);
        const options = optionsOf(command);
        if (options === undefined) return [`no command: ${command.text}`];
        const known = new Set([...options, ...[...GLOBAL, ...PAGING].map(squeezed)]);
        return command.options
          .map(option => squeezed(option.slice(2)))
          .filter(option => !known.has(option) && !known.has(option.replace(/^no/, '')))
          .map(option => `no option ${option}: ${command.text}`);
      });
    expect(wrong).toEqual([]);
  });
});

function daybreakProblems({ service, operation, options, text }: WrittenCommand): string[] {
  const group = VERB_GROUPS.find(({ name }) => `daybreak ${name}` === service);
  const verb = group?.verbs.find(({ name }) => name === operation);
  if (verb === undefined) return [`no command: ${text}`];
  const known = ['--json', ...verb.options.map(({ long }) => long)];
  return options.filter(option => !known.includes(option)).map(option => `no option ${option}: ${text}`);
}

it('finds the commands that it is to check', () => {
  expect(written.filter(({ service }) => service.startsWith('aws ')).length).toBeGreaterThan(60);
  expect(written.filter(({ service }) => service.startsWith('daybreak ')).length).toBeGreaterThan(8);
  expect(
    commandsInShell(
      "aws s3 cp x - | jq '.a | .b'; KEY=$(aws kms describe-key --key-id alias/a --query K) aws s3 ls",
    ).map(({ service, operation, options }) => [service, operation, options]),
  ).toEqual([
    ['aws s3', 'cp', []],
    ['aws s3', 'ls', []],
    ['aws kms', 'describe-key', ['--key-id', '--query']],
  ]);
});

it('sees a command, an option and a name that there is not', () => {
  const [forged] = commandsInShell('aws kms enable-the-key --key-id x');
  const [listed] = commandsInShell('aws rds describe-db-snapshots --snapshots x');
  expect(forged && optionsOf(forged)).toBeUndefined();
  expect(listed && optionsOf(listed)).not.toContain('snapshots');
  expect(listed && optionsOf(listed)).toContain('dbsnapshotidentifier');
});

it('asks for the Region wherever the answer depends on it', () => {
  const everywhere = /^aws (?:iam|s3|s3api|sts)$/;
  const forgotten = written.filter(
    ({ service, options }) =>
      service.startsWith('aws ') && !everywhere.test(service) && options.length > 0 && !options.includes('--region'),
  );
  expect(forgotten.map(({ name, text }) => `${name}: ${text}`)).toEqual([]);
});

it('searches logs for messages that are written', () => {
  const source = globSync('functions/**/*.ts', { cwd: root })
    .map(path => readFileSync(join(root, path), 'utf8'))
    .join('\n');
  const searched = written.flatMap(({ text }) =>
    [...text.matchAll(/--filter-pattern '"([^"]+)"'/g)].map(([, message]) => message ?? ''),
  );
  expect(searched.length).toBeGreaterThan(5);
  // A line's level is one of its fields.
  expect(searched.filter(message => message !== 'error' && !source.includes(`'${message}'`))).toEqual([]);
});

it('names only functions, workflows, schedules and aliases that are deployed', () => {
  const names = [...STEPS.map(stepName), ...WORKFLOWS.map(workflowName), ...SCHEDULES.map(scheduleName)];
  const wrong = written.flatMap(({ name, text }) => {
    const named: (readonly [string | undefined, readonly string[]])[] = [
      ...[...text.matchAll(/--function-name (\S+)/g)].map(match => [match[1], STEPS.map(stepName)] as const),
      ...[...text.matchAll(/stateMachine:([\w-]+)/g)].map(match => [match[1], WORKFLOWS.map(workflowName)] as const),
      ...[...text.matchAll(/scheduler \S+ .*--name (daybreak\S+)/g)].map(
        match => [match[1], SCHEDULES.map(scheduleName)] as const,
      ),
      ...[...text.matchAll(/alias\/daybreak\/(\S+)/g)].map(
        match =>
          [
            match[1],
            ['vault', 'signing', 'ledger', 'entries', 'tenant-ids', 'logs', 'alarms', 'trail', 'tenant/SCHOOL'],
          ] as const,
      ),
    ];
    return named.filter(([found, known]) => !known.includes(found ?? '')).map(([found]) => `${name}: ${found}`);
  });
  expect(wrong).toEqual([]);
  expect(names.length).toBeGreaterThan(25);
});

/** What the CLI's commands ask IAM for, where that is not what they are called. */
const ACTIONS: Record<string, string> = {
  'aws s3 cp': 's3:GetObject',
  'aws s3 rm': 's3:DeleteObject',
  'aws s3api list-object-versions': 's3:ListBucketVersions',
  'aws resourcegroupstaggingapi get-resources': 'tag:GetResources',
  'aws lambda invoke': 'lambda:InvokeFunction',
};
const SERVICES: Record<string, string> = { stepfunctions: 'states', s3api: 's3', 'service-quotas': 'servicequotas' };

/** What allows a command: whoever watches, whoever repairs, or nobody below an administrator. */
function actionOf({ service, operation }: WrittenCommand): string {
  const prefix = service.replace('aws ', '');
  return ACTIONS[`${service} ${operation}`] ?? `${SERVICES[prefix] ?? prefix}:${camel(operation)}`;
}
const actionsOf = ({ document }: ManagedPolicy) =>
  document.Statement.flatMap(({ Action = [] }) => Action.map(action => action.toLowerCase()));
const OPERATOR = actionsOf(operatorPolicy(configuration));
const RESPONDER = actionsOf(responderPolicy(configuration));

it('begins each page and each alarm with what the operator may do', () => {
  const first = [
    ...pages.flatMap(({ name, text }) =>
      commandsIn(/## First command\n([\s\S]*?)\n## /.exec(text)?.[1] ?? '').map(command => ({ name, ...command })),
    ),
    ...alarms.flatMap(({ name, text }) => commandsInShell(text).map(command => ({ name, ...command }))),
    ...written.filter(({ operation }) => operation === 'start-execution'),
  ].filter(({ service }) => service.startsWith('aws '));
  expect(first.length).toBeGreaterThan(40);
  const refused = first.filter(command => !OPERATOR.includes(actionOf(command).toLowerCase()));
  expect(refused.map(({ name, text }) => `${name}: ${text}`)).toEqual([]);
});

describe('each command of a page', () => {
  const runbooks = pages.filter(({ name }) => name.startsWith('runbooks/'));
  /** The commands of a page's lines, and whether the line, or in a block a comment before it, says who has to run it. */
  const marked = runbooks.flatMap(({ name, text }) => {
    let block: 'none' | 'anybody' | 'administrator' = 'none';
    return text
      .replaceAll('\\\n', ' ')
      .split('\n')
      .flatMap(line => {
        if (line.startsWith('```')) block = block === 'none' ? 'anybody' : 'none';
        else if (block !== 'none' && line === '# administrator') block = 'administrator';
        const isMarked = block === 'administrator' || (block === 'none' && /\badministrator\b/.test(line));
        const found = block === 'none' ? commandsIn(line) : commandsInShell(line);
        return found.map(command => ({ name, isMarked, command }));
      });
  });
  const ofAws = marked.filter(({ command }) => command.service.startsWith('aws '));

  it('is the operator’s or the responder’s, or is marked as an administrator’s', () => {
    expect(ofAws.length).toBeGreaterThan(60);
    const allowed = [...OPERATOR, ...RESPONDER, 'sts:getcalleridentity'];
    const unmarked = ofAws.filter(
      ({ isMarked, command }) => !isMarked && !allowed.includes(actionOf(command).toLowerCase()),
    );
    expect(unmarked.map(({ name, command }) => `${name}: ${actionOf(command)}: ${command.text}`)).toEqual([]);
  });

  it('uses everything that the responder’s policy allows', () => {
    const used = ofAws.map(({ command }) => actionOf(command).toLowerCase());
    // The first is what `daybreak loss accept` starts, the second what a schedule is put back with.
    const others = ['states:startexecution', 'iam:passrole'];
    expect(RESPONDER.filter(action => !used.includes(action) && !others.includes(action))).toEqual([]);
  });

  it('deploys only where it says that an administrator does', () => {
    const lines = runbooks.flatMap(({ name, text }) => {
      let isAdministrators = false;
      return text
        .split('\n')
        .filter(line => {
          if (line.startsWith('```')) isAdministrators = false;
          if (line === '# administrator') isAdministrators = true;
          return /npx cdk (?:deploy|drift)/.test(line) && !isAdministrators && !/administrator/.test(line);
        })
        .map(line => `${name}: ${line}`);
    });
    expect(
      lines.filter(
        line =>
          !line.includes('`npx cdk deploy` alone repairs nothing') && !line.includes('otherwise than it was deployed'),
      ),
    ).toEqual([]);
  });

  it('has what the service asks for: a key’s grants are not listed by an alias, and one is named to be ended', () => {
    const grants = marked.filter(({ command }) => /-grants?$/.test(command.operation));
    expect(grants.map(({ command }) => command.operation)).toEqual(
      expect.arrayContaining(['list-grants', 'revoke-grant']),
    );
    for (const { command } of grants) {
      expect(command.text).not.toMatch(/--key-id alias/);
      if (command.operation === 'revoke-grant') expect(command.options).toContain('--grant-id');
    }
  });

  it('looks back a day where it reads a log', () => {
    const texts = [...pages, ...alarms].map(({ text }) => text);
    const windows = texts.flatMap(text => [...text.matchAll(/date \+%s\) - (\d+)/g)].map(([, seconds]) => seconds));
    expect(new Set(windows)).toEqual(new Set(['86400']));
  });
});
