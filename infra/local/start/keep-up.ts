import { DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';
import type { LocalEnvironment } from '../environment.ts';
import type { Display } from './display.ts';

/** Serves the local cloud over HTTPS, says how to reach it, and waits until it is interrupted. */
export async function keepUp(environment: LocalEnvironment, display: Display, interrupted: AbortSignal): Promise<void> {
  const { cloud, deployment } = environment;
  const { url, caFile } = await cloud.listen();
  const { accessKeyId, secretAccessKey } = cloud.issueCredentials(cloud.root);
  const { DBInstances } = await new RDSClient(cloud.clientConfiguration(cloud.root)).send(
    new DescribeDBInstancesCommand(),
  );
  display.heading('The local cloud stays up until Ctrl-C');
  display.line(`  export AWS_ENDPOINT_URL=${url} AWS_CA_BUNDLE=${caFile}`);
  display.line(`  export AWS_REGION=${deployment.region} AWS_DEFAULT_REGION=${deployment.region}`);
  display.line(`  export AWS_ACCESS_KEY_ID=${accessKeyId} AWS_SECRET_ACCESS_KEY=${secretAccessKey}`);
  display.line(`  aws s3 ls --recursive s3://${deployment.vaultBucket}/recovery-points/`);
  for (const { DBInstanceIdentifier, Endpoint } of DBInstances ?? []) {
    display.line(
      `  instance ${DBInstanceIdentifier}: ${Endpoint?.Address}:${Endpoint?.Port}, certificates in ${cloud.rds.caFile}`,
    );
  }
  display.line(
    `  vault ${deployment.vaultBucket}, evidence ${deployment.evidenceBucket}, work ${deployment.workBucket}`,
  );
  if (!interrupted.aborted)
    await new Promise(resolve => interrupted.addEventListener('abort', resolve, { once: true }));
}
