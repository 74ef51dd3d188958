import { describe, expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../../functions/platform/errors.ts';
import { describeFailure, UsageError } from '../../../infra/command-line/failure.ts';

class OfDaybreakError extends PermanentError {}

const coded = (code: string, message: string) => Object.assign(new Error(message), { code });
const named = (name: string, message: string) => Object.assign(new Error(message), { name });
const full = coded('ENOSPC', 'ENOSPC: no space left on device, write');

describe('describeFailure', () => {
  it.each([
    ['an operator’s slip', new UsageError('--sql: two\n  lines'), 'usage', '--sql: two lines'],
    ['hostile text in it', new UsageError('there is no \u001b[31mred'), 'usage', 'there is no ?[31mred'],
    ['an error of ours', new OfDaybreakError('it is so'), 'known', 'it is so'],
    ['what passes', new RetryableError('nothing answers'), 'known', 'nothing answers'],
    [
      'a full disk below another error',
      new OfDaybreakError('cannot store it', { cause: new Error('within', { cause: full }) }),
      'unreachable',
      'no space is left on the disk (ENOSPC); free some, then run it again',
    ],
    [
      'a full quota',
      coded('EDQUOT', 'EDQUOT: disk quota exceeded'),
      'unreachable',
      'no space is left on the disk (EDQUOT); free some, then run it again',
    ],
    [
      'PostgreSQL’s full disk',
      coded('53100', 'could not extend file'),
      'unreachable',
      'no space is left on the disk (53100); free some, then run it again',
    ],
    [
      'no credentials',
      new RetryableError('s3://bucket: S3 did not answer well', {
        cause: named('CredentialsProviderError', 'Could not load credentials from any providers'),
      }),
      'unreachable',
      'no AWS credentials: Could not load credentials from any providers; sign in, or name a profile of yours with --profile',
    ],
    [
      'credentials of yesterday',
      new OfDaybreakError('s3://bucket: refused', { cause: named('ExpiredToken', 'The provided token has expired.') }),
      'unreachable',
      'AWS does not take these credentials (ExpiredToken); sign in again, or name another --profile',
    ],
    [
      'a folder that is none',
      coded('ENOTDIR', "ENOTDIR: not a directory, open '/etc/hosts/x'"),
      'unreachable',
      "Error: ENOTDIR: not a directory, open '/etc/hosts/x'",
    ],
    [
      'a service’s refusal that nobody translated',
      Object.assign(named('NotAuthorizedException', 'no'), { $metadata: {} }),
      'unreachable',
      'NotAuthorizedException: no',
    ],
    ['a text that was thrown', 'text', 'unexpected', 'text'],
  ])('tells of %s', (_, error, kind, text) => {
    expect(describeFailure(error)).toEqual({ kind, text });
  });

  it('keeps where an error happened that nobody expected', () => {
    const { kind, text } = describeFailure(new TypeError('oops\u001b[2J'));
    expect(kind).toBe('unexpected');
    expect(text).toMatch(/^TypeError: oops\?\[2J\n\s+at /);
  });

  it('comes to an end where errors are each other’s cause', () => {
    const [one, other] = [new OfDaybreakError('one'), new Error('other')];
    one.cause = other;
    other.cause = one;
    expect(describeFailure(one)).toEqual({ kind: 'known', text: 'one' });
  });
});
