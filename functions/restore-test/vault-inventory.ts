const NAME_BYTES = 32;
const RECORD_BYTES = NAME_BYTES + 6;

/**
 * The vault objects that a manifest names, with their sizes: 38 bytes for each, so that a million of them fit beside
 * everything else, and in the order in which S3 lists them.
 */
export class VaultInventory {
  #records: Buffer;
  #count = 0;

  constructor(expectedCount: number) {
    this.#records = Buffer.alloc(Math.max(1, expectedCount) * RECORD_BYTES);
  }

  /** `name`: 64 hexadecimal digits. */
  add(name: string, sizeBytes: number): void {
    if ((this.#count + 1) * RECORD_BYTES > this.#records.length) {
      this.#records = Buffer.concat([this.#records, Buffer.alloc(this.#records.length)]);
    }
    const at = this.#count++ * RECORD_BYTES;
    this.#records.write(name, at, 'hex');
    this.#records.writeUIntBE(sizeBytes, at + NAME_BYTES, 6);
  }

  /** In the order of the names. */
  *sorted(): Generator<{ name: string; sizeBytes: number }> {
    const records = this.#records;
    const order = new Uint32Array(this.#count);
    for (let index = 0; index < order.length; index++) order[index] = index;
    order.sort((a, b) => {
      const left = a * RECORD_BYTES;
      const right = b * RECORD_BYTES;
      const difference = records.readUInt32BE(left) - records.readUInt32BE(right);
      return difference !== 0
        ? difference
        : records.compare(records, right, right + NAME_BYTES, left, left + NAME_BYTES);
    });
    for (const index of order) {
      const at = index * RECORD_BYTES;
      yield {
        name: records.toString('hex', at, at + NAME_BYTES),
        sizeBytes: records.readUIntBE(at + NAME_BYTES, 6),
      };
    }
  }
}

/**
 * Compares what the vault should hold with what it lists, both in the order of the names. What the vault holds beyond
 * that (older contents, other buckets' objects) is no difference.
 */
export async function* compareInventory(
  expected: Iterable<{ name: string; sizeBytes: number }>,
  listed: AsyncIterable<{ name: string; sizeBytes: number }>,
): AsyncGenerator<{ name: string; difference: 'missing' | 'size' }> {
  const listing = listed[Symbol.asyncIterator]();
  try {
    let found = await listing.next();
    for (const { name, sizeBytes } of expected) {
      while (!found.done && found.value.name < name) found = await listing.next();
      if (found.done || found.value.name !== name) yield { name, difference: 'missing' };
      else if (found.value.sizeBytes !== sizeBytes) yield { name, difference: 'size' };
    }
  } finally {
    await listing.return?.();
  }
}
