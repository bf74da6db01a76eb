import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { type CarriedConfig, carriedTensors, teacherPrefix } from "@consilium/shared/params/carried.js";
import { headParameters } from "@consilium/shared/params/heads.js";
import type { ParameterLayout, PlacedParameter } from "@consilium/shared/params/layout.js";
import { encoderTensorNames } from "@consilium/shared/params/parameters.js";

export type StrategyConfig = CarriedConfig & {
  readonly aggregation: Pick<RunConfig["aggregation"], "strategy">;
};

/** A checkpoint's tensors by what federated rules do with them. */
export interface TensorRoles {
  /** Everything that gradients change: encoder, projector, predictor, decoder. */
  readonly trained: readonly PlacedParameter[];
  /** The encoder's trained tensors of rank two and more: what the distance of two models is measured over. */
  readonly encoderMatrices: readonly PlacedParameter[];
  /** BYOL's predictor; of a method without one everything that it trains besides the encoder. */
  readonly predictor: readonly PlacedParameter[];
  /** The EMA teacher, where it travels. */
  readonly teacher: readonly PlacedParameter[];
}

/** @param layout the checkpoint's; may hold some of the configuration's tensors only */
export function tensorRoles(config: StrategyConfig, { parameters }: Pick<ParameterLayout, "parameters">): TensorRoles {
  const carried = new Set(carriedTensors(config).map(({ name }) => name));
  const trained = parameters.filter(({ name }) => !carried.has(name));
  const encoder = new Set(encoderTensorNames({ parameters: trained }));
  const headNames = new Set(headParameters(config).map(({ name }) => name));
  const heads = trained.filter(({ name }) => headNames.has(name));
  const predictor = heads.filter(({ name }) => name.startsWith("predictor."));
  return {
    trained,
    encoderMatrices: trained.filter(({ name, shape }) => encoder.has(name) && shape.length > 1),
    predictor: predictor.length > 0 ? predictor : heads,
    teacher: parameters.filter(({ name }) => carried.has(name) && name.startsWith(teacherPrefix)),
  };
}
