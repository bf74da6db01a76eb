import { describe, expect, it } from "vitest";
import { advantageAllowed, guessingProbability, leastEpsilon } from "./one-run-bound.js";

describe("what guesses about members refute", () => {
  it("is the binomial tail where δ is zero", () => {
    // Of 100 guesses of fair coins 60 or more are right with probability 0.02844.
    expect(guessingProbability({ canaries: 100, guesses: 100, right: 60 }, 0, 0)).toBeCloseTo(0.028444, 6);
    // All of 32 right: at ε each is with probability e^ε / (1 + e^ε).
    const all = { canaries: 64, guesses: 32, right: 32 };
    const share = 0.05 ** (1 / 32);
    expect(leastEpsilon(all, { delta: 0, confidence: 0.95 })).toBeCloseTo(Math.log(share / (1 - share)), 3);
  });

  it("is less the more δ excuses, and nothing for guesses that luck explains", () => {
    const found = { canaries: 1000, guesses: 200, right: 180 };
    const at = (delta: number) => leastEpsilon(found, { delta, confidence: 0.95 });
    expect(at(0)).toBeGreaterThan(1.7);
    expect(at(1e-5)).toBeLessThan(at(0));
    expect(at(1e-3)).toBeLessThan(at(1e-5));
    expect(leastEpsilon({ canaries: 100, guesses: 50, right: 27 }, { delta: 1e-5, confidence: 0.95 })).toBe(0);
  });

  it("never exceeds certainty", () => {
    expect(guessingProbability({ canaries: 10, guesses: 10, right: 0 }, 1, 0.01)).toBe(1);
  });
});

it("no attack on an (ε, δ)-private release has more advantage than randomised response gives", () => {
  expect(advantageAllowed(0, 0)).toBe(0);
  expect(advantageAllowed(Math.log(3), 0)).toBeCloseTo(0.5, 12);
  expect(advantageAllowed(0, 0.1)).toBeCloseTo(0.1, 12);
});
