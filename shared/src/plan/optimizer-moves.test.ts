import { describe, expect, it } from "vitest";
import { largestAdamStep } from "./optimizer-moves.js";

interface Betas {
  readonly beta1: number;
  readonly beta2: number;
}

/** |m̂|/√v̂ after the last of these gradients. */
function lastStep(gradients: readonly number[], { beta1, beta2 }: Betas): number {
  let [m, v] = [0, 0];
  for (const gradient of gradients) {
    m = beta1 * m + (1 - beta1) * gradient;
    v = beta2 * v + (1 - beta2) * gradient ** 2;
  }
  const steps = gradients.length;
  return Math.abs(m) / (1 - beta1 ** steps) / Math.sqrt(v / (1 - beta2 ** steps));
}

const usual = { beta1: 0.9, beta2: 0.999 };

describe("largestAdamStep()", () => {
  it("is one for the first step", () => {
    expect(largestAdamStep(usual, 1)).toBeCloseTo(1, 12);
  });

  it("is reached by gradients that grow by β2/β1", () => {
    for (const betas of [usual, { beta1: 0.9, beta2: 0.95 }, { beta1: 0.5, beta2: 0.99 }]) {
      const steps = 3000;
      const worst = Array.from({ length: steps }, (_, step) => (betas.beta1 / betas.beta2) ** (steps - 1 - step));
      expect(lastStep(worst, betas)).toBeCloseTo(largestAdamStep(betas, steps), 3);
    }
  });

  it("covers a coordinate that was quiet and becomes steady", () => {
    const gradients = [...Array.from({ length: 20_000 }, () => 0), ...Array.from({ length: 12 }, () => 1)];
    const step = lastStep(gradients, usual);
    expect(step).toBeGreaterThan(6.5);
    expect(step).toBeLessThan(largestAdamStep(usual, gradients.length));
    expect(largestAdamStep(usual, 1e5)).toBeCloseTo(7.27, 2);
  });
});
