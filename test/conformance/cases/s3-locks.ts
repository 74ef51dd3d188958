import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  DeleteObjectsCommand,
  GetObjectLockConfigurationCommand,
  GetObjectRetentionCommand,
  type ObjectLockRetention,
  PutObjectCommand,
  type PutObjectCommandInput,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3';
import { answer, type ConformanceCase } from '../case.ts';
import type { Scratch } from '../scratch.ts';
import { heldBucket, lockedBucket } from './buckets.ts';
import { s3Guide } from './pages.ts';

const LOCKS = 'infra/stacks/vault.ts: the vault’s lock';
const HOLD_PAGE = s3Guide('object-lock-managing');
const DAY_MS = 24 * 60 * 60 * 1000;
/** Clocks differ, and calls take their time. */
const NEAR_MS = 5 * 60 * 1000;
const REFUSED = '403 AccessDenied';

interface Named {
  readonly Bucket: string;
  readonly Key: string;
  readonly VersionId?: string | undefined;
}

async function write(
  scratch: Scratch,
  Bucket: string,
  Key: string,
  more: Partial<PutObjectCommandInput> = {},
): Promise<Named> {
  const { VersionId } = await scratch.s3.send(new PutObjectCommand({ Bucket, Key, Body: 'x', ...more }));
  return { Bucket, Key, VersionId };
}
const remove = (scratch: Scratch, named: Named, BypassGovernanceRetention?: true) =>
  answer(
    scratch.s3.send(
      new DeleteObjectCommand({ ...named, ...(BypassGovernanceRetention && { BypassGovernanceRetention }) }),
    ),
  );
const retain = (scratch: Scratch, named: Named, Retention: ObjectLockRetention) =>
  answer(scratch.s3.send(new PutObjectRetentionCommand({ ...named, Retention })));
const daysFrom = (scratch: Scratch, days: number) => new Date(scratch.now().getTime() + days * DAY_MS);

/** A version’s retention, with its date as the whole days from now that it is near to. */
async function readRetention(scratch: Scratch, named: Named) {
  const { Retention } = await scratch.s3.send(new GetObjectRetentionCommand(named));
  const untilMs = Retention?.RetainUntilDate?.getTime() ?? 0;
  const days = Math.round((untilMs - scratch.now().getTime()) / DAY_MS);
  const near = Math.abs(untilMs - daysFrom(scratch, days).getTime()) < NEAR_MS;
  return {
    untilMs,
    shown: {
      mode: Retention?.Mode ?? null,
      eventHold: Retention?.EventHold ?? null,
      durationDays: Retention?.EventHoldDuration?.Days ?? null,
      untilInDays: near ? days : (untilMs - scratch.now().getTime()) / DAY_MS,
    },
  };
}

const HELD_FOR_A_DAY = { mode: 'GOVERNANCE', eventHold: 'ON', durationDays: 1, untilInDays: 1 };

