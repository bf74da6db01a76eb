import {
  type AggregateBlock,
  type AggregateTerms,
  type AggregateTotals,
  type AggregateWatch,
  clippingSlack,
  roundingNorm,
} from "@consilium/shared/aggregate/next-checkpoint.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { carriedTensors } from "@consilium/shared/params/carried.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { type ClippedTensor, clippedTensors, tensorSpans } from "@consilium/shared/secagg/quantize.js";
import type { Policy } from "../policy.js";
import { SiteRefusal } from "../refusal.js";
import { ModelClause } from "./clauses.js";

export interface GateOptions {
  readonly round: number;
  readonly config: RunConfig;
  readonly layout: ParameterLayout;
  readonly terms: AggregateTerms;
  /** Norm that every site of the run scales its update down to. */
  readonly l2Clip: number;
  readonly limits: Policy["model"];
}

/**
 * Lets a round's change through only within the bounds of run and policy: weights moved further than honest training
 * moves them are how a coordinator would make gradients tell of single images (Boenisch et al. 2023). The policy's bounds
 * are about weights; means of activations, and statistics of images, are in other units and have the run's bounds alone.
 */
export class ChangeGate implements AggregateWatch {
  readonly #options: GateOptions;
  readonly #isWeight: readonly boolean[];
  readonly #largest: Float64Array;
  readonly #squares: Float64Array;
  readonly #ends: Float64Array;
  readonly #tensors: readonly ClippedTensor[];

  constructor(options: GateOptions) {
    const { layout, config } = options;
    this.#options = options;
    this.#isWeight = weightsOf(config, layout);
    this.#largest = new Float64Array(layout.parameters.length);
    this.#squares = new Float64Array(layout.parameters.length);
    this.#ends = Float64Array.from(layout.parameters, ({ offset, size }) => offset + size);
    this.#tensors = clippedTensors(
      layout.parameters.map(({ size }) => size),
      options.terms.tensorClips,
    );
  }

  block({ first, mean, next }: AggregateBlock): void {
    // site-check: model-finite
    if (!next.every(Number.isFinite))
      throw this.#refused(ModelClause.aggregate, "it leaves values that are not finite");
    let tensor = this.#ends.findIndex((end) => end > first);
    for (const { from, to } of tensorSpans(this.#tensors, first, mean.length)) {
      while (this.#ends[tensor]! <= from) tensor++;
      this.#take(tensor, mean.subarray(from - first, to - first));
    }
  }

  #take(tensor: number, mean: Float32Array): void {
    let [largest, squares] = [this.#largest[tensor]!, 0];
    for (let i = 0; i < mean.length; i++) {
      const value = mean[i]!;
      squares += value * value;
      if (value > largest) largest = value;
      else if (-value > largest) largest = -value;
    }
    this.#largest[tensor] = largest;
    this.#squares[tensor]! += squares;
  }

  finish({ lanes, deltaNorm }: AggregateTotals): void {
    const { layout, terms, l2Clip, limits } = this.#options;
    const rounding = roundingNorm(layout, terms, lanes.weight);
    // site-check: model-l2-clip
    if (!(deltaNorm <= l2Clip * clippingSlack + rounding)) {
      throw this.#refused(ModelClause.aggregate, `its norm is ${deltaNorm}, no site's may be above ${l2Clip}`);
    }
    const weights = Math.sqrt(this.#squares.reduce((sum, part, i) => sum + (this.#isWeight[i] ? part : 0), 0));
    // site-check: model-update-norm
    if (!(weights <= limits.maxUpdateL2)) {
      throw this.#refused(
        ModelClause.updateNorm,
        `the weights move by ${weights}, the policy allows ${limits.maxUpdateL2}`,
      );
    }
    const far = this.#largest.findIndex(
      (change, i) => this.#isWeight[i] === true && !(change <= limits.maxTensorChange),
    );
    // site-check: model-tensor-change
    if (far !== -1) throw this.#refused(ModelClause.tensorChange, this.#tooFar(far));
  }

  #tooFar(tensor: number): string {
    const { layout, limits } = this.#options;
    const { name } = layout.parameters[tensor]!;
    return `a value of ${name} moves by ${this.#largest[tensor]}, the policy allows ${limits.maxTensorChange}`;
  }

  #refused(clause: string, reason: string): SiteRefusal {
    return new SiteRefusal(clause, `the change of round ${this.#options.round} is not taken over: ${reason}`, {
      remedy: "ask the researcher what happened in that round; policy.yaml has the limits",
    });
  }
}

/** Of each tensor, whether it holds weights: trained ones, or a teacher's. */
function weightsOf(config: RunConfig, layout: ParameterLayout): boolean[] {
  if (config.method.name === "clusters") return layout.parameters.map(() => false);
  const others = new Set(carriedTensors(config).flatMap(({ name, kind }) => (kind === "teacher" ? [] : [name])));
  return layout.parameters.map(({ name }) => !others.has(name));
}
