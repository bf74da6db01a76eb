import { describe, expect, it } from "vitest";
import type { RunConfig } from "../../config/run-config.js";
import { checkpointLayout } from "../checkpoint-layout.js";
import { initialVector } from "../initialize.js";
import { resizeRows } from "../resize-grid.js";
import { resnetParameters, resnetStatistics } from "../resnet.js";
import { renamed, type Shapes, smallRun, timmShapes, treeOf, valuesOf } from "../testing/weights.js";
import { findWeights } from "./find-weights.js";
import { warmStartBlocks } from "./initial-values.js";
import { planWarmStart } from "./plan.js";
import { reportLines } from "./report-lines.js";

const plan = (shapes: Shapes, config: RunConfig) =>
  planWarmStart(findWeights(treeOf(shapes)), checkpointLayout(config), config);

/** Values of every tensor of the layout, by name. */
async function start(shapes: Shapes, config: RunConfig): Promise<Map<string, Float32Array>> {
  const { parameters, dimension } = checkpointLayout(config);
  const vector = new Float32Array(dimension);
  let offset = 0;
  for await (const block of warmStartBlocks(plan(shapes, config), config.seed)) {
    vector.set(block, offset);
    offset += block.length;
  }
  expect(offset).toBe(dimension);
  return new Map(parameters.map(({ name, offset: at, size }) => [name, vector.subarray(at, at + size)]));
}

function seeded(config: RunConfig): Map<string, Float32Array> {
  const layout = checkpointLayout(config);
  const vector = initialVector(layout, config.seed);
  return new Map(layout.parameters.map(({ name, offset, size }) => [name, vector.subarray(offset, offset + size)]));
}

/** Bit by bit, which is much faster than a comparison of elements. */
function expectSame(found: Float32Array | undefined, wanted: Float32Array | undefined): void {
  expect(found?.length).toBe(wanted?.length);
  const bytes = (values: Float32Array = new Float32Array()) =>
    Buffer.from(values.buffer, values.byteOffset, values.byteLength);
  expect(bytes(found).equals(bytes(wanted))).toBe(true);
}

const shapes = timmShapes();
const withRegisters = { model: { architecture: "vit-nano", imageSize: 32, patchSize: 8, registers: 4, layerScale: 1 } };

