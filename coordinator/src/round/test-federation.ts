import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { silentLogger } from "@consilium/shared/log.js";
import type { CommittedRound, RoundKey, RoundPlan } from "@consilium/shared/protocol.js";
import type { Figures } from "@consilium/shared/secagg/figures.js";
import type { FinishJob } from "../aggregate/finish-round.js";
import { AggregateStore } from "../checkpoint/aggregate-store.js";
import { CheckpointStore } from "../checkpoint/store.js";
import { type Attachment, SiteRegistry } from "../sites/registry.js";
import { openDatabase, type StoreDatabase } from "../store/database.js";
import { createRunStore } from "../store/sqlite-run-store.js";
import { createSiteStore } from "../store/sqlite-site-store.js";
import { UploadSpool } from "../store/upload-spool.js";
import type { Outcome } from "./outcomes.js";
import type { MessageCodec } from "./ports.js";
import { RunQueue } from "./run-queue.js";
import { Submissions } from "./submissions.js";
import { AttemptMessages, identities, type Lists, sites } from "./test-messages.js";

/** For tests: the whole round machinery with fake sites, real store, spool and checkpoints, and a clock that stands still. */

export const runFile = (rounds: number) => `
name: tiny
modality: dermatology
model: { architecture: vit-nano, imageSize: 16, patchSize: 8 }
method: { name: simclr, projectionDim: 8 }
optimizer: { learningRate: 0.001 }
training: { batchSize: 2, stepsPerRound: 2 }
rounds: ${rounds}
cohort: { minSites: 2 }
deadlines: { trainingSeconds: 100, stageSeconds: 10 }
`;

export { advertOf, sites } from "./test-messages.js";
export const stageNames = ["advertise", "share", "upload", "confirm", "unmask"] as const;
type StageName = (typeof stageNames)[number];

const signal = new AbortController().signal;

const json = (value: unknown) => Buffer.from(JSON.stringify(value, (_, part: unknown) => packed(part)));
const packed = (part: unknown) => (part instanceof Uint8Array ? { hex: Buffer.from(part).toString("hex") } : part);
const parsed = <T>(bytes: Uint8Array): T =>
  JSON.parse(Buffer.from(bytes).toString(), (_, part: { hex?: string; type?: string; data?: number[] }) => {
    if (part?.type === "Buffer") return new Uint8Array(part.data!);
    return typeof part?.hex === "string" ? new Uint8Array(Buffer.from(part.hex, "hex")) : part;
  });

const codec: MessageCodec = {
  encodePlan: (plan) => json(plan),
  encodeResult: (result) => json(result),
  decodeResult: (body) => parsed<CommittedRound>(body),
  decodePlan: (body) => parsed<RoundPlan>(body),
  decodeAdvert: (bytes) => parsed(bytes),
  decodeShares: (bytes) => parsed(bytes),
  decodeConfirmation: (bytes) => parsed(bytes),
  decodeReveals: (bytes) => parsed(bytes),
};

interface Heard {
  readonly offered: { siteId: string; body: Uint8Array }[];
  readonly withdrawn: { siteId: string; reason: string }[];
  readonly jobs: FinishJob[];
  readonly dropped: string[];
  readonly paused: string[];
  readonly halted: unknown[];
}

function openParts(home: string, clock: ManualClock, figures: () => Figures) {
  const database = openDatabase(join(home, "c.db"), clock.now());
  enrolSites(database);
  const store = createRunStore(database);
  const spool = new UploadSpool(join(home, "spool"));
  const checkpoints = new CheckpointStore(join(home, "checkpoints"));
  const aggregates = new AggregateStore(join(home, "aggregates"));
  const registry = new SiteRegistry(createSiteStore(database), clock);
  const heard: Heard = { offered: [], withdrawn: [], jobs: [], dropped: [], paused: [], halted: [] };
  const observer = {
    roundEnded() {},
    roundCommitted() {},
    runPaused: (cause: string) => void heard.paused.push(cause),
    cohortSelected() {},
    stageClosed() {},
    siteDropped: (reason: string) => void heard.dropped.push(reason),
    uploadStored() {},
  };
  const strangers = new Set<string>();
  const roster: { version: number; digest: string } | undefined = { version: 1, digest: "11".repeat(32) };
  const membership = {
    roster: roster as typeof roster | undefined,
    admits: (site: string) => !strangers.has(site),
  };
  const queue = new RunQueue({
    ...{ store, spool, checkpoints, aggregates, registry, membership, codec, observer, clock },
    federation: "demo",
    entropy: systemEntropy,
    transport: {
      offer: (siteId, { body }) => void heard.offered.push({ siteId, body }),
      withdraw: (siteId, { reason }) => void heard.withdrawn.push({ siteId, reason }),
    },
    sign: () => new Uint8Array(64),
    finish: async (job) => {
      heard.jobs.push(job);
      return finished(job, checkpoints, figures());
    },
    log: silentLogger,
    times: { graceMs: 1_000, recoveryGraceMs: 2_000, settleMs: 500 },
    keepCheckpoints: "all",
    keepAggregates: "all",
    halt: (thrown) => void heard.halted.push(thrown),
  });
  const submissions = new Submissions({ queue, store, spool, registry, codec, observer });
  return {
    ...heard,
    store,
    registry,
    membership,
    strangers,
    queue,
    submissions,
    closeStore: () => void database.close(),
  };
}

