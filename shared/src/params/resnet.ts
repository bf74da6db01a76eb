import { resnetNames } from "../config/model-config.js";
import type { Initializer, ParameterSpec } from "./layout.js";
import { sizeOf } from "./layout.js";

/** Residual networks as torchvision's models of the same names have them, without the classifier. */

export type ResnetName = (typeof resnetNames)[number];
export { resnetNames };

export interface ResnetArchitecture {
  /** Two 3×3 convolutions, or 1×1, 3×3 and 1×1 of which the last has four times the channels. */
  readonly block: "basic" | "bottleneck";
  /** Blocks of each of the four stages. */
  readonly blocks: readonly [number, number, number, number];
  /** Channels of the last stage, which are the features of an image. */
  readonly features: number;
}

/** One convolution without bias: [outputs, inputs, side, side]. Padding is half the side, rounded down. */
export interface ResnetConvolution {
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly side: number;
  readonly stride: number;
}

/** A convolution and the batch norm that follows it. */
export interface ResnetUnit {
  readonly convolution: ResnetConvolution;
  readonly norm: string;
}

export interface ResnetBlock {
  /** One after the other, with a rectifier between them. */
  readonly units: readonly ResnetUnit[];
  /** What brings the block's input to the shape of its output; absent where they are alike. */
  readonly shortcut?: ResnetUnit;
}

const architectures: Readonly<Record<ResnetName, ResnetArchitecture>> = {
  resnet18: { block: "basic", blocks: [2, 2, 2, 2], features: 512 },
  resnet50: { block: "bottleneck", blocks: [3, 4, 6, 3], features: 2048 },
};

const stemWidth = 64;

export function resnetArchitecture(name: ResnetName): ResnetArchitecture {
  return architectures[name];
}

/** The 7×7 convolution on the image. */
export const resnetStem: ResnetUnit = unit("", 1, { inputs: 3, outputs: stemWidth, side: 7, stride: 2 });

/** Every residual block, from the stem to the features. The second and later stages halve the image in their first. */
export function resnetBlocks(name: ResnetName): ResnetBlock[] {
  const { block, blocks } = architectures[name];
  let inputs = stemWidth;
  return blocks.flatMap((count, stage) =>
    Array.from({ length: count }, (_, index) => {
      const width = stemWidth * 2 ** stage;
      const shape = { inputs, width, stride: stage > 0 && index === 0 ? 2 : 1 };
      const made = (block === "basic" ? basicBlock : bottleneck)(`layer${stage + 1}.${index}.`, shape);
      inputs = made.units.at(-1)?.convolution.outputs ?? inputs;
      return made;
    }),
  );
}

interface BlockShape {
  readonly inputs: number;
  readonly width: number;
  readonly stride: number;
}

function basicBlock(prefix: string, { inputs, width, stride }: BlockShape): ResnetBlock {
  return {
    units: [
      unit(prefix, 1, { inputs, outputs: width, side: 3, stride }),
      unit(prefix, 2, { inputs: width, outputs: width, side: 3, stride: 1 }),
    ],
    ...shortcutOf(prefix, { inputs, width, stride }),
  };
}

/** The stride stands on the 3×3 convolution, as in torchvision's version 1.5 of the network. */
function bottleneck(prefix: string, { inputs, width, stride }: BlockShape): ResnetBlock {
  const outputs = 4 * width;
  return {
    units: [
      unit(prefix, 1, { inputs, outputs: width, side: 1, stride: 1 }),
      unit(prefix, 2, { inputs: width, outputs: width, side: 3, stride }),
      unit(prefix, 3, { inputs: width, outputs, side: 1, stride: 1 }),
    ],
    ...shortcutOf(prefix, { inputs, width: outputs, stride }),
  };
}

function shortcutOf(prefix: string, { inputs, width, stride }: BlockShape): Pick<ResnetBlock, "shortcut"> {
  if (inputs === width && stride === 1) return {};
  const name = `${prefix}downsample.0`;
  const convolution = { name, inputs, outputs: width, side: 1, stride };
  return { shortcut: { convolution, norm: `${prefix}downsample.1` } };
}

function unit(prefix: string, index: number, shape: Omit<ResnetConvolution, "name">): ResnetUnit {
  return { convolution: { name: `${prefix}conv${index}`, ...shape }, norm: `${prefix}bn${index}` };
}

function unitsOf(name: ResnetName, channels = 3): ResnetUnit[] {
  const inBlocks = resnetBlocks(name).flatMap(({ units, shortcut }) =>
    shortcut === undefined ? units : [...units, shortcut],
  );
  return [{ ...resnetStem, convolution: { ...resnetStem.convolution, inputs: channels } }, ...inBlocks];
}

/** Normal with variance 2 / (outputs × side²), so that gradients keep their size (He et al. 2015, fan-out). */
function kaiming({ outputs, side }: ResnetConvolution): Initializer {
  return { kind: "normal", std: Math.sqrt(2 / sizeOf([outputs, side, side])) };
}

/** The trained tensors, in torchvision's order and under its names. */
export function resnetParameters(name: ResnetName, channels = 3): ParameterSpec[] {
  return unitsOf(name, channels).flatMap(({ convolution, norm }): ParameterSpec[] => {
    const { inputs, outputs, side } = convolution;
    return [
      {
        name: `${convolution.name}.weight`,
        shape: [outputs, inputs, side, side],
        initializer: kaiming(convolution),
      },
      { name: `${norm}.weight`, shape: [outputs], initializer: { kind: "ones" } },
      { name: `${norm}.bias`, shape: [outputs], initializer: { kind: "zeros" } },
    ];
  });
}

/** The running mean and variance of every batch norm: observed, not trained. */
export function resnetStatistics(name: ResnetName): ParameterSpec[] {
  return unitsOf(name).flatMap(({ convolution: { outputs }, norm }): ParameterSpec[] => [
    { name: `${norm}.running_mean`, shape: [outputs], initializer: { kind: "zeros" } },
    { name: `${norm}.running_var`, shape: [outputs], initializer: { kind: "ones" } },
  ]);
}
