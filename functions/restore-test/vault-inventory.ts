const NAME_BYTES = 32;
const RECORD_BYTES = NAME_BYTES + 6;

/**
 * Vault objects that a manifest names, with their sizes: 38 bytes for each, so that a million of them fit beside everything
 * else, and in the order in which S3 lists them.
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
 * Compares what the vault should hold with what it lists, page by page, both in the order of the names. What the vault holds
 * beyond that (older contents, other buckets' objects) is no difference.
 */
export class InventoryComparison {
  readonly #expected: Iterator<{ name: string; sizeBytes: number }>;
  #next: IteratorResult<{ name: string; sizeBytes: number }>;

  constructor(expected: Iterable<{ name: string; sizeBytes: number }>) {
    this.#expected = expected[Symbol.iterator]();
    this.#next = this.#expected.next();
  }

  /** Every expected name up to and with the last one of a page. */
  *comparePage(listed: readonly { name: string; sizeBytes: number }[]): Generator<InventoryDifference> {
    for (const { name, sizeBytes } of listed) {
      yield* this.#missing(expected => expected < name);
      for (; !this.#next.done && this.#next.value.name === name; this.#next = this.#expected.next()) {
        if (this.#next.value.sizeBytes !== sizeBytes) yield { name, difference: 'size' };
      }
    }
  }

  /** Everything that is expected behind the last page. */
  compareRest(): Generator<InventoryDifference> {
    return this.#missing(() => true);
  }

  *#missing(isPast: (name: string) => boolean): Generator<InventoryDifference> {
    for (; !this.#next.done && isPast(this.#next.value.name); this.#next = this.#expected.next()) {
      yield { name: this.#next.value.name, difference: 'missing' };
    }
  }
}

export interface InventoryDifference {
  readonly name: string;
  readonly difference: 'missing' | 'size';
}

/**
 * Where a window of names ends that holds about `namesAtOnce` of `nameCount` names behind `after`: what the first name
 * beyond it is not before; undefined where it reaches to the last name. Names are as good as random.
 */
export function windowEnd(after: string, nameCount: number, namesAtOnce: number): string | undefined {
  const from = Number.parseInt(after.slice(0, DIGITS).padEnd(DIGITS, '0'), 16);
  const to = from + Math.max(1, Math.floor((16 ** DIGITS * namesAtOnce) / Math.max(1, nameCount)));
  return to < 16 ** DIGITS ? to.toString(16).padStart(DIGITS, '0') : undefined;
}

/** So many digits of a name tell windows apart. */
const DIGITS = 8;
