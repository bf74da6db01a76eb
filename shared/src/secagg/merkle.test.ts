import { describe, expect, it } from "vitest";
import { leafHash, merkleTree, rootAlong } from "./merkle.js";

const leavesOf = (count: number) => Array.from({ length: count }, (_, i) => leafHash(Buffer.from([i])));

describe("merkleTree", () => {
  it("has the roots of RFC 9162's test tree", () => {
    // Leaves and roots of the Certificate Transparency reference implementation.
    const leaves = ["", "00", "10", "2021", "3031", "40414243"].map((hex) => leafHash(Buffer.from(hex, "hex")));
    const rootOf = (count: number) => Buffer.from(merkleTree(leaves.slice(0, count)).root).toString("hex");
    expect(rootOf(1)).toBe("6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d");
    expect(rootOf(2)).toBe("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125");
    expect(rootOf(3)).toBe("aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77");
    expect(rootOf(6)).toBe("76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef");
  });

  it("leads every leaf to the root, and no other leaf, place or path", () => {
    for (const count of [1, 2, 3, 7, 8, 13]) {
      const leaves = leavesOf(count);
      const { root, paths } = merkleTree(leaves);
      leaves.forEach((leaf, index) => {
        expect(rootAlong(leaf, { index, count }, paths[index]!)).toEqual(root);
        expect(rootAlong(leafHash(Buffer.from("x")), { index, count }, paths[index]!)).not.toEqual(root);
        expect(rootAlong(leaf, { index, count }, [...paths[index]!, root])).not.toEqual(root);
        if (count > 1) {
          expect(rootAlong(leaf, { index: (index + 1) % count, count }, paths[index]!)).not.toEqual(root);
          expect(rootAlong(leaf, { index, count }, paths[index]!.slice(1))).not.toEqual(root);
        }
      });
    }
  });

  it("knows no leaf outside the list", () => {
    expect(rootAlong(leavesOf(1)[0]!, { index: 1, count: 1 }, [])).toBeUndefined();
    expect(rootAlong(leavesOf(1)[0]!, { index: -1, count: 1 }, [])).toBeUndefined();
  });
});
