import { ConsiliumError } from "@consilium/shared/errors.js";
import { teacherPrefix } from "@consilium/shared/params/carried.js";
import type { ParameterLayout, PlacedParameter } from "@consilium/shared/params/layout.js";
import { type StrategyConfig, tensorRoles } from "./tensor-roles.js";
import { partOf, requireLength } from "./vectors.js";

export interface TrainedVectors {
  readonly config: StrategyConfig;
  /** The checkpoint's. */
  readonly layout: ParameterLayout;
  /** The federation's checkpoint that the round is about, [dimension]. */
  readonly global: Float32Array;
  /** After the round's last step, [dimension]. */
  readonly trained: Float32Array;
  /** M: the product of the teacher's momenta over the round's steps, the same at every site. Read for `server-ema`. */
  readonly teacherMomentum: number;
}

/**
 * The vector whose difference from the checkpoint a site sends. The coordinator only adds masked differences up, so what
 * a rule does to the mean has to be done to what is averaged:
 * * L-DAWA (Rehman et al. 2023): each trained tensor times its cosine with the checkpoint's. The norm of the mean shrinks
 *   where sites disagree. Sites count alike (`siteWeight`).
 * * A teacher set to `server-ema`: t + (1 − M)(s − t), with the checkpoint's t and what the site sends for its student
 *   s. The weighted mean of these is M t + (1 − M) s̄: one step of the averaged student's EMA with momentum M.
 *
 * Everything else is sent as trained.
 * @returns `trained` itself where nothing changes; otherwise a vector of its own
 * @throws ConsiliumError "internal" for vectors of another model, or a momentum outside [0, 1]
 */
export function contributionVector(vectors: TrainedVectors): Float32Array {
  const { config, layout, global, trained } = vectors;
  requireLength(global, layout.dimension, "global vector");
  requireLength(trained, layout.dimension, "trained vector");
  const { strategy, teacher } = config.aggregation;
  const followsServer = teacher === "server-ema";
  if (strategy.name !== "l-dawa" && !followsServer) return trained;
  const sent = trained.slice();
  const roles = tensorRoles(config, layout);
  if (strategy.name === "l-dawa") scaleByCosine(sent, global, roles.trained);
  if (followsServer) teacherAfterRound(sent, vectors, roles.teacher);
  return sent;
}

/** In place: w ← cos(w, w_g) · w of each tensor. A tensor of zeros has no direction and stays as it is. */
function scaleByCosine(sent: Float32Array, global: Float32Array, tensors: readonly PlacedParameter[]): void {
  for (const tensor of tensors) {
    const own = partOf(sent, tensor);
    const factor = cosine(own, partOf(global, tensor));
    for (let i = 0; i < own.length; i++) own[i] = own[i]! * factor;
  }
}

/** In float64, so that equal tensors keep every bit when they are multiplied with it. One where a norm is zero. */
export function cosine(a: Float32Array, b: Float32Array): number {
  let [product, squaresA, squaresB] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    product += a[i]! * b[i]!;
    squaresA += a[i]! * a[i]!;
    squaresB += b[i]! * b[i]!;
  }
  const norms = Math.sqrt(squaresA) * Math.sqrt(squaresB);
  return norms === 0 ? 1 : product / norms;
}

function teacherAfterRound(
  sent: Float32Array,
  { layout, global, teacherMomentum }: TrainedVectors,
  teacher: readonly PlacedParameter[],
): void {
  if (!(teacherMomentum >= 0 && teacherMomentum <= 1)) {
    throw new ConsiliumError("internal", `a round's teacher momentum of ${teacherMomentum} is outside [0, 1]`);
  }
  const placed = new Map(layout.parameters.map((parameter) => [parameter.name, parameter]));
  for (const tensor of teacher) {
    const name = tensor.name.slice(teacherPrefix.length);
    const student = placed.get(name);
    if (student === undefined) throw new ConsiliumError("internal", `the teacher's ${name} has no student to follow`);
    const follows = partOf(sent, student);
    const before = partOf(global, tensor);
    const after = partOf(sent, tensor);
    for (let i = 0; i < after.length; i++) after[i] = before[i]! + (1 - teacherMomentum) * (follows[i]! - before[i]!);
  }
}
