import { DeleteObjectCommand, PutBucketVersioningCommand, S3Client } from '@aws-sdk/client-s3';
import { describe, expect, it } from 'vitest';
import type { RegisterContent } from '../../../functions/contracts/register.ts';
import { registerEntryKey } from '../../../functions/contracts/vault-layout.ts';
import { currentRuntime } from '../../../functions/platform/runtime.ts';
import { EntryChangedMeanwhileError, EntryNotAsAskedError } from '../../../functions/register/keep-entry.ts';
import { VERSIONS_SEARCHED, writeDocument } from '../../../functions/register/read-register.ts';
import {
  ACTS,
  addresses,
  ConnectionLostError,
  DAY_MS,
  findings,
  type OpenedSchool,
  openSchool,
  recordedKinds,
  stopAtEach,
} from './open-register.ts';

const HOUR_MS = 60 * 60 * 1000;

describe('an entry', () => {
  it('lies in the bucket with a salt of its own, and the ledger holds its hash and none of its words', async () => {
    const own = await openSchool();
    const { id: other } = await own.add('contact', own.content(own.controller, { email: 'deputy@oakfield.example' }));
    const [one, two] = await Promise.all(
      [own.head, other].map(async id => JSON.parse((await own.get('register', registerEntryKey(id))).toString('utf8'))),
    );
    expect(one.salt).toMatch(/^[A-Za-z0-9_-]{43}$/);
    expect(one.salt).not.toBe(two.salt);
    const ledger = (
      await Promise.all(
        (await own.list('evidence')).map(async key => (await own.get('evidence', key)).toString('utf8')),
      )
    ).join('\n');
    expect(ledger).toContain(own.head);
    for (const word of ['Oakfield', 'Ada', 'Bhriain', 'head@', one.salt]) expect(ledger).not.toContain(word);
  });

  it('counts after its cooling-off, and so does a change of it', async () => {
    const own = await openSchool();
    expect(addresses(own, await own.read(), own.controller)).toEqual(['head@oakfield.example']);
    const { recorded } = await own.change(own.head, { email: 'new@oakfield.example' });
    expect(Date.parse(recorded.latest.countsFrom)).toBe(own.clock.now().getTime() + 7 * DAY_MS);
    expect(addresses(own, await own.read(), own.controller)).toEqual(['head@oakfield.example']);
    own.clock.advance(7 * DAY_MS);
    expect(addresses(own, await own.read(), own.controller)).toEqual(['new@oakfield.example']);
    expect(findings(own, await own.read())).toEqual({});
  });

  it('is confirmed, and then not for twelve months', async () => {
    const own = await openSchool();
    own.clock.advance(366 * DAY_MS);
    expect(findings(own, await own.read())).toEqual({ [own.head]: ['not-confirmed'] });
    await own.confirm(own.head);
    expect(findings(own, await own.read())).toEqual({});
  });

  it('is found by the version that was recorded, however many others lie above it, and else among the newest alone', async () => {
    const own = await openSchool();
    const words = await own.get('register', registerEntryKey(own.head));
    const key = registerEntryKey(own.head);
    await own.put(own.head, words);
    for (let count = 0; count < VERSIONS_SEARCHED; count++) await own.put(own.head, '{}');
    expect(addresses(own, await own.read(), own.controller)).toEqual(['head@oakfield.example']);
    await own.confirm(own.head);

    const versionId = (await own.state()).register[own.head]?.latest.versionId;
    const client = await own.run(async () => currentRuntime().clientConfiguration);
    await new S3Client(client).send(new DeleteObjectCommand({ Bucket: 'register', Key: key, VersionId: versionId }));
    await expect(own.confirm(own.head)).rejects.toThrow(/are gone: .* nor in the 300 newest others; remove it/);
    await own.put(own.head, words);
    await own.confirm(own.head);
  });

  it('counts no more once it is removed, and its words are hidden', async () => {
    const own = await openSchool();
    expect(await own.remove(own.head)).toEqual({ wasRecorded: true });
    expect(addresses(own, await own.read(), own.controller)).toEqual([]);
    expect(await own.list('register')).toEqual([registerEntryKey(own.controller)]);
    expect((await own.state()).register[own.head]).toBeUndefined();
    expect(findings(own, await own.read())).toEqual({});
    await expect(own.remove(own.head)).rejects.toThrow(EntryNotAsAskedError);
  });

  it('is refused where it could not be whose it says, where nothing changes, and where it is there already', async () => {
    const own = await openSchool();
    await expect(own.add('contact', own.content('controller/nobody2222222222'))).rejects.toThrow('the ledger holds no');
    await expect(own.change(own.head, {})).rejects.toThrow('nothing to change');
    await expect(own.change('contact/nobody2222222222', {})).rejects.toThrow('the ledger holds no');
    await expect(own.remove(own.controller)).rejects.toThrow(`${own.head} is of ${own.controller}`);
    const tenant = { controller: own.controller, name: 'Oak', startsOn: '2026-09-01', endsOn: null, note: null };
    await own.addTenant(tenant);
    await expect(own.addTenant(tenant)).rejects.toThrow('tenant/oak is there already');
  });
});

