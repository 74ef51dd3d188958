import type pg from 'pg';
import type { PostgresServer } from './server.ts';

/**
 * Makes a fresh cluster look like one of RDS: the roles that RDS has, a master user who is no superuser, and the first
 * database, which the master user owns.
 * https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/Appendix.PostgreSQL.CommonDBATasks.Roles.html
 */
export async function provisionDatabase(
  server: PostgresServer,
  {
    masterUsername,
    password,
    databaseName,
  }: { masterUsername: string; password: string; databaseName: string | undefined },
): Promise<void> {
  const client = await server.connect();
  try {
    const master = client.escapeIdentifier(masterUsername);
    await client.query(`
      CREATE ROLE rds_superuser NOLOGIN;
      CREATE ROLE rds_iam NOLOGIN;
      CREATE ROLE rds_replication NOLOGIN;
      GRANT rds_iam, rds_replication, pg_monitor, pg_signal_backend, pg_checkpoint, pg_read_all_data, pg_write_all_data,
        pg_maintain, pg_create_subscription TO rds_superuser WITH ADMIN OPTION;
      CREATE ROLE ${master} LOGIN CREATEDB CREATEROLE;
      GRANT rds_superuser TO ${master}`);
    await setPassword(client, masterUsername, password);
    if (databaseName !== undefined && databaseName !== 'postgres') {
      await client.query(`CREATE DATABASE ${client.escapeIdentifier(databaseName)} OWNER ${master}`);
    }
  } finally {
    await client.end();
  }
}

/** Gives a role a password. */
export async function setPassword(client: pg.Client, user: string, password: string): Promise<void> {
  await client.query(`ALTER ROLE ${client.escapeIdentifier(user)} PASSWORD ${client.escapeLiteral(password)}`);
}
