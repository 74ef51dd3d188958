import { describe, expect, it } from 'vitest';
import { compileEventPattern } from '../../../../infra/local/events/pattern.ts';

// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
describe('an event pattern', () => {
  it.each<[string, unknown, unknown, boolean]>([
    ['equals one of the values', { a: ['x', 'y'] }, { a: 'y' }, true],
    ['wants every field', { a: ['x'], b: [1] }, { a: 'x', b: 2 }, false],
    ['tells numbers, booleans and null from text', { a: [1, true, null] }, { a: '1' }, false],
    ['takes false', { a: [false] }, { a: false }, true],
    ['looks inside', { a: { b: ['x'] } }, { a: { b: 'x', c: 1 } }, true],
    ['fits a member of a list', { a: ['x'] }, { a: ['y', 'x'] }, true],
    ['fits a field of a member of a list', { a: { b: ['x'] } }, { a: [{ b: 'y' }, { b: 'x' }] }, true],
    ['begins', { a: [{ prefix: 'ab' }] }, { a: 'abc' }, true],
    ['begins in this case', { a: [{ prefix: 'ab' }] }, { a: 'ABC' }, false],
    ['begins in any case', { a: [{ prefix: { 'equals-ignore-case': 'ab' } }] }, { a: 'ABC' }, true],
    ['ends', { a: [{ suffix: 'bc' }] }, { a: 'abc' }, true],
    ['exists', { a: [{ exists: true }] }, { a: null }, true],
    ['does not exist', { a: [{ exists: false }] }, { b: 1 }, true],
    ['does not exist, nor what it would be in', { a: { b: { c: [{ exists: false }] } } }, {}, true],
    ['exists as a leaf only', { a: [{ exists: true }] }, { a: { b: 1 } }, false],
    ['is anything but', { a: [{ 'anything-but': ['x', 'y'] }] }, { a: 'z' }, true],
    ['is not anything but', { a: [{ 'anything-but': ['x'] }] }, { a: 'x' }, false],
    ['is anything but, and there', { a: [{ 'anything-but': 'x' }] }, {}, false],
    ['is any of', { $or: [{ a: ['x'] }, { b: ['x'] }] }, { b: 'x' }, true],
    ['is none of', { $or: [{ a: ['x'] }, { b: ['x'] }] }, { b: 'y' }, false],
    ['inherits nothing', { toString: [{ exists: true }] }, {}, false],
  ])('%s', (_, pattern, event, expected) => {
    expect(compileEventPattern(pattern)(event)).toBe(expected);
  });

  it.each<[unknown, string]>([
    [{ a: [{ wildcard: 'x*' }] }, 'the local cloud does not implement the operator wildcard of an event pattern'],
    [{ a: [{ numeric: ['>', 1] }] }, 'the operator numeric of an event pattern'],
    [{ a: [{ 'anything-but': { prefix: 'x' } }] }, 'this anything-but of an event pattern'],
    [{ a: [{ prefix: { cidr: 'x' } }] }, 'this prefix or suffix of an event pattern'],
    [{}, 'a pattern names no field'],
    [{ a: [] }, 'a lists no value'],
    [{ $or: [{ a: ['x'] }] }, '$or wants two patterns at least'],
    [{ a: [{ prefix: 'x', suffix: 'y' }] }, 'an operator stands alone'],
    [{ a: 'x' }, 'a pattern is an object'],
  ])('refuses %j', (pattern, message) => {
    expect(() => compileEventPattern(pattern)).toThrow(message);
  });
});
