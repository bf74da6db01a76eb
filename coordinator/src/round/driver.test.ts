import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@consilium/shared/clock.js";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { IdentityKey } from "@consilium/shared/identity/identity-key.js";
import { silentLogger } from "@consilium/shared/log.js";
import {
  planContext,
  type Reveal,
  type RoundKey,
  type RoundPlan,
  type SealedShare,
} from "@consilium/shared/protocol.js";
import { signAdvert } from "@consilium/shared/secagg/adverts.js";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { FinishedRound, FinishJob } from "../aggregate/finish-round.js";
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

/** The whole round machinery with fake sites: real store, spool and checkpoints, a clock that stands still. */

const runFile = (rounds: number) => `
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

const sites = ["a", "b", "c"];
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
  decodePlan: (body) => parsed<RoundPlan>(body),
  decodeAdvert: (bytes) => parsed(bytes),
  decodeShares: (bytes) => parsed(bytes),
  decodeReveals: (bytes) => parsed(bytes),
};

const identities = new Map(sites.map((site) => [site, IdentityKey.generate()]));

let home: string;
let clock: ManualClock;
let coordinator: ReturnType<typeof open>;

function open() {
  const database = openDatabase(join(home, "c.db"), clock.now());
  const siteStore = createSiteStore(database);
  const store = createRunStore(database);
  const spool = new UploadSpool(join(home, "spool"));
  const checkpoints = new CheckpointStore(join(home, "checkpoints"));
  const registry = new SiteRegistry(siteStore, clock);
  const offered: { siteId: string; body: Uint8Array }[] = [];
  const withdrawn: { siteId: string; reason: string }[] = [];
  const jobs: FinishJob[] = [];
  const dropped: string[] = [];
  const observer = {
    roundEnded() {},
    roundCommitted() {},
    cohortSelected() {},
    stageClosed() {},
    siteDropped: (reason: string) => void dropped.push(reason),
    uploadStored() {},
  };
  const queue = new RunQueue({
    ...{ store, spool, checkpoints, registry, codec, observer, clock },
    federation: "demo",
    entropy: systemEntropy,
    transport: {
      offer: (siteId, { body }) => void offered.push({ siteId, body }),
      withdraw: (siteId, { reason }) => void withdrawn.push({ siteId, reason }),
    },
    sign: () => new Uint8Array(64),
    finish: async (job) => {
      jobs.push(job);
      return finished(job, checkpoints);
    },
    log: silentLogger,
    times: { graceMs: 1_000, recoveryGraceMs: 2_000, settleMs: 500 },
    keepCheckpoints: "all",
  });
  const submissions = new Submissions({ queue, store, spool, registry, codec, observer });
  const attachments = new Map<string, Attachment>();
  const attach = (...ids: string[]) => {
    for (const id of ids)
      attachments.set(
        id,
        registry.attach(id, "1", () => {}),
      );
  };
  return {
    database,
    siteStore,
    store,
    spool,
    queue,
    submissions,
    attach,
    attachments,
    offered,
    withdrawn,
    jobs,
    dropped,
  };
}

/** Copies the parent under a digest that a round would have: what matters here is the order of things. */
async function finished(job: FinishJob, checkpoints: CheckpointStore): Promise<FinishedRound> {
  const { layout, key } = job;
  const parameters = layout.parameters.map((parameter) => ({ ...parameter }));
  const stored = await checkpoints.writeInitial(
    { ...layout, parameters, digest: new Uint8Array(32) },
    new Float32Array(layout.dimension),
    { round: String(key.round), attempt: String(key.attempt) },
  );
  return { ...stored, lanes: { weight: 30, loss: 1.5, steps: 6, clipped: 0 }, deltaNorm: 1, blamed: [] };
}

function enrolSites(database: StoreDatabase): void {
  const add = database.prepare("INSERT INTO sites (site_id, identity_key, enrolled_at_ms) VALUES (?, ?, 0)");
  for (const site of sites) add.run(site, identities.get(site)!.publicKey);
}

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "driver-"));
  clock = new ManualClock(1_000_000);
  coordinator = open();
  enrolSites(coordinator.database);
});

afterEach(() => {
  kill();
  rmSync(home, { recursive: true, force: true });
});

/** What is not on disk is gone, as after kill -9. */
function kill(): void {
  coordinator.queue.close();
  coordinator.database.close();
}

async function restart(): Promise<void> {
  kill();
  coordinator = open();
  await coordinator.queue.start();
}

const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

const keyOf = (plan: { body: Uint8Array }): RoundKey => parsed<RoundPlan>(plan.body).key;

/** Deterministic in site and key, so that a repeated call has the same bytes. */
function advertOf(siteId: string, body: Uint8Array) {
  const filled = (label: number) => new Uint8Array(32).fill(siteId.charCodeAt(0) * 3 + label);
  const fields = { siteId, maskPublicKey: filled(0), sealPublicKey: filled(1), selfCommitment: filled(2) };
  return signAdvert(planContext(body), { ...fields, nonce: filled(0) }, identities.get(siteId)!);
}

const sharesOf = (siteId: string, to: readonly string[]): SealedShare[] =>
  to.filter((site) => site !== siteId).map((toSite) => ({ fromSite: siteId, toSite, ciphertext: new Uint8Array(60) }));

const revealsOf = (sharers: readonly string[], survivors: readonly string[]): Reveal[] =>
  sharers.map((aboutSite) => ({
    aboutSite,
    share: { $case: survivors.includes(aboutSite) ? "selfShare" : "pairwiseShare", value: new Uint8Array(32).fill(1) },
  }));

type Stage = "advertise" | "share" | "unmask";
const send = (siteId: string, stage: Stage, key: RoundKey, value: unknown) =>
  coordinator.submissions.submit({ key, siteId, stage, bytes: json(value) }, signal);

async function upload(siteId: string, plan: { body: Uint8Array }): Promise<Outcome> {
  const { key, dimension, lanes } = parsed<RoundPlan>(plan.body);
  const start = await coordinator.submissions.beginUpload(key, siteId, dimension + lanes.length);
  if (start.kind === "answered") return start.outcome;
  const bytes = Buffer.alloc(4 * (dimension + lanes.length), siteId);
  if (start.kind === "compare") return coordinator.submissions.repeatUpload(key, siteId, start.stored.sha256, signal);
  await start.writer.write(bytes);
  return coordinator.submissions.finishUpload(key, siteId, start.writer, signal);
}

const lastPlan = () => coordinator.offered.at(-1)!;

type Act = (siteId: string) => Promise<Outcome>;

/** The four stages of the plan that was offered last, each as a function of the site. */
function stagesOf(plan = lastPlan(), all = sites, survivors = all): Record<Stage | "upload", Act> {
  const key = keyOf(plan);
  return {
    advertise: (site) => send(site, "advertise", key, advertOf(site, plan.body)),
    share: (site) => send(site, "share", key, sharesOf(site, all)),
    upload: (site) => upload(site, plan),
    unmask: (site) => send(site, "unmask", key, revealsOf(all, survivors)),
  };
}

const launch = async (rounds = 1) =>
  (await coordinator.queue.launch({ requestId: `request-${rounds}`, configYaml: runFile(rounds) })).runId;

async function playRound(): Promise<Outcome[]> {
  const stages = stagesOf();
  let outcomes: Outcome[] = [];
  for (const stage of ["advertise", "share", "upload", "unmask"] as const) {
    outcomes = await Promise.all(sites.map((site) => stages[stage](site)));
  }
  await settle();
  return outcomes;
}

describe("a run", () => {
  it("goes from launch to completion, with its lineage", async () => {
    const runId = await launch(2);
    expect(coordinator.queue.detail(runId).current).toMatchObject({
      stage: "selecting",
      waitingFor: "3 more sites (0 of 3 here)",
    });
    coordinator.attach(...sites);
    expect(coordinator.offered.map((offer) => offer.siteId)).toEqual(sites);
    expect((await playRound()).map((outcome) => outcome.kind)).toEqual(["result", "result", "result"]);
    expect(keyOf(lastPlan())).toMatchObject({ round: 2, attempt: 1 });
    await playRound();
    const { summary, history, current } = coordinator.queue.detail(runId);
    expect(summary).toMatchObject({ status: "completed", roundsDone: 2, lastLoss: 1.5 });
    expect(current).toBeUndefined();
    expect(history[1]!.parentDigest).toBe(history[0]!.checkpointDigest);
    expect(summary.checkpointDigest).toBe(history[1]!.checkpointDigest);
    expect(history[0]).toMatchObject({ cohort: sites, attempts: 1, weight: 30, dropped: [] });
  });

  it("waits in the queue behind the active one, and the same request is one run", async () => {
    const first = await launch(1);
    const second = await launch(2);
    expect(await launch(1)).toBe(first);
    expect(coordinator.queue.list().map((run) => run.status)).toEqual(["running", "queued"]);
    coordinator.queue.stop(first, "me");
    expect(coordinator.queue.detail(second).summary.status).toBe("running");
    expect(coordinator.queue.detail(first).summary).toMatchObject({ status: "stopped", statusReason: "stopped by me" });
  });

  it("stops in the middle, tells the sites, and goes on when resumed", async () => {
    const runId = await launch(1);
    coordinator.attach(...sites);
    const waiting = stagesOf().advertise("a");
    coordinator.queue.stop(runId, "me");
    expect(await waiting).toEqual({ kind: "aborted", reason: "stopped" });
    expect(coordinator.withdrawn.map((entry) => entry.siteId)).toEqual(sites);
    coordinator.queue.resume(runId);
    expect(keyOf(lastPlan())).toMatchObject({ round: 1, attempt: 2 });
    await playRound();
    expect(coordinator.queue.detail(runId).summary.status).toBe("completed");
  });

  it("closes the round without a site that is lost after sharing", async () => {
    const runId = await launch(1);
    coordinator.attach(...sites);
    const stages = stagesOf(lastPlan(), sites, ["a", "b"]);
    for (const stage of ["advertise", "share"] as const) await Promise.all(sites.map((site) => stages[stage](site)));
    const uploads = ["a", "b"].map((site) => stages.upload(site));
    coordinator.attachments.get("c")!.detach();
    while (coordinator.store.listUploads(keyOf(lastPlan())).length < 2) await settle();
    clock.advance(1_000);
    expect(await Promise.all(uploads)).toEqual([
      { kind: "survivors", sites: ["a", "b"] },
      { kind: "survivors", sites: ["a", "b"] },
    ]);
    await Promise.all(["a", "b"].map((site) => stages.unmask(site)));
    await settle();
    expect(coordinator.queue.detail(runId).history[0]).toMatchObject({
      cohort: ["a", "b"],
      dropped: [{ siteId: "c", phase: "dropped", reason: "detached" }],
    });
    expect(coordinator.jobs[0]).toMatchObject({ sharers: sites, survivors: ["a", "b"] });
    expect(await stages.upload("c")).toEqual({ kind: "dropped", reason: "detached" });
  });
});

describe("messages", () => {
  it("get the same outcome again, and a conflict for other bytes", async () => {
    await launch(1);
    coordinator.attach(...sites);
    const plan = lastPlan();
    const stages = stagesOf(plan);
    const first = stages.advertise("a");
    const again = stages.advertise("a");
    const other = { ...advertOf("a", plan.body), nonce: new Uint8Array(32) };
    await expect(send("a", "advertise", keyOf(plan), other)).rejects.toMatchObject({ code: "message-conflict" });
    const rest = ["b", "c"].map((site) => stages.advertise(site));
    const advertised = { kind: "advertised", advertisers: sites };
    expect(await Promise.all([first, again, ...rest])).toEqual([advertised, advertised, advertised, advertised]);
    expect(await stages.advertise("a")).toEqual(advertised);
  });

  it("before their stage, or for an unknown attempt, are stale", async () => {
    await launch(1);
    coordinator.attach(...sites);
    const stages = stagesOf();
    await expect(stages.share("a")).rejects.toMatchObject({ code: "stale" });
    await expect(send("a", "share", { runId: "none", round: 1, attempt: 1 }, [])).rejects.toMatchObject({
      code: "stale",
    });
  });

  it("that cannot be drop their site, and the others go on", async () => {
    await launch(1);
    coordinator.attach(...sites);
    const plan = lastPlan();
    const forged = { ...advertOf("b", plan.body), siteId: "a" };
    await expect(send("a", "advertise", keyOf(plan), forged)).rejects.toMatchObject({ code: "update-invalid" });
    expect(coordinator.dropped).toEqual(["bad-signature"]);
    // Two of three are too few to begin masking, so another attempt follows.
    clock.advance(1_000);
    expect(keyOf(lastPlan())).toMatchObject({ round: 1, attempt: 2 });
  });

  it("of the wrong length drop their site", async () => {
    await launch(1);
    coordinator.attach(...sites);
    const stages = stagesOf(lastPlan(), sites, ["a", "b"]);
    for (const stage of ["advertise", "share"] as const) await Promise.all(sites.map((site) => stages[stage](site)));
    const key = keyOf(lastPlan());
    await expect(coordinator.submissions.beginUpload(key, "c", 7)).rejects.toMatchObject({ code: "update-invalid" });
    expect(coordinator.dropped).toEqual(["wrong-length"]);
    const outcomes = await Promise.all(["a", "b"].map((site) => stages.upload(site)));
    expect(outcomes[0]).toEqual({ kind: "survivors", sites: ["a", "b"] });
  });
});

describe("a coordinator that dies", () => {
  it.each(["advertise", "share", "upload", "unmask"] as const)("in stage %s goes on where it was", async (stage) => {
    const runId = await launch(1);
    coordinator.attach(...sites);
    const stages = stagesOf();
    const names = ["advertise", "share", "upload", "unmask"] as const;
    for (const earlier of names.slice(0, names.indexOf(stage)))
      await Promise.all(sites.map((site) => stages[earlier](site)));
    const lost = stages[stage]("a").catch(() => undefined);
    if (stage === "upload") while (coordinator.store.listUploads(keyOf(lastPlan())).length < 1) await settle();
    else await settle();
    const plan = lastPlan();
    await restart();
    await lost;
    coordinator.attach(...sites);
    expect(coordinator.queue.planFor("a")?.body).toEqual(plan.body);
    const after = stagesOf(plan);
    for (const later of names.slice(names.indexOf(stage))) await Promise.all(sites.map((site) => after[later](site)));
    await settle();
    expect(coordinator.queue.detail(runId).summary).toMatchObject({ status: "completed", roundsDone: 1 });
  });

  it("does not lose a run that still waits, nor one between two attempts", async () => {
    const runId = await launch(1);
    await restart();
    coordinator.attach(...sites);
    clock.advance(100_000);
    expect(coordinator.queue.detail(runId).current).toMatchObject({ attempt: 2, waitingFor: "" });
    await restart();
    coordinator.attach(...sites);
    clock.advance(60_000);
    expect(keyOf(lastPlan())).toMatchObject({ round: 1, attempt: 2 });
  });

  it("and whose checkpoint was damaged meanwhile does not serve it", async () => {
    const runId = await launch(1);
    const { checkpointDigest } = coordinator.queue.detail(runId).summary;
    kill();
    rmSync(join(home, "checkpoints", `${checkpointDigest}.safetensors`));
    coordinator = open();
    await coordinator.queue.start();
    expect(coordinator.queue.detail(runId).summary.status).toBe("failed");
  });
});
