import { describe, expect, it } from 'vitest';
import { compileFilterPattern } from '../../../../infra/local/logs/filter-pattern.ts';

// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntaxForMetricFilters.html
describe('a filter pattern', () => {
  it.each<[string, unknown, boolean]>([
    ['{ $.a = "x" }', { a: 'x' }, true],
    ['{ $.a = "x" }', { a: 'xy' }, false],
    ['{ $.a = "x*" }', { a: 'xy' }, true],
    ['{ $.a = "*:x-*" }', { a: 'q:x-1' }, true],
    ['{ $.a = "x.y" }', { a: 'xzy' }, false],
    ['{ $.a != "x" }', { a: 'y' }, true],
    ['{ $.a != "x" }', {}, false],
    ['{ $.a NOT EXISTS }', {}, true],
    ['{ $.a.b-c NOT EXISTS }', { a: { 'b-c': null } }, false],
    ['{ $.a = "x" && $.b = "y" || $.c = "z" }', { c: 'z' }, true],
    ['{ $.a = "x" && ($.b = "y" || $.c = "z") }', { c: 'z' }, false],
    ['{ ($.a = "x") && (($.b = "y") || ($.c = "z")) }', { a: 'x', c: 'z' }, true],
    ['{ $.toString NOT EXISTS }', {}, true],
  ])('%s of %j', (pattern, event, expected) => {
    expect(compileFilterPattern(pattern)(event)).toBe(expected);
  });

  it.each([
    ['{ $.a = 1 }', 'the local cloud does not implement  1 } in a filter pattern'],
    ['{ $.a = %x% }', '%x% } in a filter pattern'],
    ['ERROR', 'ERROR in a filter pattern'],
    ['{ $.a = "x"', 'a filter wants } instead of undefined'],
    ['{ $.a = "x" } "y"', 'a filter goes on after its end'],
    ['{ "x" = $.a }', 'a filter has no selector where one is wanted'],
    ['{ $.a = $.b }', 'comparisons with anything but text in a filter pattern'],
    [`{ $.a = "${'x'.repeat(1024)}" }`, 'a filter has 1,024 characters at most'],
  ])('refuses %s', (pattern, message) => {
    expect(() => compileFilterPattern(pattern)).toThrow(message);
  });
});