/** A checkpoint of zeros under the name of its round: what the sum is does not matter here. */
async function finished({ layout, key }: FinishJob, checkpoints: CheckpointStore, figures: Figures) {
  const parameters = layout.parameters.map((parameter) => ({ ...parameter }));
  const stored = await checkpoints.writeInitial(
    { ...layout, parameters, digest: new Uint8Array(32) },
    [new Float32Array(layout.dimension)],
    { round: String(key.round), attempt: String(key.attempt) },
  );
  const lanes = { weight: 30, loss: 1.5, steps: 6, clipped: 0, figures };
  const aggregate = { digest: "0".repeat(64), path: "", bytes: 0 };
  return { ...stored, lanes, deltaNorm: 1, aggregate, advertisers: 3, blamed: [] };
}

function enrolSites(database: StoreDatabase): void {
  const add = database.prepare("INSERT OR IGNORE INTO sites (site_id, identity_key, enrolled_at_ms) VALUES (?, ?, 0)");
  for (const site of sites) add.run(site, identities.get(site)!.publicKey);
}

export const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

export const keyOf = (plan: { body: Uint8Array }): RoundKey => parsed<RoundPlan>(plan.body).key;

interface Acting extends Lists {
  readonly plan?: { readonly body: Uint8Array };
}

/** A coordinator's inside that can be killed and started again. */
export class TestFederation {
  readonly home = mkdtempSync(join(tmpdir(), "rounds-"));
  readonly clock = new ManualClock(1_000_000);
  readonly attachments = new Map<string, Attachment>();
  /** Of the cohort, in every round from now on. */
  figures: Figures = {};
  parts = openParts(this.home, this.clock, () => this.figures);

  /** What is not on disk is gone, as after kill -9. */
  kill(): void {
    this.parts.queue.close();
    this.parts.closeStore();
  }

  async start(): Promise<void> {
    this.parts = openParts(this.home, this.clock, () => this.figures);
    await this.parts.queue.start();
  }

  async restart(): Promise<void> {
    this.kill();
    await this.start();
  }

  remove(): void {
    this.kill();
    rmSync(this.home, { recursive: true, force: true });
  }

  attach(...ids: string[]): void {
    for (const id of ids)
      this.attachments.set(
        id,
        this.parts.registry.attach(id, "1", () => {}),
      );
  }

  async launch(rounds = 1, more = ""): Promise<string> {
    const request = {
      requestId: `request-${rounds}`,
      configYaml: `${runFile(rounds)}${more}`,
      launchedBy: "fed://demo/researcher/r1",
    };
    return (await this.parts.queue.launch(request)).runId;
  }

  detail(runId: string) {
    return this.parts.queue.detail(runId);
  }

  get plan(): { readonly body: Uint8Array } {
    return this.parts.offered.at(-1)!;
  }

  /** Length of a masked vector of the plan. */
  get uploadBytes(): number {
    const { dimension, lanes } = parsed<RoundPlan>(this.plan.body);
    return 4 * (dimension + lanes.length);
  }

  send(siteId: string, stage: Exclude<StageName, "upload">, { key, value }: { key: RoundKey; value: unknown }) {
    return this.parts.submissions.submit({ key, siteId, stage, bytes: json(value) }, signal);
  }

  /** The site's part in a stage of the plan; the lists are the coordinator's unless they are given. */
  act(siteId: string, stage: StageName, { plan = this.plan, ...lists }: Acting = {}): Promise<Outcome> {
    const key = keyOf(plan);
    const messages = this.#messages(plan, lists);
    switch (stage) {
      case "advertise":
        return this.send(siteId, stage, { key, value: messages.advertise(siteId) });
      case "share":
        return this.send(siteId, stage, { key, value: messages.share(siteId) });
      case "upload":
        return this.#upload(siteId, plan, messages);
      case "confirm":
        return this.send(siteId, stage, { key, value: messages.confirm(siteId) });
      case "unmask":
        return this.send(siteId, stage, { key, value: messages.reveals() });
    }
  }

  /** The site's signature under a vector of the plan. */
  sealOf(siteId: string, vector: Uint8Array): Uint8Array {
    return this.#messages(this.plan, {}).seal(siteId, vector);
  }

  #messages(plan: { readonly body: Uint8Array }, lists: Lists): AttemptMessages {
    const { dimension, lanes, key } = parsed<RoundPlan>(plan.body);
    const state = this.parts.queue.driverOf(key)?.state;
    const known = state !== undefined && "advertisers" in state ? state : {};
    return new AttemptMessages({ body: plan.body, words: dimension + lanes.length }, { ...known, ...lists });
  }

  /** Some sites' parts in a stage, at once. */
  all(stage: StageName, of: readonly string[] = sites, how: Acting = {}) {
    return Promise.all(of.map((site) => this.act(site, stage, how)));
  }

  async playRound(): Promise<Outcome[]> {
    let outcomes: Outcome[] = [];
    for (const stage of stageNames) outcomes = await this.all(stage);
    await settle();
    return outcomes;
  }

  async uploadsStored(count: number): Promise<void> {
    while (this.parts.store.listUploads(keyOf(this.plan)).length < count) await settle();
  }

  async #upload(siteId: string, plan: { readonly body: Uint8Array }, messages: AttemptMessages): Promise<Outcome> {
    const { submissions } = this.parts;
    const { key, dimension, lanes } = parsed<RoundPlan>(plan.body);
    const start = await submissions.beginUpload(key, siteId, dimension + lanes.length);
    if (start.kind === "answered") return start.outcome;
    if (start.kind === "compare") return submissions.repeatUpload(key, siteId, start.stored.sha256, signal);
    const vector = messages.vector(siteId);
    await start.writer.write(vector);
    const signature = messages.seal(siteId, vector);
    return submissions.finishUpload({ key, siteId, signature, signal }, start.writer);
  }
}
