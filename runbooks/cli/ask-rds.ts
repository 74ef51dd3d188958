import { describeError } from '../../functions/platform/errors.ts';
import { type DBInstance, type DBSnapshot, listInstances, listManualSnapshots } from '../../functions/platform/rds.ts';

/** What RDS says now; null where it was not asked. `look` says which, in a sentence for the answer. */
interface Asked {
  readonly look: string;
  readonly snapshots: readonly DBSnapshot[] | null;
  readonly instances: readonly DBInstance[] | null;
}

/** Of what `npm start` leaves. */
export const NOT_ASKED_LOCALLY: Asked = {
  look: 'From records; RDS was not asked: what npm start leaves has none that runs.',
  snapshots: null,
  instances: null,
};

/** Asks once for every manual snapshot and instance; where RDS does not answer, the records are all there is, and it says so. */
export async function askRds(): Promise<Asked> {
  try {
    const [snapshots, instances] = await Promise.all([listManualSnapshots(), listInstances('')]);
    return { look: 'From records, compared with the snapshots that RDS lists.', snapshots, instances };
  } catch (error) {
    const look = `From records; RDS did not answer, so that what is lost may be called kept: ${describeError(error)}`;
    return { look, snapshots: null, instances: null };
  }
}
