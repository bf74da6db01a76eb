import { tf } from "../../../../model/tf.js";
import type { CallGenerator, CallGenerators, Draw, Operand } from "./draw.js";

type Four = [number, number, number, number];
type Pair = [number, number];
type Padding = "same" | "valid" | number | [Pair, Pair, Pair, Pair];

interface Sliding {
  readonly kernel: Pair;
  readonly strides: Pair;
  readonly pad: Padding;
  readonly dilations: Pair;
  /** [batch, rows, columns, channels], large enough for a window. */
  readonly shape: Four;
}

/**
 * Padding is smaller than the kernel, as ONNX asks for. With padding as a number, TensorFlow.js takes the kernel and
 * the stride of the rows for the columns too.
 */
function paddingWithin(draw: Draw, [rows, columns]: Pair, [down, across]: Pair): Padding {
  const amounts = (kernel: number): Pair => [draw.integer(0, kernel - 1), draw.integer(0, kernel - 1)];
  const square = rows === columns && down === across;
  const number = square ? draw.integer(0, rows - 1) : "same";
  return draw.pick<Padding>("same", "valid", number, [[0, 0], amounts(rows), amounts(columns), [0, 0]]);
}

function sliding(draw: Draw, dilated = false): Sliding {
  const side = draw.integer(1, 3);
  const kernel: Pair = draw.flag() ? [side, side] : [draw.integer(1, 3), draw.integer(1, 3)];
  const dilation = dilated ? draw.integer(1, 2) : 1;
  const dilations: Pair = [dilation, dilation];
  const stride = dilation === 1 ? draw.integer(1, 3) : 1;
  const strides: Pair = [stride, dilation === 1 && draw.flag() ? draw.integer(1, 3) : stride];
  const shape: Four = [draw.integer(1, 2), draw.integer(5, 8), draw.integer(5, 8), draw.integer(1, 3)];
  return { kernel, strides, dilations, pad: paddingWithin(draw, kernel, strides), shape };
}

interface Convolution {
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly xShape: number[];
  readonly filterShape: Four;
  readonly outShape: number[];
}

function convolution(draw: Draw, dilated: boolean): Convolution {
  const { kernel, strides, dilations, shape, ...drawn } = sliding(draw, dilated);
  const dataFormat = draw.pick<"NHWC" | "NCHW">("NHWC", "NHWC", "NCHW");
  const first = dataFormat === "NCHW";
  const [batch, rows, columns, channels] = shape;
  const xShape: Four = first ? [batch, channels, rows, columns] : shape;
  const filterShape: Four = [...kernel, channels, draw.integer(1, 4)];
  // TensorFlow.js reads explicit padding in the order of the data format.
  const pad = first && typeof drawn.pad === "object" ? draw.pick<Padding>("same", "valid") : drawn.pad;
  const format = first ? "channelsFirst" : "channelsLast";
  const info = tf.backend_util.computeConv2DInfo(
    xShape,
    filterShape,
    strides,
    dilations,
    pad,
    undefined,
    false,
    format,
  );
  const attributes = { strides, pad, dataFormat, dilations };
  return { attributes, xShape, filterShape, outShape: info.outShape };
}

const conv2d: CallGenerator = (draw) => {
  const { attributes, xShape, filterShape } = convolution(draw, true);
  return { inputs: { x: draw.float(xShape), filter: draw.float(filterShape) }, attributes };
};

const fusedConv2d: CallGenerator = (draw) => {
  const { attributes, xShape, filterShape } = convolution(draw, true);
  const channels = [filterShape[3]];
  const activation = draw.pick("linear", "relu", "relu6", "elu", "leakyrelu", "prelu", "sigmoid");
  const slopes: Record<string, Operand> =
    activation === "prelu" ? { preluActivationWeights: draw.floatBetween(channels, [0, 0.5]) } : {};
  const bias: Record<string, Operand> = draw.flag() ? { bias: draw.float(channels) } : {};
  const inputs = { x: draw.float(xShape), filter: draw.float(filterShape), ...bias, ...slopes };
  return { inputs, attributes: { ...attributes, activation, leakyreluAlpha: 0.3 } };
};

const backpropInput: CallGenerator = (draw) => {
  const { attributes, xShape, filterShape, outShape } = convolution(draw, false);
  const inputs = { dy: draw.float(outShape), filter: draw.float(filterShape) };
  return { inputs, attributes: { ...attributes, inputShape: xShape } };
};

