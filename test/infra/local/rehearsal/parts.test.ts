import { describe, expect, it } from 'vitest';
import { type Ending, findWrong, type GoneThrough } from '../../../../infra/local/rehearsal/judge-rehearsal.ts';
import { asText, query } from '../../../../infra/local/rehearsal/query.ts';
import { linksIn, readPage } from '../../../../infra/local/rehearsal/read-page.ts';
import { parseShellLine } from '../../../../infra/local/rehearsal/shell-line.ts';

const ANSWER = {
  State: 'ENABLED',
  Target: { Arn: 'arn:x' },
  Schedules: [
    {
      Name: 'a',
      State: 'ENABLED',
      Tags: [
        { Key: 'x:1', Value: '1' },
        { Key: 'y', Value: '3' },
        { Key: 'x:2', Value: '2' },
      ],
    },
    { Name: 'b', State: 'DISABLED', Size: 1, Tags: [] },
  ],
};

describe('--query', () => {
  it.each<[string, unknown]>([
    ['State', 'ENABLED'],
    ['Target.Arn', 'arn:x'],
    ['[State,Missing,Target.Arn]', ['ENABLED', null, 'arn:x']],
    ['Target.[Arn,Missing]', ['arn:x', null]],
    ['Schedules[].Name', ['a', 'b']],
    [
      'Schedules[].[Name,State]',
      [
        ['a', 'ENABLED'],
        ['b', 'DISABLED'],
      ],
    ],
    ['{Is:State,At:Target.Arn}', { Is: 'ENABLED', At: 'arn:x' }],
    ['Missing[].Name', null],
    ['Missing.Deeper', null],
    ["Schedules[?Name == 'a'].State", ['ENABLED']],
    ["Schedules[?starts_with(Name, 'b')].[Name,State]", [['b', 'DISABLED']]],
    ["Schedules[?contains(State, 'ABLED')].Name | join(' ', @)", 'a b'],
    [
      'Schedules[].[Name,Target.Arn]',
      [
        ['a', null],
        ['b', null],
      ],
    ],
    ['Schedules[0].Name', 'a'],
    ['Schedules[-1].[Name,Missing[0].Deeper]', ['b', null]],
    ['Schedules[?Size > `0`].Name', ['b']],
    [
      "Schedules[].[Name,Tags[?starts_with(Key, 'x:')].Value | join(' ', @)]",
      [
        ['a', '1 2'],
        ['b', ''],
      ],
    ],
  ])('takes %s', (expression, expected) => {
    expect(query(ANSWER, expression)).toEqual(expected);
  });

  it.each(['length(Schedules)', 'Schedules[0:1]', 'Schedules[*]', 'a || b', '!a', 'a ~ b', 'Schedules[][]'])(
    'refuses %s by name',
    expression => {
      expect(() => query(ANSWER, expression)).toThrow(`the local cloud does not implement --query`);
    },
  );

  it('is printed as text in rows and columns, and nothing as None', () => {
    expect(asText('x')).toBe('x');
    expect(asText(['x', null, 3])).toBe('x\tNone\t3');
    expect(asText([['a', 'b'], ['c']])).toBe('a\tb\nc');
    expect(asText([['a', 'b', ['c', 'd']]])).toBe('a\tb\nc\td');
    expect(asText(null)).toBe('None');
    expect(asText({ b: 2, a: 1 })).toBe('1\t2');
    expect(() => asText({ a: { b: 1 } })).toThrow('does not implement --output text of objects in objects');
  });
});

