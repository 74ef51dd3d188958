import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readConfiguration } from '../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../infra/config/example.ts';
import { readWholePage } from '../../infra/local/rehearsal/read-page.ts';
import { alarmsOf } from '../../infra/monitoring/alarms.ts';
import { tamperAlarmsOf } from '../../infra/monitoring/tamper-alarms.ts';
import { tamperRules } from '../../infra/monitoring/tamper-rules.ts';

/** A command as it is written for a reader. */
export interface WrittenLine {
  /** `runbooks/key-unusable.md`, or `alarm key-unusable`. */
  readonly page: string;
  readonly text: string;
  /** Who runs it: the first commands of alarms and pages are for who only watches. */
  readonly by: 'operator' | 'responder' | 'registrar' | 'administrator';
}

const PROJECT = join(import.meta.dirname, '../..');
/** Whom else than who repairs a page is for. */
const OTHERS: Readonly<Record<string, WrittenLine['by']>> = {
  'DEPLOYING.md': 'administrator',
  'docs/register.md': 'registrar',
  'runbooks/register.md': 'registrar',
};
const folder = (name: string) => readdirSync(join(PROJECT, name)).map(file => `${name}/${file}`);

/** Every command of the pages, of the guide to deploying, of what else a user reads, and of the alarms. */
export function writtenLines(): WrittenLine[] {
  const pages = [...folder('runbooks'), ...folder('docs'), 'DEPLOYING.md', 'README.md'].filter(name =>
    name.endsWith('.md'),
  );
  const lines = pages.flatMap(page => {
    let isFirst = false;
    return readWholePage(readFileSync(join(PROJECT, page), 'utf8')).flatMap(part => {
      if (part.kind === 'heading') isFirst = page.startsWith('runbooks/') && part.text === 'First command';
      const commands = part.kind === 'row' ? part.commands : part.kind === 'command' ? [part] : [];
      const others = isFirst ? 'operator' : (OTHERS[page] ?? 'responder');
      return commands.map(({ text, by }) => ({ page, text, by: by === 'administrator' ? by : others }) as const);
    });
  });
  const configuration = readConfiguration(exampleConfiguration);
  const alarms = [...alarmsOf(configuration), ...tamperAlarmsOf(tamperRules(configuration, []))];
  return [
    ...lines,
    ...alarms.map(({ id, command }) => ({ page: `alarm ${id}`, text: command, by: 'operator' }) as const),
  ];
}
