import { handler as fingerprint } from '../../../../functions/backup/fingerprint.ts';
import type { RecoveryPoint } from '../../../../functions/contracts/recovery-point.ts';
import { fingerprintKey, rootManifestKey } from '../../../../functions/contracts/vault-layout.ts';
import { canonicalJson, sha256Hex } from '../../../../functions/platform/canonical-json.ts';
import { systemClock } from '../../../../functions/platform/clock.ts';
import { currentRuntime, withRuntime } from '../../../../functions/platform/runtime.ts';
import { TestDatabase } from '../../../fixtures/database.ts';
import { stepRuntime } from '../../../fixtures/step-runtime.ts';
import type { Prepared } from '../loads.ts';
import { openWorld } from '../world.ts';

const recoveryPointId = '20261122t023000z';
const restoreTestId = '20261201t060000z';
const databaseId = 'school';
/** The table, its primary key, its TOAST table and that one's index. */
const RELATIONS_PER_TABLE = 4;
const TABLES_AT_ONCE = 250;
/** Statistics of what a transaction removed come up to a second later, and the step waits for them. */
const configured = {
  id: databaseId,
  instanceId: 'school',
  databaseName: 'school',
  rootTable: 't0',
  rootColumn: 'id',
  readerUser: 'daybreak_reader',
};

/** A real server with so many tables, and what was backed up of it. It is its own restored copy: nothing changes. */
async function openSchool(tables: number) {
  const database = await TestDatabase.create();
  for (let from = 0; from < tables; from += TABLES_AT_ONCE) {
    const to = Math.min(from + TABLES_AT_ONCE, tables) - 1;
    await database.execute(
      `DO $$ BEGIN FOR i IN ${from}..${to} LOOP
         EXECUTE format('CREATE TABLE t%s (id text PRIMARY KEY, name text, seen timestamptz)', i);
         EXECUTE format('INSERT INTO t%s SELECT g::text, md5(g::text) FROM generate_series(1, 10) g', i);
       END LOOP; END $$`,
    );
  }
  const cloud = stepRuntime({ configuration: { databases: [configured] } });
  const world = await openWorld(cloud);
  const endpoint = await database.openEndpoint(world.client.secretAccessKey);
  const environment = {
    DAYBREAK_CONFIGURATION: JSON.stringify(cloud.configuration),
    DAYBREAK_DEPLOYMENT: JSON.stringify(cloud.deployment),
    DAYBREAK_DATABASE_CA_FILE: endpoint.caFile,
  };
  const { host, port } = endpoint;
  const { client } = world;
  return { database, cloud, world, environment, address: { host, port }, client };
}

const open = new Map<number, ReturnType<typeof openSchool>>();

/** Kept for the next load of so many tables, until `closeDatabases`. */
function schoolOf(tables: number): ReturnType<typeof openSchool> {
  const school = open.get(tables) ?? openSchool(tables);
  open.set(tables, school);
  return school;
}

export async function closeDatabases(): Promise<void> {
  for (const opening of open.values()) {
    const { database, world } = await opening;
    await world.close();
    await database.remove();
  }
  open.clear();
}

const input = (moment: 'before' | 'after', endpoint: { host: string; port: number }) => ({
  recoveryPointId,
  databaseId,
  endpoint,
  moment,
});

/** The fingerprint's stored bytes, of which an earlier load may have made it. */
async function fingerprintOf(
  { cloud, environment, address, client }: Awaited<ReturnType<typeof openSchool>>,
  moment: 'before' | 'after',
): Promise<Buffer> {
  const key = fingerprintKey(recoveryPointId, databaseId, moment);
  if (!(await cloud.list('vault', key)).includes(key)) {
    await cloud.run(() => {
      const { clientConfiguration, ...runtime } = currentRuntime();
      const credentials = { accessKeyId: client.accessKeyId, secretAccessKey: client.secretAccessKey };
      return withRuntime(
        {
          ...runtime,
          environment: { ...runtime.environment, ...environment },
          clock: systemClock,
          clientConfiguration: { ...clientConfiguration, credentials },
        },
        () => fingerprint(input(moment, address), { getRemainingTimeInMillis: () => 15 * 60_000 }),
      );
    });
  }
  return cloud.get('vault', key);
}

type School = Awaited<ReturnType<typeof openSchool>>;
const keptOpen = ({ environment, world }: School, event: Record<string, unknown>): Prepared => ({
  event,
  environment,
  world: { ...world, close: async () => {} },
});

export async function prepareFingerprint(items: number, moment: 'before' | 'after'): Promise<Prepared> {
  const school = await schoolOf(items);
  if (moment === 'after') await fingerprintOf(school, 'before');
  return keptOpen(school, input(moment, school.address));
}

const testOf = (school: School) => ({
  restoreTestId,
  recoveryPointId,
  databaseId,
  endpoint: { ...school.address, resourceId: 'db-COPY' },
});

export async function prepareHydration(items: number): Promise<Prepared> {
  const school = await schoolOf(Math.ceil(items / RELATIONS_PER_TABLE));
  return keptOpen(school, testOf(school));
}

export async function prepareVerification(items: number): Promise<Prepared> {
  const school = await schoolOf(items);
  const { cloud } = school;
  const takenAt = '2026-11-22T02:40:00.000Z';
  const document: RecoveryPoint = {
    version: 1,
    recoveryPointId,
    scheduledAt: takenAt,
    completedAt: takenAt,
    status: 'good',
    databases: [
      {
        databaseId,
        snapshot: null,
        fingerprints: {
          before: sha256Hex(await fingerprintOf(school, 'before')),
          after: sha256Hex(await fingerprintOf(school, 'after')),
        },
        rowCount: 10 * items,
        failure: null,
      },
    ],
    tenants: [],
    reasons: [],
  };
  await cloud.put('vault', rootManifestKey(recoveryPointId), canonicalJson(await cloud.sign(document)));
  return keptOpen(school, testOf(school));
}
