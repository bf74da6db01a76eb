import type { NamedTensors } from "../../model/tensors.js";
import { type Tensor, tf } from "../../model/tf.js";
import { gradientPrefix } from "../loss-gradients.js";
import type { Program } from "../program.js";
import { carriedInput, stateInputs, stepScalars, type TrainStepOptions, tensorIn } from "../step-inputs.js";
import { stateAfter } from "../train-step.js";
import { updatedParameters } from "../updated-parameters.js";

export interface PrivateUpdateOptions extends Pick<TrainStepOptions, "method" | "layout" | "optimizer" | "rateOf"> {
  /** Parameters that the method's loss depends on. */
  readonly trained: readonly string[];
  /** What the noisy sum is divided by: not how many patients were drawn, which would need noise of its own. */
  readonly expectedPatients: number;
}

/**
 * The optimiser's step along a noisy sum of patients' gradients, and what the method does to its carried state: all that
 * is left of a training step once noise is added. It never sees an image.
 *
 * Inputs: the state; the scalars of the optimiser and the method; "gradient/…" of each trained parameter. Outputs: the state,
 * and "gradientNorm" of the mean before the optimiser's own clipping.
 */
export function privateUpdateProgram(options: PrivateUpdateOptions): Program {
  const { method, layout, trained, expectedPatients } = options;
  const shapes = new Map(layout.parameters.map(({ name, shape }) => [name, shape]));
  const step: TrainStepOptions = { ...options, batchSize: 1 };
  return {
    name: `${method.name} private update`,
    inputs: {
      ...stateInputs(options),
      ...stepScalars(step),
      ...Object.fromEntries(
        trained.map((name) => [gradientPrefix + name, { shape: shapes.get(name)!, dtype: "float32" as const }]),
      ),
    },
    build(inputs) {
      const gradients = named(trained, (name) => tensorIn(inputs, gradientPrefix + name));
      const unscale = tf.scalar(1 / expectedPatients);
      const { state, squareSum } = updatedParameters(options, inputs, { gradients, unscale });
      const carried = named(Object.keys(method.carried?.specs ?? {}), (name) => tensorIn(inputs, carriedInput(name)));
      const scalars = named(Object.keys(method.scalars ?? {}), (name) => tensorIn(inputs, name));
      const after = stateAfter(options, { state, carried, scalars, observed: {} });
      return { ...after, gradientNorm: tf.mul(tf.sqrt(squareSum), unscale) };
    },
  };
}

function named(names: readonly string[], tensorOf: (name: string) => Tensor): NamedTensors {
  return Object.fromEntries(names.map((name) => [name, tensorOf(name)]));
}
