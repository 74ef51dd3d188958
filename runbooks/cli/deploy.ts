import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Option } from 'commander';
import type { ManagedPolicy } from '../../infra/access/policy-document.ts';
import { EXIT, UsageError } from '../../infra/command-line/failure.ts';
import { requireWritableDirectory } from '../../infra/command-line/writable.ts';
import type { SupplierConfiguration } from '../../infra/config/configuration.ts';
import type { Answer, Verb, VerbGroup } from './verb.ts';

/** The option that every verb takes which is about a configuration. */
export const CONFIGURATION = new Option(
  '--configuration <file>',
  'the configuration (daybreak.config.ts unless a file is named)',
);

const permissions: Verb<{ configuration?: string; output: string }> = {
  name: 'permissions',
  summary: 'write the IAM policies that deploying and operating take, and print the commands that create them',
  examples: [
    { command: 'daybreak deploy permissions', what: 'into deployer-policies/' },
    {
      command: 'daybreak deploy permissions --configuration infra/config/example.ts --output /tmp/policies',
      what: 'those of the example, to look at',
    },
  ],
  options: [CONFIGURATION, new Option('--output <directory>', 'where to write them').default('deployer-policies')],
  run: writePermissions,
};

const keyStatements: Verb<{ configuration?: string }> = {
  name: 'key-statements',
  summary: 'print, as JSON, the statements that the policies of your own keys need',
  examples: [
    { command: 'daybreak deploy key-statements', what: 'for the databases and buckets of daybreak.config.ts' },
    {
      command: 'daybreak deploy key-statements --configuration infra/config/example.ts',
      what: 'for those of the example',
    },
  ],
  options: [CONFIGURATION],
  run: printKeyStatements,
};

export const deploy: VerbGroup = { name: 'deploy', summary: 'prepare an account', verbs: [permissions, keyStatements] };

async function writePermissions({
  configuration: file,
  output,
}: {
  configuration?: string;
  output: string;
}): Promise<Answer> {
  const configuration = await readSupplierConfiguration(file);
  const [{ executionPolicies }, { deployerPolicies }, { operatorPolicy }, { responderPolicy }, { registrarPolicy }] =
    await Promise.all([
      import('../../infra/access/execution-policies.ts'),
      import('../../infra/access/deployer-policies.ts'),
      import('../../infra/access/operator-policy.ts'),
      import('../../infra/access/responder-policy.ts'),
      import('../../infra/access/registrar-policy.ts'),
    ]);
  const execution = executionPolicies(configuration);
  const policies = [
    ...execution,
    ...deployerPolicies(configuration),
    operatorPolicy(configuration),
    responderPolicy(configuration),
    registrarPolicy(configuration),
  ];
  requireWritableDirectory('--output', output);
  for (const { name, document } of policies) {
    writeFileSync(join(output, `${name}.json`), `${JSON.stringify(document, null, 2)}\n`);
  }
  const { account, region } = configuration;
  const arns = execution.map(({ name }) => `arn:aws:iam::${account}:policy/${name}`);
  const bootstrap = `npx cdk bootstrap aws://${account}/${region} --cloudformation-execution-policies ${arns.join(',')}`;
  return {
    exitCode: EXIT.done,
    data: {
      directory: output,
      policies: policies.map(({ name, purpose }) => ({ name, purpose, file: join(output, `${name}.json`) })),
      commands: [...policies.map(policy => createCommand(policy, output)), bootstrap],
    },
    text: () =>
      [
        `# Policies for account ${account}, in ${output}/. An administrator runs this once; where a policy is there already:`,
        '# aws iam create-policy-version --policy-arn ARN --policy-document file://FILE --set-as-default',
        ...policies.flatMap(policy => [`# ${policy.name}: ${policy.purpose}`, createCommand(policy, output)]),
        '',
        "# Then, with CloudFormation's role held to them:",
        bootstrap,
      ].join('\n'),
  };
}

async function printKeyStatements({ configuration: file }: { configuration?: string }): Promise<Answer> {
  const configuration = await readSupplierConfiguration(file);
  const { sourceKeyStatements } = await import('../../infra/access/source-key-statements.ts');
  const statements = sourceKeyStatements(configuration);
  return { exitCode: EXIT.done, data: statements, text: () => JSON.stringify(statements, null, 2) };
}

/** @throws UsageError for a configuration that is not there, or that could not be deployed. */
export async function readSupplierConfiguration(file: string | undefined): Promise<SupplierConfiguration> {
  const [{ loadConfiguration }, { readConfiguration, ConfigurationError }] = await Promise.all([
    import('../../infra/config/load-configuration.ts'),
    import('../../infra/config/configuration.ts'),
  ]);
  try {
    return readConfiguration(await loadConfiguration(file));
  } catch (error) {
    if (error instanceof ConfigurationError) throw new UsageError(error.message);
    throw error;
  }
}

function createCommand({ name }: ManagedPolicy, directory: string): string {
  return `aws iam create-policy --policy-name ${name} --policy-document file://${join(directory, `${name}.json`)}`;
}
