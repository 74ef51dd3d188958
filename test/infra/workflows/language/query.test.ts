import fc from 'fast-check';
import jsonata from 'jsonata';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../../../infra/workflows/language/json.ts';
import { compileTemplate, type QueryEnvironment } from '../../../../infra/workflows/language/query.ts';
import { Scope } from '../../../../infra/workflows/language/scope.ts';

const place = { state: 'S', field: 'Output', available: ['input', 'result', 'context'] } as const;

function environment(states: JsonObject, variables: JsonObject = {}): QueryEnvironment {
  const scope = new Scope();
  scope.assign(variables);
  return { states, scope, now: new Date('2026-03-04T05:06:07.890Z') };
}

async function evaluate(template: Json, states: JsonObject = { input: {} }, variables: JsonObject = {}): Promise<Json> {
  return compileTemplate(template, place)(environment(states, variables));
}

describe('templates', () => {
  it('replaces queries at any depth and leaves all else alone', async () => {
    const template = {
      a: '{% $states.input.n + 1 %}',
      b: ['{% $v %}', 'text', { c: '{%$states.input.list%}' }],
      'd.$': '$.not.a.path',
      e: null,
    };
    expect(await evaluate(template, { input: { n: 2, list: [1] } }, { v: true })).toEqual({
      a: 3,
      b: [true, 'text', { c: [1] }],
      'd.$': '$.not.a.path',
      e: null,
    });
  });

  it('keeps a member called __proto__ as data', async () => {
    const template = JSON.parse('{"__proto__": "{% $states.input.x %}", "y": "{% {\\"__proto__\\": 1} %}"}') as Json;
    expect(JSON.stringify(await evaluate(template, { input: { x: 1 } }))).toBe('{"__proto__":1,"y":{"__proto__":1}}');
  });

  it.each(['{% a', 'a %}', '{% $states.input %} '])('refuses %j, which is half a query', text => {
    expect(() => compileTemplate(text, place)).toThrow('a query begins with {% and ends with %}');
  });
});

describe('the functions of Step Functions', () => {
  it.each([
    ['$partition([1,2,3,4,5], 2)', [[1, 2], [3, 4], [5]]],
    ['$range(1, 9, 2)', [1, 3, 5, 7, 9]],
    ['$range(3, 1, -1)', [3, 2, 1]],
    ['$range(5, 5, 1)', 5],
    ['[$range(5, 5, 1)]', [5]],
    ['[$range(1, 3, 1)]', [1, 2, 3]],
    ["$hash('input data', 'SHA-1')", 'aaff4a450a104cd177d28d18d74485e8cae074b7'],
    ["$hash({'a': 1}, 'SHA-256')", '015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862'],
    ['$parse(\'{"a":[1,2]}\')', { a: [1, 2] }],
    ['$length($uuid())', 36],
    ['$random(7) = $random(7)', true],
    ['$random() < 1', true],
    ['$now()', '2026-03-04T05:06:07.890Z'],
    ["$now('[Y]-[M01]')", '2026-03'],
    ['$millis()', Date.parse('2026-03-04T05:06:07.890Z')],
  ])('%s', async (expression, expected) => {
    expect(await evaluate(`{% ${expression} %}`)).toEqual(expected);
  });
});

describe('queries that fail', () => {
  it.each([
    ['$states.input.missing', 'returned nothing (undefined).'],
    ["$error('broken')", 'threw an error: broken.'],
    ['$uppercase(1)', 'threw an error:'],
    ["$hash('a', 'CRC32')", 'threw an error: the hash algorithm CRC32 is not supported.'],
    ["$parse('{')", 'threw an error:'],
    ['$range(1, 100000, 1)', 'threw an error: a range holds at most 1,000 numbers.'],
    ['$partition([1], 0)', 'threw an error: the size of a partition is a positive integer.'],
    ['function($x) { $x }', 'returned a function.'],
    ['$sum', 'returned a function.'],
    ['$missing', 'returned nothing (undefined).'],
  ])('%s', async (expression, message) => {
    const failing = evaluate(`{% ${expression} %}`);
    await expect(failing).rejects.toMatchObject({ error: 'States.QueryEvaluationError' });
    await expect(failing).rejects.toThrow(
      `The JSONata expression '${expression}' specified for the field 'Output' ${message}`,
    );
  });

  it.each([
    ['{% $eval("1") %}', '$eval is not supported: use $parse'],
    ['{% $states.errorOutput.Error %}', '$states.errorOutput does not exist there'],
    ['{% ( %}', 'the query does not parse'],
    ['{% $states.inputs %}', '$states.inputs does not exist there'],
  ])('%s is refused beforehand', (template, message) => {
    expect(() => compileTemplate({ a: template }, place)).toThrow(message);
  });
});

describe('paths that are followed without JSONata', () => {
  const name = fc.constantFrom('a', 'b', 'and', 'in', 'null', 'length', 'constructor', '__proto__');
  const leaf = fc.oneof(fc.jsonValue({ maxDepth: 1 }), fc.constant([]), fc.constant([1]), fc.constant([[]]));
  const data = fc.letrec<{ node: unknown }>(tie => ({
    node: fc.oneof({ maxDepth: 4 }, leaf, fc.dictionary(name, tie('node')), fc.array(tie('node'), { maxLength: 3 })),
  })).node;

  it('give what JSONata gives', async () => {
    await fc.assert(
      fc.asyncProperty(data, fc.array(name, { maxLength: 4 }), async (input, names) => {
        const value = JSON.parse(JSON.stringify(input)) as Json;
        const path = ['$states.input', ...names].join('.');
        let expected: unknown;
        let compiled: jsonata.Expression | undefined;
        try {
          compiled = jsonata(path);
          expected = await compiled.evaluate(undefined, { states: { input: value } });
        } catch {
          expected = undefined;
        }
        const outcome = (async () => evaluate(`{% ${path} %}`, { input: value }))();
        const found = await outcome.catch(() => undefined);
        expect(found === undefined ? undefined : JSON.stringify(found)).toBe(
          expected === undefined || typeof expected === 'function' ? undefined : JSON.stringify(expected),
        );
      }),
      { numRuns: 1000 },
    );
  });
});
