import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FinishedRound, type FinishJob, finishRound } from "@consilium/coordinator/aggregate/finish-round.js";
import { CheckpointStore } from "@consilium/coordinator/checkpoint/store.js";
import type { SiteReveals } from "@consilium/coordinator/secagg/collect-shares.js";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { type ParameterLayout, placeParameters } from "@consilium/shared/params/layout.js";
import {
  type Delivered,
  planContext,
  type ReceivedPlan,
  type RoundPlan,
  type SealedShares,
  type SignedUpload,
} from "@consilium/shared/protocol.js";
import { randomFor } from "@consilium/shared/random.js";
import type { IdentityKey } from "@consilium/shared/secagg/adverts.js";
import { laneNames } from "@consilium/shared/secagg/lanes.js";
import type { MaskedUpload } from "@consilium/shared/secagg/masked-upload.js";
import { SiteSession } from "@consilium/site-agent/secagg/site-session.js";
import type { Contribution } from "@consilium/site-agent/update/delta.js";
import { memoryLedger } from "./memory-ledger.js";

/** One attempt at one round with real site sessions and the coordinator's real arithmetic; messages are passed by hand. */

export function createIdentity(): IdentityKey {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const raw = publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  return { publicKey: new Uint8Array(raw), sign: (message) => new Uint8Array(sign(null, message, privateKey)) };
}

/** Tensors of different sizes that add up to `dimension`. */
export function layoutOf(dimension: number): ParameterLayout {
  const first = Math.floor(dimension / 3);
  const shapes = [first, 1, dimension - first - 1];
  return placeParameters(
    shapes.map((size, i) => ({ name: `tensor.${i}`, shape: [size], initializer: { kind: "zeros" as const } })),
  );
}

export function planOf(layout: ParameterLayout, facts: Partial<RoundPlan> = {}): ReceivedPlan {
  const plan: RoundPlan = {
    federation: "test",
    key: { runId: "run", round: 0, attempt: 0 },
    runConfigJson: "{}",
    checkpointDigest: new Uint8Array(32),
    checkpointBytes: 0,
    layoutDigest: layout.digest,
    dimension: layout.dimension,
    tensorClips: layout.parameters.map((_, i) => 0.008 * (i + 1)),
    l2Clip: 1000,
    weightCap: 1000,
    lanes: [...laneNames, "updateNorm", "term/koleo", "term/featureSpread", "sites/featureSpread"],
    cohortSize: 128,
    colluders: 0,
    minCohort: 2,
    firstStep: 0,
    trainingWindowMs: 1000,
    stageWindowMs: 1000,
    previousResultDigest: new Uint8Array(0),
    rosterVersion: 1,
    rosterDigest: new Uint8Array(32).fill(9),
    launchedBy: "fed://demo/researcher/r1",
    ...facts,
  };
  const body = Buffer.from(JSON.stringify({ ...plan, layoutDigest: Buffer.from(layout.digest).toString("hex") }));
  return { plan, body, signature: new Uint8Array(64) };
}

export interface TestSite {
  readonly siteId: string;
  readonly session: SiteSession;
  readonly contribution: Contribution;
}

export function contributionFor(layout: ParameterLayout, site: number): Contribution {
  const random = randomFor("contribution", site);
  const delta = new Float32Array(layout.dimension);
  for (let i = 0; i < delta.length; i++) delta[i] = (random.uniform() - 0.5) * 0.01;
  return {
    delta,
    tensorSizes: layout.parameters.map(({ size }) => size),
    sampleCount: 300 * (site + 1),
    meanLoss: 1 + site,
    steps: 50,
    // Some sites have no spread.
    figures: { koleo: -site, updateNorm: 0.5 + site, ...(site < 2 ? { featureSpread: 0.2 + 0.4 * site } : {}) },
  };
}

export function createSites(received: ReceivedPlan, layout: ParameterLayout, count: number): TestSite[] {
  const identities = Array.from({ length: count }, (_, i) => ({
    siteId: i < 26 ? `site-${String.fromCharCode(97 + i)}` : `site-${i}`,
    identity: createIdentity(),
  }));
  const members = new Map(identities.map(({ siteId, identity }) => [siteId, identity.publicKey]));
  return identities.map(({ siteId, identity }, i) => {
    const floors = { minCohort: 2, maxColluders: 0, maxAttempts: 3, members };
    const ledger = memoryLedger();
    const session = new SiteSession({ received, siteId, identity, entropy: systemEntropy, floors, ledger });
    return { siteId, session, contribution: contributionFor(layout, i) };
  });
}

/** What a site shared, with its name. */
export interface SiteShares extends SealedShares {
  readonly siteId: string;
}

/** What the coordinator would send to one of the sharers. */
export function deliveryFor(siteId: string, sealed: readonly SiteShares[]): Delivered {
  return {
    sharers: sealed.map((one) => ({ siteId: one.siteId, root: one.root, signature: one.signature })),
    shares: sealed.flatMap(({ shares }) => shares.filter((share) => share.toSite === siteId)),
  };
}

/** Stages advertise and share by all sites. */
export function shareAll(sites: readonly Pick<TestSite, "siteId" | "session">[]) {
  const adverts = sites.map(({ session }) => session.advertise().advert);
  const sealed = sites.map(({ siteId, session }) => ({ siteId, ...session.share({ adverts, aborts: [] }) }));
  return { adverts, sealed };
}