describe("a warm start", () => {
  it("gives the encoder the file's values and leaves heads to the seed", async () => {
    const config = smallRun("simclr");
    const values = await start({ ...shapes, "head.weight": [10, 96] }, config);
    for (const [name, shape] of Object.entries(shapes)) expectSame(values.get(name), valuesOf(name, shape));
    expectSame(values.get("head.fc1.weight"), seeded(config).get("head.fc1.weight"));
    expect(plan({ ...shapes, "head.weight": [10, 96] }, config).report).toEqual({
      container: "",
      matched: Object.keys(shapes),
      resized: [],
      missing: ["head.fc1.weight", "head.fc1.bias", "head.fc2.weight", "head.fc2.bias"],
      unexpected: ["head.weight"],
    });
  });

  it.each(["simclr", "byol", "mae", "dino", "ibot", "dinov2", "gmml", "sit", "colorme"] as const)(
    "puts every tensor of a run of %s into one list",
    (method) => {
      const config = smallRun(method);
      const fitting = method === "colorme" ? { ...shapes, "patch_embed.proj.weight": [96, 1, 8, 8] } : shapes;
      const { report, layout } = plan(fitting, config);
      const listed = [...report.matched, ...report.resized.map(({ name }) => name), ...report.missing];
      expect(listed.sort()).toEqual(layout.parameters.map(({ name }) => name).sort());
      expect(report.unexpected).toEqual(method === "mae" ? ["pos_embed"] : []);
    },
  );

  it("gives the teacher what its student has", async () => {
    const config = smallRun("ibot", { method: { ...smallRun("ibot").method, localCrops: 0 } });
    const values = await start({ ...shapes, masked_embed: [1, 96] }, config);
    for (const [name, shape] of Object.entries(shapes)) {
      expectSame(values.get(`teacher.${name}`), valuesOf(name, shape));
    }
    expectSame(values.get("mask_token"), valuesOf("masked_embed", [1, 96]));
    expectSame(values.get("teacher.dino_head.mlp.0.weight"), values.get("dino_head.mlp.0.weight"));
  });

  it("does not take a decoder's mask for the encoder's", () => {
    const { report } = plan({ ...shapes, mask_token: [1, 1, 512] }, smallRun("ibot"));
    expect(report.missing).toContain("mask_token");
    expect(report.unexpected).toEqual(["mask_token"]);
    expect(plan({ ...shapes, mask_token: [1, 1, 512] }, smallRun("mae")).report.missing).toContain("mask_token");
  });

  it("resizes positions by a scale factor, and keeps the class token's", async () => {
    const large = timmShapes({ grid: 6 });
    const config = smallRun("dino");
    const values = await start(large, config);
    const file = valuesOf("pos_embed", [1, 37, 96]);
    const expected = resizeRows(file.subarray(96), 96, { from: 6, to: 4, offset: 0.1 });
    for (const name of ["pos_embed", "teacher.pos_embed"]) {
      expectSame(values.get(name)?.subarray(0, 96), file.subarray(0, 96));
      expectSame(values.get(name)?.subarray(96), expected);
    }
    const [first] = plan(large, config).report.resized;
    expect(first).toEqual({ name: "pos_embed", from: 6, to: 4, classRowAdded: false });
  });

  it("smooths the positions of models with registers, and adds the class token's row where timm left it out", async () => {
    const { pos_embed: _, ...rest } = timmShapes({ layerScale: true });
    const config = smallRun("dinov2", withRegisters);
    const values = await start({ ...rest, pos_embed: [1, 36, 96], reg_token: [1, 4, 96] }, config);
    const file = valuesOf("pos_embed", [1, 36, 96]);
    expectSame(values.get("pos_embed")?.subarray(0, 96), new Float32Array(96));
    const expected = resizeRows(file, 96, { from: 6, to: 4, antialias: true });
    expectSame(values.get("pos_embed")?.subarray(96), expected);
    expectSame(values.get("register_tokens"), valuesOf("reg_token", [1, 4, 96]));
    const same = await start({ ...rest, pos_embed: [1, 16, 96], reg_token: [1, 4, 96] }, config);
    expectSame(same.get("pos_embed")?.subarray(96), valuesOf("pos_embed", [1, 16, 96]));
  });

  it("leaves LayerScale, registers and the last norm to the seed where the file has none", async () => {
    const config = smallRun("dinov2", withRegisters);
    const { "norm.weight": _, ...rest } = shapes;
    const { missing } = plan(rest, config).report;
    expect(missing).toEqual(expect.arrayContaining(["blocks.0.ls1.gamma", "register_tokens", "norm.weight"]));
    const values = await start(rest, config);
    expectSame(values.get("blocks.0.ls1.gamma"), new Float32Array(96).fill(1));
  });

  it("takes a residual network with its running statistics where these are averaged", async () => {
    const tensors = [...resnetParameters("resnet18"), ...resnetStatistics("resnet18")];
    const file = { ...Object.fromEntries(tensors.map(({ name, shape }) => [name, shape])), "fc.bias": [1000] };
    const model = { architecture: "resnet18", imageSize: 64 };
    const averaged = smallRun("simclr", { model, aggregation: { batchStatistics: "average" } });
    expect(plan(file, averaged).report.unexpected).toEqual(["fc.bias"]);
    expectSame((await start(file, averaged)).get("bn1.running_var"), valuesOf("bn1.running_var", [64]));
  });
});

