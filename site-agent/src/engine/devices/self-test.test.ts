import { expect, it } from "vitest";
import type { HostTensors } from "../../model/tensors.js";
import { compiledCpuEngine } from "../compiled-engine.js";
import type { Engine } from "../program.js";
import { selfTest } from "./self-test.js";

/** Every reading is half a second after the last, so that speed takes the fewest steps. */
function steadyClock(): () => number {
  let time = 0;
  return () => {
    time += 500;
    return time;
  };
}

const tested = { device: "cpu", precision: "float32" } as const;

/** The processor, with outputs changed on their way. */
function changing(change: (outputs: HostTensors) => HostTensors): Engine {
  const engine = compiledCpuEngine({ threads: 1 });
  return {
    name: "changing",
    async compile(program) {
      const compiled = await engine.compile(program);
      return {
        run: async (inputs) => change(await compiled.run(inputs)),
        hold: (state) => compiled.hold(state),
        release: () => compiled.release(),
      };
    },
  };
}

it("passes an engine that computes right, and measures it", { timeout: 120_000 }, async () => {
  const seen: string[] = [];
  const onCase = (name: string) => seen.push(name);
  const engine = compiledCpuEngine({ threads: 1 });
  const report = await selfTest({ engine, ...tested }, { now: steadyClock(), onCase });
  expect(report.checks.filter(({ passed }) => !passed)).toEqual([]);
  expect(report).toMatchObject({ passed: true, speed: { batchSize: 4, stepsPerSecond: 4 / 1.5 } });
  expect(report.speed!.lastLoss).toBeLessThan(report.speed!.firstLoss);
  expect(seen).toEqual(["linear", "layer norm", "GELU", "attention", "simclr step", "mae step", "speed"]);
});

it("finds one wrong value, also in a step", { timeout: 120_000 }, async () => {
  const engine = changing((outputs) => {
    const bias = outputs["moment1/blocks.0.mlp.fc1.bias"];
    if (bias !== undefined) bias.data[3]! += 1e-3 * Math.max(...bias.data);
    return outputs;
  });
  const { passed, checks } = await selfTest({ engine, ...tested }, { now: steadyClock() });
  expect(passed).toBe(false);
  expect(checks.filter((one) => !one.passed).map(({ name }) => name)).toEqual([
    "simclr step: gradients",
    "mae step: gradients",
  ]);
});

it("takes a value that is no number for wrong", async () => {
  const engine = changing((outputs) => {
    outputs["value"]?.data.fill(Number.NaN);
    if (outputs["value"] === undefined) throw new Error("far enough");
    return outputs;
  });
  const { checks, passed, failure } = await selfTest({ engine, ...tested }, { now: steadyClock() });
  expect(checks.map((one) => one.passed)).toEqual([false, false, false, false]);
  expect([passed, failure]).toEqual([false, { message: "far enough" }]);
});
