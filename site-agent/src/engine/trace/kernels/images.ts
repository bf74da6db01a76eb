import type { GraphBuilder } from "../../graph/builder.js";
import { cast, product, reshape, slice } from "../../graph/emit.js";
import type { Value } from "../../graph/graph.js";
import type { KernelCall, TraceKernel, TraceKernels } from "../kernel-call.js";
import { linearWeights, nearestPlaces, nearestWeights, type Resampling, transposed } from "./resampling.js";

/** A constant matrix [rows, columns], row-major. */
interface Matrix {
  readonly rows: number;
  readonly columns: number;
  readonly numbers: Float32Array;
}

function samplingOf(call: KernelCall, [from, to]: readonly [number, number]): Resampling {
  return { from, to, alignCorners: call.flag("alignCorners"), halfPixelCenters: call.flag("halfPixelCenters") };
}

function forward(weightsOf: (axis: Resampling) => Float32Array, axis: Resampling): Matrix {
  return { rows: axis.to, columns: axis.from, numbers: weightsOf(axis) };
}

function backward(weightsOf: (axis: Resampling) => Float32Array, axis: Resampling): Matrix {
  return { rows: axis.from, columns: axis.to, numbers: transposed(weightsOf(axis), axis.from) };
}

/** Rows and columns of images [batch, rows, columns, channels] are mixed one after the other, by matrix products. */
function mixed(builder: GraphBuilder, images: Value, [down, across]: readonly [Matrix, Matrix]): Value {
  const [batch, , columns, channels] = images.shape as [number, number, number, number];
  const lines = reshape(builder, images, [batch, down.columns, columns * channels]);
  const rows = times(builder, down, lines);
  const pixels = reshape(builder, rows, [batch * down.rows, columns, channels]);
  return reshape(builder, times(builder, across, pixels), [batch, down.rows, across.rows, channels]);
}

function times(builder: GraphBuilder, matrix: Matrix, x: Value): Value {
  if (isIdentity(matrix)) return x;
  const weights = builder.constant(matrix.numbers, [matrix.rows, matrix.columns], "float32");
  return product(builder, [weights, x], { transposeA: false, transposeB: false });
}

function isIdentity({ rows, columns, numbers }: Matrix): boolean {
  return rows === columns && numbers.every((weight, place) => weight === Number(place % (columns + 1) === 0));
}

const resizeBilinear: TraceKernel = (call) => {
  const images = cast(call.builder, call.input("images"), "float32");
  const [height = 0, width = 0] = call.numbers("size");
  return mixed(call.builder, images, [
    forward(linearWeights, samplingOf(call, [images.shape[1]!, height])),
    forward(linearWeights, samplingOf(call, [images.shape[2]!, width])),
  ]);
};

const resizeNearest: TraceKernel = (call) => {
  const { builder } = call;
  const images = call.input("images");
  const [height = 0, width = 0] = call.numbers("size");
  const rows = picked(builder, images, {
    axis: 1,
    places: nearestPlaces(samplingOf(call, [images.shape[1]!, height])),
  });
  return picked(builder, rows, { axis: 2, places: nearestPlaces(samplingOf(call, [images.shape[2]!, width])) });
};

interface Places {
  readonly axis: number;
  readonly places: Int32Array;
}

/** The elements of a constant list of places along an axis. */
export function picked(builder: GraphBuilder, x: Value, { axis, places }: Places): Value {
  if (places.length === x.shape[axis] && places.every((place, index) => place === index)) return x;
  const shape = x.shape.map((extent, index) => (index === axis ? places.length : extent));
  const inputs = [x, builder.constant(places, [places.length], "int32")];
  return builder.apply({ op: "Gather", inputs, attributes: { axis: { int: axis } }, shape, type: x.type });
}

/**
 * The exact gradient of the resize. TensorFlow.js's own kernels ignore `halfPixelCenters`; for bilinear images that are
 * not square, and for nearest neighbours in batches that change size, theirs are wrong in other ways too.
 */
function resizeGradient(weightsOf: (axis: Resampling) => Float32Array): TraceKernel {
  return (call) => {
    const [dy, images] = [call.input("dy"), call.input("images")];
    return mixed(call.builder, dy, [
      backward(weightsOf, samplingOf(call, [images.shape[1]!, dy.shape[1]!])),
      backward(weightsOf, samplingOf(call, [images.shape[2]!, dy.shape[2]!])),
    ]);
  };
}

const flipLeftRight: TraceKernel = (call) => {
  const image = call.input("image");
  const [, , width] = image.shape as [number, number, number, number];
  return slice(call.builder, image, {
    begin: [0, 0, width - 1, 0],
    end: image.shape.map((extent, axis) => (axis === 2 ? -extent - 1 : extent)),
    steps: [1, 1, -1, 1],
    shape: image.shape,
  });
};

export const imageKernels: TraceKernels = {
  FlipLeftRight: flipLeftRight,
  ResizeBilinear: resizeBilinear,
  ResizeBilinearGrad: resizeGradient(linearWeights),
  ResizeNearestNeighbor: resizeNearest,
  ResizeNearestNeighborGrad: resizeGradient(nearestWeights),
};
