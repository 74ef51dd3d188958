import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { S3Client } from '@aws-sdk/client-s3';
import { idOfInstant } from '../../../functions/contracts/identifiers.ts';
import { vaultSnapshotId } from '../../../functions/contracts/vault-layout.ts';
import { operatorPolicy } from '../../access/operator-policy.ts';
import { responderPolicy } from '../../access/responder-policy.ts';
import { readConfiguration, type SupplierConfiguration } from '../../config/configuration.ts';
import { alarmName, alarmsOf, noticeId } from '../../monitoring/alarms.ts';
import { LocalClock } from '../clock.ts';
import type { LocalCloud } from '../cloud.ts';
import { createEnvironment, type LocalEnvironment } from '../environment.ts';
import { describeNotice } from '../monitoring/describe-notice.ts';
import { type Display, formatDuration } from '../start/display.ts';
import { removeDatabases } from '../start/state-directory.ts';
import { uploadFiles } from '../start/upload-files.ts';
import { BREAK, type Broken, toTheSecond, type World } from './break-things.ts';
import { type AlarmStates, type Ending, findWrong, type GoneThrough } from './judge-rehearsal.ts';
import { linksIn, readPage } from './read-page.ts';
import { type RehearsalName, rehearsalOf } from './rehearsals.ts';
import { daybreakIn, runCommand, type Shell } from './run-command.ts';
import { BUCKET, DATABASE, FILES, SCHOOL } from './sample.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
/** The slowest alarm, that of pulse's silence, takes some 45 minutes, and as long to end. */
const LONGEST_WAIT_MS = 3 * 60 * MINUTE_MS;
const SETTLES_MS = 5 * MINUTE_MS;
const LINGERS_MINUTES = 40;
const SHOWN_LINES = 24;
const SHOWN_CHARACTERS = 600;
/** Hours before any schedule but pulse's and the janitor's comes. */
const STARTS_AT_HOUR = 8;
/** What stands on the pages for what only a person knows. */
const PLACEHOLDER =
  /\b(?:DATE|EXECUTION_ARN|GRANT_ID|ID|INCIDENT|KEY|KEY_ARN|KEY_ID|LEDGER_KEY_ARN|NAME|OTHER_ACCOUNT|ROLE|SCHOOL|SNAPSHOT|VERSION|YOUR_ID)\b/;
const PERSON = { INCIDENT: 'INC-42', YOUR_ID: 'staff-7' };

/** The run was interrupted by the person who started it. */
class InterruptedError extends Error {
  override readonly name = 'InterruptedError';
}

/** Nothing sounded, or what sounded did not end. */
class RehearsalFailedError extends Error {
  override readonly name = 'RehearsalFailedError';
}

/**
 * Breaks a thing in a local cloud of its own, and shows what follows: the alarm's notice, the commands of its page with what
 * they answer, how each ended, and whether it is right again. Everything that was started is stopped again.
 * @returns whether it is: each command ended as its page says, and each alarm is as it was; undefined when `interrupted`
 * fired first.
 */
export async function runRehearsal(
  name: RehearsalName,
  stateDirectory: string,
  display: Display,
  interrupted: AbortSignal,
): Promise<boolean | undefined> {
  if (interrupted.aborted) return undefined;
  let cloud: LocalCloud | undefined;
  let stopped = false;
  const interruption = new Promise<never>((_resolve, reject) => {
    interrupted.addEventListener('abort', () => reject(new InterruptedError()), { once: true });
  });
  interruption.catch(() => undefined);
  const rehearse = async () => {
    const startedAtMs = performance.now();
    const environment = await boot(stateDirectory, opened => {
      if (stopped) throw new InterruptedError();
      cloud = opened;
    });
    const rehearsal = new RunningRehearsal(name, environment, display, interrupted);
    await rehearsal.begin();
    await rehearsal.breakIt();
    await rehearsal.followPage();
    const isRight = await rehearsal.untilRight();
    display.line(`  ${formatDuration(performance.now() - startedAtMs)} in all`);
    return isRight;
  };
  try {
    return await Promise.race([rehearse(), interruption]);
  } catch (error) {
    if (error instanceof InterruptedError || interrupted.aborted) {
      display.line('interrupted; stopping what was started');
      return undefined;
    }
    if (!(error instanceof RehearsalFailedError)) throw error;
    display.line(`  ! ${error.message}`);
    return false;
  } finally {
    stopped = true;
    display.close();
    await cloud?.close();
    await removeDatabases(stateDirectory);
  }
}

