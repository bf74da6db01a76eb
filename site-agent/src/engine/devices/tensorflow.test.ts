import { cpSync, mkdirSync, mkdtempSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { HostTensors } from "../../model/tensors.js";
import { tf } from "../../model/tf.js";
import { eagerEngine } from "../eager-engine.js";
import { disagreement } from "../testing/agreement.js";
import { layerCases, stepCase } from "./self-test-programs.js";
import { tensorflowEngine } from "./tensorflow.js";
import { findTensorflowPackage, ownTfjsDirectory, tensorflowDirectory as within } from "./tensorflow-package.js";
import { probeTensorflow } from "./tensorflow-probe.js";

const home = process.env["CONSILIUM_AGENT_HOME"];
const options = home === undefined ? {} : { tensorflowDirectory: within(home) };
const built = findTensorflowPackage(options.tensorflowDirectory)?.binding !== undefined;
/** Found without any folder being named. */
const beside = findTensorflowPackage(undefined) !== undefined;
const needs = built ? "" : " (skipped: needs 'engine install tensorflow' in the home that CONSILIUM_AGENT_HOME names)";

/** A parameter whose gradient is zero but for rounding moves by its sign. */
function comparable(outputs: HostTensors): HostTensors {
  return Object.fromEntries(Object.entries(outputs).filter(([name]) => !name.startsWith("parameter/")));
}

describe.skipIf(!built)(`native TensorFlow${needs}`, () => {
  it("computes layers and training steps as the reference does", { timeout: 120_000 }, async () => {
    const engine = tensorflowEngine(options);
    for (const { name, program, inputs } of [...layerCases(), stepCase("simclr"), stepCase("mae")]) {
      const eager = comparable(await (await eagerEngine().compile(program)).run(inputs));
      const compiled = comparable(await (await engine.compile(program)).run(inputs));
      expect(disagreement({ eager, compiled }), name).toBeLessThan(5e-3);
    }
  });

  it("holds state without a leak, and leaves the active backend alone", { timeout: 120_000 }, async () => {
    tf.backend();
    const active = tf.getBackend();
    const { program, inputs, state } = stepCase("mae");
    const before = tf.memory().numTensors;
    const held = await (await tensorflowEngine(options).compile(program)).hold(state);
    const losses: number[] = [];
    const numbers: number[] = [];
    for (let step = 0; step < 4; step++) {
      const outputs = await held.advance(inputs, () => true);
      losses.push(outputs["loss"]!.data[0]!);
      numbers.push(tf.memory().numTensors);
    }
    expect(losses[3]).toBeLessThan(losses[0]!);
    expect(new Set(numbers).size).toBe(1);
    await held.release();
    expect([tf.memory().numTensors, tf.getBackend()]).toEqual([before, active]);
  });
});

/** A folder as `engine install tensorflow` leaves it, with a native part that is none. */
function installation({ binding = "", tfjs = ownTfjsDirectory() }: { binding?: string; tfjs?: string } = {}): string {
  const root = mkdtempSync(join(tmpdir(), "tensorflow-"));
  const scope = join(root, "node_modules", "@tensorflow");
  const lib = join(scope, "tfjs-node-gpu", "lib");
  mkdirSync(lib, { recursive: true });
  writeFileSync(join(dirname(lib), "package.json"), '{"name":"@tensorflow/tfjs-node-gpu","version":"4.22.0"}');
  symlinkSync(tfjs, join(scope, "tfjs"));
  for (const version of binding === "" ? [] : ["napi-v3", "napi-v8", "napi-v99"]) {
    mkdirSync(join(lib, version));
    writeFileSync(join(lib, version, "tfjs_binding.node"), binding);
  }
  return root;
}

describe("an installation that cannot be used", () => {
  const asked = (tensorflowDirectory: string) => () => tensorflowEngine({ tensorflowDirectory });

  it.skipIf(beside)("is absent", () => {
    expect(asked("/nonexistent")).toThrow("native TensorFlow is not installed");
    expect(asked("/nonexistent")).toThrow(
      expect.objectContaining({ remedy: "run 'consilium-agent engine install tensorflow'" }),
    );
  });

  it.skipIf(beside)("has no native part", () => {
    expect(asked(installation())).toThrow(
      "@tensorflow/tfjs-node-gpu 4.22.0 cannot be used: its native part has not been built",
    );
  });

  it("has a native part for the newest interface that this Node has", () => {
    const found = findTensorflowPackage(installation({ binding: "x" }));
    expect(found?.binding).toMatch(/napi-v8\/tfjs_binding\.node$/);
  });

  it("has another TensorFlow.js", () => {
    const other = mkdtempSync(join(tmpdir(), "tfjs-"));
    cpSync(join(ownTfjsDirectory(), "package.json"), join(other, "package.json"));
    expect(asked(installation({ binding: "x", tfjs: other }))).toThrow("it uses another TensorFlow.js");
  });

  it("lost its TensorFlow.js, such as after a move", () => {
    expect(asked(installation({ binding: "x", tfjs: "/nonexistent" }))).toThrow("it does not find TensorFlow.js");
  });

  // Once loaded, the library stays.
  it.skipIf(built)("has a native part that is no library", () => {
    expect(asked(installation({ binding: "x" }))).toThrow(/cannot be used: .*tfjs_binding\.node/);
  });
});

describe("looking for native TensorFlow", () => {
  const probing = (script: string, timeoutMs = 20_000) => {
    const entryPath = join(mkdtempSync(join(tmpdir(), "probe-")), "entry.cjs");
    writeFileSync(entryPath, script);
    return probeTensorflow({ tensorflowDirectory: installation({ binding: "x" }), entryPath, timeoutMs });
  };

  it("tells version and device", async () => {
    const finding = "{ works: true, found: { libraryVersion: '2.21.0', usesGpu: true } }";
    expect(await probing(`process.send(${finding}, () => process.exit())`)).toEqual({
      device: "tensorflow",
      available: true,
      detail: "TensorFlow 2.21.0 with a GPU, through @tensorflow/tfjs-node-gpu 4.22.0",
    });
  });

  it("survives a library that ends its process", async () => {
    const probe = await probing("process.kill(process.pid, 'SIGILL')");
    expect(probe).toMatchObject({ available: false, detail: expect.stringContaining("SIGILL") });
  });

  it("gives up on one that hangs", async () => {
    const probe = await probing("setInterval(() => {}, 1000)", 300);
    expect(probe).toMatchObject({ available: false, detail: expect.stringContaining("within 0.3 s") });
  });

  it("passes on what the process found wrong", async () => {
    const finding = "{ works: false, reason: 'no AVX' }";
    const probe = await probing(`process.send(${finding}, () => process.exit())`);
    expect(probe).toMatchObject({ available: false, detail: "no AVX", remedy: expect.stringContaining("again") });
  });

  it.skipIf(beside)("starts no process when nothing is installed", async () => {
    const probe = await probeTensorflow({ tensorflowDirectory: "/nonexistent", entryPath: "/nonexistent" });
    expect(probe).toMatchObject({ available: false, detail: "native TensorFlow is not installed" });
  });
});
