import { rm } from "node:fs/promises";
import { join } from "node:path";
import { AggregateReader, aggregateName } from "@consilium/shared/aggregate/aggregate-file.js";
import { writeNextCheckpoint } from "@consilium/shared/aggregate/next-checkpoint.js";
import type { StoredFile } from "@consilium/shared/checkpoint/digest-file.js";
import { roundMetadata, runMetadata } from "@consilium/shared/checkpoint/metadata.js";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { planTerms } from "@consilium/shared/plan/terms.js";
import { siteNoise } from "@consilium/shared/privacy/site-mechanism.js";
import {
  bodyDigest,
  type ReceivedPlan,
  type ReceivedResult,
  type RoundPlan,
  type SignedUpload,
} from "@consilium/shared/protocol.js";
import { saveChunks } from "@consilium/shared/rpc/chunks.js";
import { compareSiteIds } from "@consilium/shared/secagg/protocol.js";
import { survivorsDigest } from "@consilium/shared/secagg/transcript.js";
import { SiteRefusal } from "../refusal.js";
import type { CoordinatorClient } from "../round/coordinator.js";
import { ChangeGate } from "./change-gate.js";
import {
  chainRefusal,
  hex,
  type RunTerms,
  requireBegin,
  requireConfirmed,
  requireNext,
  requireTerms,
} from "./check-result.js";
import type { CheckpointCache } from "./checkpoint-cache.js";
import { ModelClause } from "./clauses.js";
import { obtainInitial } from "./initial-model.js";
import type { ModelLedger, VerifiedModel } from "./ledger.js";

export interface ModelRequest {
  readonly received: ReceivedPlan;
  readonly run: RunTerms;
  readonly source: Pick<CoordinatorClient, "fetchCheckpoint" | "fetchAggregate" | "fetchResults">;
  readonly signal: AbortSignal;
  /** Repeats what was cut. */
  readonly persistently: (download: () => Promise<void>) => Promise<void>;
}

export interface ObtainedModel {
  readonly path: string;
  /** The checkpoint used last before this one, if it is kept. */
  readonly earlierPath: string | undefined;
  /** It was not here before. */
  readonly isNew: boolean;
}

/**
 * The model that a plan begins from, worked out by this site: from the run's seed, or from the last model that it worked
 * out, and the sums of the rounds since. A checkpoint that the coordinator would send is never trained on.
 */
export class ModelChain {
  readonly #cache: CheckpointCache;
  readonly #ledger: ModelLedger;

  constructor(cache: CheckpointCache, ledger: ModelLedger) {
    this.#cache = cache;
    this.#ledger = ledger;
  }

  /** Remembers the sum of these uploads, which this site is about to help unmask; on the disk when this returns. */
  confirm({ plan, body }: ReceivedPlan, uploads: readonly SignedUpload[]): void {
    const { runId, round, attempt } = plan.key;
    const cohort = uploads.map(({ siteId }) => siteId).sort(compareSiteIds);
    const survivors = hex(survivorsDigest(uploads));
    this.#ledger.confirm(runId, { round, attempt, plan: hex(bodyDigest(body)), cohort, survivors });
  }

