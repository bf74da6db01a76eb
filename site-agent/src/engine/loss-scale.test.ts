import { expect, it } from "vitest";
import { afterStep, canLower, initialLossScale, type LossScale } from "./loss-scale.js";

function after(start: LossScale, finite: boolean, steps: number): LossScale {
  return Array.from({ length: steps }).reduce<LossScale>((scale) => afterStep(scale, finite), start);
}

it("starts at 2^16 and doubles after 2000 finite steps, not before", () => {
  const start = initialLossScale();
  expect(start).toEqual({ scale: 2 ** 16, finiteSteps: 0 });
  expect(after(start, true, 1999)).toEqual({ scale: 2 ** 16, finiteSteps: 1999 });
  expect(after(start, true, 2000)).toEqual({ scale: 2 ** 17, finiteSteps: 0 });
});

it("halves at once when a step is not finite, and counts anew", () => {
  const late = after(initialLossScale(), true, 1999);
  const halved = afterStep(late, false);
  expect(halved).toEqual({ scale: 2 ** 15, finiteSteps: 0 });
  expect(after(halved, true, 1999).scale).toBe(2 ** 15);
});

it("stays from 1 to 2^24", () => {
  expect(after(initialLossScale(), false, 40)).toEqual({ scale: 1, finiteSteps: 0 });
  expect(after(initialLossScale(), true, 2000 * 40).scale).toBe(2 ** 24);
  expect(canLower(initialLossScale())).toBe(true);
  expect(canLower(after(initialLossScale(), false, 16))).toBe(false);
});

it("takes a state that was written out up where it was", () => {
  const saved: unknown = JSON.parse(JSON.stringify(after(initialLossScale(), true, 1500)));
  expect(after(saved as LossScale, true, 500)).toEqual(after(initialLossScale(), true, 2000));
});

it("refuses bounds that leave no power of two", () => {
  expect(() => initialLossScale({ start: 3 })).toThrow("no power of two");
  expect(() => initialLossScale({ start: 0.5 })).toThrow("no power of two from 1");
});
