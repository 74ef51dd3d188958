import { completion } from './completion.ts';
import { database } from './database.ts';
import { deploy } from './deploy.ts';
import { evidence } from './evidence.ts';
import { keys } from './keys.ts';
import { loss } from './loss.ts';
import { register } from './register.ts';
import { retention } from './retention.ts';
import type { VerbGroup } from './verb.ts';

/** All that `daybreak` does, in the order of its help. */
export const VERB_GROUPS: readonly VerbGroup[] = [
  evidence,
  loss,
  retention,
  ...register,
  keys,
  database,
  deploy,
  completion,
];
