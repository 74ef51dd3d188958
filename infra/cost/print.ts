import { EXIT } from '../command-line/failure.ts';
import { createProgram, runProgram, whenRun } from '../command-line/program.ts';
import { readConfiguration } from '../config/configuration.ts';
import { exampleConfiguration } from '../config/example.ts';
import { countResources } from './count-resources.ts';
import { estimateMonth, firstBackup, growth } from './estimate.ts';
import { LARCH_LEARNING } from './example.ts';
import { arePricesOld, INSTANCE_PRICES, PRICES, PRICES_AS_OF } from './prices.ts';

/** The example's month as Markdown, with what it rests on. */
export function describeExample(): string {
  const size = LARCH_LEARNING;
  const configuration = readConfiguration(exampleConfiguration);
  const lines = estimateMonth(configuration, size, countResources(configuration));
  const total = lines.reduce((sum, { usd }) => sum + usd, 0);
  const unconfirmed = Object.values({ ...PRICES, ...INSTANCE_PRICES }).filter(
    ({ evidence }) => evidence === 'unconfirmed',
  );
  return [
    `${size.name}: ${size.schools} schools, a database of ${size.databaseGb} GB that changes by ${size.databaseChangeGbPerDay} GB a day, ${size.files.toLocaleString('en-GB')} files of ${size.filesGb} GB, ${size.changedFilesPerDay.toLocaleString('en-GB')} changed a day, in buckets ${size.keepsVersions ? 'with' : 'without'} versions, ${size.snapshotsKept} snapshots kept, a restore test a month.`,
    '',
    `It counts on retention, which is to let older snapshots and replaced files go, and on erasure, which is to end the keys of schools that left. **Neither is built yet**: until then nothing goes for its age, each month adds about ${growth(size).toFixed(2)} to the next, and a school that left goes on costing its key.`,
    '',
    '| what | a month | USD |',
    '| --- | --- | ---: |',
    ...lines.map(({ what, quantity, usd }) => `| ${what} | ${quantity} | ${usd.toFixed(2)} |`),
    `| **all** | | **about ${Math.round(total)}** |`,
    '',
    `Prices of eu-west-2 as of ${PRICES_AS_OF} ([each with its source](infra/cost/prices.ts); ${unconfirmed.length} of them unconfirmed), without VAT, support and free tiers; the first backup adds ${firstBackup(size).toFixed(2)}, once. A key that rotates costs a dollar more a month after its first and its second year. A second trail of the account's changes costs 2.00 for each 100,000.`,
  ].join('\n');
}

if (import.meta.main) {
  const program = createProgram(
    'npm run cost',
    'Prints what AWS charges for a month of a made-up supplier.',
  ).addHelpText('after', '\nPut your own sizes into infra/cost/example.ts.\n\nExample:\n  npm run cost');
  await runProgram(whenRun(program, print), process.argv.slice(2));
}

function print(): number {
  process.stdout.write(`${describeExample()}\n`);
  if (arePricesOld(new Date())) {
    process.stderr.write(
      `The prices are of ${PRICES_AS_OF}: look them up again before you rely on them, in infra/cost/prices.ts.\n`,
    );
  }
  return EXIT.done;
}
