import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { planTerms } from "@consilium/shared/plan/terms.js";
import { describe, expect, it } from "vitest";
import { exampleConfig, examplePolicy } from "../test-plans.js";
import { ChangeGate } from "./change-gate.js";

const layout = checkpointLayout(exampleConfig);
const { tensorClips, weightCap, lanes } = planTerms(exampleConfig, layout, 1);
const terms = { tensorClips, weightCap, lanes, advertisers: 3, survivors: 3 };
const totals = (deltaNorm: number) => ({
  lanes: { weight: 3 * weightCap, loss: 1, steps: 1, clipped: 0, figures: {} },
  deltaNorm,
});

function gate(limits: Partial<typeof examplePolicy.model> = {}): ChangeGate {
  const facts = { round: 1, config: exampleConfig, layout, terms, l2Clip: 1 };
  return new ChangeGate({ ...facts, limits: { ...examplePolicy.model, ...limits } });
}

const refusal = (clause: string) => expect.objectContaining({ clause });
const values = (value: number) => new Float32Array(layout.dimension).fill(value);

describe("the gate for a round's change", () => {
  it("opens up to the norm that every site scales its update to, and what rounding adds, but no further", () => {
    expect(() => gate().finish(totals(1))).not.toThrow();
    for (const norm of [1.001, Number.NaN]) {
      expect(() => gate().finish(totals(norm))).toThrow(refusal("model.aggregate"));
    }
  });

  it("opens as far as the noise of a run that hides sites can carry the mean, and no further", () => {
    const noise = { clip: 1, scale: 1000, shareVariance: 3e4 };
    const lanesOf = { ...totals(0).lanes, weight: 3 };
    const flat = { ...terms, tensorClips: tensorClips.map(() => 1), weightCap: 1, noise };
    const facts = { round: 1, config: exampleConfig, layout, terms: flat, l2Clip: 1, limits: examplePolicy.model };
    const finish = (deltaNorm: number) => () => new ChangeGate(facts).finish({ lanes: lanesOf, deltaNorm });
    const expected = (Math.sqrt(3 * 3e4) / 3000) * Math.sqrt(layout.dimension);
    expect(finish(1 + expected)).not.toThrow();
    expect(finish(1.5 + 1.2 * expected)).toThrow(refusal("model.aggregate"));
  });

  it("stays shut for a model that is not finite", () => {
    const next = values(0);
    next[5] = Number.POSITIVE_INFINITY;
    const block = { first: 0, sums: new Int32Array(0), mean: values(0), next };
    expect(() => gate().block(block)).toThrow(refusal("model.aggregate"));
  });

  it("adds up blocks that end inside tensors", () => {
    const watched = gate({ maxUpdateL2: 5.01, maxTensorChange: 3.5 });
    const mean = values(0);
    mean[3] = 3;
    mean[layout.dimension - 2] = -4;
    const feed = (to: ChangeGate) => {
      for (let first = 0; first < mean.length; first += 7) {
        const part = mean.subarray(first, first + 7);
        to.block({ first, sums: new Int32Array(0), mean: part, next: part });
      }
    };
    feed(watched);
    expect(() => watched.finish(totals(1))).toThrow(refusal("model.maxTensorChange"));
    const wider = gate({ maxUpdateL2: 5.01, maxTensorChange: 4 });
    feed(wider);
    expect(() => wider.finish(totals(1))).not.toThrow();
    const narrower = gate({ maxUpdateL2: 4.99, maxTensorChange: 4 });
    feed(narrower);
    expect(() => narrower.finish(totals(1))).toThrow(refusal("model.maxUpdateL2"));
  });
});