describe("a warm start is refused", () => {
  const config = smallRun("dino");
  const cases: readonly [string, Shapes, RegExp][] = [
    [
      "with patches of another size, naming both shapes",
      timmShapes({ patch: 16, grid: 2 }),
      /patch_embed\.proj\.weight is \[96, 3, 16, 16\], the run needs \[96, 3, 8, 8\]$/,
    ],
    ["with another width, counting the rest", timmShapes({ width: 192 }), /cls_token is \[1, 1, 192\].*and 51 more$/],
    ["with another depth", timmShapes({ depth: 6 }), /6 blocks where the run's encoder has 4; blocks\.4/],
    ["with fewer blocks", timmShapes({ depth: 3 }), /3 blocks where the run's encoder has 4; blocks\.3/],
    ["with positions that are no square", { ...shapes, pos_embed: [1, 13, 96] }, /pos_embed is \[1, 13, 96\]/],
    ["with positions of another width", { ...shapes, pos_embed: [1, 17, 48] }, /pos_embed is \[1, 17, 48\]/],
    ["with one channel", { ...shapes, "patch_embed.proj.weight": [96, 1, 8, 8] }, /\[96, 1, 8, 8\]/],
    [
      "with nothing of an encoder",
      { "fc.weight": [2, 2], "fc.bias": [2] },
      /no tensor of the run's encoder; it has fc\.weight/,
    ],
    ["with a residual network's weights", { "conv1.weight": [64, 3, 7, 7] }, /no tensor of the run's encoder/],
    ["without a value matrix", partly(), /blocks\.0\.attn\.qkv\.weight is \[192, 96\], the run needs \[288, 96\]/],
  ];
  it.each(cases)("%s", (_, file, words) => {
    expect(() => plan(file, config)).toThrow(words);
    expect(() => plan(file, config)).toThrow(expect.objectContaining({ code: "input-unsupported" }));
  });

  function partly(): Shapes {
    const { "blocks.0.attn.qkv.weight": _, ...rest } = shapes;
    const name = (part: string) => `encoder.layer.0.attention.attention.${part}.weight`;
    return { ...rest, [name("query")]: [96, 96], [name("key")]: [96, 96] };
  }

  it("with three channels where the method shows the encoder one", () => {
    expect(() => plan(shapes, smallRun("colorme"))).toThrow(/is \[96, 3, 8, 8\], the run needs \[96, 1, 8, 8\]/);
  });

  it("with values that are not finite", async () => {
    const tree = treeOf(shapes);
    const tensors = new Map(tree.tensors);
    tensors.set("norm.bias", { shape: [96], read: async () => new Float32Array(96).fill(Number.NaN, 5) });
    const made = planWarmStart(findWeights({ ...tree, tensors }), checkpointLayout(config), config);
    const drain = async () => {
      for await (const block of warmStartBlocks(made, 1)) expect(block).toBeDefined();
    };
    await expect(drain()).rejects.toThrow("value 5 of norm.bias in the file is NaN");
  });
});

describe("the report for people", () => {
  it("says of each tensor how it was resized", () => {
    const { pos_embed: _, ...rest } = shapes;
    const { report } = plan({ ...rest, pos_embed: [1, 16, 96] }, smallRun("byol"));
    const row = "from 4 × 4 to 4 × 4 patches, with a row of zeros for the class token";
    expect(reportLines(report)[2]).toBe(`resized     2: pos_embed ${row}; teacher.pos_embed ${row}`);
  });

  it("counts, names some, and says what changes the model", () => {
    const file = renamed(timmShapes({ grid: 6, layerScale: true }), (name) => `module.${name}`);
    expect(reportLines(plan({ ...file, reg_token: [1, 4, 96] }, smallRun("simclr")).report)).toEqual([
      "weights     bare",
      "matched     53",
      "resized     1: pos_embed from 6 × 6 to 4 × 4 patches",
      "missing     4, start from the run's seed: head.fc1.weight, head.fc1.bias, head.fc2.weight, head.fc2.bias",
      "unexpected  9, not used: module.blocks.0.ls1.gamma, module.blocks.0.ls2.gamma, module.blocks.1.ls1.gamma, module.blocks.1.ls2.gamma and 5 more",
      "note: the file's model has LayerScale; set model.layerScale to keep it",
      "note: the file's model has registers; set model.registers to keep them",
    ]);
  });
});
