import { AggregateWriter } from "@consilium/shared/aggregate/aggregate-file.js";
import {
  type AggregateTerms,
  type AggregateTotals,
  clippingSlack,
  roundingNorm,
  type SumSource,
  writeNextCheckpoint,
} from "@consilium/shared/aggregate/next-checkpoint.js";
import type { ServerOptimizerName } from "@consilium/shared/aggregate/server-optimizer.js";
import type { StoredFile } from "@consilium/shared/checkpoint/digest-file.js";
import { roundMetadata } from "@consilium/shared/checkpoint/metadata.js";
import type { TensorPlaces } from "@consilium/shared/checkpoint/reader.js";
import type { StoredCheckpoint } from "@consilium/shared/checkpoint/writer.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import type { SiteNoise } from "@consilium/shared/privacy/site-mechanism.js";
import type { KeyAdvert, RoundKey } from "@consilium/shared/protocol.js";
import { advertsDigest, sortAdverts } from "@consilium/shared/secagg/adverts.js";
import { parseLanes } from "@consilium/shared/secagg/lanes.js";
import { neighbourhoodsOf } from "@consilium/shared/secagg/neighbourhoods.js";
import { compareSiteIds } from "@consilium/shared/secagg/protocol.js";
import type { SiteReveals } from "../secagg/collect-shares.js";
import { remainingMasks } from "../secagg/reconstruct.js";
import type { SpooledVector } from "./sum.js";
import { openSum } from "./sum-thread.js";

/** Everything that turns an attempt's uploads into the next checkpoint. Plain data, so that a thread can do it. */
export interface FinishJob {
  readonly key: RoundKey;
  /** ctx of the plan, hex; see `planContext`. */
  readonly context: string;
  readonly layout: TensorPlaces;
  readonly tensorClips: readonly number[];
  readonly weightCap: number;
  readonly lanes: readonly string[];
  readonly colluders: number;
  /** Norm that every site scales its update down to; absent: any norm. */
  readonly l2Clip?: number | undefined;
  /** Of a run that hides sites. */
  readonly noise?: SiteNoise | undefined;
  /** U1, U2 and U3 in any order. */
  readonly adverts: readonly KeyAdvert[];
  readonly sharers: readonly string[];
  readonly survivors: readonly string[];
  /** At least those of the survivors; others are not read. */
  readonly uploads: readonly SpooledVector[];
  readonly reveals: readonly SiteReveals[];
  readonly previousCheckpointPath: string;
  /** Hex; the file is checked against it while it is read. */
  readonly previousDigest: string;
  readonly outputDirectory: string;
  /** Where the sum is kept, for sites to work the checkpoint out themselves. */
  readonly aggregateDirectory: string;
  readonly serverOptimizer: ServerOptimizerName;
  /** Goes into the checkpoint beside parent, run, round, attempt, cohort, weight and aggregation. */
  readonly metadata: Readonly<Record<string, string>>;
}

export interface FinishedRound extends StoredCheckpoint, AggregateTotals {
  readonly aggregate: StoredFile;
  /** How many sites advertised keys. */
  readonly advertisers: number;
  /** Sites that revealed something false, though the sum could be unmasked without them. */
  readonly blamed: readonly string[];
}

function survivingVectors({ uploads, survivors }: FinishJob): SpooledVector[] {
  return survivors.map((site) => {
    const vector = uploads.find((upload) => upload.siteId === site);
    if (vector === undefined) throw new ConsiliumError("internal", `no masked vector of survivor ${site} is there`);
    return vector;
  });
}

/**
 * Masks hide which site sent what, so that one that does not keep to the run's bounds shows only in the sum. Sites would not
 * take such a model over either.
 * @throws ConsiliumError "aggregate-invalid"
 */
function requireHonestNorm(
  { layout, l2Clip }: FinishJob,
  terms: AggregateTerms,
  { lanes, deltaNorm }: AggregateTotals,
): void {
  if (l2Clip === undefined) return;
  const most = l2Clip * clippingSlack + roundingNorm(layout, terms, lanes.weight);
  if (deltaNorm <= most) return;
  const text = `the cohort's mean update has norm ${deltaNorm.toPrecision(4)}, and no honest site's is above ${l2Clip}`;
  throw new ConsiliumError("aggregate-invalid", text, {
    remedy: "masks hide which site it was: launch without the sites that you doubt",
  });
}

async function writeNext(job: FinishJob, sums: SumSource): Promise<Omit<FinishedRound, "blamed">> {
  const { layout, tensorClips, weightCap, lanes, serverOptimizer, outputDirectory } = job;
  const advertisers = job.adverts.length;
  const cohort = [...job.survivors].sort(compareSiteIds);
  const parent = job.previousDigest;
  const terms = { tensorClips, weightCap, lanes, advertisers, survivors: cohort.length, noise: job.noise };
  const kept = await AggregateWriter.begin(job.aggregateDirectory);
  try {
    const next = await writeNextCheckpoint({
      ...{ layout, sums, serverOptimizer, outputDirectory },
      terms,
      previous: { path: job.previousCheckpointPath, digest: parent },
      metadataOf: ({ weight }) =>
        roundMetadata(job.metadata, { key: job.key, parent, cohort, weight, serverOptimizer }),
      watch: {
        block: (block) => kept.write(block.sums),
        finish: async (totals) => {
          requireHonestNorm(job, terms, totals);
          await kept.write(await sums.range(layout.dimension, lanes.length));
        },
      },
    });
    return { ...next, aggregate: await kept.commit(), advertisers };
  } finally {
    await kept.discard();
  }
}

/**
 * Sums the survivors' vectors, takes off the masks that are left, and stores the sum and the checkpoint that follows. Reads and
 * writes block by block, on two threads; memory depends neither on the number of sites nor of parameters.
 * @throws UnmaskFailedError when the reveals do not open the sum
 * @throws ConsiliumError "aggregate-invalid" when the sum is not one of honest sites, "digest-mismatch" for a damaged
 * previous checkpoint, "storage" when the disk fails
 */
export async function finishRound(job: FinishJob): Promise<FinishedRound> {
  const context = Buffer.from(job.context, "hex");
  const adverts = sortAdverts(job.adverts);
  const binding = { context, advertsDigest: advertsDigest(adverts) };
  const { masks, blamed } = remainingMasks({
    adverts,
    sharers: job.sharers,
    survivors: job.survivors,
    reveals: job.reveals,
    binding,
    neighbourhoods: neighbourhoodsOf(
      adverts.map(({ siteId }) => siteId),
      { colluders: job.colluders, advertsDigest: binding.advertsDigest },
    ),
  });
  const words = job.layout.dimension + parseLanes(job.lanes).length;
  const sum = await openSum({ vectors: survivingVectors(job), words, masks });
  try {
    return { ...(await writeNext(job, sum)), blamed };
  } finally {
    await sum.close();
  }
}