function boot(directory: string, onCloud: (cloud: LocalCloud) => void): Promise<LocalEnvironment> {
  return createEnvironment({
    clock: new LocalClock({ flow: 'flowing', startsAt: lastMorning(new Date()) }),
    directory,
    databases: [DATABASE],
    buckets: [BUCKET],
    fillBuckets: async cloud => {
      await uploadFiles(new S3Client(cloud.clientConfiguration(cloud.root)), BUCKET.name, FILES, () => undefined);
    },
    onCloud,
  });
}

/** What happens now is no more than a day before the machine's time: pages look back so far. */
function lastMorning(now: Date): Date {
  const morning = new Date(now);
  morning.setUTCHours(STARTS_AT_HOUR, 0, 0, 0);
  return morning <= now ? morning : new Date(morning.getTime() - DAY_MS);
}

class RunningRehearsal {
  readonly #name: RehearsalName;
  readonly #environment: LocalEnvironment;
  readonly #configuration: SupplierConfiguration;
  readonly #display: Display;
  readonly #signal: AbortSignal;
  readonly #tellers: readonly string[];
  readonly #runbook: string;
  #world: World | undefined;
  #broken: Broken | undefined;
  #seen = 0;
  /** The first command of the page: it tells whether a repair by hand is one. */
  #first = '';
  #before: AlarmStates = new Map();
  readonly #gone: GoneThrough[] = [];

  constructor(name: RehearsalName, environment: LocalEnvironment, display: Display, signal: AbortSignal) {
    this.#name = name;
    this.#environment = environment;
    this.#display = display;
    this.#signal = signal;
    this.#configuration = readConfiguration(environment.configuration);
    const { alarm } = rehearsalOf(name);
    this.#tellers = [alarmName(alarm), alarmName(noticeId(alarm))];
    this.#runbook = alarmsOf(this.#configuration).find(({ id }) => id === alarm)?.runbook ?? '';
  }

  /** A backup, a restore test of it, and a pulse that finds all well. */
  async begin(): Promise<void> {
    const { cloud } = this.#environment;
    this.#display.heading('Before: a local cloud with a backup that is proved');
    const scheduledAt = toTheSecond(cloud);
    for (const workflow of ['daily-backup', 'restore-test'] as const) {
      const { status, error, cause } = await this.#environment.run(workflow, `${workflow}-before`, { scheduledAt });
      this.#display.line(`  ${workflow}: ${status}`);
      if (status !== 'SUCCEEDED') throw new RehearsalFailedError(`${workflow} ended as ${status}: ${error}: ${cause}`);
    }
    await this.#until(() => this.#sounding().length === 0, 'an alarm sounds before anything was broken');
    this.#display.line(`  ${cloud.alarms.list().length} alarms, none of them sounds`);
    // What was held back while there was no pulse yet is told by then.
    await cloud.clock.advance(SETTLES_MS);
    const snapshotId = vaultSnapshotId(idOfInstant(scheduledAt), DATABASE.id);
    this.#world = { cloud, deployment: this.#environment.deployment, snapshotId, tenant: SCHOOL };
    this.#seen = cloud.alarms.notices().length;
    this.#before = this.#states();
  }

