import { ConsiliumError } from "@consilium/shared/errors.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { type Checkpoint, readCheckpoint } from "./checkpoint-vector.js";
import type { LocalState } from "./local-state.js";

export interface LastRound {
  /** As the site left it. */
  readonly saved: LocalState | undefined;
  /** The round that begins now, and its checkpoint. */
  readonly round: number;
  readonly checkpoint: Checkpoint;
  /** Checkpoints' layout. */
  readonly layout: ParameterLayout;
  readonly stepsPerRound: number;
  /** A checkpoint that the last round may have started from; absent: it is not there any more. */
  readonly earlierPath: string | undefined;
  /** What the site sent for the last round is this minus the checkpoint that the round started from. */
  readonly sentVector: (saved: LocalState, earlier: Checkpoint) => Float32Array;
}

/**
 * Cosine of the angle between what the site learned in its last round and what the cohort made of that round, which is the
 * new checkpoint minus the one before: near 1 where the site pulls as the others do, near 0 where its images pull
 * elsewhere.
 * @returns undefined unless the site finished the round before this one from a checkpoint that is still there, and both
 *   moved
 */
export async function cosineToAggregate(last: LastRound): Promise<number | undefined> {
  const { saved, round, checkpoint, layout, stepsPerRound, earlierPath } = last;
  if (saved === undefined || earlierPath === undefined) return undefined;
  const { numbers } = saved;
  if (numbers.round !== round - 1 || numbers.step !== stepsPerRound) return undefined;
  const earlier = await checkpointIfWhole(earlierPath, layout);
  if (earlier?.digest !== numbers.checkpointDigest) return undefined;
  return cosineFrom(earlier.vector, last.sentVector(saved, earlier), checkpoint.vector);
}

/** The file is another run's, or is gone, as often as not. */
async function checkpointIfWhole(path: string, layout: ParameterLayout): Promise<Checkpoint | undefined> {
  try {
    return await readCheckpoint(path, layout);
  } catch (thrown) {
    if (thrown instanceof ConsiliumError) return undefined;
    throw thrown;
  }
}

/** Of a − origin and b − origin, in float64; undefined where one of them is zero. */
export function cosineFrom(origin: Float32Array, a: Float32Array, b: Float32Array): number | undefined {
  let [product, squaresA, squaresB] = [0, 0, 0];
  for (let i = 0; i < origin.length; i++) {
    const [fromA, fromB] = [a[i]! - origin[i]!, b[i]! - origin[i]!];
    product += fromA * fromB;
    squaresA += fromA * fromA;
    squaresB += fromB * fromB;
  }
  const norms = Math.sqrt(squaresA) * Math.sqrt(squaresB);
  return norms > 0 && Number.isFinite(norms) ? product / norms : undefined;
}
