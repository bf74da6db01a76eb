import { runMetadata } from "@consilium/shared/checkpoint/metadata.js";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import type { ParameterLayout } from "@consilium/shared/params/layout.js";
import { siteNoise } from "@consilium/shared/privacy/site-mechanism.js";
import { planContext } from "@consilium/shared/protocol.js";
import type { FinishedRound, FinishJob } from "../aggregate/finish-round.js";
import type { AggregateStore } from "../checkpoint/aggregate-store.js";
import type { CheckpointStore } from "../checkpoint/store.js";
import type { RunStore } from "../store/run-store.js";
import type { UploadSpool } from "../store/upload-spool.js";
import type { MessageCodec } from "./ports.js";
import type { Aggregate, Aggregating } from "./state.js";

export interface AggregationSources {
  readonly store: RunStore;
  readonly spool: UploadSpool;
  readonly checkpoints: CheckpointStore;
  readonly aggregates: AggregateStore;
  readonly codec: MessageCodec;
  readonly layout: ParameterLayout;
  readonly config: RunConfig;
}

/** Collects what the sites of an attempt sent; a function of stored things, so a restart collects the same. */
export function finishJob(
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

export function aggregateOf({ digest, lanes, deltaNorm, aggregate, advertisers }: FinishedRound): Aggregate {
  return { checkpointDigest: digest, sumDigest: aggregate.digest, advertisers, ...lanes, deltaNorm };
}
