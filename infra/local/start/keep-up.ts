import { randomBytes } from 'node:crypto';
import { DescribeDBInstancesCommand, RDSClient } from '@aws-sdk/client-rds';
import type { LocalEnvironment, SourceDatabase } from '../environment.ts';
import { VISITOR } from '../sample/own-names.ts';
import { type Display, quoteForShell } from './display.ts';

/**
 * Serves the local cloud over HTTPS, says how to reach it and its source database, and waits until it is interrupted. Each
 * line is a command for a shell.
 */
export async function keepUp(
  environment: LocalEnvironment,
  database: SourceDatabase,
  display: Display,
  interrupted: AbortSignal,
): Promise<void> {
  const { cloud, deployment } = environment;
  const { url, caFile } = await cloud.listen();
  const { accessKeyId, secretAccessKey } = cloud.issueCredentials(cloud.root);
  const password = await admitVisitor(environment, database);
  const { DBInstances } = await new RDSClient(cloud.clientConfiguration(cloud.root)).send(
    new DescribeDBInstancesCommand({ DBInstanceIdentifier: environment.instanceOf(database.id) }),
  );
  const { Address, Port } = DBInstances?.[0]?.Endpoint ?? {};
  display.heading('The local cloud stays up until Ctrl-C; in another terminal');
  const variables = {
    AWS_ENDPOINT_URL: url,
    AWS_CA_BUNDLE: caFile ?? '',
    // Node's own name for it, which `daybreak` needs.
    NODE_EXTRA_CA_CERTS: caFile ?? '',
    AWS_REGION: deployment.region,
    AWS_DEFAULT_REGION: deployment.region,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
  };
  for (const [name, value] of Object.entries(variables)) display.line(`  export ${name}=${quoteForShell(value)}`);
  for (const bucket of [
    deployment.vaultBucket,
    deployment.evidenceBucket,
    deployment.workBucket,
    deployment.registerBucket,
  ])
    display.line(`  aws s3 ls --recursive s3://${bucket}/`);
  display.line(
    `  npm run daybreak -- evidence verify --evidence-bucket ${deployment.evidenceBucket} --ledger-key ${deployment.ledgerKeyArn} --entry-key ${deployment.entryKeyArn}`,
  );
  const certificates = cloud.rds.caFile.split('/').map(encodeURIComponent).join('/');
  const login = `postgresql://${VISITOR}:${password}@${Address}:${Port}/${database.databaseName}?sslmode=verify-full&sslrootcert=${certificates}`;
  display.line(`  psql ${quoteForShell(login)}`);
  if (!interrupted.aborted)
    await new Promise(resolve => interrupted.addEventListener('abort', resolve, { once: true }));
}

/** Makes a login that may read everything. @returns its password. */
async function admitVisitor(environment: LocalEnvironment, { id }: SourceDatabase): Promise<string> {
  const password = randomBytes(18).toString('base64url');
  const client = await environment.connect(id);
  try {
    // The operator's event triggers are about their own changes.
    await client.query(`
      SET event_triggers = off;
      DROP ROLE IF EXISTS ${VISITOR};
      CREATE ROLE ${VISITOR} LOGIN BYPASSRLS IN ROLE pg_read_all_data PASSWORD '${password}';
      ALTER ROLE ${VISITOR} SET default_transaction_read_only = on`);
  } finally {
    await client.end();
  }
  return password;
}
