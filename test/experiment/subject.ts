import { poolingOf, type RunConfig } from "@consilium/shared/config/run-config.js";
import { encoderTensors } from "@consilium/shared/params/checkpoint-layout.js";
import type { EncoderChoice, EncoderLayout } from "@consilium/site-agent/eval/encode.js";
import type { LabelledImages } from "../../deploy/demo/labelled-images.js";

/** What is measured, and on what. */

/** Where few labels are given. */
export const labelsPerClass = 10;

export interface Splits {
  readonly train: LabelledImages;
  readonly val: LabelledImages;
  readonly test: LabelledImages;
  readonly classes: number;
}

/** An encoder out of a run's checkpoint. */
export interface Encoder {
  readonly model: EncoderChoice;
  readonly layout: EncoderLayout;
  readonly vector: Float32Array;
}

export function encoderOf(config: RunConfig, vector: Float32Array): Encoder {
  const model = { ...config.model, pooling: poolingOf(config.method) };
  return { model, layout: { parameters: encoderTensors(config) }, vector };
}
