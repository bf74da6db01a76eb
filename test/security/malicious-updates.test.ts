import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { brokenTrainer, realParticipant } from "../support/broken-site.js";
import { HostileFederation } from "../support/hostile-federation.js";
import {
  beginParts,
  dropsCounted,
  dropsNoted,
  finish,
  playOut,
  type Ready,
  readyToUpload,
} from "../support/hostile-rounds.js";
import { requireKind, type Tampering } from "../support/hostile-site.js";

/**
 * Masks hide what a site sends, so that what no honest site would send shows in the sum alone, if at all: then no model is
 * made of it. Within the bounds of a run a site can send what it likes.
 */

const names = ["east", "north", "south", "west"];
const l2Clip = 0.01;
let federation: HostileFederation;

beforeAll(async () => {
  federation = await HostileFederation.start(names);
}, 60_000);
afterEach(() => federation.stopRuns());
afterAll(() => federation.stop(), 20_000);

const launch = (more: object = {}) => federation.launch({ aggregation: { l2Clip }, ...more });
const checkpointOf = async (runId: string) =>
  (await federation.admin("researcher").getRun(runId)).summary.checkpointDigest;

/** The others' part until the end, beside an upload that is what a test makes of it. */
async function finishBeside(ready: readonly Ready[], upload: (first: Ready) => Promise<unknown>): Promise<void> {
  const [first, ...rest] = ready;
  const others = Promise.allSettled([finish(rest)]);
  const survivors = requireKind((await upload(first!)) as Parameters<typeof requireKind>[0], "survivors");
  await first!.part.unmask(await first!.part.confirm(survivors)).catch(() => undefined);
  await others;
}

/** The run pauses for this reason with the model that it had, and another run of honest sites goes through. */
async function expectRejected(runId: string, before: string, reason: string): Promise<void> {
  const said = await federation.paused(runId);
  expect(said).toContain("the sum of round 1 is not taken over, and the model stays as it was");
  expect(said).toContain(reason);
  expect(await checkpointOf(runId)).toBe(before);
  expect(
    federation.logged.filter(({ event, fields }) => event === "aggregation-failed" && fields["runId"] === runId),
  ).toMatchObject([{ fields: { code: "aggregate-invalid" } }]);
  const next = await launch();
  for (const outcome of await playOut(await beginParts(federation, next)))
    expect(outcome).toMatchObject({ kind: "result", cohort: names });
}

describe("an update that no honest training gives", () => {
  it("K: an update of 1e38 is scaled down at its site to the run's norm, and the round closes with it", async () => {
    const runId = await launch();
    const [bad, ...good] = await beginParts(federation, runId);
    const directory = mkdtempSync(join(tmpdir(), "huge-update-"));
    const participant = realParticipant(bad!.site, { directory, trainer: brokenTrainer(1e38) });
    await participant.receive({ kind: "plan", received: await bad!.site.planOf(runId) });
    for (const outcome of await playOut(good)) expect(outcome).toMatchObject({ kind: "result", cohort: names });
    await participant.stop();
    const record = await federation.committed(runId);
    expect(record.figures["aggregateNorm"]).toBeGreaterThan(0);
    expect(record.figures["aggregateNorm"]).toBeLessThan(l2Clip);
    rmSync(directory, { recursive: true, force: true });
  });

  it.each([
    ["of 1e38", 1e38],
    ["a million times the norm of an honest one", 1e-4 * 1e6],
  ])(
    "K: an update %s by a site that does not scale it makes no model: the run pauses, the others are told",
    async (_, value) => {
      const runId = await launch();
      const before = await checkpointOf(runId);
      const ready = await readyToUpload(await beginParts(federation, runId));
      await finishBeside(ready, ({ part, delivered }) => part.upload(part.maskedUnscaled(delivered.delivered, value)));
      await expectRejected(runId, before, "the cohort's mean update has norm");
    },
  );

  it("K: a weight of 2^31 makes no model: the run pauses, the others are told", async () => {
    const runId = await launch();
    const before = await checkpointOf(runId);
    const ready = await readyToUpload(await beginParts(federation, runId));
    await finishBeside(ready, ({ part, delivered }) => {
      const masked = part.masked(delivered.delivered);
      const { dimension, lanes } = part.received.plan;
      const chunks = heavier(dimension + lanes.indexOf("weight"));
      return part.uploadTampered(masked, { chunks, seal: masked.seal.bind(masked) });
    });
    await expectRejected(runId, before, "weight lane");
  });
});

