import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { AggregateReader, AggregateWriter } from "@consilium/shared/aggregate/aggregate-file.js";
import { writeNextCheckpoint } from "@consilium/shared/aggregate/next-checkpoint.js";
import { roundMetadata, runMetadata } from "@consilium/shared/checkpoint/metadata.js";
import { type StoredCheckpoint, writeCheckpoint } from "@consilium/shared/checkpoint/writer.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { initialBlocks } from "@consilium/shared/params/initialize.js";
import { planTerms } from "@consilium/shared/plan/terms.js";
import {
  bodyDigest,
  type CommittedRound,
  type ReceivedResult,
  type RoundKey,
  type RoundPlan,
  type SignedUpload,
} from "@consilium/shared/protocol.js";
import { ringBoundOf } from "@consilium/shared/secagg/protocol.js";
import { survivorsDigest } from "@consilium/shared/secagg/transcript.js";
import { CheckpointCache } from "@consilium/site-agent/chain/checkpoint-cache.js";
import { ModelLedger } from "@consilium/site-agent/chain/ledger.js";
import { ModelChain, type ModelRequest } from "@consilium/site-agent/chain/model-chain.js";
import type { Policy } from "@consilium/site-agent/policy.js";
import { exampleConfig, examplePlan, examplePolicy } from "../../site-agent/src/test-plans.js";

/** A coordinator's history of one run, which a test may forge, and a site that follows it. */

export const config = exampleConfig;
/** What every site of a cohort is taken to have uploaded. */
export const uploadsOf = (sites: readonly string[], byte = 7): SignedUpload[] =>
  sites.map((siteId) => ({ siteId, sha256: new Uint8Array(32).fill(byte), signature: new Uint8Array(64).fill(byte) }));
const planBody = (key: RoundKey) => Buffer.from(JSON.stringify(key));

export const layout = checkpointLayout(config);
const { runConfigJson } = examplePlan();
const cohort = ["site-a", "site-b", "site-c"];
const run = runMetadata(config, runConfigJson);
const bytesOf = (hex: string) => new Uint8Array(Buffer.from(hex, "hex"));

/** What a round's sum says; each part may be forged. */
export interface Forgery {
  /** Of each coordinate, as a share of its tensor's clip. */
  readonly mean?: (coordinate: number) => number;
  readonly lanes?: (ringBound: number) => readonly number[];
  readonly result?: Partial<CommittedRound>;
}

export class ModelHistory {
  readonly directory: string;
  readonly results: ReceivedResult[] = [];
  /** Every file that the coordinator would send, by hex digest. */
  readonly files = new Map<string, string>();
  current!: StoredCheckpoint;
  policy: Policy = examplePolicy;
  fetched: string[] = [];

  private constructor(directory: string) {
    this.directory = join(directory, "coordinator");
    mkdirSync(this.directory, { recursive: true });
  }

  /** Begins with the values of the run's seed, or with others. */
  static async begin(directory: string, values?: Iterable<Float32Array>, warmStart?: string): Promise<ModelHistory> {
    const history = new ModelHistory(directory);
    const metadata = warmStart === undefined ? run : { ...run, warmStart };
    const header = { tensors: layout.parameters, dimension: layout.dimension, metadata };
    history.#publish(await writeCheckpoint(history.directory, header, values ?? initialBlocks(layout, config.seed)));
    return history;
  }

