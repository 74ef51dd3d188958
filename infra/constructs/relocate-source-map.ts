import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve, sep } from 'node:path';

/**
 * Writes the paths in a bundle's source map from the project's folder. esbuild writes them from the bundle's own, so that
 * the map, and with it the asset's hash, would depend on where the assembly lies, and `cdk diff` would show every function
 * as changed.
 */
function relocateSourceMap(bundleDirectory: string, projectDirectory: string): void {
  const file = join(bundleDirectory, 'index.mjs.map');
  const map = JSON.parse(readFileSync(file, 'utf8')) as { sources: string[] };
  const sources = map.sources.map(source =>
    relative(projectDirectory, resolve(bundleDirectory, source)).split(sep).join('/'),
  );
  writeFileSync(file, JSON.stringify({ ...map, sources }));
}

// The CDK calls it after bundling, by the command line.
const [, , bundleDirectory = '', projectDirectory = ''] = process.argv;
relocateSourceMap(bundleDirectory, projectDirectory);
