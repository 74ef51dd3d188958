import { createHash } from 'node:crypto';

/**
 * Merkle trees as RFC 6962, section 2.1, defines them: a leaf's hash is SHA-256(0x00 || content), a node's is
 * SHA-256(0x01 || left || right), and the left subtree of n leaves holds the largest power of two below n.
 */
export function leafHash(content: Uint8Array): Buffer {
  return createHash('sha256').update(LEAF).update(content).digest();
}

const LEAF = Buffer.of(0);
const NODE = Buffer.of(1);

function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  return createHash('sha256').update(NODE).update(left).update(right).digest();
}

/** The Merkle tree hash over leaves' hashes; over none it is SHA-256 of nothing. */
export function treeHash(leaves: readonly Buffer[]): Buffer {
  return treeHashOfSubtrees(leaves.reduce<readonly Buffer[]>(extendTree, []));
}

/**
 * A growing tree is kept as the roots of its complete subtrees, largest first: at most one for each bit of its size.
 * Adds one leaf (number `size`, from 0) to the tree of `size` leaves.
 */
export function extendTree(subtrees: readonly Buffer[], leaf: Buffer, size: number): readonly Buffer[] {
  const extended = [...subtrees];
  let last = leaf;
  // Each trailing one-bit of the size is a complete subtree as large as the one that the new leaf has just completed.
  for (let bits = size; bits % 2 === 1; bits = (bits - 1) / 2) last = nodeHash(extended.pop() ?? EMPTY, last);
  extended.push(last);
  return extended;
}

const EMPTY = createHash('sha256').digest();

/** The Merkle tree hash of a tree that is kept as its complete subtrees. */
export function treeHashOfSubtrees(subtrees: readonly Buffer[]): Buffer {
  return subtrees.length === 0 ? EMPTY : subtrees.reduceRight((right, left) => nodeHash(left, right));
}

/** The audit path of leaf `index` (from 0): RFC 6962, 2.1.1. */
export function inclusionProof(leaves: readonly Buffer[], index: number): Buffer[] {
  if (!(index >= 0 && index < leaves.length)) {
    throw new RangeError(`a tree of ${leaves.length} leaves has no leaf ${index}`);
  }
  if (leaves.length === 1) return [];
  const split = largestPowerOfTwoBelow(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return index < split
    ? [...inclusionProof(left, index), treeHash(right)]
    : [...inclusionProof(right, index - split), treeHash(left)];
}

/** Whether `proof` shows that the leaf stands at `index` in the tree of `size` leaves with this root: RFC 9162, 2.1.3.2. */
export function verifyInclusion(claim: {
  leaf: Buffer;
  index: number;
  size: number;
  proof: readonly Buffer[];
  root: Buffer;
}): boolean {
  let { index } = claim;
  if (!(index >= 0 && index < claim.size)) return false;
  let last = claim.size - 1;
  let hash = claim.leaf;
  for (const sibling of claim.proof) {
    if (last === 0) return false;
    if (index % 2 === 1 || index === last) {
      hash = nodeHash(sibling, hash);
      while (index % 2 === 0 && index !== 0) [index, last] = [index / 2, Math.floor(last / 2)];
    } else {
      hash = nodeHash(hash, sibling);
    }
    [index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
  }
  return last === 0 && hash.equals(claim.root);
}

/** The proof that the tree of the first `size` leaves is a beginning of this one: RFC 6962, 2.1.2. */
export function consistencyProof(leaves: readonly Buffer[], size: number): Buffer[] {
  if (!(size >= 1 && size <= leaves.length)) {
    throw new RangeError(`a tree of ${leaves.length} leaves has no beginning of ${size}`);
  }
  return subproof(leaves, size, true);
}

function subproof(leaves: readonly Buffer[], size: number, known: boolean): Buffer[] {
  if (size === leaves.length) return known ? [] : [treeHash(leaves)];
  const split = largestPowerOfTwoBelow(leaves.length);
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)];
  return size <= split
    ? [...subproof(left, size, known), treeHash(right)]
    : [...subproof(right, size - split, false), treeHash(left)];
}

/** Whether `proof` shows that the tree of `size` leaves is a beginning of that of `laterSize`: RFC 9162, 2.1.4.2. */
export function verifyConsistency(claim: {
  size: number;
  laterSize: number;
  proof: readonly Buffer[];
  root: Buffer;
  laterRoot: Buffer;
}): boolean {
  const { size, laterSize, root, laterRoot } = claim;
  if (!(size >= 1 && size <= laterSize)) return false;
  if (size === laterSize) return claim.proof.length === 0 && root.equals(laterRoot);
  const path = Number.isInteger(Math.log2(size)) ? [root, ...claim.proof] : claim.proof;
  const [first, ...rest] = path;
  if (first === undefined) return false;
  let [node, last] = [size - 1, laterSize - 1];
  while (node % 2 === 1) [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  let [hash, laterHash] = [first, first];
  for (const sibling of rest) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      laterHash = nodeHash(sibling, laterHash);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else {
      laterHash = nodeHash(laterHash, sibling);
    }
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 && hash.equals(root) && laterHash.equals(laterRoot);
}

function largestPowerOfTwoBelow(size: number): number {
  let power = 1;
  while (power * 2 < size) power *= 2;
  return power;
}
