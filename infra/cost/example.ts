import type { SupplierSize } from './estimate.ts';

/** A made-up supplier, as large as many are. */
export const LARCH_LEARNING: SupplierSize = {
  name: 'Larch Learning',
  schools: 40,
  databaseGb: 20,
  databaseChangeGbPerDay: 0.5,
  files: 200_000,
  filesGb: 60,
  changedFilesPerDay: 2000,
  keepsVersions: false,
  snapshotsKept: 35,
  restoreTestHours: 2,
};
