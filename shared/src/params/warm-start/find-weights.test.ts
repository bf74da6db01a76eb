import { describe, expect, it } from "vitest";
import { renamed, type Shapes, timmShapes, treeOf, valuesOf } from "../testing/weights.js";
import { findWeights } from "./find-weights.js";
import type { WeightTree } from "./weight-tree.js";

const shapes = timmShapes({ depth: 2, width: 4 });
const found = (tree: WeightTree) => findWeights(tree);
const shapesIn = (tree: WeightTree) =>
  Object.fromEntries([...found(tree).tensors].map(([name, { shape }]) => [name, shape]));

/** timm's names in the words of Hugging Face's ViT, and of its Dinov2. */
function huggingFace(name: string, words: { before: string; after: string; fc1: string; fc2: string }): string {
  return name
    .replace(/^(cls_token|mask_token|register_tokens)$/, "embeddings.$1")
    .replace("pos_embed", "embeddings.position_embeddings")
    .replace("patch_embed.proj", "embeddings.patch_embeddings.projection")
    .replace(/^norm\./, "layernorm.")
    .replace("blocks.", "encoder.layer.")
    .replace(".norm1.", `.${words.before}.`)
    .replace(".norm2.", `.${words.after}.`)
    .replace(".attn.proj.", ".attention.output.dense.")
    .replace(".mlp.fc1.", `.${words.fc1}.`)
    .replace(".mlp.fc2.", `.${words.fc2}.`)
    .replace(/\.ls([12])\.gamma$/, ".layer_scale$1.lambda1");
}

const vitWords = {
  before: "layernorm_before",
  after: "layernorm_after",
  fc1: "intermediate.dense",
  fc2: "output.dense",
};
const dinov2Words = { before: "norm1", after: "norm2", fc1: "mlp.fc1", fc2: "mlp.fc2" };

/** Splits every qkv in three. */
function apart(from: Shapes): Shapes {
  return Object.fromEntries(
    Object.entries(from).flatMap(([name, shape]) => {
      if (!name.includes(".attn.qkv.")) return [[name, shape] as const];
      const third = [(shape[0] ?? 0) / 3, ...shape.slice(1)];
      return ["query", "key", "value"].map(
        (part) => [name.replace(".attn.qkv.", `.attention.attention.${part}.`), third] as const,
      );
    }),
  );
}

describe("where weights lie in a file", () => {
  const bare = treeOf(shapes);
  const prefixed = (prefix: string) => treeOf(renamed(shapes, (name) => prefix + name));
  const cases: readonly [string, WeightTree, string][] = [
    ["bare", bare, ""],
    [
      "under model, as MAE's",
      treeOf({}, { model: bare, optimizer: treeOf({}, { state: treeOf({ "0": [1] }) }) }),
      "model",
    ],
    ["under state_dict, as iBOT's", treeOf({}, { state_dict: bare }), "state_dict"],
    ["wrapped", treeOf({}, { state_dict: prefixed("module.backbone.") }), "state_dict"],
    ["as an encoder's", prefixed("module.encoder."), ""],
    [
      "with the teacher before the student",
      treeOf({}, { student: treeOf({ "module.backbone.cls_token": [9] }), teacher: prefixed("backbone.") }),
      "teacher",
    ],
    ["with a student alone", treeOf({ epoch: [1] }, { student: prefixed("module.backbone.") }), "student"],
    [
      "side by side in one dictionary",
      treeOf(
        {},
        {
          model: treeOf({
            ...renamed(shapes, (name) => `student.backbone.${name}x`),
            ...renamed(shapes, (name) => `teacher.backbone.${name}`),
          }),
        },
      ),
      "model.teacher",
    ],
    [
      "in chunks of blocks, as DINOv2 trains them",
      treeOf(
        {},
        { teacher: treeOf(renamed(shapes, (name) => `backbone.${name.replace(/^blocks\.(\d)/, "blocks.7.$1")}`)) },
      ),
      "teacher",
    ],
  ];
  it.each(cases)("%s", (_, tree, container) => {
    expect(found(tree).container).toBe(container);
    expect(shapesIn(tree)).toEqual(shapes);
  });

  it("is said when there are none, or two for one name", () => {
    expect(() => found(treeOf({}, { args: treeOf({}) }))).toThrow("the file holds no tensors");
    const twice = treeOf({ "module.cls_token": [1, 1, 4], cls_token: [1, 1, 4] });
    expect(() => found(twice)).toThrow("two tensors for cls_token: module.cls_token and cls_token");
  });
});

describe("names of other programs", () => {
  it.each([
    ["ViT", "vit.", vitWords, false],
    ["Dinov2", "", dinov2Words, true],
    ["Dinov2 with a classifier", "dinov2.", dinov2Words, true],
  ])("Hugging Face's %s", (_, prefix, words, layerScale) => {
    const own = timmShapes({ depth: 2, width: 4, layerScale });
    const tree = treeOf(renamed(apart(own), (name) => prefix + huggingFace(name, words)));
    expect(shapesIn(tree)).toEqual(own);
  });

  it("Hugging Face's ViT as version 5 names its modules", () => {
    const own = timmShapes({ depth: 2, width: 4 });
    const rename = (name: string) =>
      huggingFace(name, { ...vitWords, fc1: "mlp.fc1", fc2: "mlp.fc2" })
        .replace("encoder.layer.", "layers.")
        .replace(/attention\.attention\.([qkv])\w+/, "attention.$1_proj")
        .replace("attention.output.dense", "attention.o_proj");
    const tree = treeOf(renamed(apart(own), (name) => `vit.${rename(name)}`));
    expect([...tree.tensors.keys()]).toContain("vit.layers.1.attention.k_proj.bias");
    expect(shapesIn(tree)).toEqual(own);
  });

  it("stacks query, key and value in this order, wherever they stand in the file", async () => {
    const name = (part: string) => `encoder.layer.3.attention.attention.${part}.weight`;
    const tree = treeOf({ [name("value")]: [2, 2], [name("query")]: [2, 2], [name("key")]: [2, 2] });
    const qkv = found(tree).tensors.get("blocks.3.attn.qkv.weight");
    expect(qkv?.shape).toEqual([6, 2]);
    expect(qkv?.from).toEqual([name("query"), name("key"), name("value")]);
    const expected = ["query", "key", "value"].flatMap((part) => Array.from(valuesOf(name(part), [2, 2])));
    expect(Array.from((await qkv?.read()) ?? [])).toEqual(expected);
  });

  it("timm's registers, iBOT's mask and torchvision's residual networks", () => {
    const tree = treeOf({ reg_token: [1, 4, 2], masked_embed: [1, 2], "layer1.0.conv1.weight": [1], "fc.weight": [2] });
    const names = ["register_tokens", "mask_token", "layer1.0.conv1.weight", "fc.weight"];
    expect([...found(tree).tensors.keys()]).toEqual(names);
  });
});
