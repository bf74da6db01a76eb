import type { Random } from "@consilium/shared/random.js";
import type { Scalar } from "@tensorflow/tfjs";
import type { HostTensors, NamedTensors, TensorSpecs } from "../model/tensors.js";

/** What a method asks of the data pipeline for every image. */
export interface ViewPlan {
  /** Names of the views; each becomes a batch input, 8-bit images [batch, imageSize, imageSize, 3]. */
  readonly views: readonly string[];
  readonly imageSize: number;
}

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
  /**
   * @param parameters the run's weights by name, which a teacher begins with
   * @returns a value for every tensor of `specs`; may share memory with the parameters
   */
  start(parameters: HostTensors): HostTensors;
  /** @returns the next value of every tensor of `specs`; what does not change is handed through */
  afterStep(end: StepEnd): NamedTensors;
}

/**
 * One self-supervised method on one model. A method is a pure description: it holds configuration, never tensors.
 * Which parameters exist and how they start is said in `@consilium/shared/params/parameters.js`, because the
 * coordinator makes the first checkpoint.
 */
export interface SslMethod {
  readonly name: string;
  readonly viewPlan: ViewPlan;
  /**
   * Loss, terms and what is observed are means over images, so that those of equal parts of a batch average to those of
   * the batch. Then the first axis of every extra input runs over the images, unless it is a scalar.
   */
  readonly separable: boolean;
  /** Absent: a step changes nothing but parameters. */
  readonly carried?: CarriedState;
  /** Scalars that change over a run, as functions of the global step: a momentum, a temperature. The batch has them by name. */
  readonly scalars?: Readonly<Record<string, (globalStep: number) => number>>;
  /** Batch inputs that are not views, such as masks; drawn on the host for each batch. */
  extraInputs(batchSize: number): TensorSpecs;
  drawExtraInputs(batchSize: number, random: Random): HostTensors;
  /**
   * @param parameters every tensor of the layout, by name
   * @param batch the views, normalised, the extra inputs and the method's scalars
   * @param carried the tensors of `carried.specs`, by name; no gradient reaches them
   */
  loss(parameters: NamedTensors, batch: NamedTensors, carried: NamedTensors): LossResult;
}
