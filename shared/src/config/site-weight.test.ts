import { describe, expect, it } from "vitest";
import { encodeDelta } from "../secagg/quantize.js";
import { planWeightCap, siteWeight, type WeightConfig } from "./site-weight.js";

const fedavg: WeightConfig = {
  aggregation: { strategy: { name: "fedavg" }, weightCap: 5000 },
  privacy: { mode: "none" },
};
const ldawa: WeightConfig = {
  aggregation: { strategy: { name: "l-dawa" }, weightCap: 5000 },
  privacy: { mode: "none" },
};

describe("siteWeight() and planWeightCap()", () => {
  it("weigh by images up to the run's cap", () => {
    expect(siteWeight(fedavg, 1234)).toBe(1234);
    expect(planWeightCap(fedavg)).toBe(5000);
  });

  it("weigh every site alike under L-DAWA", () => {
    expect([1, 1234, 1e6].map((images) => siteWeight(ldawa, images))).toEqual([1, 1, 1]);
  });

  it("weigh every site alike in a private run", () => {
    const hidden: WeightConfig = { ...fedavg, privacy: { mode: "patient" } };
    expect([1, 1234, 1e6].map((images) => siteWeight(hidden, images))).toEqual([1, 1, 1]);
    expect(planWeightCap(hidden)).toBe(1);
  });

  it("leave a site that counts one the whole of the fixed point's range", () => {
    const words = new Uint32Array(1);
    const share = siteWeight(ldawa, 700) / planWeightCap(ldawa);
    const encoding = { tensors: [{ size: 1, clip: 1 }], weightShare: share, ringBound: 2 ** 20 };
    encodeDelta(Float32Array.of(0.5), 0, words, { ...encoding, roundingKey: new Uint8Array(32) });
    expect(words[0]).toBe(2 ** 19);
  });
});
