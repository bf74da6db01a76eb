import type { Random } from "@consilium/shared/random.js";
import type { Scalar } from "@tensorflow/tfjs";
import type { HostTensors, NamedTensors, TensorSpecs } from "../model/tensors.js";

/** What a method asks of the data pipeline for every image. */
export interface ViewPlan {
  /** Names of the views; each becomes a batch input of float32 [batch, imageSize, imageSize, 3]. */
  readonly views: readonly string[];
  readonly imageSize: number;
}

/** Terms besides the loss, each a scalar, for logs and masked metrics. */
export type LossTerms = Readonly<Record<string, Scalar>>;

/**
 * One self-supervised method on one model. A method is a pure description: it holds configuration, never tensors.
 * Which parameters exist and how they start is said in `@consilium/shared/params/parameters.js`, because the
 * coordinator makes the first checkpoint.
 */
export interface SslMethod {
  readonly name: string;
  readonly viewPlan: ViewPlan;
  /** Batch inputs that are not views, such as masks; drawn on the host for each batch. */
  extraInputs(batchSize: number): TensorSpecs;
  drawExtraInputs(batchSize: number, random: Random): HostTensors;
  /**
   * @param parameters every tensor of the layout, by name
   * @param batch the views, normalised, and the extra inputs
   */
  loss(parameters: NamedTensors, batch: NamedTensors): { readonly loss: Scalar; readonly terms: LossTerms };
}
