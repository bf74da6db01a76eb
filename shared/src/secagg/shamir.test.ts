import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemEntropy } from "../entropy.js";
import {
  combineShares,
  fieldOrder,
  isFieldElement,
  lagrangeWeights,
  randomFieldElement,
  reconstructSecret,
  splitSecret,
} from "./shamir.js";

const big = (value: bigint) => Buffer.from(value.toString(16).padStart(64, "0"), "hex");

describe("splitSecret", () => {
  it("gives shares of which any threshold reconstruct, and one fewer do not", () => {
    const cases = fc.integer({ min: 2, max: 12 }).chain((count) =>
      fc.record({
        count: fc.constant(count),
        threshold: fc.integer({ min: 2, max: count }),
        order: fc.shuffledSubarray(
          Array.from({ length: count }, (_, i) => i),
          { minLength: count, maxLength: count },
        ),
      }),
    );
    fc.assert(
      fc.property(cases, ({ count, threshold, order }) => {
        const secret = randomFieldElement(systemEntropy);
        const shares = splitSecret(secret, { count, threshold, entropy: systemEntropy });
        const chosen = order.slice(0, threshold).map((i) => shares[i]!);
        expect(reconstructSecret(chosen).equals(secret)).toBe(true);
        expect(reconstructSecret(chosen.slice(1)).equals(secret)).toBe(false);
      }),
      { numRuns: 40 },
    );
  });

  it("keeps the extremes of the field", () => {
    for (const value of [0n, 1n, fieldOrder - 1n]) {
      const shares = splitSecret(big(value), { count: 3, threshold: 2, entropy: systemEntropy });
      expect(reconstructSecret(shares.slice(1)).equals(big(value))).toBe(true);
    }
  });

  it("refuses what is not in the field", () => {
    const options = { count: 3, threshold: 2, entropy: systemEntropy };
    expect(() => splitSecret(big(fieldOrder), options)).toThrow(/cannot split/);
    expect(() => splitSecret(new Uint8Array(31), options)).toThrow(/cannot split/);
  });
});

describe("lagrangeWeights", () => {
  it("continues the polynomial at any other place", () => {
    const shares = splitSecret(big(5n), { count: 6, threshold: 3, entropy: systemEntropy });
    const basis = [shares[4]!, shares[0]!, shares[2]!];
    const weights = lagrangeWeights([5, 1, 3], 6);
    expect(combineShares(basis, weights).equals(shares[5]!.value)).toBe(true);
  });
});

describe("randomFieldElement", () => {
  it("rejects what lies above the field's order", () => {
    const draws = [new Uint8Array(32).fill(255), big(fieldOrder), big(7n)];
    const drawn = randomFieldElement({ bytes: () => draws.shift()! });
    expect(drawn.equals(big(7n))).toBe(true);
    expect(isFieldElement(big(fieldOrder - 1n))).toBe(true);
    expect(isFieldElement(big(fieldOrder))).toBe(false);
  });
});
