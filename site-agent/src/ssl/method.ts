import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { Travel } from "@consilium/shared/params/carried.js";
import type { Random } from "@consilium/shared/random.js";
import type { Scalar } from "@tensorflow/tfjs";
import type { View } from "../data/view-plan.js";
import type { HostTensors, NamedTensors, TensorSpecs } from "../model/tensors.js";

/** What of a run a method depends on besides model and its own settings: schedules, and what becomes of carried state. */
export type MethodContext = Pick<RunConfig, "rounds" | "training" | "aggregation">;

/** Terms besides the loss, each a scalar, for logs and masked metrics. */
export type LossTerms = Readonly<Record<string, Scalar>>;

export interface LossResult {
  readonly loss: Scalar;
  readonly terms: LossTerms;
  /** What `CarriedState.afterStep` needs of the forward pass, such as the mean of the teacher's outputs. */
  readonly observed?: NamedTensors;
}

/** What a step knows when its optimiser is done. No gradient flows any more. */
export interface StepEnd {
  /** Every tensor of the layout, after the optimiser's update. */
  readonly parameters: NamedTensors;
  /** As the loss saw it. */
  readonly carried: NamedTensors;
  readonly observed: NamedTensors;
  /** The method's own scalars of this step. */
  readonly scalars: NamedTensors;
}

/** State that a step changes by itself, without gradients: a teacher that follows the student, a centre, running statistics. */
export interface CarriedState {
  /** float32 only. */
  readonly specs: TensorSpecs;
  /** What becomes of each tensor between rounds; absent: "kept". */
  readonly travel?: Readonly<Record<string, Travel>>;
  /**
   * @param parameters the run's weights by name, which a teacher begins with
   * @returns a value for every tensor of `specs`; may share memory with the parameters
   */
  start(parameters: HostTensors): HostTensors;
  /** @returns the next value of every tensor of `specs`; what does not change is handed through */
  afterStep(end: StepEnd): NamedTensors;
}

/**
 * Parameters that a schedule holds back. "skip": the scalar counts the steps since they were set free, this one included;
 * while it is zero, a step leaves them and their moments as they are, and once it is not, their moments are as young as it
 * says. "rate": the scalar is a factor on their learning rate, and moments move on.
 */
export interface HeldBack {
  readonly parameters: RegExp;
  readonly scalar: string;
  readonly how: "skip" | "rate";
}

/**
 * One self-supervised method on one model. A method is a pure description: it holds configuration, never tensors.
 * Which parameters exist and how they start is said in `@consilium/shared/params/parameters.js`, because the
 * coordinator makes the first checkpoint.
 */
export interface SslMethod {
  readonly name: string;
  /** What the data pipeline makes of every image; each becomes a batch input, uint8 [batch, size, size, channels]. */
  readonly views: readonly View[];
  /**
   * Loss, terms and what is observed are means over images, so that those of equal parts of a batch average to those of
   * the batch. Then the first axis of every extra input runs over the images, unless it is a scalar.
   */
  readonly separable: boolean;
  /**
   * Why the gradient of one image, or what becomes of carried state, depends on other images of the batch; undefined where
   * it depends on that image and the parameters alone. Only then is a bound on each patient's gradient a bound on what a
   * patient can change, so that noise can hide it: patient-level privacy is refused for the others.
   */
  readonly coupling: string | undefined;
  /** Absent: a step changes nothing but parameters. */
  readonly carried?: CarriedState;
  /** Scalars that change over a run, as functions of the global step: a momentum, a temperature. The batch has them by name. */
  readonly scalars?: Readonly<Record<string, (globalStep: number) => number>>;
  readonly heldBack?: HeldBack;
  /** Batch inputs that are not views, such as masks; drawn on the host for each batch. */
  extraInputs(batchSize: number): TensorSpecs;
  drawExtraInputs(batchSize: number, random: Random): HostTensors;
  /**
   * @param parameters every tensor of the layout, by name
   * @param batch the views, of which pixels are normalised, the extra inputs and the method's scalars
   * @param carried the tensors of `carried.specs`, by name; no gradient reaches them
   */
  loss(parameters: NamedTensors, batch: NamedTensors, carried: NamedTensors): LossResult;
}