const backpropFilter: CallGenerator = (draw) => {
  const { attributes, xShape, filterShape, outShape } = convolution(draw, false);
  return { inputs: { x: draw.float(xShape), dy: draw.float(outShape) }, attributes: { ...attributes, filterShape } };
};

function outputOf({ shape, kernel, strides, pad }: Sliding): number[] {
  return tf.backend_util.computePool2DInfo(shape, kernel, strides, 1, pad).outShape;
}

const pool: CallGenerator = (draw) => {
  const { shape, kernel, strides, pad } = sliding(draw);
  return { inputs: { x: draw.float(shape) }, attributes: { filterSize: kernel, strides, pad } };
};

/** Coarse numbers are equal within a window, which decides who receives the gradient. */
const maxPoolGrad: CallGenerator = (draw) => {
  const window = sliding(draw);
  const { shape, kernel, strides, pad } = window;
  const input = draw.float(shape);
  const largest = tf.tidy(() => {
    const pooled = tf.maxPool(tf.tensor4d(Float32Array.from(input.data), shape), kernel, strides, pad as "same");
    return Float32Array.from(pooled.dataSync());
  });
  const output: Operand = { shape: outputOf(window), dtype: "float32", data: largest };
  const attributes = { filterSize: kernel, strides, pad };
  return { inputs: { dy: draw.float(output.shape), input, output }, attributes };
};

/** Without padding: with it, TensorFlow.js's gradient does not belong to its mean, which leaves padding out. */
const avgPoolGrad: CallGenerator = (draw) => {
  const window: Sliding = { ...sliding(draw), pad: "valid" };
  const { shape, kernel, strides, pad } = window;
  const attributes = { filterSize: kernel, strides, pad };
  return { inputs: { dy: draw.float(outputOf(window)), input: draw.float(shape) }, attributes };
};

const batchNorm: CallGenerator = (draw) => {
  const shape = [draw.integer(1, 2), draw.integer(1, 3), draw.integer(1, 3), draw.integer(1, 4)];
  const per = draw.flag() ? [shape[3]!] : shape;
  const offset: Record<string, Operand> = draw.flag() ? { offset: draw.float(per) } : {};
  const scale: Record<string, Operand> = draw.flag() ? { scale: draw.float(per) } : {};
  const inputs = { x: draw.float(shape), mean: draw.float(per), variance: draw.floatBetween(per, [0.1, 2]) };
  return { inputs: { ...inputs, ...offset, ...scale }, attributes: { varianceEpsilon: draw.pick(0.001, 0.1) } };
};

function placement(draw: Draw): { alignCorners: boolean; halfPixelCenters: boolean } {
  return draw.pick(
    { alignCorners: false, halfPixelCenters: false },
    { alignCorners: true, halfPixelCenters: false },
    { alignCorners: false, halfPixelCenters: true },
  );
}

const resize: CallGenerator = (draw) => ({
  inputs: { images: draw.float([draw.integer(1, 2), draw.integer(1, 5), draw.integer(1, 5), draw.integer(1, 3)]) },
  attributes: { size: [draw.integer(1, 7), draw.integer(1, 7)], ...placement(draw) },
});

/**
 * One square image, placed at corners. Elsewhere TensorFlow.js's kernels are no gradients of its resizes: they ignore
 * half pixels, swap rows and columns of bilinear images and read other images' gradients for nearest neighbours.
 */
const resizeGrad: CallGenerator = (draw) => {
  const side = draw.integer(2, 5);
  const images = draw.float([1, side, side, draw.integer(1, 3)]);
  const size = [draw.integer(2, 7), draw.integer(2, 7)];
  const attributes = { size, alignCorners: draw.flag(), halfPixelCenters: false };
  return { inputs: { images, dy: draw.float([1, ...size, images.shape[3]!]) }, attributes };
};

const flip: CallGenerator = (draw) => ({
  inputs: { image: draw.float([draw.integer(1, 2), draw.integer(1, 4), draw.integer(1, 4), draw.integer(1, 3)]) },
});

export const imageCalls: CallGenerators = {
  AvgPool: pool,
  AvgPoolGrad: avgPoolGrad,
  Conv2D: conv2d,
  Conv2DBackpropFilter: backpropFilter,
  Conv2DBackpropInput: backpropInput,
  FlipLeftRight: flip,
  FusedBatchNorm: batchNorm,
  FusedConv2D: fusedConv2d,
  MaxPool: pool,
  MaxPoolGrad: maxPoolGrad,
  ResizeBilinear: resize,
  ResizeBilinearGrad: resizeGrad,
  ResizeNearestNeighbor: resize,
  ResizeNearestNeighborGrad: resizeGrad,
};
