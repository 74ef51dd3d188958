import { runProgram } from '../../infra/command-line/program.ts';
import { createDaybreak, describeEnd } from './program.ts';
import { VERB_GROUPS } from './verb-groups.ts';

await runProgram(createDaybreak(VERB_GROUPS), process.argv.slice(2), describeEnd);