  async breakIt(): Promise<void> {
    if (this.#world === undefined) throw new Error('nothing was begun');
    const { cloud } = this.#environment;
    const { what } = rehearsalOf(this.#name);
    this.#display.heading(`${this.#name}: ${what}`);
    const at = cloud.clock.now();
    this.#broken = await BREAK[this.#name](this.#world);
    this.#display.line(`  ${at.toISOString()}  ${this.#broken.did}`);
    await this.#untilTold('ALARM', 'nothing sounded');
    const words = { ...this.#broken.words, ...(await this.#broken.wordsOfPulse?.()) };
    this.#broken = { ...this.#broken, words };
  }

  /** Follows the alarm's page, as the person does who has `daybreak-operator` and `daybreak-responder`. */
  async followPage(): Promise<void> {
    const { cloud, deployment, operator } = this.#environment;
    const policies = [operatorPolicy(this.#configuration), responderPolicy(this.#configuration)];
    cloud.iam.putRole({ arn: operator.arn, policies: policies.map(({ document }) => document) });
    const { url, caFile = '' } = await cloud.listen();
    const { accessKeyId, secretAccessKey } = cloud.issueCredentials(operator);
    const shell: Shell = {
      configuration: cloud.clientConfiguration(operator),
      daybreak: daybreakIn(
        {
          PATH: process.env.PATH ?? '',
          AWS_ENDPOINT_URL: url,
          NODE_EXTRA_CA_CERTS: caFile,
          AWS_REGION: deployment.region,
          AWS_ACCESS_KEY_ID: accessKeyId,
          AWS_SECRET_ACCESS_KEY: secretAccessKey,
        },
        this.#signal,
      ),
      variables: new Map(),
      files: new Map(),
      now: () => cloud.clock.now(),
      signal: this.#signal,
    };
    await this.#follow(this.#runbook, shell);
    const done = await this.#broken?.repairByHand?.();
    if (done === undefined) return;
    this.#display.heading('By hand, as two administrators decide');
    for (const line of done) this.#display.line(`  ${line}`);
    if (this.#first !== '') await this.#run(this.#first, 'anybody', shell, true);
    for (const line of (await this.#broken?.handOver?.()) ?? []) this.#display.line(`  ${line}`);
  }

  /** @returns whether all is as the page says, and as it was before. */
  async untilRight(): Promise<boolean> {
    this.#display.heading('Time goes on');
    await this.#untilTold('OK', 'the alarm did not end');
    // Alarms of tampering stand for a quarter of an hour, and the repair is one more change.
    const { clock } = this.#environment.cloud;
    for (let minute = 0; minute < LINGERS_MINUTES && findWrong([], this.#before, this.#states()).length > 0; minute++)
      await clock.advance(MINUTE_MS);
    const wrong = findWrong(this.#gone, this.#before, this.#states());
    const time = clock.now().toISOString();
    const run = this.#gone.filter(({ ending }) => ending.kind !== 'not run').length;
    if (wrong.length === 0) {
      this.#display.line(
        `  ${time}  right again: ${run} commands ended as their pages say, ${this.#gone.length - run} were not run, as said above, and every alarm is as it was`,
      );
      return true;
    }
    this.#display.line(`  ${time}  not right again:`);
    for (const line of wrong) this.#display.line(`  ! ${line}`);
    return false;
  }

  async #follow(page: string, shell: Shell): Promise<void> {
    const { decide } = rehearsalOf(this.#name);
    const text = readFileSync(join(import.meta.dirname, '../../../runbooks', page), 'utf8');
    this.#display.heading(`runbooks/${page}`);
    let heading = '';
    for (const part of readPage(text, decide[page] ?? '')) {
      if (part.kind === 'heading') heading = part.text;
      else if (part.kind === 'command') {
        if (heading !== '') this.#display.line(`  ## ${heading}`);
        heading = '';
        if (this.#first === '') this.#first = part.text;
        await this.#run(part.text, part.by, shell);
      } else {
        heading = '';
        this.#display.line(`  ## Decide: ${part.cells.join(' | ')}`);
        for (const { text, by } of part.commands) await this.#run(text, by, shell);
        for (const link of linksIn(part.cells.join(' '))) {
          if (decide[link] !== undefined) await this.#follow(link, shell);
        }
      }
    }
  }

  async #run(written: string, by: 'anybody' | 'administrator', shell: Shell, isRepaired = false): Promise<void> {
    const line = this.#fill(written);
    this.#display.line(`  $ ${line}`);
    const say = (text: string) => this.#display.line(`    (${text})`);
    const { judged, refuses } = rehearsalOf(this.#name);
    const of = (commands: Readonly<Record<string, string>>) =>
      Object.entries(commands).find(([command]) => line.startsWith(command))?.[1];
    const excuse = of(judged) ?? (by === 'administrator' ? 'an administrator’s, who decides it' : undefined);
    if (excuse !== undefined) {
      this.#gone.push({ line, expected: undefined, ending: { kind: 'not run', why: excuse } });
      return say(`not run: ${excuse}`);
    }
    const refusal = isRepaired ? undefined : of(refuses);
    const ended = (ending: Ending, text = '') => {
      // A refusal of another kind is not the page's.
      const isOther = ending.kind === 'refused' && !text.includes(refusal ?? '');
      this.#gone.push({ line, expected: refusal === undefined || isOther ? 'answered' : 'refused', ending });
    };
    const [placeholder] = PLACEHOLDER.exec(line) ?? [];
    if (placeholder !== undefined) {
      ended({ kind: 'not run', why: `${placeholder} is for a person to say` });
      return say(`not run: ${placeholder} is for a person to say`);
    }
    const outcome = await runCommand(line, shell);
    if (outcome.kind === 'not run') {
      ended(outcome);
      return say(outcome.why);
    }
    this.#show(outcome.text);
    const [, executionArn] = /"executionArn": "([^"]+)"/.exec(outcome.text) ?? [];
    if (!line.includes(' start-execution ') || executionArn === undefined) {
      return ended(outcome, outcome.text);
    }
    const { status } = await this.#environment.cloud.states.waitForExecution(executionArn);
    ended({ kind: 'executed', status });
    say(`it ended as ${status}`);
  }

  #fill(written: string): string {
    const words = { ACCOUNT: this.#environment.deployment.accountId, ...PERSON, ...this.#broken?.words };
    return Object.entries(words).reduce(
      (line, [word, value]) => line.replaceAll(new RegExp(`(?<![A-Z_])${RegExp.escape(word)}(?![A-Z_])`, 'g'), value),
      written,
    );
  }

  #show(text: string): void {
    const lines = text.trimEnd().replaceAll('\t', '    ').split('\n');
    if (text.trim() === '') return;
    for (const line of lines.slice(0, SHOWN_LINES)) {
      const more = line.length - SHOWN_CHARACTERS;
      this.#display.line(`    ${line.slice(0, SHOWN_CHARACTERS)}${more > 0 ? ` … and ${more} characters` : ''}`);
    }
    if (lines.length > SHOWN_LINES) this.#display.line(`    … and ${lines.length - SHOWN_LINES} lines`);
  }

  /** Lets time pass until the alarm tells of `state`, and shows what is told on the way. */
  async #untilTold(state: 'ALARM' | 'OK', otherwise: string): Promise<void> {
    const { alarms } = this.#environment.cloud;
    const isIt = (notice: { alarm: string; state: string }) =>
      this.#tellers.includes(notice.alarm) && notice.state === state;
    const from = this.#seen;
    await this.#until(() => alarms.notices().slice(from).some(isIt), otherwise);
    for (const notice of alarms.notices().slice(from)) {
      const to = notice.notified.map(topic => topic.replace(/.*:/, '')).join(', ');
      const standing = alarms.list().find(({ name }) => name === notice.alarm);
      if (!isIt(notice) || standing === undefined || state === 'OK') {
        this.#display.line(`  ${notice.at.toISOString()}  ${notice.state} ${notice.alarm}, to ${to}`);
        continue;
      }
      const { subject, text } = describeNotice(notice, standing);
      this.#display.line(`  ${notice.at.toISOString()}  as it arrives, to ${to}:`);
      this.#display.line(`    Subject: ${subject}`);
      for (const line of text.split('\n')) this.#display.line(`    ${line}`);
    }
    this.#seen = alarms.notices().length;
  }

  async #until(isSo: () => boolean, otherwise: string): Promise<void> {
    const { clock } = this.#environment.cloud;
    const deadlineMs = clock.now().getTime() + LONGEST_WAIT_MS;
    while (!isSo()) {
      if (this.#signal.aborted) throw new InterruptedError();
      if (clock.now().getTime() > deadlineMs) {
        const sounding = this.#sounding();
        throw new RehearsalFailedError(`${otherwise}: after three hours ${sounding.join(', ') || 'no alarm'} sounds`);
      }
      await clock.advance(MINUTE_MS);
    }
  }

  #states(): AlarmStates {
    return new Map(this.#environment.cloud.alarms.list().map(({ name, state }) => [name, state]));
  }

  #sounding(): string[] {
    return this.#environment.cloud.alarms
      .list()
      .filter(({ name, state }) => state !== 'OK' && !name.endsWith('-notice'))
      .map(({ name }) => name);
  }
}
