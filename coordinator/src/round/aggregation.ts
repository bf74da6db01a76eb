import { runMetadata } from "@consilium/shared/checkpoint/metadata.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { AbortedError, asConsiliumError } from "@consilium/shared/errors.js";
import type { Logger } from "@consilium/shared/log.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { siteNoise } from "@consilium/shared/privacy/site-mechanism.js";
import { planContext } from "@consilium/shared/protocol.js";
import type { FinishedRound, FinishJob } from "../aggregate/finish-round.js";
import type { AggregateStore } from "../checkpoint/aggregate-store.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import { failpoint } from "../failpoint.js";
import { UnmaskFailedError } from "../secagg/reconstruct.js";
import type { RunStore } from "../store/run-store.js";
import type { UploadSpool } from "../store/upload-spool.js";
import type { MessageCodec } from "./ports.js";
import type { Aggregate, Aggregating, RoundEvent } from "./state.js";

export interface AggregationSources {
  readonly store: RunStore;
  readonly spool: UploadSpool;
  readonly checkpoints: CheckpointStore;
  readonly aggregates: AggregateStore;
  readonly codec: MessageCodec;
  readonly layout: ParameterLayout;
  readonly config: RunConfig;
}

export interface Finishing extends AggregationSources {
  readonly finish: (job: FinishJob, signal: AbortSignal) => Promise<FinishedRound>;
  readonly log: Logger;
}

/**
 * Makes the next checkpoint of an attempt's sum. What fails here fails the attempt; only a closed driver hears nothing.
 * @returns undefined when the signal stopped it
 */
export async function eventOfSum(
  sources: Finishing,
  state: Aggregating,
  { signal, ...parts }: { planBody: Uint8Array; parentDigest: string; signal: AbortSignal },
): Promise<RoundEvent | undefined> {
  const { runId, round } = state.key;
  try {
    const finished = await sources.finish(finishJob(sources, state, parts), signal);
    failpoint("checkpoint/durable");
    return { kind: "aggregated", aggregate: aggregateOf(finished), blamed: finished.blamed };
  } catch (thrown) {
    if (thrown instanceof AbortedError) return undefined;
    const { code, message } = asConsiliumError(thrown);
    sources.log.error("aggregation-failed", { runId, round, code, reason: message });
    const blamed = thrown instanceof UnmaskFailedError ? thrown.suspects : [];
    return { kind: "aggregation-failed", code, detail: message, blamed };
  }
}

/** Collects what the sites of an attempt sent; a function of stored things, so a restart collects the same. */
function finishJob(
  sources: AggregationSources,
  { key, survivors, sharers, advertisers }: Aggregating,
  { planBody, parentDigest }: { planBody: Uint8Array; parentDigest: string },
): FinishJob {
  const { store, spool, checkpoints, aggregates, codec, layout, config } = sources;
  const { tensorClips, weightCap, lanes, colluders, runConfigJson, l2Clip } = codec.decodePlan(planBody);
  const adverts = store.listMessages(key, "advertise").filter(({ siteId }) => advertisers.includes(siteId));
  const uploads = store.listUploads(key).filter(({ siteId }) => survivors.includes(siteId));
  const reveals = store.listMessages(key, "unmask").filter(({ siteId }) => survivors.includes(siteId));
  return {
    ...{ key, tensorClips, weightCap, lanes, colluders, sharers, survivors },
    context: Buffer.from(planContext(planBody)).toString("hex"),
    layout,
    l2Clip,
    noise: siteNoise(config, layout.dimension),
    adverts: adverts.map(({ bytes }) => codec.decodeAdvert(bytes).advert),
    uploads: uploads.map((upload) => ({ siteId: upload.siteId, path: spool.pathOf(upload) })),
    reveals: reveals.map(({ siteId, bytes }) => ({ fromSite: siteId, reveals: codec.decodeReveals(bytes) })),
    previousCheckpointPath: checkpoints.pathOf(parentDigest),
    previousDigest: parentDigest,
    outputDirectory: checkpoints.directory,
    aggregateDirectory: aggregates.directory,
    serverOptimizer: config.aggregation.serverOptimizer,
    metadata: runMetadata(config, runConfigJson),
  };
}

function aggregateOf({ digest, lanes, deltaNorm, aggregate, advertisers }: FinishedRound): Aggregate {
  return { checkpointDigest: digest, sumDigest: aggregate.digest, advertisers, ...lanes, deltaNorm };
}