/** 2^31 more in one word. */
function heavier(word: number): NonNullable<Tampering["chunks"]> {
  return async function* (right) {
    let first = 0;
    for await (const chunk of right) {
      const bytes = Buffer.from(chunk);
      const at = 4 * word - first;
      if (at >= 0 && at < bytes.length) bytes.writeUInt32LE((bytes.readUInt32LE(at) ^ 0x8000_0000) >>> 0, at);
      first += bytes.length;
      yield bytes;
    }
  };
}

describe("what belongs to another attempt or another list", () => {
  async function* replayed(vector: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < vector.length; at += 2 ** 18) yield vector.subarray(at, at + 2 ** 18);
  }

  /** A round in which the first site keeps its masked vector and its signature. */
  async function firstRound(runId: string) {
    const ready = await readyToUpload(await beginParts(federation, runId));
    const [east] = ready;
    const masked = east!.part.masked(east!.delivered.delivered);
    const vector: Uint8Array[] = [];
    for await (const chunk of masked.chunks()) vector.push(Uint8Array.from(chunk));
    let seal: Uint8Array = new Uint8Array(64);
    await finishBeside(ready, ({ part }) =>
      part.uploadTampered(masked, {
        seal: (sha256) => {
          seal = masked.seal(sha256);
          return seal;
        },
      }),
    );
    return { vector: Buffer.concat(vector), seal };
  }

  it("K: a masked vector of an earlier attempt under its old signature drops who sends it, and the others close the round", async () => {
    const before = await dropsCounted(federation, "bad-signature");
    const runId = await launch({ rounds: 2 });
    const { vector, seal } = await firstRound(runId);
    const [east, ...rest] = await readyToUpload(await beginParts(federation, runId, { round: 2 }));
    const masked = east!.part.masked(east!.delivered.delivered);
    const again = east!.part.uploadTampered(masked, { chunks: () => replayed(vector), seal: () => seal });
    await expect(again).rejects.toMatchObject({ code: "update-invalid" });
    for (const outcome of await finish(rest)) expect(outcome).toMatchObject({ kind: "result", cohort: names.slice(1) });
    expect(dropsNoted(federation, runId)).toEqual([{ siteId: "east", reason: "bad-signature" }]);
    expect(await dropsCounted(federation, "bad-signature")).toBe(before + 1);
  });

  it("K: a masked vector of an earlier attempt under a new signature is noise in the sum, and makes no model", async () => {
    const runId = await launch({ rounds: 2 });
    const { vector } = await firstRound(runId);
    const model = (await federation.committed(runId)).checkpointDigest;
    const ready = await readyToUpload(await beginParts(federation, runId, { round: 2 }));
    await finishBeside(ready, ({ part, delivered }) => {
      const masked = part.masked(delivered.delivered);
      return part.uploadTampered(masked, { chunks: () => replayed(vector), seal: masked.seal.bind(masked) });
    });
    expect(await federation.paused(runId)).toContain("the sum of round 2 is not taken over");
    expect(await checkpointOf(runId)).toBe(model);
  });

  it("K: a signature under another list of survivors drops who sends it, and the sum opens without it", async () => {
    const before = await dropsCounted(federation, "bad-signature");
    const runId = await launch();
    const ready = await readyToUpload(await beginParts(federation, runId));
    const uploaded = ready.map(async ({ part, delivered }) =>
      requireKind(await part.upload(part.masked(delivered.delivered)), "survivors"),
    );
    const survivors = await Promise.all(uploaded);
    const [east, ...rest] = ready.map(({ part }) => part);
    const other = { ...survivors[0]!, uploads: survivors[0]!.uploads.slice(0, 3) };
    const signature = east!.session.confirm(other.uploads);
    await expect(east!.send({ stage: "confirm", signature })).rejects.toMatchObject({ code: "update-invalid" });
    const confirmed = await Promise.all(rest.map((part, i) => part.confirm(survivors[i + 1]!)));
    for (const outcome of await Promise.all(rest.map((part, i) => part.unmask(confirmed[i]!))))
      expect(outcome).toMatchObject({ kind: "result", cohort: names });
    expect(dropsNoted(federation, runId)).toEqual([{ siteId: "east", reason: "bad-signature" }]);
    expect(await dropsCounted(federation, "bad-signature")).toBe(before + 1);
  });
});
