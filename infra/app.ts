import { readFileSync } from 'node:fs';
import {
  Annotations,
  App,
  CloudFormationValidatePlugin,
  type IPolicyValidationPlugin,
  Stack,
  Validations,
} from 'aws-cdk-lib';
import { ManagedPolicy, PermissionsBoundary } from 'aws-cdk-lib/aws-iam';
import { AwsSolutionsChecks, type NagPack, NIST80053R5Checks, ServerlessChecks } from 'cdk-nag';
import { findExpiredRoots } from '../functions/platform/rds-roots.ts';
import { promisedDays } from '../functions/retention/promised-days.ts';
import { ConfigurationError, readConfiguration, type SupplierConfiguration } from './config/configuration.ts';
import { loadConfiguration } from './config/load-configuration.ts';
import { MonitoringStack } from './stacks/monitoring.ts';
import { RegisterStack } from './stacks/register.ts';
import { TrailStack } from './stacks/trail.ts';
import { VaultStack } from './stacks/vault.ts';
import { WorkflowStack } from './stacks/workflow.ts';

const YEAR_MS = 365 * 24 * 60 * 60 * 1000;

interface AppOptions {
  /** Where the assembly goes. @default cdk.out, or where the CDK CLI wants it */
  readonly outdir?: string;
  /** False leaves the functions' code out of the assembly: the local cloud runs it from its source. @default true */
  readonly bundle?: boolean;
  /** False leaves out the rules of CloudFormation and cdk-nag: a local run deploys nothing to AWS. @default true */
  readonly check?: boolean;
  /** When it is synthesized. @default now */
  readonly now?: Date;
}

/**
 * The CDK app for a configuration: the vault and the register, unless they are there already (`existing`), the trail, the
 * workflows, and the alarms. The workflows import the vault's keys by strong references, so that CloudFormation refuses to delete the vault
 * stack while the workflow stack stands.
 * @throws ConfigurationError naming each problem of the configuration.
 */
export function createApp(configuration: unknown, options: AppOptions = {}): App {
  const checked = readConfiguration(configuration);
  const { context } = JSON.parse(readFileSync(new URL('../cdk.json', import.meta.url), 'utf8'));
  const app = new App({
    ...(options.outdir === undefined ? {} : { outdir: options.outdir }),
    context: { ...context, ...(options.bundle === false ? { 'aws:cdk:bundling-stacks': [] } : {}) },
    analyticsReporting: false,
    builtinCloudFormationValidation: options.check !== false,
  });
  const vault = checked.existing ?? new VaultStack(app, 'DaybreakVault', checked);
  const registerKeyArn = checked.existing?.registerKeyArn ?? new RegisterStack(app, 'DaybreakRegister', checked).keyArn;
  const trail = new TrailStack(app, 'DaybreakTrail', checked);
  const workflows = new WorkflowStack(app, 'DaybreakWorkflows', checked, { vault, registerKeyArn, trail });
  const monitoring = new MonitoringStack(app, 'DaybreakMonitoring', checked, { vault, registerKeyArn, trail });
  // Alarms read what pulse publishes; before there is a pulse they would only sound. Its rules call a function.
  monitoring.addStackDependency(workflows);
  if (checked.existing !== undefined) Annotations.of(workflows).addWarningV2('daybreak:existing-vault', EXISTING_VAULT);
  else if (checked.operatorRoleArns.length === 0) {
    Annotations.of(workflows).addWarningV2('daybreak:no-operators', NO_OPERATORS);
  }
  Annotations.of(workflows).addInfoV2('daybreak:retention', describePromise(checked));
  if (checked.permissionsBoundaryArn !== undefined) boundRoles(app, checked.permissionsBoundaryArn);
  const now = options.now ?? new Date();
  for (const root of findExpiredRoots(new Date(now.getTime() + YEAR_MS))) {
    Annotations.of(workflows).addWarningV2(
      `daybreak:${root}`,
      `${root} of RDS expires within a year: add what follows it to functions/platform/rds-roots.ts, and see that no database is under it`,
    );
  }
  if (options.check !== false) Validations.of(app).addPlugins(...rules(app));
  return app;
}

/**
 * The rules that a synthesis must pass, each as an error: the CDK's own for templates, and three packs of cdk-nag. What
 * does not hold is acknowledged beside its construct, with the reason.
 */
function rules(app: App): IPolicyValidationPlugin[] {
  return [
    TEMPLATE_RULES,
    ...[new AwsSolutionsChecks(app), new NIST80053R5Checks(app), new ServerlessChecks(app)].map(strict),
  ];
}

/** The CDK CLI lets a plugin's warnings pass: they become errors. */
function strict(plugin: CloudFormationValidatePlugin | NagPack): IPolicyValidationPlugin {
  const validate = plugin.validate.bind(plugin);
  plugin.validate = context => {
    const report = validate(context);
    const violations = report.violations.map(violation => ({ ...violation, severity: 'error' }));
    return { ...report, success: violations.length === 0, violations };
  };
  return plugin as IPolicyValidationPlugin;
}

// One for all apps of a process: its engine is slow to start.
const TEMPLATE_RULES = strict(new CloudFormationValidatePlugin());

const EXISTING_VAULT =
  'no vault stack: the vault that stands is used as it is. Its buckets, their policies, locks and lifecycle rules, and the policies of its keys are not managed: what this version, or the configuration (vault, evidence, operatorRoleArns), would change of them does not reach them. daybreak keys check compares the policies, and keys upgrade puts them.';

const NO_OPERATORS =
  'operatorRoleArns names nobody: no person but the root user may read what lies under the keys, an administrator neither, so that daybreak evidence show and evidence verify are refused. Name your own role, and deploy again.';

/** Both dates that a school is promised, or that nothing is promised. */
function describePromise({
  retention: { snapshotDays, policy },
  vault: { eventHoldDays },
}: SupplierConfiguration): string {
  if (policy === undefined)
    return 'retention.policy is not there: nothing is ever to be deleted for its age, and nothing is promised.';
  const { beyondUse, gone } = promisedDays(policy, { snapshotDays, eventHoldDays });
  const { beyondUseDays, goneDays } = policy.promise;
  return `after an instruction to delete, a school is promised to be beyond use within ${beyondUseDays} days (it takes ${beyondUse.days} at most) and gone within ${goneDays} (it takes ${gone.days} at most).`;
}

/** Every role of every stack, those that the CDK adds for purposes of its own too. */
function boundRoles(app: App, permissionsBoundaryArn: string): void {
  for (const stack of app.node.children.filter(Stack.isStack)) {
    const boundary = ManagedPolicy.fromManagedPolicyArn(stack, 'Boundary', permissionsBoundaryArn);
    PermissionsBoundary.of(stack).apply(boundary);
  }
}

if (import.meta.main) {
  try {
    const file: unknown = new App({ autoSynth: false }).node.tryGetContext('configuration');
    createApp(await loadConfiguration(file === undefined ? undefined : String(file))).synth();
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}
