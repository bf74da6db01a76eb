import { sizeOf } from "@consilium/shared/params/layout.js";
import { resizeMatrix } from "@consilium/shared/params/resize-grid.js";
import { describe, expect, it } from "vitest";
import { gelu } from "../model/gelu.js";
import { layerNorm } from "../model/layer-norm.js";
import { block } from "../model/layers.js";
import type { HostTensor, HostTensors, NamedTensors } from "../model/tensors.js";
import { type Tensor, tf } from "../model/tf.js";
import { programOf, runBoth } from "./testing/agreement.js";

/**
 * Independent float64 evaluations of the published formulas, on inputs sin(0.7 i + shift). Both engines run the model's
 * own code. AdamW's three steps stand in adamw.test.ts.
 */
const golden = {
  /** At -2, -1, 0, 0.5, 1, 2. */
  gelu: [-0.04550026389635842, -0.15865525393145707, 0, 0.34573123063700656, 0.8413447460685429, 1.9544997361036416],
  /** Two rows of eight. */
  layerNorm: [
    1.3081160468966802, 1.3953067460116804, 0.8422708851805124, 0.004915391621229906, -0.7451994935361037,
    -1.1586558612272833, -1.0538775630780894, -0.381148587504559, 0.40921707529849644, 1.087355295310653,
    1.1542306090588683, 0.6779085436262913, -0.07081269822709654, -0.8234149158390178, -1.3011383378323,
    -1.2212484098164367,
  ],
  /** timm's pre-norm block, width 8, 2 heads, 5 tokens: the first token. */
  block: [
    3.7238807079001663, -2.312963264076481, 6.624090500682948, 0.5714182657280498, 2.2955637741840866,
    0.18680287244659805, -4.930175696516091, 0.35938447200156265,
  ],
  /** The sum over all five tokens. */
  blockSum: [17.6661495730039],
  /** The first token with LayerScale of 0.1 in both branches. */
  blockLayerScale: [
    0.37300349741343947, 0.33547950200438575, 1.5725922782213655, 0.804330718279626, 0.5622705302633821,
    -0.3246274939141401, -1.2580049954261328, -0.8563245227321625,
  ],
  /** torch's bicubic resize of 3 × 3 to the size 5 × 5. */
  bicubicSize: [
    0.8964355724889238, 1.0288939355473783, 1.1456029897864055, 0.9713627512414299, 0.8042511017296868,
    0.6212699445794445, 0.5321166037637571, 0.35236335403103897, 0.08312022903407723, -0.09817453890553629,
    0.10431076355738789, -0.1856250959525886, -0.6118578909427189, -0.8826968695398884, -1.0126346514304458,
    -0.5821777953684145, -0.6016826169038884, -0.5816670150623348, -0.4139251867906967, -0.2813267085203785,
    -1.0318958938602703, -0.7878369794405379, -0.3510304671234387, 0.17492740658653266, 0.5107792042181872,
  ],
  /** The same by the scale factor (5 + 0.1) / 3, as DINOv2 resizes positions. */
  bicubicOffset: [
    0.8971155154615866, 1.024622612789437, 1.1490948393034859, 0.9901777379977995, 0.8114389093343417,
    0.6312656713742839, 0.5540724407370033, 0.3982400084889892, 0.13677771581292825, -0.05344565316677824,
    0.1431629748081208, -0.13782769407565504, -0.557417817266052, -0.8529262860552314, -0.9978069671833038,
    -0.5414050454568093, -0.5849108943663515, -0.6112564824174361, -0.4853683053878135, -0.3645863218973563,
    -1.016386999699939, -0.7876643560245775, -0.3844595932611736, 0.13014097248604414, 0.476741640395576,
  ],
};

interface Wave {
  readonly shift: number;
  readonly scale?: number;
  readonly add?: number;
}

function wave(shape: readonly number[], { shift, scale = 1, add = 0 }: Wave): HostTensor {
  return {
    shape,
    data: Float32Array.from({ length: sizeOf(shape) }, (_, i) => add + scale * Math.sin(0.7 * i + shift)),
  };
}