/** Object Lock in governance mode, and the event hold. Compliance mode is never used: it could not be cleaned up. */
export const s3LockCases: readonly ConformanceCase[] = [
  {
    service: 'S3',
    name: 'a version under governance retention is deleted by nobody without the bypass, and with it',
    restsOn: LOCKS,
    page: s3Guide('object-lock'),
    expected: { plain: REFUSED, bypassing: 'done' },
    observe: async scratch => {
      const lock = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: daysFrom(scratch, 1) } as const;
      const named = await write(scratch, await lockedBucket(scratch), 'governance', lock);
      return { plain: await remove(scratch, named), bypassing: await remove(scratch, named, true) };
    },
  },
  {
    service: 'S3',
    name: 'DeleteObjects deletes what is free, and names what is locked',
    restsOn: 'functions/platform/s3.ts: a deletion may fail in part',
    page: s3Guide('delete-multiple-objects'),
    expected: { deleted: ['free'], errors: ['locked AccessDenied'] },
    observe: async scratch => {
      const Bucket = await lockedBucket(scratch);
      const lock = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: daysFrom(scratch, 1) } as const;
      const versions = [await write(scratch, Bucket, 'free'), await write(scratch, Bucket, 'locked', lock)];
      const Objects = versions.map(({ Key, VersionId }) => ({ Key, VersionId }));
      const { Deleted = [], Errors = [] } = await scratch.s3.send(
        new DeleteObjectsCommand({ Bucket, Delete: { Objects } }),
      );
      return {
        deleted: Deleted.map(({ Key = '' }) => Key),
        errors: Errors.map(({ Key, Code }) => `${Key} ${Code}`),
      };
    },
  },
  {
    service: 'S3',
    name: 'a retention is lengthened by who may put one, and shortened with the bypass alone',
    restsOn: LOCKS,
    page: HOLD_PAGE,
    expected: { longer: 'done', shorter: REFUSED },
    observe: async scratch => {
      const lock = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: daysFrom(scratch, 1) } as const;
      const named = await write(scratch, await lockedBucket(scratch), 'lengthened', lock);
      const until = (days: number) =>
        retain(scratch, named, { Mode: 'GOVERNANCE', RetainUntilDate: daysFrom(scratch, days) });
      return { longer: await until(2), shorter: await until(1) };
    },
  },
  {
    service: 'S3',
    name: 'a lock does not keep a delete marker away',
    restsOn: 'infra/stacks/vault.ts: both locked buckets deny s3:DeleteObject',
    page: s3Guide('object-lock-managing'),
    expected: 'done',
    observe: async scratch => {
      const lock = { ObjectLockMode: 'GOVERNANCE', ObjectLockRetainUntilDate: daysFrom(scratch, 1) } as const;
      const { Bucket, Key } = await write(scratch, await lockedBucket(scratch), 'marked', lock);
      return remove(scratch, { Bucket, Key });
    },
  },
  {
    service: 'S3',
    name: 'no bypass lifts a legal hold',
    restsOn: LOCKS,
    page: s3Guide('object-lock'),
    expected: { held: REFUSED, lifted: 'done' },
    observe: async scratch => {
      const named = await write(scratch, await lockedBucket(scratch), 'legal', { ObjectLockLegalHoldStatus: 'ON' });
      const held = await remove(scratch, named, true);
      await scratch.s3.send(new PutObjectLegalHoldCommand({ ...named, LegalHold: { Status: 'OFF' } }));
      return { held, lifted: await remove(scratch, named) };
    },
  },
  {
    service: 'S3',
    name: 'a bucket takes a default event hold beside a default period of the same length, and gives both back',
    restsOn: 'infra/stacks/vault.ts: DefaultEventHold; functions/pulse/read-locks.ts',
    page: s3Guide('object-lock-configure'),
    expected: { mode: 'GOVERNANCE', days: 1, eventHoldDays: 1 },
    observe: async scratch => {
      const Bucket = await heldBucket(scratch);
      const { ObjectLockConfiguration } = await scratch.s3.send(new GetObjectLockConfigurationCommand({ Bucket }));
      const { Mode = null, Days = null, DefaultEventHold } = ObjectLockConfiguration?.Rule?.DefaultRetention ?? {};
      return { mode: Mode, days: Days, eventHoldDays: DefaultEventHold?.Days ?? null };
    },
  },
  {
    service: 'S3',
    name: 'a put, a copy and an upload in parts without lock headers fall under the default event hold',
    restsOn: LOCKS,
    page: s3Guide('object-lock-configure'),
    expected: { put: HELD_FOR_A_DAY, copy: HELD_FOR_A_DAY, parts: HELD_FOR_A_DAY },
    observe: async scratch => {
      const Bucket = await heldBucket(scratch);
      const shown = async (named: Named) => (await readRetention(scratch, named)).shown;
      const source = await write(scratch, Bucket, 'default/put');
      const target = { Bucket, Key: 'default/copy' };
      const copied = await scratch.s3.send(
        new CopyObjectCommand({ ...target, CopySource: `${Bucket}/${source.Key}`, ChecksumAlgorithm: 'SHA256' }),
      );
      const inParts = { Bucket, Key: 'default/parts' };
      const { UploadId } = await scratch.s3.send(
        new CreateMultipartUploadCommand({ ...inParts, ChecksumAlgorithm: 'SHA256' }),
      );
      const { ETag, ChecksumSHA256 } = await scratch.s3.send(
        new UploadPartCommand({ ...inParts, UploadId, PartNumber: 1, Body: 'x', ChecksumAlgorithm: 'SHA256' }),
      );
      const MultipartUpload = { Parts: [{ PartNumber: 1, ETag, ChecksumSHA256 }] };
      const joined = await scratch.s3.send(
        new CompleteMultipartUploadCommand({ ...inParts, UploadId, MultipartUpload }),
      );
      return {
        put: await shown(source),
        copy: await shown({ ...target, VersionId: copied.VersionId }),
        parts: await shown({ ...inParts, VersionId: joined.VersionId }),
      };
    },
  },
  {
    service: 'S3',
    name: 'while an event hold is on, the retain-until date rolls with the time',
    restsOn: `${LOCKS}; there is no job that renews locks`,
    page: HOLD_PAGE,
    expected: true,
    observe: async scratch => {
      const named = await write(scratch, await heldBucket(scratch), 'rolling');
      const before = await readRetention(scratch, named);
      await scratch.sleep(4000);
      const after = await readRetention(scratch, named);
      scratch.note(`the date moved by ${((after.untilMs - before.untilMs) / 1000).toFixed(1)} s in 4 s`);
      return after.untilMs - before.untilMs >= 2000;
    },
  },
  {
    service: 'S3',
    name: 'a version under an event hold is deleted by nobody without the bypass, and with it',
    restsOn: LOCKS,
    page: HOLD_PAGE,
    expected: { plain: REFUSED, bypassing: 'done' },
    observe: async scratch => {
      const named = await write(scratch, await heldBucket(scratch), 'held');
      return { plain: await remove(scratch, named), bypassing: await remove(scratch, named, true) };
    },
  },
  {
    service: 'S3',
    name: 'releasing an event hold fixes the date at the release plus the duration',
    restsOn: `${LOCKS}: what no kept manifest needs is let go`,
    page: HOLD_PAGE,
    expected: {
      release: 'done',
      released: { mode: 'GOVERNANCE', eventHold: 'OFF', durationDays: null, untilInDays: 1 },
      fixed: true,
      deletion: REFUSED,
    },
    observe: async scratch => {
      const named = await write(scratch, await heldBucket(scratch), 'released');
      const release = await retain(scratch, named, { Mode: 'GOVERNANCE', EventHold: 'OFF' });
      const released = await readRetention(scratch, named);
      await scratch.sleep(3000);
      const later = await readRetention(scratch, named);
      return {
        release,
        released: released.shown,
        fixed: released.untilMs === later.untilMs,
        deletion: await remove(scratch, named),
      };
    },
  },
  {
    service: 'S3',
    name: 'a longer duration of an event hold is taken; a shorter one does not bring the date back',
    restsOn: LOCKS,
    page: HOLD_PAGE,
    expected: { longer: 'done', untilInDays: 3, shorter: 'done', broughtBack: false },
    observe: async scratch => {
      const named = await write(scratch, await heldBucket(scratch), 'duration');
      const hold = (Days: number) =>
        retain(scratch, named, { Mode: 'GOVERNANCE', EventHold: 'ON', EventHoldDuration: { Days } });
      const longer = await hold(3);
      const long = await readRetention(scratch, named);
      const shorter = await hold(2);
      const short = await readRetention(scratch, named);
      return { longer, untilInDays: long.shown.untilInDays, shorter, broughtBack: short.untilMs < long.untilMs - 1000 };
    },
  },
  {
    service: 'S3',
    name: 'a writer can name an event hold of its own',
    restsOn: 'infra/stacks/vault.ts: OnlyRetentionReleases also keeps writers from naming a shorter one',
    page: s3Guide('object-lock-configure'),
    expected: { mode: 'GOVERNANCE', eventHold: 'ON', durationDays: 2, untilInDays: 2 },
    observe: async scratch => {
      const named = await write(scratch, await lockedBucket(scratch), 'own-hold', {
        ObjectLockMode: 'GOVERNANCE',
        ObjectLockEventHold: 'ON',
        ObjectLockEventHoldDurationDays: 2,
      });
      return (await readRetention(scratch, named)).shown;
    },
  },
  {
    service: 'S3',
    name: 'a bucket policy with s3:object-lock-event-hold keeps everybody from releasing a hold',
    restsOn: 'infra/stacks/vault.ts and the retention rules to come: who releases is decided by policy',
    page: s3Guide('object-lock-managing'),
    expected: { release: REFUSED, longer: 'done' },
    observe: async scratch => {
      const named = await write(scratch, await heldBucket(scratch), 'kept/x');
      return {
        release: await retain(scratch, named, { Mode: 'GOVERNANCE', EventHold: 'OFF' }),
        longer: await retain(scratch, named, {
          Mode: 'GOVERNANCE',
          EventHold: 'ON',
          EventHoldDuration: { Days: 2 },
        }),
      };
    },
  },
  {
    service: 'S3',
    name: 'a bucket policy with s3:object-lock-event-hold-duration-days keeps durations from being short',
    restsOn: 'infra/stacks/vault.ts and the retention rules to come',
    page: s3Guide('object-lock-managing'),
    expected: { short: REFUSED, long: 'done' },
    observe: async scratch => {
      const named = await write(scratch, await heldBucket(scratch), 'long/x');
      const hold = (Days: number) =>
        retain(scratch, named, { Mode: 'GOVERNANCE', EventHold: 'ON', EventHoldDuration: { Days } });
      return { short: await hold(2), long: await hold(6) };
    },
  },
];
