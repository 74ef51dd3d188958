import {
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { RegisterContent } from '../../../functions/contracts/register.ts';
import { registerEntryKey } from '../../../functions/contracts/vault-layout.ts';
import { sha256Hex } from '../../../functions/platform/canonical-json.ts';
import { type Runtime, withRuntime } from '../../../functions/platform/runtime.ts';
import { contactsOf, findingsOf } from '../../../functions/register/judge-register.ts';
import { addEntry, changeEntry, type Recorder } from '../../../functions/register/keep-entry.ts';
import { type RegisterPlace, readRegister, writeDocument } from '../../../functions/register/read-register.ts';
import { operatorPolicy } from '../../../infra/access/operator-policy.ts';
import { registrarPolicy } from '../../../infra/access/registrar-policy.ts';
import { responderPolicy } from '../../../infra/access/responder-policy.ts';
import { roleArn, stepName } from '../../../infra/access/role-names.ts';
import { readConfiguration } from '../../../infra/config/configuration.ts';
import { exampleConfiguration } from '../../../infra/config/example.ts';
import type { Principal } from '../../../infra/local/service.ts';
import { createDaybreak, describeEnd } from '../../../runbooks/cli/program.ts';
import { recordDecision } from '../../../runbooks/cli/record-decision.ts';
import { VERB_GROUPS } from '../../../runbooks/cli/verb-groups.ts';
import { runHere } from '../command-line/run-here.ts';
import {
  ALLOWED,
  AttackedAccount,
  account,
  administrator,
  attempt,
  comingRole,
  EVERYTHING,
  NOT_ALLOWED,
  ofAllRoles,
  operator,
  RESOURCE_DENIES,
  RESOURCE_SILENT,
  stranger,
  widened,
} from './attacks-account.ts';

// The command reaches the account in memory, as the operator.
vi.mock('../../../runbooks/cli/open-target.ts', () => ({ openTarget: async () => runtimeOf(operator) }));

const DAY_MS = 86_400_000;
const configuration = readConfiguration({ ...exampleConfiguration, operatorRoleArns: [operator.arn] });
const school: RegisterContent<'controller'> = { type: 'school', name: 'Oakfield', answers: {}, note: null };
const head = (controller: string, email = 'head@oakfield.example'): RegisterContent<'contact'> => ({
  controller,
  name: 'Head',
  email,
  phone: null,
  may: ['instruct', 'receive'],
  note: null,
});
let attacked: AttackedAccount;
let Bucket: string;
let keyArn: string;
let controller: string;
let contact: string;
/** The history of every execution, and everything that functions wrote. */
const said: string[] = [];

/** What the operator of the configuration is allowed, until the next test says otherwise. */
const allow = (...policies: readonly { document: object }[]) =>
  attacked.cloud.iam.putRole({ arn: operator.arn, policies: policies.map(({ document }) => document) });
const keeper = () => allow(operatorPolicy(configuration), registrarPolicy(configuration));

function runtimeOf(principal: Principal): Runtime {
  const { cloud } = attacked;
  const clientConfiguration = cloud.clientConfiguration(principal);
  const writeLine = () => undefined;
  return { environment: {}, clock: cloud.clock, clientConfiguration, writeLine, instances: new Map() };
}

function as<T>(work: (place: RegisterPlace) => Promise<T>, principal: Principal = operator): Promise<T> {
  return withRuntime(runtimeOf(principal), () => work(attacked.deployment));
}
const record: Recorder = async decision => {
  const result = await recordDecision({ region: 'eu-west-2', accountId: account }, decision);
  if ('error' in result) throw new Error(result.error);
};
const add = (kind: 'controller' | 'contact', content: RegisterContent) =>
  as(place => addEntry(place, { kind, id: null, content, by: 'staff-7' }, record));
const addressesThatCount = () =>
  as(async place => {
    const now = attacked.cloud.clock.now();
    return contactsOf(controller, await readRegister(place, now), now).map(one => one.contact.email);
  });

/** What the registrar's policy is without an action. */
const without = (action: string) => {
  const { Version, Statement } = registrarPolicy(configuration).document;
  return { Version, Statement: Statement.filter(({ Action }) => !Action?.includes(action)) };
};
const command = (kind: string, verb: string, ...words: string[]) =>
  runHere(
    createDaybreak(VERB_GROUPS),
    ['register', kind, verb, '--evidence-bucket', attacked.deployment.evidenceBucket, ...words],
    describeEnd,
  );

beforeAll(async () => {
  attacked = await AttackedAccount.create();
  const { scheduler, states, lambda } = attacked.cloud;
  // Days pass, in which nothing else is to run.
  for (const { name } of scheduler.listSchedules()) scheduler.deleteSchedule(name);
  states.onEvent(transition => said.push(JSON.stringify(transition)));
  lambda.onLine((_name, line) => said.push(line));
  Bucket = attacked.deployment.registerBucket;
  keeper();
  controller = (await add('controller', school)).id;
  contact = (await add('contact', head(controller))).id;
  await attacked.cloud.clock.advance(8 * DAY_MS);
  const { SSEKMSKeyId = '' } = await attacked
    .s3(operator)
    .send(new HeadObjectCommand({ Bucket, Key: registerEntryKey(contact) }));
  keyArn = SSEKMSKeyId;
});
afterAll(() => attacked?.cloud.close());

describe('who keeps the register', () => {
  it('does all of it by the two policies that are printed for him, and by neither alone', async () => {
    keeper();
    const words = ['--controller', controller, '--name', 'Deputy', '--email', 'deputy@oakfield.example'];
    const added = await command('contact', 'add', ...words, '--may', 'receive', '--by', 'staff-7', '--json');
    expect(added).toMatchObject({ exitCode: 0, stderr: '' });
    const { id } = JSON.parse(added.stdout);
    const act = (verb: string, ...more: string[]) => command('contact', verb, '--id', id, '--by', 'staff-7', ...more);
    const { stdout } = await act('change', '--note', 'On leave');
    expect(stdout).toMatch(
      /^contact\/[a-z2-7]{16}: entry \d+ of the ledger; counts from 2026-12-07T.*Z on; what it takes/,
    );
    expect((await act('confirm')).stdout).toMatch(/: confirmed at 2026-11-30T/);
    // What the entry says already, and who came second: of the one he is told to change something, of the other to look.
    expect(await act('change', '--note', 'On leave')).toMatchObject({ exitCode: 2, stdout: '' });
    attacked.cloud.iam.putRole({
      arn: operator.arn,
      policies: [operatorPolicy(configuration).document, without('states:StartExecution')],
    });
    expect((await act('change', '--note', 'Back')).exitCode).toBe(3);
    keeper();
    expect((await command('contact', 'show')).exitCode).toBe(1);
    expect((await act('change')).exitCode).toBe(0);
    expect((await command('contact', 'show')).exitCode).toBe(0);
    expect((await act('remove')).stdout).toContain('removed, and counts no more');
    expect(await act('remove')).toMatchObject({ exitCode: 2, stderr: `daybreak: there is no ${id}\n` });
    const found = await as(place => readRegister(place, attacked.cloud.clock.now()));
    expect([...found.values()].flatMap(one => findingsOf(one, found, attacked.cloud.clock.now()))).toEqual([]);

    // Who watches reads: somebody has to be called at night.
    allow(operatorPolicy(configuration));
    expect(await addressesThatCount()).toEqual(['head@oakfield.example']);
    await expect(add('contact', head(controller))).rejects.toThrow(/refused/);
    // Who repairs records decisions, and has no words to record.
    allow(operatorPolicy(configuration), responderPolicy(configuration));
    await expect(add('contact', head(controller))).rejects.toThrow(/refused/);
    keeper();
  });

  it('leaves none of its words in the ledger, in executions and their history, or in logs', async () => {
    const executions = attacked.cloud.states.listExecutions();
    const kept = [JSON.stringify(await attacked.ledger()), JSON.stringify(executions)];
    for (const text of kept) expect(text.includes(contact)).toBe(true);
    expect(said.length).toBeGreaterThan(20);
    for (const text of [...kept, ...said]) {
      for (const word of ['Oakfield', 'Head', 'oakfield.example', 'On leave']) expect(text).not.toContain(word);
    }
    expect(executions.map(({ name }) => name)).toEqual(
      executions.map(() => expect.stringMatching(/^register-[a-z-]+-[0-9a-f]{16}-\d+$/)),
    );
  });
});

describe('the bucket and the key of the register', () => {
  const put = (principal: Principal, more: Partial<PutObjectCommandInput>, Key = registerEntryKey(contact)) =>
    attempt(() => attacked.s3(principal).send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...more })));
  const unused = registerEntryKey('contact/unused2222222222');

  it('take words from nobody but the people whom the configuration names', async () => {
    const write = (principal: Principal) => put(principal, { IfNoneMatch: '*' }, unused);
    expect(await ofAllRoles(write)).toEqual([RESOURCE_DENIES]);
    for (const principal of [widened, stranger, administrator, comingRole('register-step-to-come')]) {
      attacked.cloud.iam.putRole({ arn: principal.arn, policies: [EVERYTHING] });
      expect([principal.arn, await write(principal)]).toEqual([principal.arn, RESOURCE_DENIES]);
    }
    const { ETag: IfMatch = '' } = await attacked
      .s3(operator)
      .send(new HeadObjectCommand({ Bucket, Key: registerEntryKey(contact) }));
    const remove = (principal: Principal) =>
      attempt(() =>
        attacked.s3(principal).send(new DeleteObjectCommand({ Bucket, Key: registerEntryKey(contact), IfMatch })),
      );
    expect(await ofAllRoles(remove)).toEqual([RESOURCE_DENIES]);
    expect(await remove(administrator)).toBe(RESOURCE_DENIES);
  });

  it('are read by the people, and by the capabilities that ask whose words count', async () => {
    const context = {
      'kms:ViaService': 's3.eu-west-2.amazonaws.com',
      'kms:EncryptionContext:aws:s3:arn': `arn:aws:s3:::${Bucket}/${registerEntryKey(contact)}`,
    };
    const decrypt = (principal: Principal, given: object = context) => {
      if (principal !== operator) attacked.cloud.iam.putRole({ arn: principal.arn, policies: [EVERYTHING] });
      return attacked.judge(principal, 'kms:Decrypt', keyArn, given);
    };
    for (const capability of ['register', 'approval', 'retention', 'erasure', 'export', 'incident', 'rights']) {
      expect(await decrypt(comingRole(`${capability}-step-to-come`))).toBe(ALLOWED);
      expect(
        await attacked.judge(comingRole(`${capability}-step-to-come`), 'kms:GenerateDataKey', keyArn, context),
      ).toBe(RESOURCE_SILENT);
    }
    for (const capability of ['backup', 'restore-test', 'evidence', 'pulse', 'tenants', 'recovery']) {
      expect(await decrypt(comingRole(`${capability}-step-to-come`))).toBe(RESOURCE_SILENT);
    }
    expect(await decrypt(comingRole('approval-x/reader'))).toBe(RESOURCE_SILENT);
    expect(await decrypt(administrator)).toBe(RESOURCE_SILENT);
    expect(await decrypt(operator)).toBe(ALLOWED);
    // Nothing but the register, and through S3.
    expect(await decrypt(operator, {})).not.toBe(ALLOWED);
    const elsewhere = { ...context, 'kms:EncryptionContext:aws:s3:arn': 'arn:aws:s3:::elsewhere/entries/a' };
    expect(await decrypt(comingRole('register-step-to-come'), elsewhere)).toBe(RESOURCE_SILENT);
  });

  it('tell no function what lies there but pulse, which sees versions and no words', async () => {
    const pulse = roleArn(account, stepName('pulse/read-back'));
    const list = (principal: Principal) =>
      attempt(() => attacked.s3(principal).send(new ListObjectVersionsCommand({ Bucket })));
    const read = (principal: Principal) =>
      attempt(() => attacked.s3(principal).send(new GetObjectCommand({ Bucket, Key: registerEntryKey(contact) })));
    const listing: string[] = [];
    await ofAllRoles(async principal => {
      if (principal.kind === 'role' && (await list(principal)) === ALLOWED) listing.push(principal.arn);
      return '';
    });
    expect(listing).toEqual([pulse]);
    expect(await ofAllRoles(read)).toEqual([NOT_ALLOWED]);
  });

  it('refuse what is written or deleted without having been read, copied, or put under another key', async () => {
    expect(await put(operator, {})).toBe(RESOURCE_DENIES);
    expect(await put(attacked.cloud.root, {})).toBe(RESOURCE_DENIES);
    const remove = new DeleteObjectCommand({ Bucket, Key: registerEntryKey(contact) });
    expect(await attempt(() => attacked.s3(operator).send(remove))).toBe(RESOURCE_DENIES);
    const CopySource = `${Bucket}/${registerEntryKey(contact)}`;
    expect(
      await attempt(() => attacked.s3(operator).send(new CopyObjectCommand({ Bucket, Key: unused, CopySource }))),
    ).toBe(RESOURCE_DENIES);
    expect(
      await attempt(() => attacked.s3(operator).send(new CreateMultipartUploadCommand({ Bucket, Key: unused }))),
    ).toBe(RESOURCE_DENIES);
    const other = { ServerSideEncryption: 'aws:kms', SSEKMSKeyId: attacked.deployment.vaultKeyArn } as const;
    expect(await put(operator, { ...other, IfNoneMatch: '*' }, unused)).toBe(RESOURCE_DENIES);
    // Below another prefix nobody looks.
    expect(await put(operator, { IfNoneMatch: '*' }, 'elsewhere/a.json')).toBe(NOT_ALLOWED);
  });

  it('keep old versions until their day, whoever wants them gone', async () => {
    const { Versions = [] } = await attacked
      .s3(operator)
      .send(new ListObjectVersionsCommand({ Bucket, Prefix: registerEntryKey(contact) }));
    const [{ Key = '', VersionId } = {}] = Versions;
    const remove = (principal: Principal) =>
      attempt(() => attacked.s3(principal).send(new DeleteObjectCommand({ Bucket, Key, VersionId })));
    for (const principal of [operator, administrator, attacked.cloud.root, widened]) {
      if (principal === operator) allow({ document: EVERYTHING });
      expect([principal.arn, await remove(principal)]).toEqual([principal.arn, RESOURCE_DENIES]);
    }
    keeper();
  });
});

