import { sizeOf } from "@consilium/shared/params/layout.js";
import { tf } from "../../model/tf.js";

type Four = [number, number, number, number];
type ConvInfo = ReturnType<typeof tf.backend_util.computeConv2DInfo>;

interface Info {
  readonly dataId: object;
  readonly shape: Four;
}

/** What of TensorFlow.js's processor backend a kernel needs. */
interface CpuBackend {
  readonly data: { get(dataId: object): { readonly values: Float32Array } };
  makeTensorInfo(shape: readonly number[], dtype: "float32", values: Float32Array): Info;
}

interface Images {
  readonly x: Float32Array;
  readonly dy: Float32Array;
}

/**
 * For tests: replaces the eager engine's gradient of a convolution's filter, NHWC, by the same sum over arrays, which
 * takes a fiftieth of the time of TensorFlow.js's kernel. For the whole process.
 */
export function useFastFilterGradient(): void {
  tf.unregisterKernel("Conv2DBackpropFilter", "cpu");
  tf.registerKernel({
    kernelName: "Conv2DBackpropFilter",
    backendName: "cpu",
    kernelFunc: ({ inputs, attrs, backend }) => {
      const { x, dy } = inputs as unknown as { readonly x: Info; readonly dy: Info };
      const { filterShape, strides, pad } = attrs as unknown as { filterShape: Four; strides: number; pad: "same" };
      const cpu = backend as CpuBackend;
      const valuesOf = ({ dataId }: Info): Float32Array => cpu.data.get(dataId).values;
      const info = tf.backend_util.computeConv2DInfo(x.shape, filterShape, strides, 1, pad);
      const sums = filterGradient(info, { x: valuesOf(x), dy: valuesOf(dy) });
      return cpu.makeTensorInfo(filterShape, "float32", Float32Array.from(sums));
    },
  });
}

/** Sums in double precision: [rows, columns, inputs, outputs]. */
export function filterGradient(info: ConvInfo, images: Images): Float64Array {
  const sums = new Float64Array(sizeOf(info.filterShape));
  for (let image = 0; image < info.batchSize; image++) {
    for (let row = 0; row < info.outHeight; row++) {
      for (let column = 0; column < info.outWidth; column++) addWindow(sums, info, images, [image, row, column]);
    }
  }
  return sums;
}

function addWindow(sums: Float64Array, info: ConvInfo, { x, dy }: Images, [image, row, column]: readonly number[]): void {
  const { inHeight, inWidth, inChannels, outChannels, filterHeight, filterWidth } = info;
  const dyStart = ((image! * info.outHeight + row!) * info.outWidth + column!) * outChannels;
  for (let down = 0; down < filterHeight; down++) {
    const xRow = row! * info.strideHeight + down - info.padInfo.top;
    if (xRow < 0 || xRow >= inHeight) continue;
    for (let across = 0; across < filterWidth; across++) {
      const xColumn = column! * info.strideWidth + across - info.padInfo.left;
      if (xColumn < 0 || xColumn >= inWidth) continue;
      const xStart = ((image! * inHeight + xRow) * inWidth + xColumn) * inChannels;
      const start = (down * filterWidth + across) * inChannels * outChannels;
      for (let input = 0; input < inChannels; input++) {
        const factor = x[xStart + input]!;
        if (factor === 0) continue;
        const target = start + input * outChannels;
        for (let output = 0; output < outChannels; output++) sums[target + output]! += factor * dy[dyStart + output]!;
      }
    }
  }
}