/** Stage confirm by all survivors: what each signed. */
export function confirmAll(sites: readonly Pick<TestSite, "siteId" | "session">[], uploads: readonly SignedUpload[]) {
  return sites.map(({ siteId, session }) => ({ siteId, signature: session.confirm(uploads) }));
}

export interface FinishedAttempt {
  readonly finished: FinishedRound;
  readonly directory: string;
  readonly siteSeconds: number;
  readonly coordinatorSeconds: number;
  readonly uploadBytes: number;
}

/** Writes the masked words and returns what the site signs for them. */
async function spool(siteId: string, path: string, upload: MaskedUpload): Promise<SignedUpload> {
  const file = await open(path, "w");
  const hash = createHash("sha256");
  for await (const chunk of upload.chunks()) {
    await file.writeFile(chunk);
    hash.update(chunk);
  }
  await file.close();
  const sha256 = new Uint8Array(hash.digest());
  return { siteId, sha256, signature: upload.seal(sha256) };
}

export interface AttemptOptions {
  readonly received: ReceivedPlan;
  readonly layout: ParameterLayout;
  readonly sites: readonly TestSite[];
  /** Vector that the round begins with; zeros by default. */
  readonly previous?: Float32Array;
  /** Sites that share and then are gone. */
  readonly dropped?: readonly string[];
  /** Alters what the coordinator hands to the arithmetic. */
  readonly tamper?: (job: FinishJob) => FinishJob;
  readonly finish?: (job: FinishJob) => Promise<FinishedRound>;
}

/** Seconds for `work`, whatever it returns. */
async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const startMs = performance.now();
  const result = await work();
  return [result, (performance.now() - startMs) / 1000];
}

async function uploadsOf(options: AttemptOptions, directory: string) {
  const { sites, dropped = [] } = options;
  const [{ adverts, sealed }, shareSeconds] = await timed(async () => shareAll(sites));
  const sharers = sites.map((site) => site.siteId);
  const living = sites.filter((site) => !dropped.includes(site.siteId));
  const uploads: { siteId: string; path: string }[] = [];
  const signed: SignedUpload[] = [];
  let seconds = 0;
  let bytes = 0;
  for (const { siteId, session, contribution } of living) {
    const path = join(directory, `${siteId}.masked`);
    const upload = session.mask(deliveryFor(siteId, sealed), contribution);
    const [one, took] = await timed(() => spool(siteId, path, upload));
    bytes = 4 * upload.words;
    seconds += took;
    signed.push(one);
    uploads.push({ siteId, path });
  }
  const [confirmations, confirmSeconds] = await timed(async () => confirmAll(living, signed));
  const siteSeconds = seconds / living.length + (shareSeconds + confirmSeconds) / sites.length;
  return { adverts, sharers, uploads, living, confirmations, siteSeconds, uploadBytes: bytes };
}

/** Runs all stages. The caller removes `directory`. */
export async function runAttempt(options: AttemptOptions): Promise<FinishedAttempt> {
  const { received, layout, tamper = (job: FinishJob) => job, finish = finishRound } = options;
  const { plan } = received;
  const directory = mkdtempSync(join(tmpdir(), "consilium-attempt-"));
  const store = new CheckpointStore(join(directory, "checkpoints"));
  const vector = options.previous ?? new Float32Array(layout.dimension);
  const initial = await store.writeInitial(layout, [vector], { run: "run" });
  const { adverts, sharers, uploads, living, confirmations, siteSeconds, uploadBytes } = await uploadsOf(
    options,
    directory,
  );
  const survivors = living.map((site) => site.siteId);
  const reveals: SiteReveals[] = living.map(({ siteId, session }) => ({
    fromSite: siteId,
    reveals: session.reveal(confirmations),
  }));
  const job: FinishJob = {
    key: plan.key,
    context: Buffer.from(planContext(received.body)).toString("hex"),
    layout,
    tensorClips: plan.tensorClips,
    weightCap: plan.weightCap,
    lanes: plan.lanes,
    colluders: plan.colluders,
    adverts,
    sharers,
    survivors,
    uploads,
    reveals,
    previousCheckpointPath: initial.path,
    previousDigest: initial.digest,
    outputDirectory: store.directory,
    aggregateDirectory: store.directory,
    serverOptimizer: "fedavg",
    metadata: { method: "simclr" },
  };
  try {
    const [finished, coordinatorSeconds] = await timed(() => finish(tamper(job)));
    return { finished, directory, siteSeconds, coordinatorSeconds, uploadBytes };
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/** Σw·Δ/Σw in float64. */
export function plainMean(sites: readonly TestSite[], weightCap: number): Float64Array {
  const mean = new Float64Array(sites[0]?.contribution.delta.length ?? 0);
  const weights = sites.map((site) => Math.min(weightCap, site.contribution.sampleCount));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  sites.forEach(({ contribution }, s) => {
    const share = weights[s]! / total;
    for (let i = 0; i < mean.length; i++) mean[i] = mean[i]! + share * contribution.delta[i]!;
  });
  return mean;
}

/** ‖a − b‖ / ‖b‖ */
export function relativeError(a: Float32Array, b: Float64Array): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    norm += b[i]! ** 2;
  }
  return Math.sqrt(difference / norm);
}

/** The flat vector of a checkpoint whose tensors follow the layout's order. */
export function flatten(tensors: ReadonlyMap<string, { data: Float32Array }>, layout: ParameterLayout): Float32Array {
  const flat = new Float32Array(layout.dimension);
  for (const { name, offset } of layout.parameters) flat.set(tensors.get(name)!.data, offset);
  return flat;
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