  /** @throws SiteRefusal naming one of `modelClauses` */
  async obtain(request: ModelRequest): Promise<ObtainedModel> {
    const { plan } = request.received;
    const known = this.#ledger.verifiedOf(plan.key.runId);
    // site-check: no-earlier-round
    if (known !== undefined && plan.key.round <= known.round) throw chainRefusal("the plan is for an earlier round");
    const begin = known !== undefined && (await this.#cache.find(known.checkpoint)) !== undefined ? known : undefined;
    const results = await fetchResults(request, begin?.round ?? 0);
    const first = begin ?? initialOf(plan, results);
    requireHistory({ first, known, results }, request);
    if (begin === undefined) await this.#begin(request, first, results);
    let current = first;
    for (const received of results) current = await this.#follow(request, current, received);
    const path = await this.#cache.use(current.checkpoint);
    return { path, earlierPath: await this.#cache.earlierThan(path), isNew: begin === undefined || results.length > 0 };
  }

  async #begin(request: ModelRequest, first: VerifiedModel, results: readonly ReceivedResult[]): Promise<void> {
    const { received, run, source, signal, persistently } = request;
    const { key, checkpointBytes } = received.plan;
    const digest = Buffer.from(first.checkpoint, "hex");
    const bytes = results[0]?.result.previousCheckpointBytes ?? checkpointBytes;
    const fetch = (offset: number) => source.fetchCheckpoint({ key, digest, offset, signal });
    await obtainInitial(this.#cache, { run, wanted: { digest, bytes, fetch, persistently } });
    // A history that is being followed again is still the one that was followed before.
    if (this.#ledger.verifiedOf(key.runId) === undefined) this.#ledger.verify(key.runId, first);
  }

  /** One round further. */
  async #follow(
    request: ModelRequest,
    before: VerifiedModel,
    { result, body }: ReceivedResult,
  ): Promise<VerifiedModel> {
    const { run } = request;
    requireTerms(result, run);
    requireConfirmed(result, this.#ledger.confirmedOf(result.key));
    const sum = await this.#fetchSum(request, result);
    const next = await this.#recompute(request, before, { result, sum });
    const same = next.digest === hex(result.checkpointDigest);
    if (!same) await rm(next.path, { force: true });
    // site-check: model-recomputed
    if (!same) throw notRecomputed(result.key.round);
    await this.#cache.adopt(next);
    const model = { round: result.key.round, checkpoint: next.digest, result: hex(bodyDigest(body)) };
    const known = this.#ledger.verifiedOf(run.runId);
    if (known === undefined || known.round <= model.round) this.#ledger.verify(run.runId, model);
    return model;
  }

  async #fetchSum(request: ModelRequest, { aggregateDigest, lanes, key: { round } }: Result): Promise<string> {
    const { received, run, source, signal, persistently } = request;
    const { key } = received.plan;
    const path = join(await this.#cache.open(), aggregateName(hex(aggregateDigest)));
    const fetch = (offset: number) => source.fetchAggregate({ key, digest: aggregateDigest, offset, signal });
    const totalBytes = 4 * (run.layout.dimension + lanes.length);
    try {
      await persistently(() => saveChunks({ path, totalBytes, digest: aggregateDigest, fetch }));
    } catch (thrown) {
      if (!(thrown instanceof ConsiliumError) || thrown.code !== "not-found") throw thrown;
      throw chainRefusal(`the coordinator no longer keeps the sum of round ${round}`);
    }
    return path;
  }

  async #recompute(
    { run }: ModelRequest,
    before: VerifiedModel,
    { result, sum }: { readonly result: Result; readonly sum: string },
  ): Promise<StoredFile> {
    const { config, configJson, layout, policy } = run;
    const { key, tensorClips, weightCap, lanes, advertisers, cohort } = result;
    const { serverOptimizer } = config.aggregation;
    const { l2Clip } = planTerms(config, layout, key.round);
    const noise = siteNoise(config, layout.dimension);
    const terms = { tensorClips, weightCap, lanes, advertisers, survivors: cohort.length, noise };
    const sums = await AggregateReader.open(sum);
    try {
      return await writeNextCheckpoint({
        ...{ layout, terms, sums, serverOptimizer },
        previous: { path: await this.#cache.use(before.checkpoint), digest: before.checkpoint },
        outputDirectory: await this.#cache.open(),
        metadataOf: ({ weight }) =>
          roundMetadata(runMetadata(config, configJson), {
            ...{ key, parent: before.checkpoint, cohort, weight, serverOptimizer },
          }),
        watch: new ChangeGate({ round: key.round, config, layout, terms, l2Clip, limits: policy.model }),
      });
    } catch (thrown) {
      throw asRefusal(thrown);
    } finally {
      await sums.close();
      await rm(sum, { force: true });
    }
  }
}

type Result = ReceivedResult["result"];

/** All results after `round` that lead to the plan. */
async function fetchResults({ received, source, signal, persistently }: ModelRequest, round: number) {
  const { key } = received.plan;
  const missing = key.round - 1 - round;
  let results: ReceivedResult[] = [];
  if (missing === 0) return results;
  await persistently(async () => {
    results = [];
    for await (const result of source.fetchResults({ key, fromRound: round + 1, signal })) {
      results.push(result);
      if (results.length > missing) break;
    }
  });
  // site-check: results-complete
  if (results.length !== missing) throw chainRefusal(`${results.length} results came for ${missing} rounds`);
  return results;
}

function initialOf(plan: RoundPlan, results: readonly ReceivedResult[]): VerifiedModel {
  const digest = results[0]?.result.previousCheckpointDigest ?? plan.checkpointDigest;
  return { round: 0, checkpoint: hex(digest), result: "" };
}

interface History {
  readonly first: VerifiedModel;
  /** What this site worked out last, which may no longer be on the disk. */
  readonly known: VerifiedModel | undefined;
  readonly results: readonly ReceivedResult[];
}

/** Before anything large is fetched: one history, which this site knows, up to the plan. */
function requireHistory({ first, known, results }: History, { received, run }: ModelRequest): void {
  let current = first;
  for (const { result, body } of results) {
    requireKnown(current, known);
    requireNext(current, result, run);
    const { checkpointDigest, key } = result;
    current = { round: key.round, checkpoint: hex(checkpointDigest), result: hex(bodyDigest(body)) };
  }
  requireKnown(current, known);
  requireBegin(current, received.plan);
}

function requireKnown(model: VerifiedModel, known: VerifiedModel | undefined): void {
  if (known?.round !== model.round) return;
  const same = known.checkpoint === model.checkpoint && known.result === model.result;
  // site-check: known-history
  if (!same) throw chainRefusal(`round ${known.round} ended with another model before`);
}

/** What only a false sum or false terms can bring about is this site's refusal. */
function asRefusal(thrown: unknown): ConsiliumError {
  const error = asConsiliumError(thrown);
  if (error.code !== "aggregate-invalid" && error.code !== "plan-invalid") return error;
  return new SiteRefusal(ModelClause.aggregate, error.message, { cause: error });
}

function notRecomputed(round: number): SiteRefusal {
  return new SiteRefusal(ModelClause.recomputed, `the model of round ${round} is not what its sum leads to`, {
    remedy: "check that agent and coordinator have the same version; if they have, ask the coordinator's operator",
  });
}
