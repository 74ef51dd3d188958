/**
 * Compares two S3 keys by their UTF-8 bytes, the order of every listing. It differs from JavaScript's own order (UTF-16
 * units) only where a surrogate meets a character from U+E000 to U+FFFF.
 * https://docs.aws.amazon.com/AmazonS3/latest/userguide/ListingKeysUsingAPIs.html
 */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let index = 0; index < length; index++) {
    const left = a.charCodeAt(index);
    const right = b.charCodeAt(index);
    if (left !== right) return weigh(left) - weigh(right);
  }
  return a.length - b.length;
}

function weigh(unit: number): number {
  return unit >= 0xd800 && unit <= 0xdfff ? unit + 0x10000 : unit;
}
