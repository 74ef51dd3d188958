import { expect, it } from 'vitest';
import { screenOf, styled } from '../../../infra/command-line/screen.ts';

const terminal = { isTTY: true, columns: 132 };
const plain = { width: undefined, hasColour: false, redraws: false };

it.each([
  ['a terminal', terminal, { TERM: 'xterm' }, { width: 132, hasColour: true, redraws: true }],
  ['no colour wanted', terminal, { TERM: 'xterm', NO_COLOR: '1' }, { width: 132, hasColour: false, redraws: true }],
  [
    'NO_COLOR without a value',
    terminal,
    { TERM: 'xterm', NO_COLOR: '' },
    { width: 132, hasColour: true, redraws: true },
  ],
  ['a dumb terminal', terminal, { TERM: 'dumb' }, { width: 132, hasColour: false, redraws: false }],
  ['a terminal of no name', terminal, {}, { width: 132, hasColour: false, redraws: false }],
  [
    'one that does not tell its width',
    { isTTY: true, columns: 0 },
    { TERM: 'vt100' },
    { width: 80, hasColour: true, redraws: true },
  ],
  ['a pipe', { columns: 132 }, { TERM: 'xterm' }, plain],
])('%s', (_, output, environment, screen) => {
  expect(screenOf(output, environment)).toEqual(screen);
});

it('styles text where there are colours', () => {
  expect(styled(screenOf(terminal, { TERM: 'xterm' }), 'red', 'BROKEN')).toBe('\u001b[31mBROKEN\u001b[0m');
  expect(styled(plain, 'red', 'BROKEN')).toBe('BROKEN');
});
