import { unreachable } from "@consilium/shared/errors.js";
import type { ParameterLayout, PlacedParameter } from "@consilium/shared/params/layout.js";
import { type StrategyConfig, type TensorRoles, tensorRoles } from "./tensor-roles.js";
import { distance, mix, requireLength } from "./vectors.js";

/** What a site's strategy remembers from round to round. JSON. */
export interface StrategyMemory {
  /** FedEMA's λ; absent until the site has both a model of its own and the federation's that followed. */
  readonly lambda?: number | undefined;
}

export interface RoundStartInput {
  readonly config: StrategyConfig;
  /** The checkpoint's. */
  readonly layout: ParameterLayout;
  /** The federation's checkpoint, [dimension]. */
  readonly global: Float32Array;
  /** What the site had trained at the end of its last round, [dimension]; undefined before its first. */
  readonly own: Float32Array | undefined;
  /** Whether the site took no part in the round before this one. */
  readonly missed: boolean;
  readonly memory: StrategyMemory;
}

export interface StrategyStart {
  /** Where training begins, [dimension]. May be the checkpoint's own vector: not to be changed. */
  readonly vector: Float32Array;
  readonly memory: StrategyMemory;
}

/** τ of a teacher that is mixed by FedEMA's rule while the strategy, another one, has no τ. */
const teacherTau = 0.7;

type Own = RoundStartInput & { readonly own: Float32Array };

/**
 * Where a site begins a round. FedAvg, FedProx and L-DAWA begin at the checkpoint; so does every site in its first round
 * and after a round that it missed: its own model is then older than what the checkpoint was made of.
 * * FedEMA (Zhuang, Wen and Zhang 2022): every trained tensor is μ · own + (1 − μ) · global.
 * * FedU's divergence-aware predictor update (Zhuang et al. 2021): the predictor is the site's own where the encoders have
 *   moved apart by the threshold or more; everything else is global.
 * * A teacher that travels and is set to `fedema` is mixed like FedEMA's weights, whatever the strategy.
 *
 * Centres and running statistics are always the checkpoint's.
 * @throws ConsiliumError "internal" for vectors of another model
 */
export function roundStart(input: RoundStartInput): StrategyStart {
  const { layout, global, own, missed, memory } = input;
  requireLength(global, layout.dimension, "global vector");
  if (own === undefined || missed) return { vector: global, memory };
  requireLength(own, layout.dimension, "site's own vector");
  return startFromBoth({ ...input, own }, tensorRoles(input.config, layout));
}

function startFromBoth(input: Own, roles: TensorRoles): StrategyStart {
  const { strategy, teacher } = input.config.aggregation;
  const teachers = teacher === "fedema" ? roles.teacher : [];
  switch (strategy.name) {
    case "fedema":
      return mixed(input, { roles, tau: strategy.tau, tensors: [...roles.trained, ...teachers] });
    case "fedu": {
      const kept = distance(input.global, input.own, roles.encoderMatrices) < strategy.threshold ? [] : roles.predictor;
      const start = mixed(input, { roles, tau: teacherTau, tensors: teachers });
      return kept.length === 0 ? start : { ...start, vector: withOwn(start.vector, input, kept) };
    }
    case "fedavg":
    case "fedprox":
    case "l-dawa":
      return mixed(input, { roles, tau: teacherTau, tensors: teachers });
    default:
      return unreachable(strategy);
  }
}

interface Mixing {
  readonly roles: TensorRoles;
  readonly tau: number;
  readonly tensors: readonly PlacedParameter[];
}

function mixed(input: Own, { roles, tau, tensors }: Mixing): StrategyStart {
  const { global, own, memory } = input;
  if (tensors.length === 0) return { vector: global, memory };
  const divergence = distance(global, own, roles.encoderMatrices);
  const lambda = memory.lambda ?? lambdaOf(tau, divergence);
  const vector = global.slice();
  mix(vector, tensors, { own, global, share: ownShare(lambda, divergence) });
  return { vector, memory: lambda === undefined ? memory : { ...memory, lambda } };
}

/**
 * λ = τ / ‖W_g − W_k‖, so that the site's own share is τ when λ is fixed.
 * @returns undefined for equal encoders, which say nothing about how far a site drifts
 */
export function lambdaOf(tau: number, divergence: number): number | undefined {
  return divergence > 0 ? tau / divergence : undefined;
}

/** μ = min(1, λ ‖W_g − W_k‖): the further a site's images take it from the federation, the more it keeps of its own. */
export function ownShare(lambda: number | undefined, divergence: number): number {
  return lambda === undefined ? 0 : Math.min(1, lambda * divergence);
}

function withOwn(start: Float32Array, { own, global }: Own, tensors: readonly PlacedParameter[]): Float32Array {
  const vector = start === global ? start.slice() : start;
  mix(vector, tensors, { own, global, share: 1 });
  return vector;
}
