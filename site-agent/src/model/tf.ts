/**
 * The one door to TensorFlow.js. The package's main entry registers the kernels of the pure JavaScript CPU backend and
 * every gradient; its sub-packages' registration entries do not resolve under Node's ES modules.
 */
// The types declare named exports only; at run time Node gives a CommonJS module as the default.
// oxlint-disable-next-line import/default
import tf from "@tensorflow/tfjs";

// Also silences the advice to install tfjs-node, which every first use of the CPU backend prints.
tf.enableProdMode();

/** TensorFlow.js adds one slice per repetition, which for a token repeated over a batch is a graph of hundreds of nodes. */
function tileGradient(dy: tf.Tensor, x: tf.Tensor, reps: readonly number[]): tf.Tensor {
  const split = x.shape.flatMap((extent, axis) => [reps[axis] ?? 1, extent]);
  const repeated = x.shape.map((_, axis) => 2 * axis);
  return tf.sum(tf.reshape(dy, split), repeated);
}

tf.unregisterGradient("Tile");
tf.registerGradient({
  kernelName: "Tile",
  inputsToSave: ["x"],
  gradFunc: (dy, saved, attrs) => {
    const [x] = saved;
    const reps = attrs["reps"];
    if (Array.isArray(dy) || x === undefined || !Array.isArray(reps)) throw new Error("Tile has one output and reps");
    return { x: () => tileGradient(dy, x, reps.map(Number)) };
  },
});

export type {
  NamedTensorMap,
  Rank,
  Scalar,
  Tensor,
  Tensor1D,
  Tensor2D,
  Tensor3D,
  Tensor4D,
  TensorLike,
} from "@tensorflow/tfjs";
export { tf };
