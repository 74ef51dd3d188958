import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  consistencyProof,
  extendTree,
  inclusionProof,
  leafHash,
  treeHash,
  treeHashOfSubtrees,
  verifyConsistency,
  verifyInclusion,
} from '../../../functions/evidence/merkle.ts';

// The test vectors of the Certificate Transparency reference implementation (transparency-dev/merkle).
const contents = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'];
const roots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];
const leaves = contents.map(content => leafHash(Buffer.from(content, 'hex')));
const hex = (hashes: readonly Buffer[]) => hashes.map(hash => hash.toString('hex'));

const anyTree = fc
  .integer({ min: 1, max: 70 })
  .map(size => Array.from({ length: size }, (_, index) => leafHash(Buffer.from(`entry ${index}`))));
const treeAndIndex = anyTree.chain(tree => fc.tuple(fc.constant(tree), fc.integer({ min: 0, max: tree.length - 1 })));

describe('the test vectors of RFC 6962', () => {
  it('hashes nothing as SHA-256 of nothing', () => {
    expect(treeHash([]).toString('hex')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  it.each(roots.map((root, index) => [index + 1, root] as const))('hashes a tree of %i leaves', (size, root) => {
    expect(treeHash(leaves.slice(0, size)).toString('hex')).toBe(root);
  });

  it('gives the published audit paths', () => {
    expect(hex(inclusionProof(leaves, 0))).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(hex(inclusionProof(leaves.slice(0, 3), 2))).toEqual([
      'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    ]);
  });

  it('gives the published consistency proofs', () => {
    expect(hex(consistencyProof(leaves, 1))).toEqual([
      '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
      '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
      '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
    ]);
    expect(hex(consistencyProof(leaves, 6))).toEqual([
      '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
      'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
      'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    ]);
    expect(consistencyProof(leaves, 8)).toEqual([]);
  });
});

describe('any tree', () => {
  it('has one hash, grown leaf by leaf or split as the RFC splits it', () => {
    const recursive = (tree: readonly Buffer[]): Buffer => {
      if (tree.length === 1) return tree[0] ?? Buffer.alloc(0);
      const split = 2 ** Math.floor(Math.log2(tree.length - 1));
      const halves = [recursive(tree.slice(0, split)), recursive(tree.slice(split))];
      return hash('sha256', Buffer.concat([Buffer.of(1), ...halves]), 'buffer');
    };
    fc.assert(
      fc.property(anyTree, tree => {
        const grown = tree.reduce<readonly Buffer[]>(extendTree, []);
        expect(treeHashOfSubtrees(grown)).toEqual(recursive(tree));
        expect(grown.length).toBe(tree.length.toString(2).replaceAll('0', '').length);
      }),
    );
  });

  it('proves each leaf, and no other leaf, place, size or root', () => {
    fc.assert(
      fc.property(treeAndIndex, ([tree, index]) => {
        const claim = {
          leaf: tree[index] ?? Buffer.alloc(0),
          index,
          size: tree.length,
          proof: inclusionProof(tree, index),
          root: treeHash(tree),
        };
        expect(verifyInclusion(claim)).toBe(true);
        expect(verifyInclusion({ ...claim, leaf: leafHash(Buffer.from('forged')) })).toBe(false);
        expect(verifyInclusion({ ...claim, root: leafHash(Buffer.from('forged')) })).toBe(false);
        expect(verifyInclusion({ ...claim, index: tree.length })).toBe(false);
        expect(verifyInclusion({ ...claim, proof: [...claim.proof, claim.root] })).toBe(false);
        if (claim.proof.length > 0) expect(verifyInclusion({ ...claim, proof: claim.proof.slice(1) })).toBe(false);
        for (let other = 0; other < tree.length; other++) {
          expect(verifyInclusion({ ...claim, index: other })).toBe(other === index);
        }
      }),
    );
  });

  it('proves each beginning, and no other', () => {
    fc.assert(
      fc.property(treeAndIndex, ([tree, index]) => {
        const claim = {
          size: index + 1,
          laterSize: tree.length,
          proof: consistencyProof(tree, index + 1),
          root: treeHash(tree.slice(0, index + 1)),
          laterRoot: treeHash(tree),
        };
        const forged = leafHash(Buffer.from('forged'));
        expect(verifyConsistency(claim)).toBe(true);
        expect(verifyConsistency({ ...claim, root: forged })).toBe(false);
        expect(verifyConsistency({ ...claim, laterRoot: forged })).toBe(false);
        expect(verifyConsistency({ ...claim, proof: [...claim.proof, forged] })).toBe(false);
        if (claim.proof.length > 0) expect(verifyConsistency({ ...claim, proof: claim.proof.slice(1) })).toBe(false);
      }),
    );
  });

  it.each([-1, 8, Number.NaN])('has no leaf %s and says so', index => {
    expect(() => inclusionProof(leaves, index)).toThrow(RangeError);
    expect(() => consistencyProof(leaves, index + 1)).toThrow(RangeError);
  });
});
