import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { ManagedPolicy } from '../../infra/access/policy-document.ts';
import type { SupplierConfiguration } from '../../infra/config/configuration.ts';
import { EXIT, parse, UsageError } from './usage.ts';

const OPTIONS = { configuration: { type: 'string' } } as const;
const DEFAULT_DIRECTORY = 'deployer-policies';

/** `daybreak deploy permissions`. Writes the policies that deploying takes, and prints the commands that create them. */
export async function writePermissions(parameters: string[]): Promise<number> {
  const options = { ...OPTIONS, output: { type: 'string', default: DEFAULT_DIRECTORY } } as const;
  const { values } = parse(() => parseArgs({ args: parameters, options }));
  const configuration = await readSupplierConfiguration(values.configuration);
  const [{ executionPolicies }, { deployerPolicies }, { operatorPolicy }] = await Promise.all([
    import('../../infra/access/execution-policies.ts'),
    import('../../infra/access/deployer-policies.ts'),
    import('../../infra/access/operator-policy.ts'),
  ]);
  const execution = executionPolicies(configuration);
  const people = [...deployerPolicies(configuration), operatorPolicy(configuration)];
  mkdirSync(values.output, { recursive: true });
  for (const { name, document } of [...execution, ...people]) {
    writeFileSync(join(values.output, `${name}.json`), `${JSON.stringify(document, null, 2)}\n`);
  }
  const { account, region } = configuration;
  const arns = execution.map(({ name }) => `arn:aws:iam::${account}:policy/${name}`);
  print(
    `# Policies for account ${account}, in ${values.output}/. An administrator runs this once; where a policy is there already:`,
    '# aws iam create-policy-version --policy-arn ARN --policy-document file://FILE --set-as-default',
    ...[...execution, ...people].flatMap(policy => createCommand(policy, values.output)),
    '',
    "# Then, with CloudFormation's role held to them:",
    `npx cdk bootstrap aws://${account}/${region} --cloudformation-execution-policies ${arns.join(',')}`,
  );
  return EXIT.done;
}

/** `daybreak deploy key-statements`. Prints what the policies of the supplier's own keys have to say. */
export async function printKeyStatements(parameters: string[]): Promise<number> {
  const { values } = parse(() => parseArgs({ args: parameters, options: OPTIONS }));
  const configuration = await readSupplierConfiguration(values.configuration);
  const { sourceKeyStatements } = await import('../../infra/access/source-key-statements.ts');
  print(JSON.stringify(sourceKeyStatements(configuration), null, 2));
  return EXIT.done;
}

/** @throws UsageError for a configuration that is not there, or that could not be deployed. */
async function readSupplierConfiguration(file: string | undefined): Promise<SupplierConfiguration> {
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

function createCommand({ name, purpose }: ManagedPolicy, directory: string): string[] {
  return [
    `# ${name}: ${purpose}`,
    `aws iam create-policy --policy-name ${name} --policy-document file://${join(directory, `${name}.json`)}`,
  ];
}

function print(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