  #publish(checkpoint: StoredCheckpoint): void {
    this.current = checkpoint;
    this.files.set(checkpoint.digest, checkpoint.path);
  }

  /** Commits a round as an honest coordinator would for the sum that is given, and signs what the forgery says of it. */
  async commit({ mean = () => 0.01, lanes, result: forged = {} }: Forgery = {}): Promise<void> {
    const round = this.results.length + 1;
    const key = { runId: "run-1", round, attempt: 1 };
    const { tensorClips, weightCap, lanes: names, l2Clip: _l2, firstStep: _first } = planTerms(config, layout, round);
    const ringBound = ringBoundOf(cohort.length);
    const sums = await AggregateWriter.begin(this.directory);
    // Three sites of half the weight cap each.
    const weight = Math.floor((3 * weightCap) / 2);
    const full = (weight / weightCap) * ringBound;
    await sums.write(Int32Array.from({ length: layout.dimension }, (_, i) => Math.round(mean(i) * full)));
    const plain = names.map((name) => (name === "weight" ? weight : 0));
    await sums.write(Int32Array.from(lanes?.(ringBound) ?? plain));
    const aggregate = await sums.commit();
    this.files.set(aggregate.digest, aggregate.path);
    const { serverOptimizer } = config.aggregation;
    const parent = this.current;
    const reader = await AggregateReader.open(aggregate.path);
    const next = await writeNextCheckpoint({
      ...{ layout, sums: reader, serverOptimizer, outputDirectory: this.directory },
      terms: { tensorClips, weightCap, lanes: names, advertisers: 3, survivors: 3 },
      previous: parent,
      metadataOf: (totals) =>
        roundMetadata(run, { key, parent: parent.digest, cohort, weight: totals.weight, serverOptimizer }),
      watch: { block() {}, finish() {} },
    }).catch(() => parent);
    await reader.close();
    const before = this.results.at(-1);
    const result: CommittedRound = {
      ...{ federation: "demo", key, cohort, advertisers: 3, tensorClips, weightCap, lanes: names, serverOptimizer },
      previousResultDigest: before === undefined ? new Uint8Array(0) : bodyDigest(before.body),
      previousCheckpointDigest: bytesOf(parent.digest),
      previousCheckpointBytes: parent.bytes,
      checkpointDigest: bytesOf(next.digest),
      aggregateDigest: bytesOf(aggregate.digest),
      planDigest: bodyDigest(planBody(key)),
      survivorsDigest: survivorsDigest(uploadsOf(cohort)),
      ...forged,
    };
    this.results.push({ result, body: Buffer.from(JSON.stringify([round, next.digest, this.results.length])) });
    this.#publish(next);
  }

  /** The plan of the round after the last committed one. */
  plan(changes: Partial<RoundPlan> = {}): RoundPlan {
    const last = this.results.at(-1);
    const ended = last === undefined ? bytesOf(this.current.digest) : last.result.checkpointDigest;
    return examplePlan({
      key: { runId: "run-1", round: this.results.length + 1, attempt: 1 },
      checkpointDigest: ended,
      checkpointBytes: this.current.bytes,
      previousResultDigest: last === undefined ? new Uint8Array(0) : bodyDigest(last.body),
      ...changes,
    });
  }

  request(plan: RoundPlan): ModelRequest {
    const chunks = async function* (this: ModelHistory, digest: Uint8Array, offset: number) {
      const name = Buffer.from(digest).toString("hex");
      this.fetched.push(name);
      yield { offset, data: readFileSync(this.files.get(name)!).subarray(offset) };
    }.bind(this);
    const results = this.results.filter(({ result }) => result.key.round < plan.key.round);
    return {
      received: { plan, body: planBody(plan.key), signature: new Uint8Array(64) },
      run: { federation: "demo", runId: "run-1", config, configJson: runConfigJson, layout, policy: this.policy },
      source: {
        fetchCheckpoint: ({ digest, offset }) => chunks(digest, offset),
        fetchAggregate: ({ digest, offset }) => chunks(digest, offset),
        async *fetchResults({ fromRound }) {
          yield* results.slice(fromRound - 1);
        },
      },
      signal: new AbortController().signal,
      persistently: (download) => download(),
    };
  }
}

/** A site's models in a folder; a second one in the same folder is the site after a restart. */
export function openChain(directory: string, name = "site") {
  const ledger = new ModelLedger(join(directory, name, "models"));
  return new ModelChain(new CheckpointCache(join(directory, name, "checkpoints")), ledger);
}

export const digestOf = (path: string): string => createHash("sha256").update(readFileSync(path)).digest("hex");
