import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, type Metafile } from 'esbuild';
import { BUNDLE_TARGET, NOT_BUNDLED } from '../constructs/step-lambda.ts';

/** A package of which something is in a bundle. */
export interface ShippedPackage {
  readonly name: string;
  readonly version: string;
  /** The SPDX expression that the package declares; null where it declares none. */
  readonly licence: string | null;
  readonly author: string | null;
  /** The texts of its files of licences and notices. */
  readonly notices: readonly string[];
}

const PACKAGE_DIRECTORY = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/;
const NOTICE_FILE = /^(?:licen[cs]e|notice|copying)(?:[.-].*)?$/i;

/**
 * The packages that end up in the bundles of these entries (paths below `root`), by name: those that esbuild takes
 * something from, with the settings that the functions are deployed with.
 */
export async function findShippedPackages(entries: readonly string[], root: string): Promise<ShippedPackage[]> {
  const { metafile } = await build({
    entryPoints: [...entries],
    absWorkingDir: root,
    bundle: true,
    write: false,
    metafile: true,
    // One pass over what the functions share.
    splitting: true,
    outdir: 'bundles',
    platform: 'node',
    format: 'esm',
    target: BUNDLE_TARGET,
    external: [...NOT_BUNDLED],
    logLevel: 'error',
  });
  const packages = packageDirectories(metafile).map(directory => readPackage(join(root, directory)));
  return packages.sort((one, other) => (identityOf(one) < identityOf(other) ? -1 : 1));
}

/** `name@version`. */
export const identityOf = ({ name, version }: Pick<ShippedPackage, 'name' | 'version'>): string => `${name}@${version}`;

function packageDirectories({ outputs }: Metafile): string[] {
  const inputs = Object.values(outputs).flatMap(output => Object.keys(output.inputs));
  return [...new Set(inputs.flatMap(input => PACKAGE_DIRECTORY.exec(input)?.[0] ?? []))];
}

function readPackage(directory: string): ShippedPackage {
  const { name, version, license, author } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  const files = readdirSync(directory, { withFileTypes: true });
  return {
    name,
    version,
    licence: typeof license === 'string' ? license : null,
    author: (typeof author === 'string' ? author : author?.name) ?? null,
    notices: files
      .filter(file => file.isFile() && NOTICE_FILE.test(file.name))
      .map(file => readFileSync(join(directory, file.name), 'utf8').trim()),
  };
}
