import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compilePattern, matchesWildcard } from '../../../../infra/local/iam/wildcard.ts';

const alphabet = fc.constantFrom('a', 'b', '/', '.', '*', '?', '$', '\n');
const pattern = fc.string({ unit: alphabet, maxLength: 12 });
const text = fc.string({ unit: alphabet, maxLength: 16 });

function byRegularExpression(glob: string): RegExp {
  const source = glob
    .replaceAll(/[$.\n/]/g, '\\$&')
    .replaceAll('*', '[^]*')
    .replaceAll('?', '[^]');
  return new RegExp(`^${source}$`);
}

describe('wildcards', () => {
  it('match as the same pattern written as a regular expression', () => {
    fc.assert(
      fc.property(pattern, text, (glob, subject) => {
        const expected = byRegularExpression(glob).test(subject);
        expect(matchesWildcard(glob, subject)).toBe(expected);
        const compiled = compilePattern(glob, { wildcards: true, variables: true });
        expect(compiled(subject, () => undefined)).toBe(expected);
      }),
      { numRuns: 2000 },
    );
  });

  it('match themselves, and are literal where they are not meant', () => {
    fc.assert(
      fc.property(text, text, (one, other) => {
        const compiled = compilePattern(one, { wildcards: false, variables: false });
        expect(compiled(one, () => undefined)).toBe(true);
        expect(compiled(other, () => undefined)).toBe(one === other);
      }),
    );
  });

  it('take no longer than lengths multiplied, however many stars there are', () => {
    const startedAt = performance.now();
    expect(matchesWildcard(`${'*a'.repeat(200)}b`, 'a'.repeat(5000))).toBe(false);
    expect(performance.now() - startedAt).toBeLessThan(1000);
  });
});

describe('policy variables', () => {
  const lookUp = (name: string) => ({ 'aws:PrincipalAccount': '111122223333', 'aws:ResourceTag/who': 'a*c' })[name];
  it.each([
    ['arn:aws:iam::${aws:PrincipalAccount}:role/*', 'arn:aws:iam::111122223333:role/x', true],
    ['arn:aws:iam::${aws:PrincipalAccount}:role/*', 'arn:aws:iam::444455556666:role/x', false],
    ['${aws:ResourceTag/who}', 'a*c', true],
    ['${aws:ResourceTag/who}', 'abc', false],
    ['x${aws:ResourceTag/absent}*', 'x', false],
    ['a${*}b', 'a*b', true],
    ['a${*}b', 'axb', false],
    ['a${?}${$}', 'a?$', true],
  ])('%s against %s: %s', (glob, subject, expected) => {
    expect(compilePattern(glob, { wildcards: true, variables: true })(subject, lookUp)).toBe(expected);
  });

  it('that are not implemented are named', () => {
    expect(() => compilePattern('${aws:username}/*', { wildcards: true, variables: true })).toThrow(
      'the local cloud does not implement the policy variable ${aws:username}',
    );
    expect(compilePattern('${aws:username}', { wildcards: true, variables: false })('${aws:username}', lookUp)).toBe(
      true,
    );
  });
});