describe('whoever is stopped on the way', () => {
  // Between two writes nothing changes; the soak stops at each request.
  it.each(Object.entries(ACTS))('%s, when he does it again', async (_name, { act, done }) => {
    const isWrite = (method: string) => ['PUT', 'DELETE'].includes(method);
    expect(await stopAtEach(isWrite, act, done)).toBe(2);
  });

  it('leaves words that do not count and are named, where the workflow never recorded them', async () => {
    const own = await openSchool();
    const never = async () => {
      throw new ConnectionLostError('not recorded');
    };
    await expect(own.change(own.head, { email: 'thief@elsewhere.example' }, never)).rejects.toThrow('not recorded');
    await expect(own.add('contact', own.content(own.controller, { name: 'Left' }), never)).rejects.toThrow();
    const [left = ''] = (await own.list('register', 'entries/contact/'))
      .map(key => key.slice('entries/'.length, -'.json'.length))
      .filter(id => id !== own.head);
    own.clock.advance(30 * DAY_MS);
    expect(addresses(own, await own.read(), own.controller)).toEqual(['head@oakfield.example']);
    expect(findings(own, await own.read())).toEqual({ [own.head]: ['altered'], [left]: ['left'] });
    // Nothing given: what was recorded is put back. And what was never recorded is removed.
    await own.change(own.head, {});
    expect(await own.remove(left)).toEqual({ wasRecorded: false });
    expect(findings(own, await own.read())).toEqual({});
    expect((await recordedKinds(own)).slice(2)).toEqual(['register.put-back']);
  });
});

it('records no version of a bucket that keeps none', async () => {
  const own = await openSchool();
  const bucket = { Bucket: 'register', VersioningConfiguration: { Status: 'Suspended' } } as const;
  await own.client.send(new PutBucketVersioningCommand(bucket));
  await expect(own.change(own.head, { email: 'new@oakfield.example' })).rejects.toThrow('keeps no versions');
  expect(await recordedKinds(own)).toHaveLength(2);
});

describe('two editors', () => {
  it('do not write over one another: the second is told, before and after the first was recorded', async () => {
    for (const isRecordedFirst of [false, true]) {
      const own = await openSchool();
      let second: Promise<unknown> | undefined;
      const meanwhile = () => {
        second ??= own.change(own.head, { phone: '+447700900123' });
        return second;
      };
      const first = own.change(own.head, { email: 'new@oakfield.example' }, async decision => {
        // His words are in the bucket; now the other one begins.
        if (!isRecordedFirst) await meanwhile().catch(() => undefined);
        await own.record(decision);
      });
      const ends = await Promise.allSettled([first, first.then(meanwhile, () => second)]);
      const recorded = (await own.state()).register[own.head];
      const kept = (await own.read()).get(own.head)?.latest as RegisterContent<'contact'>;
      if (isRecordedFirst) {
        // One after the other: both are kept.
        expect(ends.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
        expect([kept.email, kept.phone]).toEqual(['new@oakfield.example', '+447700900123']);
      } else {
        expect(ends[0]).toMatchObject({ status: 'rejected', reason: expect.any(EntryChangedMeanwhileError) });
        expect([kept.email, kept.phone]).toEqual(['head@oakfield.example', '+447700900123']);
      }
      expect(recorded?.before).not.toBeNull();
      expect(findings(own, await own.read())).toEqual({});
    }
  });

  it('are told where both read before either wrote', async () => {
    const own = await openSchool();
    let isFirst = true;
    own.intercept(async (request, next) => {
      if (request.method === 'PUT' && request.path.startsWith('/register/') && isFirst) {
        isFirst = false;
        await own.change(own.head, { phone: '+447700900123' });
      }
      return next();
    });
    await expect(own.change(own.head, { email: 'new@oakfield.example' })).rejects.toThrow(EntryChangedMeanwhileError);
    own.intercept(undefined);
    expect(findings(own, await own.read())).toEqual({});
    expect((await own.read()).get(own.head)?.latest).toMatchObject({ phone: '+447700900123' });
  });
});

describe('whoever writes to the bucket and not to the ledger', () => {
  const thief = { email: 'thief@elsewhere.example' };
  it.each<[string, (own: OpenedSchool) => Promise<void>, string[], string | undefined]>([
    [
      'in the place of a contact',
      own => own.put(own.head, writeDocument(own.head, own.content(own.controller, thief))),
      ['altered'],
      'head@oakfield.example',
    ],
    [
      'another contact’s document',
      async own => {
        const { id } = await own.add('contact', own.content(own.controller, thief));
        await own.put(own.head, await own.get('register', registerEntryKey(id)));
      },
      ['altered'],
      'head@oakfield.example',
    ],
    [
      'the same words once more',
      async own => {
        await own.put(own.head, await own.get('register', registerEntryKey(own.head)));
      },
      ['altered'],
      'head@oakfield.example',
    ],
    [
      'an older version',
      async own => {
        const old = await own.get('register', registerEntryKey(own.head));
        await own.change(own.head, { email: 'new@oakfield.example' });
        own.clock.advance(8 * DAY_MS);
        await own.put(own.head, old);
      },
      ['altered'],
      'new@oakfield.example',
    ],
    ['what is no document', own => own.put(own.head, '[]'), ['altered'], 'head@oakfield.example'],
    ['what never ends', own => own.put(own.head, Buffer.alloc(2_000_000, '[')), ['altered'], 'head@oakfield.example'],
    [
      'a delete marker',
      async own => {
        await own.hide(own.head);
      },
      ['altered'],
      'head@oakfield.example',
    ],
  ])('makes nothing count, with %s, and is found out', async (_name, attack, found, email) => {
    const own = await openSchool();
    await attack(own);
    expect(addresses(own, await own.read(), own.controller)).toContain(email);
    expect(addresses(own, await own.read(), own.controller)).not.toContain(thief.email);
    expect(findings(own, await own.read())).toMatchObject({ [own.head]: found });
    own.clock.advance(HOUR_MS);
    expect(await own.altered()).toEqual([{ entry: own.head, problem: 'altered' }]);
    // And is put right: what lies there is what the ledger says, by its version too.
    await own.change(own.head, {});
    expect(findings(own, await own.read())).toEqual({});
    expect(await own.altered()).toEqual([]);
    await expect(own.change(own.head, {})).rejects.toThrow('nothing to change');
  });
});
