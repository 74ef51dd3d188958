import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, it } from 'vitest';
import { PermanentError, RetryableError } from '../../../functions/platform/errors.ts';
import { FAILURE_MEANINGS, meaningOf } from '../../../functions/restore-test/failure-meaning.ts';
import { AT_ONCE } from '../../../infra/workflows/hours.ts';
import { restoreTest } from '../../../infra/workflows/restore-test.ts';

/** A file and all that it imports of ours. */
function withImports(file: string, seen = new Set<string>()): Set<string> {
  if (seen.has(file)) return seen;
  seen.add(file);
  for (const [, path = ''] of readFileSync(file, 'utf8').matchAll(/from '(\.[^']+)'/g)) {
    withImports(resolve(dirname(file), path), seen);
  }
  return seen;
}

it('decides about each error that the steps of a database can end with, and about no other', async () => {
  const steps = ['restore-database', 'describe-instance', 'hydrate', 'verify-database'];
  const files = new Set(steps.flatMap(step => [...withImports(resolve(`functions/restore-test/${step}.ts`))]));
  const thrown = new Set([RetryableError.name]);
  for (const file of files) {
    const exports = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
    for (const value of Object.values(exports)) {
      const isPermanent =
        value === PermanentError || (value as { prototype?: unknown })?.prototype instanceof PermanentError;
      if (isPermanent) thrown.add((value as { name: string }).name);
    }
  }
  const definition = JSON.stringify(restoreTest({ functionArn: name => name, workBucket: 'work', atOnce: AT_ONCE }));
  for (const [, assigned, written = '', name = assigned ?? written] of definition.matchAll(
    /"(?:(?:database|snapshot)Failure|error)":"(?:{% ')?(\w+Error)"|'failure': '(\w+Error)'/g,
  ))
    thrown.add(name);
  expect(Object.keys(FAILURE_MEANINGS).toSorted()).toEqual([...thrown].toSorted());
});

it('takes names that are none of ours for no word about the backup', () => {
  expect(['States.Timeout', 'Lambda.Unknown', 'constructor'].map(meaningOf)).toEqual(Array(3).fill('test-hindered'));
});