describe('a contact that somebody changes so that he receives', () => {
  const thief = 'thief@elsewhere.example';

  it('receives nothing by words that were put in its place, nor by an old version that was put back', async () => {
    const Key = registerEntryKey(contact);
    const putInPlace = async (Body: Buffer) => {
      const { ETag: IfMatch } = await attacked.s3(operator).send(new HeadObjectCommand({ Bucket, Key }));
      await attacked.s3(operator).send(new PutObjectCommand({ Bucket, Key, Body, IfMatch }));
    };
    const { Body } = await attacked.s3(operator).send(new GetObjectCommand({ Bucket, Key }));
    const old = Buffer.from((await Body?.transformToByteArray()) ?? []);
    await putInPlace(writeDocument(contact, head(controller, thief)));
    expect(await addressesThatCount()).toEqual(['head@oakfield.example']);
    const edit = (before: RegisterContent) => ({ ...before, email: 'new@oakfield.example' }) as RegisterContent;
    await as(place => changeEntry(place, { id: contact, edit, by: 'staff-7' }, record));
    await attacked.cloud.clock.advance(8 * DAY_MS);
    expect(await addressesThatCount()).toEqual(['new@oakfield.example']);
    await putInPlace(old);
    expect(await addressesThatCount()).toEqual(['new@oakfield.example']);
    await as(place => changeEntry(place, { id: contact, edit: before => before, by: 'staff-7' }, record));
  });

  it('receives nothing for days by a change that was recorded, and never if it is put right meanwhile', async () => {
    const change = (email: string) =>
      as(place => {
        const edit = (before: RegisterContent) => ({ ...before, email }) as RegisterContent;
        return changeEntry(place, { id: contact, edit, by: 'staff-7' }, record);
      });
    await change(thief);
    await attacked.cloud.clock.advance(6 * DAY_MS);
    expect(await addressesThatCount()).toEqual(['new@oakfield.example']);
    await change('new@oakfield.example');
    for (let day = 0; day < 9; day++) {
      await attacked.cloud.clock.advance(DAY_MS);
      expect(await addressesThatCount()).toEqual(['new@oakfield.example']);
    }
  });

  it('receives nothing by words that are said to have been put back, and hastens none that wait', async () => {
    const say = async (sha256: string, versionId: string) => {
      const decision = { kind: 'register.put-back', entry: contact, sha256, versionId, by: 'staff-7' } as const;
      await as(() => record(decision));
      expect(await addressesThatCount()).toEqual(['new@oakfield.example']);
    };
    const Key = registerEntryKey(contact);
    const { ETag: IfMatch } = await attacked.s3(operator).send(new HeadObjectCommand({ Bucket, Key }));
    const forged = writeDocument(contact, head(controller, thief));
    const put = new PutObjectCommand({ Bucket, Key, Body: forged, IfMatch });
    const { VersionId = '' } = await attacked.s3(operator).send(put);
    const { recorded } = await as(async place => {
      const found = (await readRegister(place, attacked.cloud.clock.now())).get(contact);
      return { recorded: found?.recorded };
    });
    const right = recorded?.latest.sha256 ?? '';
    // By their own hash, which nobody recorded; and as the version of the words that count, which is believed of no words.
    await say(sha256Hex(forged), VersionId);
    await say(right, VersionId);
    const found = async () => {
      const now = attacked.cloud.clock.now();
      const register = await as(place => readRegister(place, now));
      return [...register.values()].flatMap(one => findingsOf(one, register, now));
    };
    expect(await found()).toEqual(['altered']);
    // He who puts it back is heard, however often somebody says otherwise.
    const putBack = () =>
      as(place => changeEntry(place, { id: contact, edit: before => before, by: 'staff-7' }, record));
    const back = (await putBack()).recorded.latest;
    expect(back).toEqual({ ...recorded?.latest, versionId: back.versionId });
    await say(right, 'elsewhere');
    await putBack();
    await say(right, 'elsewhere-too');
    await putBack();
    expect(await found()).toEqual([]);

    // A change that waits is not what is put back, and counts no sooner by it.
    const edit = (before: RegisterContent) => ({ ...before, email: thief }) as RegisterContent;
    const waiting = (await as(place => changeEntry(place, { id: contact, edit, by: 'staff-7' }, record))).recorded
      .latest;
    await attacked.cloud.clock.advance(6 * DAY_MS);
    await say(waiting.sha256, waiting.versionId);
    await say(waiting.sha256, back.versionId);
    await attacked.cloud.clock.advance(DAY_MS / 2);
    await say(right, back.versionId);
    const restore = (before: RegisterContent) => ({ ...before, email: 'new@oakfield.example' }) as RegisterContent;
    await as(place => changeEntry(place, { id: contact, edit: restore, by: 'staff-7' }, record));
    await say(waiting.sha256, waiting.versionId);
    await attacked.cloud.clock.advance(9 * DAY_MS);
    expect(await addressesThatCount()).toEqual(['new@oakfield.example']);
    expect(await found()).toEqual([]);
  });

  it('has no cooling-off that its sender chooses', async () => {
    const decision = {
      kind: 'register.changed',
      entry: contact,
      sha256: 'f'.repeat(64),
      versionId: 'f',
      previousSha256: null,
      by: 'staff-7',
    } as const;
    const shorter = { ...decision, coolingOffDays: 0 };
    const result = await as(() => recordDecision({ region: 'eu-west-2', accountId: account }, shorter as never));
    expect(result).toMatchObject({ hasEnded: true, error: expect.stringContaining('Unrecognized key') });
    // And what follows other words than the newest changes nothing, though it is recorded.
    expect(await as(() => recordDecision({ region: 'eu-west-2', accountId: account }, decision))).toMatchObject({
      sequence: expect.any(Number),
    });
    expect(await addressesThatCount()).toEqual(['new@oakfield.example']);
  });
});
