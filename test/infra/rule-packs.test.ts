import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, CfnResource, Stack, Validations } from 'aws-cdk-lib';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnLogGroup } from 'aws-cdk-lib/aws-logs';
import { CfnQueue } from 'aws-cdk-lib/aws-sqs';
import { CfnParameter } from 'aws-cdk-lib/aws-ssm';
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';
import { createApp } from '../../infra/app.ts';
import { exampleConfiguration } from '../../infra/config/example.ts';
import { acknowledge } from '../../infra/constructs/acknowledge.ts';

// Each synthesizes everything, and runs every rule.
vi.setConfig({ testTimeout: 120_000 });

const directory = mkdtempSync(join(tmpdir(), 'daybreak-rules-'));
afterAll(() => rmSync(directory, { recursive: true }));
afterEach(() => vi.restoreAllMocks());

interface Finding {
  ruleName: string;
  severity: string;
  violatingConstructs: { constructPath: string }[];
  acknowledgedId?: string;
  acknowledgedAt?: string;
}
interface Report {
  pluginReports: { pluginName: string; violations: Finding[]; suppressedViolations?: Finding[] }[];
}

/** Synthesizes the example with something added, and tells what every pack found. */
function synthesize(name: string, configuration: typeof exampleConfiguration, plant?: (stack: Stack) => void) {
  const outdir = join(directory, name);
  const app = createApp(configuration, { outdir, bundle: false });
  if (plant !== undefined) plant(new Stack(app, 'Planted', { env: { region: 'eu-west-2', account: '111122223333' } }));
  const printed = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  let failure: unknown;
  try {
    app.synth();
  } catch (error) {
    failure = error;
  }
  printed.mockRestore();
  const report: Report = JSON.parse(readFileSync(join(outdir, 'validation-report.json'), 'utf8'));
  return { app, failure, report };
}

/** Every acknowledgement of the app, as `rule at construct`, with its reason. */
function acknowledgements(app: App): Map<string, string> {
  return new Map(
    app.node
      .findAll()
      .flatMap(construct =>
        construct.node.metadata
          .filter(({ type }) => type === Validations.ACKNOWLEDGED_RULES_METADATA_KEY)
          .flatMap(({ data }) =>
            Object.entries(data as Record<string, string>).map(
              ([id, reason]) => [`${id} at ${construct.node.path}`, reason] as const,
            ),
          ),
      ),
  );
}

const violations = ({ pluginReports }: Report): string[] =>
  pluginReports.flatMap(({ pluginName, violations }) =>
    violations.map(({ ruleName, severity }) => `${pluginName}: ${ruleName} ${severity}`),
  );

/** The acknowledgements that hid nothing. */
function stale(app: App, { pluginReports }: Report): string[] {
  const needed = new Set(
    pluginReports.flatMap(({ suppressedViolations = [] }) =>
      suppressedViolations.map(({ acknowledgedId, acknowledgedAt }) => `${acknowledgedId} at ${acknowledgedAt}`),
    ),
  );
  return [...acknowledgements(app).keys()].filter(one => !needed.has(one));
}

describe('synthesis fails where a rule is broken', () => {
  it.each<[pack: string, rule: string, plant: (stack: Stack) => void]>([
    ['AwsSolutions', 'AwsSolutions-SQS4', stack => new CfnQueue(stack, 'Queue', { redrivePolicy: {} })],
    [
      'NIST.800.53.R5',
      'NIST.800.53.R5-CloudWatchLogGroupEncrypted',
      stack => new CfnLogGroup(stack, 'Log', { retentionInDays: 7 }),
    ],
    // A warning in the pack.
    ['Serverless', 'Serverless-LambdaTracing', stack => plantFunction(stack)],
    // A warning, of the schema's possible values, and an error.
    ['CloudFormation Validate', 'W3030', stack => new CfnParameter(stack, 'Value', { type: 'Strung', value: 'x' })],
    [
      'CloudFormation Validate',
      'F3003',
      stack => new CfnResource(stack, 'Value', { type: 'AWS::SSM::Parameter', properties: { Type: 'String' } }),
    ],
  ])('of %s: %s', (pack, rule, plant) => {
    const { failure, report } = synthesize(`planted-${rule}`, exampleConfiguration, plant);
    expect(String(failure)).toContain('ValidationFailed');
    expect(violations(report)).toEqual([`${pack}: ${rule} error`]);
  });
});

describe('acknowledgements', () => {
  const [database] = exampleConfiguration.databases;
  it.each([
    ['the example', exampleConfiguration],
    [
      'endpoints that are there, unencrypted storage, a boundary',
      {
        ...exampleConfiguration,
        databases: [
          {
            ...(database as typeof database & object),
            kmsKeyArn: null,
            acceptedWithoutKey: 'sse-rds until it is moved to encrypted storage',
          },
        ],
        network: {
          ...exampleConfiguration.network,
          hasS3Endpoint: true,
          kmsEndpointSecurityGroupId: 'sg-0123456789abcdef0',
        },
        permissionsBoundaryArn: 'arn:aws:iam::111122223333:policy/boundary',
      },
    ],
    ['no database', { ...exampleConfiguration, databases: [] }],
  ] as const)('each hide something, and leave nothing, with %s', (name, configuration) => {
    const { app, failure, report } = synthesize(
      name.replaceAll(/\W+/g, '-'),
      configuration as typeof exampleConfiguration,
    );
    expect([failure, violations(report)]).toEqual([undefined, []]);
    expect(stale(app, report)).toEqual([]);
    const reasons = [...acknowledgements(app).values()];
    expect(reasons.length).toBeGreaterThan(100);
    expect(reasons.filter(reason => reason.trim().length < 30)).toEqual([]);
  });

  it('that hide nothing are noticed', () => {
    const reason = 'Nothing of the kind is here, so there is nothing to acknowledge.';
    const { app, report } = synthesize('stale', exampleConfiguration, stack =>
      acknowledge(new CfnParameter(stack, 'Value', { type: 'String', value: 'x' }), ['AwsSolutions-S1'], reason),
    );
    expect(stale(app, report)).toEqual(['AwsSolutions::AwsSolutions-S1 at Planted/Value']);
  });

  it.each(['', '   ', 'not needed'])('are refused with %j for a reason', reason => {
    expect(() => acknowledge(new Stack(undefined, 'Stack'), ['AwsSolutions-S1'], reason)).toThrow(
      'Stack: AwsSolutions-S1 is acknowledged without a reason; write why it is right',
    );
  });
});

function plantFunction(stack: Stack): void {
  const planted = new CfnFunction(stack, 'Function', {
    code: { zipFile: 'exports.handler = () => 1' },
    role: 'arn:aws:iam::111122223333:role/planted',
    runtime: 'nodejs24.x',
    handler: 'index.handler',
    timeout: 9,
  });
  const rules = [
    'NIST.800.53.R5-LambdaConcurrency',
    'NIST.800.53.R5-LambdaDLQ',
    'NIST.800.53.R5-LambdaInsideVPC',
    'Serverless-LambdaDLQ',
    'Serverless-LambdaDefaultMemorySize',
  ];
  acknowledge(planted, rules, 'Only what the pack calls a warning is left to be found here.');
}
