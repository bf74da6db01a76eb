import { describe, expect, it } from "vitest";
import { GraphBuilder } from "../graph/builder.js";
import { elementwise } from "../graph/emit.js";
import type { Graph } from "../graph/graph.js";
import { predictPeak } from "./predict-peak.js";

const size = 1000;

/** state → exp(state) × batch, with one buffer of 4000 bytes at its fullest moment. */
function graph(): Graph {
  const builder = new GraphBuilder();
  const [state, batch] = [builder.input([size], "float32"), builder.input([size], "uint8")];
  const seen = builder.apply({
    op: "Cast",
    inputs: [batch],
    attributes: { to: { int: 1 } },
    shape: [size],
    type: "float32",
  });
  const next = elementwise(builder, "Mul", [state, seen]);
  return {
    name: "t",
    inputs: [
      { name: "state", value: state },
      { name: "batch", value: batch },
    ],
    outputs: [{ name: "state", value: next }],
  };
}

describe("predictPeak", () => {
  it("counts state twice on a device, and once more on the host, for saves", () => {
    const host = predictPeak(graph());
    expect(host).toMatchObject({ stateBytes: 4000, batchBytes: 1000, activationBytes: 0, transientBytes: 4400 });
    expect(host.totalBytes).toBe(3 * 4000 + 1000 + 4400);
    expect(predictPeak(graph(), { heldOn: "device" }).totalBytes).toBe(2 * 4000 + 1000 + 4400);
  });

  it("counts constants with their full shapes", () => {
    const builder = new GraphBuilder();
    const x = builder.input([size], "float32");
    const y = elementwise(builder, "Add", [x, builder.uniform(1, [size], "float32")]);
    const peak = predictPeak({
      name: "t",
      inputs: [{ name: "x", value: x }],
      outputs: [{ name: "y", value: y }],
    });
    expect(peak).toMatchObject({ constantBytes: 4000, activationBytes: 0, transientBytes: 0, totalBytes: 8000 });
  });

  it("tells what waits from what is worked on", () => {
    const builder = new GraphBuilder();
    const x = builder.input([size], "float32");
    const kept = elementwise(builder, "Exp", [x]);
    const worked = elementwise(builder, "Neg", [elementwise(builder, "Sqrt", [x])]);
    const y = elementwise(builder, "Add", [kept, worked]);
    const peak = predictPeak({
      name: "t",
      inputs: [{ name: "x", value: x }],
      outputs: [{ name: "y", value: y }],
    });
    expect(peak.activationBytes + peak.transientBytes).toBe(8800);
    expect(peak.transientBytes).toBe(8800);
  });
});
