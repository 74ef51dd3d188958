import { describeAssumptions, describeLoads, describeProjection, describeRates } from './scale/describe.ts';
import { LOADS } from './scale/loads.ts';
import { measureLoad } from './scale/measure.ts';
import { type MeasuredLoad, overBudget } from './scale/measurement.ts';
import { LARGE_SUPPLIER, ratesOf } from './scale/project.ts';
import { closeDatabases } from './scale/worlds/databases.ts';

/**
 * Measures the steps at the limits that stand beside them (`infra/steps/`), and prints what they come to for a large
 * supplier, as `docs/scale.md` has it. Fails where a step is over its budget. `npm run bench -- scale`
 */

const loads: MeasuredLoad[] = [];
try {
  for (const load of LOADS) {
    process.stderr.write(`${load.step}: ${load.what}\n`);
    loads.push(await measureLoad(load));
  }
} finally {
  await closeDatabases();
}
const rates = ratesOf(loads);
const parts = [
  describeLoads(loads),
  describeRates(rates),
  describeAssumptions(),
  describeProjection(rates, LARGE_SUPPLIER),
];
process.stdout.write(`${parts.join('\n\n')}\n`);
for (const problem of loads.flatMap(overBudget)) {
  process.stderr.write(`over budget: ${problem}\n`);
  process.exitCode = 1;
}
