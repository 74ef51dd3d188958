import { brotliCompressSync, brotliDecompressSync } from 'node:zlib';
import { z } from 'zod';
import type { Configuration } from '../contracts/configuration.ts';

const Packed = z.strictObject({ packed: z.base64(), restoreTest: z.record(z.string(), z.unknown()) });

/** A configuration as it is deployed: its lists take a fraction of their length, and only `restoreTest` may be read as it stands. */
export type PackedConfiguration = Pick<Configuration, 'restoreTest'> & { readonly packed: string };

/**
 * Makes a configuration short, because all variables of a function have 4,096 bytes together.
 * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
 * @param configuration `restoreTest` is left as it is: it names what has no name before it is deployed.
 */
export function packConfiguration({ restoreTest, ...rest }: Configuration): PackedConfiguration {
  return { packed: brotliCompressSync(JSON.stringify(rest)).toString('base64'), restoreTest };
}

/**
 * What was packed, for a schema to judge. What is not packed comes back as it is.
 * @throws Error where it holds something that nobody packed.
 */
export function unpackConfiguration(value: unknown): unknown {
  const packed = Packed.safeParse(value).data;
  if (packed === undefined) return value;
  const rest: unknown = JSON.parse(brotliDecompressSync(Buffer.from(packed.packed, 'base64')).toString());
  return { ...z.record(z.string(), z.unknown()).parse(rest), restoreTest: packed.restoreTest };
}
