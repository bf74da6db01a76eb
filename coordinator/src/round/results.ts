import type { ServerOptimizerName } from "@consilium/shared/aggregate/server-optimizer.js";
import { bodyDigest, type CommittedRound, type RoundPlan, resultSignatureLabel } from "@consilium/shared/protocol.js";
import { survivorsDigest } from "@consilium/shared/secagg/transcript.js";
import type { RunStore } from "../store/run-store.js";
import type { MessageCodec, SignedPlan, SignedResult } from "./ports.js";
import type { Committed } from "./state.js";
import { Transcripts } from "./transcript.js";

/** What a committed round did to the model, signed, so that every site can work it out again. */

export interface ResultFacts {
  readonly planBody: Uint8Array;
  readonly plan: RoundPlan;
  readonly serverOptimizer: ServerOptimizerName;
  /** h3 */
  readonly survivorsDigest: Uint8Array;
}

export function committedRound({ key, survivors, aggregate }: Committed, facts: ResultFacts): CommittedRound {
  const { planBody, plan, serverOptimizer, survivorsDigest } = facts;
  const { federation, previousResultDigest, tensorClips, weightCap, lanes } = plan;
  return {
    ...{ federation, key, previousResultDigest, tensorClips, weightCap, lanes, serverOptimizer },
    previousCheckpointDigest: plan.checkpointDigest,
    previousCheckpointBytes: plan.checkpointBytes,
    checkpointDigest: bytesOf(aggregate.checkpointDigest),
    aggregateDigest: bytesOf(aggregate.sumDigest),
    cohort: survivors,
    advertisers: aggregate.advertisers,
    planDigest: bodyDigest(planBody),
    survivorsDigest,
  };
}

export interface ResultSigner {
  /** Holds the attempt's uploads until its result is stored. */
  readonly store: RunStore;
  readonly codec: MessageCodec;
  readonly sign: (message: Uint8Array) => Uint8Array;
}

/** The result of an attempt whose sum is stored. */
export function signResult(
  { codec, sign, store }: ResultSigner,
  state: Committed,
  { plan, serverOptimizer }: { readonly plan: SignedPlan; readonly serverOptimizer: ServerOptimizerName },
): SignedResult {
  const uploads = survivorsDigest(new Transcripts(store, codec).uploadsOf(state));
  const facts = { planBody: plan.body, plan: codec.decodePlan(plan.body), serverOptimizer, survivorsDigest: uploads };
  const body = codec.encodeResult(committedRound(state, facts));
  return { body, signature: sign(Buffer.concat([Buffer.from(resultSignatureLabel), body])) };
}

/** Digest of the result that led to where a round begins; empty for the first round. */
export function resultBefore(store: RunStore, runId: string, round: number): Uint8Array {
  const before = store.listResults(runId, round - 1).find((result) => result.round === round - 1);
  return before === undefined ? new Uint8Array(0) : bodyDigest(before.body);
}

/** Digests of a run's sums, hex; of one round where it is named. */
export function sumsOf(
  store: RunStore,
  codec: MessageCodec,
  { runId, round }: { readonly runId: string; readonly round?: number },
): string[] {
  return store
    .listResults(runId, round ?? 1)
    .filter((result) => round === undefined || result.round === round)
    .map(({ body }) => Buffer.from(codec.decodeResult(body).aggregateDigest).toString("hex"));
}

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"));
