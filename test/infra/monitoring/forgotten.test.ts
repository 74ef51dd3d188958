import { globSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { PULSE_METRICS } from '../../../functions/contracts/pulse.ts';
import { readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import { type AlarmDefinition, alarmsOf } from '../../../infra/monitoring/alarms.ts';
import { type CountAlarmDefinition, tamperAlarmsOf } from '../../../infra/monitoring/tamper-alarms.ts';
import { tamperRules } from '../../../infra/monitoring/tamper-rules.ts';
import { exampleTemplates } from '../../fixtures/example-templates.ts';
import { findForgotten, type Known, rowOf } from './forgotten.ts';

const PROJECT = join(import.meta.dirname, '../../..');

const text = (path: string) => readFileSync(join(PROJECT, path), 'utf8');
const codesIn = (cell: string) => [...cell.matchAll(/`([\w-]+…?)`/g)].map(([, code = '']) => code);

let known: Known;
beforeAll(() => {
  const configuration = readConfiguration(exampleConfiguration);
  const { Monitoring } = exampleTemplates();
  const resources = Object.entries(Monitoring);
  const alarms = resources.filter(([, { Type }]) => /^AWS::CloudWatch::(?:Composite)?Alarm$/.test(Type));
  const idOf = (name: string) => name.replace(/^daybreak-/, '').replace(/-notice$/, '');
  const told = ([{ Ref = '' } = {}]: { Ref?: string }[] = []) =>
    Monitoring[Ref]?.Properties.TopicName === 'daybreak-pagers' ? ('pagers' as const) : ('contacts' as const);
  const namedIn = (rule: unknown) =>
    alarms.flatMap(([logicalId, { Properties }]) =>
      JSON.stringify(rule).includes(`"${logicalId}"`) ? [idOf(Properties.AlarmName)] : [],
    );
  const pager = alarms.find(([, { Properties }]) => Properties.AlarmName === 'daybreak-pager')?.[1];
  const dashboard = resources.find(([, { Type }]) => Type === 'AWS::CloudWatch::Dashboard')?.[1].Properties;
  const pulse = globSync('functions/pulse/*.ts', { cwd: PROJECT }).map(text).join('\n');
  const metrics = Object.keys(PULSE_METRICS);
  const [, table = ''] = text('docs/alarms.md').split('| it sounds | when |\n');
  const rowFor = (topic: string) => table.split('\n').find(line => line.includes(`(the \`${topic}\`)`)) ?? '';
  const [, onCall = ''] = text('runbooks/README.md').split('## Alarm and page\n');
  const [, tampering = ''] = text('runbooks/tampering.md').split('## Decide\n');
  known = {
    alarms: [
      ...alarmsOf(configuration),
      ...tamperAlarmsOf(tamperRules(configuration, [])).map(alarm => ({ ...alarm, metric: undefined })),
    ],
    published: metrics.filter(metric => new RegExp(`\\b${metric}\\b`).test(pulse)),
    shown: metrics.filter(metric => JSON.stringify(dashboard).includes(`\\"${metric}\\"`)),
    pages: readdirSync(join(PROJECT, 'runbooks')),
    onCall: onCall.split('\n').filter(line => line.startsWith('| `')),
    described: {
      pagers: codesIn(rowFor('pagers').split('|')[2] ?? ''),
      contacts: codesIn(rowFor('contacts').split('|')[2] ?? ''),
    },
    tampering: tampering.split('\n').flatMap(line => codesIn(/^\| (.+?) \|/.exec(line)?.[1] ?? '')),
    deployed: {
      tell: Object.fromEntries(
        alarms.flatMap(([, { Properties }]) =>
          Properties.AlarmActions === undefined ? [] : [[idOf(Properties.AlarmName), told(Properties.AlarmActions)]],
        ),
      ),
      sound: namedIn(pager?.Properties.AlarmRule),
      onDashboard: namedIn(dashboard),
      count: alarms.length,
    },
    paid: (/\| CloudWatch alarms \| (\d+), and (\d+) over them/.exec(text('docs/cost.md')) ?? [])
      .slice(1)
      .reduce((sum, count) => sum + Number(count), 0),
  };
});

it('finds nothing that is forgotten of an alarm', () => {
  expect(findForgotten(known)).toEqual([]);
  expect(known.alarms.length).toBeGreaterThan(40);
  expect(known.published).toEqual(Object.keys(PULSE_METRICS));
});

it('names each place that an alarm which is defined alone has not come to', () => {
  const planted = { id: 'clock-wrong', meaning: 'A clock is wrong.', runbook: 'clock-wrong.md', urgent: true };
  const tampering = { id: 'tamper-clocks', meaning: 'A clock was set.', runbook: 'tampering.md', urgent: true };
  const alarms = [...known.alarms, { ...planted, metric: 'ClocksWrong' }, { ...tampering, metric: undefined }];
  expect(findForgotten({ ...known, alarms })).toEqual([
    'clock-wrong reads ClocksWrong, which functions/pulse never publishes',
    'clock-wrong leads to runbooks/clock-wrong.md, which is not there',
    `clock-wrong has no row in runbooks/README.md: | \`clock-wrong\` | pagers | A clock is wrong. | [clock-wrong](clock-wrong.md) |`,
    'clock-wrong is not in docs/alarms.md among what tells the pagers',
    'clock-wrong is to tell the pagers, and tells nobody',
    'clock-wrong is urgent, and does not sound the pager',
    'clock-wrong is not on the dashboard',
    `tamper-clocks has no row in runbooks/README.md: | \`tamper-clocks\` | pagers | A clock was set. | [tampering](tampering.md) |`,
    'tamper-clocks has no row in runbooks/tampering.md',
    'tamper-clocks is to tell the pagers, and tells nobody',
    'tamper-clocks is urgent, and does not sound the pager',
    'tamper-clocks is not on the dashboard',
  ]);
});

it('names each place that still has an alarm which was taken away, or another urgency than it', () => {
  const gone = known.alarms.find(({ id }) => id === 'key-unusable');
  const silenced = known.alarms.find(({ id }) => id === 'backup-failed');
  if (gone === undefined || silenced === undefined) throw new Error('no such alarms');
  const urgent = { ...silenced, urgent: true };
  const alarms = known.alarms.filter(alarm => alarm !== gone).map(alarm => (alarm === silenced ? urgent : alarm));
  const deployed = { ...known.deployed, count: known.deployed.count - 2 };
  expect(findForgotten({ ...known, alarms, deployed })).toEqual([
    `backup-failed has no row in runbooks/README.md: ${rowOf(urgent)}`,
    'backup-failed is not in docs/alarms.md among what tells the pagers',
    'backup-failed is to tell the pagers, and tells contacts',
    'backup-failed is urgent, and does not sound the pager',
    `runbooks/README.md has a row of no alarm: ${rowOf(silenced)}`,
    `runbooks/README.md has a row of no alarm: ${rowOf(gone)}`,
    'docs/alarms.md has key-unusable, which is no alarm',
    `docs/cost.md pays for ${known.paid} alarms, and ${known.paid - 2} are deployed`,
  ]);
});

// The compiler makes these checks: an error that is expected and does not come is one.
it('lets no field of an alarm be left out, nor a metric be named that pulse has not', () => {
  const [complete] = alarmsOf(readConfiguration(exampleConfiguration));
  if (complete === undefined) throw new Error('no alarm');
  const { id, meaning, metric, limit, command, runbook, urgent } = complete;
  const half: AlarmDefinition[] = [
    { id, meaning, metric, limit, command, runbook, urgent },
    // @ts-expect-error Property 'meaning' is missing
    { id, metric, limit, command, runbook, urgent },
    // @ts-expect-error Property 'metric' is missing
    { id, meaning, limit, command, runbook, urgent },
    // @ts-expect-error 'ClocksWrong' is no metric of pulse
    { id, meaning, metric: 'ClocksWrong', limit, command, runbook, urgent },
    // @ts-expect-error Property 'limit' is missing
    { id, meaning, metric, command, runbook, urgent },
    // @ts-expect-error Property 'command' is missing
    { id, meaning, metric, limit, runbook, urgent },
    // @ts-expect-error Property 'runbook' is missing
    { id, meaning, metric, limit, command, urgent },
    // @ts-expect-error Property 'urgent' is missing
    { id, meaning, metric, limit, command, runbook },
  ];
  // @ts-expect-error Property 'urgent' is missing
  const counted: Omit<CountAlarmDefinition, 'metric'> = { id, meaning, command, runbook };
  expect([...half, counted]).toHaveLength(9);
});