async function expectOnBoth(
  inputs: HostTensors,
  build: (tensors: NamedTensors) => Tensor,
  expected: readonly number[],
): Promise<void> {
  const specs = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape }]) => [name, { shape, dtype: "float32" as const }]),
  );
  const runs = await runBoth(
    programOf(specs, (tensors) => ({ out: build(tensors) })),
    inputs,
  );
  for (const [engine, outputs] of Object.entries(runs)) {
    const { data } = (outputs as HostTensors)["out"]!;
    expect(data.length).toBe(expected.length);
    const gaps = expected.map((value, at) => Math.abs(data[at]! - value) / Math.max(1, Math.abs(value)));
    expect(Math.max(...gaps), engine).toBeLessThan(1e-5);
  }
}

describe("golden values on both engines", () => {
  it("gelu", async () => {
    const x = { shape: [6], data: Float32Array.of(-2, -1, 0, 0.5, 1, 2) };
    await expectOnBoth({ x }, (tensors) => gelu(tensors["x"]!), golden.gelu);
  });

  it("layer norm", async () => {
    const inputs = {
      x: wave([2, 8], { shift: 1 }),
      weight: wave([8], { shift: 2, scale: 0.1, add: 1 }),
      bias: wave([8], { shift: 3, scale: 0.1 }),
    };
    await expectOnBoth(
      inputs,
      ({ x, weight, bias }) => layerNorm({ x: x!, weight: weight!, bias: bias!, epsilon: 1e-6 }),
      golden.layerNorm,
    );
  });

  const width = 8;
  const matrix = (rows: number, columns: number, shift: number) => wave([rows, columns], { shift, scale: 0.3 });
  const vector = (size: number, shift: number, add = 0) => wave([size], { shift, scale: 0.1, add });
  const blockInputs: HostTensors = {
    x: wave([1, 5, width], { shift: 0 }),
    "b.norm1.weight": vector(width, 1, 1),
    "b.norm1.bias": vector(width, 2),
    "b.attn.qkv.weight": matrix(3 * width, width, 3),
    "b.attn.qkv.bias": vector(3 * width, 4),
    "b.attn.proj.weight": matrix(width, width, 5),
    "b.attn.proj.bias": vector(width, 6),
    "b.norm2.weight": vector(width, 7, 1),
    "b.norm2.bias": vector(width, 8),
    "b.mlp.fc1.weight": matrix(4 * width, width, 9),
    "b.mlp.fc1.bias": vector(4 * width, 10),
    "b.mlp.fc2.weight": matrix(width, 4 * width, 11),
    "b.mlp.fc2.bias": vector(width, 12),
  };
  const gamma = { shape: [width], data: new Float32Array(width).fill(0.1) };
  const transformed = ({ x, ...parameters }: NamedTensors) => block(x!, { parameters, name: "b" }, { heads: 2 });
  const firstToken = (tensors: NamedTensors) => tf.slice(transformed(tensors), [0, 0, 0], [1, 1, width]);

  it("transformer block", async () => {
    await expectOnBoth(blockInputs, firstToken, golden.block);
    await expectOnBoth(blockInputs, (tensors) => tf.reshape(tf.sum(transformed(tensors)), [1]), golden.blockSum);
  });

  it("transformer block with LayerScale", async () => {
    await expectOnBoth(
      { ...blockInputs, "b.ls1.gamma": gamma, "b.ls2.gamma": gamma },
      firstToken,
      golden.blockLayerScale,
    );
  });

  it.each([
    ["a size", 0, golden.bicubicSize],
    ["a scale factor", 0.1, golden.bicubicOffset],
  ])("bicubic resize by %s", async (_name, offset, expected) => {
    const resized = ({ grid }: NamedTensors): Tensor =>
      tf.matMul(tf.tensor2d(resizeMatrix({ from: 3, to: 5, offset }), [25, 9]), tf.reshape(grid!, [9, 1]));
    await expectOnBoth({ grid: wave([3, 3], { shift: 1 }) }, resized, expected);
  });
});
