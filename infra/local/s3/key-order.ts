/**
 * Compares two keys by their UTF-8 bytes, which is the order of every S3 listing. It differs from JavaScript's order
 * (UTF-16 units) only where a surrogate meets a character from U+E000 to U+FFFF.
 */
export function compareKeys(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return weight(left) - weight(right);
  }
  return a.length - b.length;
}

function weight(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}

/** Values by key, in the order of the keys' UTF-8 bytes. Sorting waits until somebody walks through it. */
export class SortedKeys<T extends { readonly key: string }> {
  readonly #byKey = new Map<string, T>();
  #sorted: T[] = [];
  #added: T[] = [];
  #removedCount = 0;

  get(key: string): T | undefined {
    return this.#byKey.get(key);
  }

  add(value: T): void {
    this.#byKey.set(value.key, value);
    this.#added.push(value);
  }

  remove(key: string): void {
    if (this.#byKey.delete(key)) this.#removedCount++;
  }

  /** In no order. */
  values(): IterableIterator<T> {
    return this.#byKey.values();
  }

  /**
   * Walks through the values in order, from the first for which `reached` is true (it must stay true for all later keys).
   * `next(skipPast)` leaves out the keys with that prefix.
   */
  walk(reached: (key: string) => boolean): { next(skipPast?: string): T | undefined } {
    this.#settle();
    const sorted = this.#sorted;
    let index = partitionPoint(sorted, 0, reached);
    return {
      next: skipPast => {
        if (skipPast !== undefined) {
          const isBeyond = (key: string) => compareKeys(key, skipPast) > 0 && !key.startsWith(skipPast);
          index = partitionPoint(sorted, index, isBeyond);
        }
        for (; index < sorted.length; index++) {
          const value = sorted[index] as T;
          if (this.#byKey.get(value.key) === value) {
            index++;
            return value;
          }
        }
        return undefined;
      },
    };
  }

  #settle(): void {
    if (this.#removedCount > this.#sorted.length / 2) {
      this.#sorted = this.#sorted.filter(value => this.#byKey.get(value.key) === value);
      this.#removedCount = 0;
    }
    const added = this.#added.filter(value => this.#byKey.get(value.key) === value);
    this.#added = [];
    if (added.length === 0) return;
    if (added.length <= 16) {
      // A walk that is under way keeps the array that it began with.
      this.#sorted = [...this.#sorted];
      for (const value of added) {
        const at = partitionPoint(this.#sorted, 0, key => compareKeys(key, value.key) >= 0);
        this.#sorted.splice(at, 0, value);
      }
    } else {
      added.sort((a, b) => compareKeys(a.key, b.key));
      this.#sorted = [...this.#sorted, ...added].sort((a, b) => compareKeys(a.key, b.key));
    }
  }
}

function partitionPoint(
  sorted: readonly { readonly key: string }[],
  from: number,
  reached: (key: string) => boolean,
): number {
  let low = from;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (reached((sorted[middle] as { key: string }).key)) high = middle;
    else low = middle + 1;
  }
  return low;
}
