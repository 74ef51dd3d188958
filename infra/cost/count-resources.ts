import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createApp } from '../app.ts';
import type { SupplierConfiguration } from '../config/configuration.ts';
import type { DeployedResources } from './estimate.ts';

interface Resource {
  readonly Type: string;
  readonly Properties?: { readonly VpcEndpointType?: string; readonly SubnetIds?: readonly unknown[] };
}

/** Counts what a configuration deploys, in the templates that are synthesized for it. */
export function countResources(configuration: SupplierConfiguration): DeployedResources {
  const outdir = mkdtempSync(join(tmpdir(), 'daybreak-cost-'));
  try {
    createApp(configuration, { outdir, bundle: false, check: false }).synth();
    const resources = readdirSync(outdir)
      .filter(file => file.endsWith('.template.json'))
      .flatMap(file => Object.values<Resource>(JSON.parse(readFileSync(join(outdir, file), 'utf8')).Resources));
    const count = (type: string) => resources.filter(({ Type }) => Type === type).length;
    const endpoints = resources.filter(
      ({ Type, Properties }) => Type === 'AWS::EC2::VPCEndpoint' && Properties?.VpcEndpointType === 'Interface',
    );
    return {
      keys: count('AWS::KMS::Key'),
      alarms: count('AWS::CloudWatch::Alarm'),
      compositeAlarms: count('AWS::CloudWatch::CompositeAlarm'),
      dashboards: count('AWS::CloudWatch::Dashboard'),
      endpoints: endpoints.reduce((sum, { Properties }) => sum + (Properties?.SubnetIds?.length ?? 0), 0),
      trails: count('AWS::CloudTrail::Trail'),
    };
  } finally {
    rmSync(outdir, { recursive: true });
  }
}
