import type { Step } from '../../../infra/access/role-names.ts';
import { STEP_DEFINITIONS } from '../../../infra/steps/definitions.ts';
import type { Job, Load } from './measurement.ts';
import type { World } from './world.ts';
import { prepareFingerprint, prepareHydration, prepareVerification } from './worlds/databases.ts';
import { prepareAppend, prepareChoose, preparePulse } from './worlds/ledger.ts';
import { prepareInventory, prepareNew, prepareRestore, prepareTearDown, prepareUnchanged } from './worlds/objects.ts';
import {
  prepareComplete,
  prepareConclude,
  prepareList,
  prepareListAgain,
  preparePlan,
  prepareSettle,
} from './worlds/tenants.ts';

/** What a step meets, made ready: the job, and the local cloud in which it runs. */
export interface Prepared {
  readonly event: Record<string, unknown>;
  readonly environment: Job['environment'];
  readonly world: World;
}

/** A load of a whole step prepares its world; one of a part names it (`PARTS`). */
export type RunnableLoad = Load &
  ({ readonly prepare: (items: number) => Promise<Prepared> } | { readonly part: string });

const builtFor = (step: Step) => STEP_DEFINITIONS[step].builtFor.items;
/** What takes time for each is measured with fewer than the step is built for, and computed from there. */
const SOME_OBJECTS = 40_000;
const SOME_TABLES = 1000;

/** Each at what its step is built for, or, where that takes hours, at so many that a quarter of them shows whether memory is flat. */
export const LOADS: readonly RunnableLoad[] = [
  {
    step: 'backup/fingerprint',
    what: 'before, all tables',
    items: SOME_TABLES,
    time: 'goes-on',
    prepare: items => prepareFingerprint(items, 'before'),
  },
  {
    step: 'backup/fingerprint',
    what: 'after, all tables',
    items: SOME_TABLES,
    time: 'goes-on',
    prepare: items => prepareFingerprint(items, 'after'),
  },
  {
    step: 'backup/fingerprint',
    what: 'buckets of one table',
    items: 262_144,
    time: 'goes-on',
    // Three arrays of numbers for each of its parts, and its piece of a file.
    mayGrowMib: 200,
    part: 'buckets',
  },
  {
    step: 'restore-test/hydrate',
    what: 'relations of all tables',
    items: 4 * SOME_TABLES,
    time: 'goes-on',
    prepare: prepareHydration,
  },
  {
    step: 'restore-test/verify-database',
    what: 'all tables',
    items: SOME_TABLES,
    time: 'goes-on',
    prepare: prepareVerification,
  },
  {
    step: 'restore-test/verify-database',
    what: 'rows of catalogs',
    items: 300_000,
    time: 'goes-on',
    part: 'catalogs',
  },
  {
    step: 'backup/list-tenants',
    what: 'tenants of one bucket',
    items: builtFor('backup/list-tenants'),
    time: 'one-call',
    prepare: prepareList,
  },
  {
    step: 'backup/list-tenants',
    what: 'the same once more',
    items: builtFor('backup/list-tenants'),
    time: 'one-call',
    prepare: prepareListAgain,
  },
  {
    step: 'backup/back-up-tenant',
    what: 'unchanged objects',
    items: SOME_OBJECTS,
    time: 'goes-on',
    prepare: prepareUnchanged,
  },
  { step: 'backup/back-up-tenant', what: 'new objects', items: 1000, time: 'goes-on', prepare: prepareNew },
  {
    step: 'backup/back-up-tenant',
    what: 'compare a manifest',
    items: 400_000,
    time: 'goes-on',
    part: 'compare',
  },
  {
    step: 'backup/back-up-tenant',
    what: 'stop for time',
    items: 2_000_000,
    // `timeIsShort` a minute before the end, which the upload of the segment has to fit into as well.
    time: { withinMs: 30_000 },
    part: 'suspend',
  },
  {
    step: 'backup/back-up-tenant',
    what: 'write a manifest',
    items: 400_000,
    time: 'one-call',
    part: 'assemble',
  },
  {
    step: 'backup/settle-tenants',
    what: 'results of two passes',
    items: builtFor('backup/settle-tenants'),
    time: 'one-call',
    prepare: prepareSettle,
  },
  {
    step: 'backup/complete',
    what: 'tenants',
    items: builtFor('backup/complete'),
    time: 'one-call',
    prepare: prepareComplete,
  },
  {
    step: 'evidence/append-entry',
    what: 'entries, of which nothing is kept',
    items: 2000,
    time: 'one-call',
    prepare: prepareAppend,
  },
  {
    step: 'restore-test/choose',
    what: 'entries, of which nothing is kept',
    items: 2000,
    time: 'one-call',
    prepare: prepareChoose,
  },
  {
    step: 'restore-test/plan-objects',
    what: 'tenants',
    items: builtFor('restore-test/plan-objects'),
    time: 'one-call',
    prepare: preparePlan,
  },
  {
    step: 'restore-test/verify-objects',
    what: 'objects listed, one restored',
    items: SOME_OBJECTS,
    time: 'goes-on',
    prepare: prepareInventory,
  },
  {
    step: 'restore-test/verify-objects',
    what: 'objects restored',
    items: 400,
    time: 'goes-on',
    prepare: prepareRestore,
  },
  {
    step: 'restore-test/tear-down',
    what: 'scratch objects',
    items: SOME_OBJECTS,
    time: 'goes-on',
    prepare: prepareTearDown,
  },
  {
    step: 'restore-test/conclude',
    what: 'tenants',
    items: builtFor('restore-test/conclude'),
    time: 'one-call',
    prepare: prepareConclude,
  },
  {
    step: 'pulse/read-back',
    what: 'root manifests of 1,000 schools, after a cold start',
    items: builtFor('pulse/read-back'),
    time: 'one-call',
    prepare: preparePulse,
  },
];

/** Why a step is under no load. */
export const NOT_MEASURED = {
  'backup/plan': 'one call of RDS for each database',
  'backup/create-snapshot': 'two calls of RDS',
  'backup/describe-snapshot': 'one call of RDS',
  'backup/copy-snapshot': 'a few calls of RDS',
  'backup/delete-intermediate': 'two calls of RDS',
  'tenants/ensure-key': 'a few calls of KMS',
  'evidence/check-decision': 'one small object',
  'evidence/record-tampering': 'one event, appended as `evidence/append-entry` does',
  'restore-test/restore-database': 'a few calls of RDS',
  'restore-test/describe-instance': 'one call of RDS',
  'backup/remove-unproved': 'a listing of RDS, and two calls for each snapshot that was left',
  'restore-test/remove-abandoned': 'one call of RDS for each instance',
  'workflows/start-execution': 'one call of Step Functions',
} as const satisfies Partial<Record<Step, string>>;
