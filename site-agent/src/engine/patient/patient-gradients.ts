import type { NamedTensors, TensorSpec, TensorSpecs } from "../../model/tensors.js";
import { type Tensor, tf } from "../../model/tf.js";
import { withoutPrefix, withPrefix } from "../../ssl/ema.js";
import { accumulate } from "../accumulate.js";
import { differentiate, gradientPrefix } from "../loss-gradients.js";
import { mapTensors } from "../named-tensors.js";
import type { Program } from "../program.js";
import {
  carriedInput,
  parameterInput,
  stepInputs,
  stepTensors,
  type TrainStepOptions,
  tensorIn,
} from "../step-inputs.js";

export interface PatientGradientOptions extends Pick<TrainStepOptions, "method" | "layout" | "optimizer"> {
  /** Patients that one run of the program differentiates, one after the other. */
  readonly slots: number;
  readonly imagesPerPatient: number;
  /** C: the largest L2 norm of one patient's gradient over all parameters. */
  readonly clip: number;
}

/** Whether a slot holds a patient, 1 or 0: [slots]. */
export const presentInput = "present";

/**
 * 32-bit sums of squares may lie a few parts in a million below the true norm. Clipping to a little less keeps every
 * patient's gradient below C, which is what the noise is measured by.
 */
const roundingRoom = 1 - 1e-4;

/**
 * The sum over patients of their gradients, each by itself and clipped: g·min(1, C/‖g‖), with ‖·‖ over all parameters
 * together (Abadi et al. 2016). A patient's loss is the mean over the slot's images. A gradient that is not finite counts as
 * zero: whether it is concerns one patient alone, so that the bound on each patient holds whatever the images are.
 *
 * Inputs: "parameter/…", "carried/…", the method's views and extra inputs for slots × imagesPerPatient images, its
 * scalars, and "present". Outputs: "gradient/…" of each parameter that the loss depends on; "loss", the sum over patients;
 * "patients", how many those were; "clipped", how many of them were longer than C.
 */
export function patientGradientsProgram(options: PatientGradientOptions): Program {
  const { method, slots } = options;
  return {
    name: `${method.name} gradients of ${slots} patients`,
    inputs: patientInputs(options),
    build(inputs) {
      const tensors = stepTensors(batchOptions(options), inputs);
      const rows = { ...withPrefix(tensors.images, imagePrefix), [presentInput]: tensorIn(inputs, presentInput) };
      return accumulate(slots, rows, (part) => {
        const images = withoutPrefix(part, imagePrefix);
        return onePatient(options, differentiate(options, { ...tensors, images }), tensorIn(part, presentInput));
      });
    },
  };
}

const imagePrefix = "image/";

/** Everything that the program reads: what a step reads of state besides the optimiser's, and a batch of all slots. */
export function patientInputs(options: PatientGradientOptions): TensorSpecs {
  const { slots, layout, method } = options;
  const state = new Set([
    ...layout.parameters.map(({ name }) => parameterInput(name)),
    ...Object.keys(method.carried?.specs ?? {}).map(carriedInput),
  ]);
  const isRead = (name: string): boolean => state.has(name) || batchNames(options).has(name);
  const read = Object.entries(stepInputs(batchOptions(options))).filter(([name]) => isRead(name));
  const present: TensorSpec = { shape: [slots], dtype: "float32" };
  return { ...Object.fromEntries(read), [presentInput]: present };
}

function batchNames({ method, slots, imagesPerPatient }: PatientGradientOptions): ReadonlySet<string> {
  const extra = Object.keys(method.extraInputs(slots * imagesPerPatient));
  return new Set([...method.views.map(({ name }) => name), ...extra, ...Object.keys(method.scalars ?? {})]);
}

function batchOptions({
  method,
  layout,
  optimizer,
  slots,
  imagesPerPatient,
}: PatientGradientOptions): TrainStepOptions {
  return { method, layout, optimizer, batchSize: slots * imagesPerPatient };
}

/** @param present [1] */
function onePatient({ clip }: PatientGradientOptions, results: NamedTensors, present: Tensor): NamedTensors {
  const gradients = withoutPrefix(results, gradientPrefix);
  const squares = Object.values(gradients).map((gradient) => tf.reshape(tf.sum(tf.square(gradient)), [1]));
  const norm = tf.sqrt(tf.sum(tf.concat(squares)));
  const loss = tf.reshape(results["loss"]!, []);
  const limit = clip * roundingRoom;
  const finite = tf.logicalAnd(tf.isFinite(norm), tf.isFinite(loss));
  // Nothing times an undefined number is undefined: it has to be chosen away.
  const chosen = (tensor: Tensor): Tensor => tf.where(finite, tensor, tf.zerosLike(tensor));
  const patients = tf.mul(tf.cast(finite, "float32"), tf.reshape(present, []));
  const factor = tf.mul(chosen(tf.div(limit, tf.maximum(norm, limit))), patients);
  return {
    ...withPrefix(
      mapTensors(gradients, (gradient) => tf.mul(chosen(gradient), factor)),
      gradientPrefix,
    ),
    loss: tf.mul(chosen(loss), patients),
    patients,
    clipped: tf.mul(tf.cast(tf.greater(norm, limit), "float32"), patients),
  };
}