describe('a line of shell', () => {
  const now = new Date('2026-11-22T08:00:00.000Z');
  const parse = (line: string) => parseShellLine(line, new Map([['MACHINE', 'arn:m']]), now);

  it('has words in quotes, variables, times, pipes and a file', () => {
    expect(parse(`aws a --x 'one "two" | >' --y "three" $MACHINE`)).toEqual({
      commands: [['aws', 'a', '--x', 'one "two" | >', '--y', 'three', 'arn:m']],
      output: undefined,
    });
    const seconds = now.getTime() / 1000 - 86_400;
    expect(parse('aws a | xargs -I GROUP aws b --at $(($(date +%s) - 86400))000 > a.json')).toEqual({
      commands: [
        ['aws', 'a'],
        ['xargs', '-I', 'GROUP', 'aws', 'b', '--at', `${seconds}000`],
      ],
      output: 'a.json',
    });
  });

  it.each(['aws a $(aws b)', 'aws a $OTHER', `aws a $${'{x}'}`])('refuses %s by name', line => {
    expect(() => parse(line)).toThrow('the local cloud does not implement this of a shell');
  });
});

describe('a page', () => {
  const page = [
    '# Title',
    '',
    '## First command',
    '',
    '```sh',
    'aws one \\',
    '  --two # why',
    '```',
    '',
    '## Decide',
    '',
    '| see | do |',
    '| --- | --- |',
    '| `A` | `aws fix --a`; [other](other.md) |',
    '| `B` | `aws fix --b` |',
    '',
    'Then: `aws look`, never `x`.',
    '',
    '```sh',
    '# administrator',
    'npx cdk deploy',
    '```',
  ].join('\n');

  it('is its headings, blocks, inline commands and the one row', () => {
    expect(readPage(page, '`A`')).toEqual([
      { kind: 'heading', text: 'First command' },
      { kind: 'command', text: 'aws one --two', by: 'anybody' },
      { kind: 'heading', text: 'Decide' },
      {
        kind: 'row',
        cells: ['`A`', '`aws fix --a`; [other](other.md)'],
        commands: [{ text: 'aws fix --a', by: 'anybody' }],
      },
      { kind: 'command', text: 'aws look', by: 'anybody' },
      { kind: 'command', text: 'npx cdk deploy', by: 'administrator' },
    ]);
    expect(linksIn('`aws fix --a`; [other](other.md)')).toEqual(['other.md']);
  });

  it.each([
    ['`C`', '0 rows'],
    ['', '4 rows'],
  ])('without exactly one row that begins with %j is refused', (row, said) => {
    expect(() => readPage(page, row)).toThrow(said);
  });
});

describe('a rehearsal is right again', () => {
  const before = new Map([
    ['daybreak-a', 'OK'],
    ['daybreak-b', 'ALARM'],
  ]);
  const gone = (ending: Ending, expected: GoneThrough['expected'] = 'answered') => ({
    line: 'aws x',
    expected,
    ending,
  });

  it('only when each command ended as its page says, and each alarm is as it was', () => {
    const commands = [
      gone({ kind: 'answered' }),
      gone({ kind: 'refused' }, 'refused'),
      gone({ kind: 'executed', status: 'SUCCEEDED' }),
      { ...gone({ kind: 'not run', why: 'an administrator’s' }), expected: undefined },
    ];
    expect(findWrong(commands, before, new Map(before))).toEqual([]);
  });

  it.each<[GoneThrough, string]>([
    [gone({ kind: 'refused' }), 'refused, and the page says otherwise: aws x'],
    [gone({ kind: 'answered' }, 'refused'), 'answered, and the page says otherwise: aws x'],
    [gone({ kind: 'executed', status: 'FAILED' }), 'its execution ended as FAILED: aws x'],
    [gone({ kind: 'not run', why: 'KEY is for a person to say' }), 'not run, KEY is for a person to say: aws x'],
  ])('not with %j', (command, wrong) => {
    expect(findWrong([command], before, before)).toEqual([wrong]);
  });

  it('not while an alarm is otherwise than it was, or gone', () => {
    expect(findWrong([], before, new Map([['daybreak-a', 'ALARM']]))).toEqual([
      'daybreak-a is ALARM, and was OK',
      'daybreak-b is gone, and was ALARM',
    ]);
  });
});
