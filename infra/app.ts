import { readFileSync } from 'node:fs';
import { Annotations, App, CloudFormationValidatePlugin, type IPolicyValidationPlugin, Validations } from 'aws-cdk-lib';
import { AwsSolutionsChecks, NIST80053R5Checks, ServerlessChecks } from 'cdk-nag';
import type { z } from 'zod';
import { findExpiredRoots } from '../functions/platform/rds-roots.ts';
import { readConfiguration, type SupplierConfiguration } from './config/configuration.ts';
import { exampleConfiguration } from './config/example.ts';
import { MonitoringStack } from './monitoring-stack.ts';
import { VaultStack } from './vault-stack.ts';
import { WorkflowStack } from './workflow-stack.ts';

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
 * The CDK app for a configuration.
 * @throws ConfigurationError naming each problem of the configuration.
 */
export function createApp(configuration: z.input<typeof SupplierConfiguration>, options: AppOptions = {}): App {
  const checked = readConfiguration(configuration);
  const { context } = JSON.parse(readFileSync(new URL('../cdk.json', import.meta.url), 'utf8'));
  const app = new App({
    ...(options.outdir === undefined ? {} : { outdir: options.outdir }),
    context: { ...context, ...(options.bundle === false ? { 'aws:cdk:bundling-stacks': [] } : {}) },
    analyticsReporting: false,
    builtinCloudFormationValidation: options.check !== false,
  });
  const vault = new VaultStack(app, 'DaybreakVault', checked);
  const workflows = new WorkflowStack(app, 'DaybreakWorkflows', checked, vault);
  new MonitoringStack(app, 'DaybreakMonitoring', checked);
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
  const plugins = [
    new CloudFormationValidatePlugin(),
    new AwsSolutionsChecks(app),
    new NIST80053R5Checks(app),
    new ServerlessChecks(app),
  ];
  for (const plugin of plugins) {
    const validate = plugin.validate.bind(plugin);
    // The CDK CLI lets warnings pass.
    plugin.validate = context => {
      const report = validate(context);
      const violations = report.violations.map(violation => ({ ...violation, severity: 'error' }));
      return { ...report, success: violations.length === 0, violations };
    };
  }
  return plugins as IPolicyValidationPlugin[];
}

if (import.meta.main) createApp(exampleConfiguration).synth();
