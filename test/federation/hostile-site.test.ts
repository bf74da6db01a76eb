import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deferred } from "@consilium/shared/abort.js";
import type { KeyAdvert } from "@consilium/shared/protocol.js";
import type { StageOutcome } from "@consilium/site-agent/round/coordinator.js";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { brokenTrainer, realParticipant } from "../support/broken-site.js";
import { HostileFederation } from "../support/hostile-federation.js";
import { beginParts, dropsCounted, finish, playOut, readyToUpload, rejectedCalls } from "../support/hostile-rounds.js";
import { requireKind } from "../support/hostile-site.js";

const names = ["east", "north", "south", "west"];
let federation: HostileFederation;

beforeAll(async () => {
  federation = await HostileFederation.start(names);
}, 60_000);
afterAll(() => federation.stop(), 20_000);

const begin = (runId: string) => beginParts(federation, runId);
const rejected = (method: string, code: string) => rejectedCalls(federation, method, code);
const drops = (reason: string) => dropsCounted(federation, reason);

const conflict = expect.objectContaining({ code: "message-conflict" });
const stale = expect.objectContaining({ code: "stale" });
const nothing = { shares: [], root: Buffer.alloc(32), signature: Buffer.alloc(64) };

async function* appended(right: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* right;
  yield new Uint8Array(4);
}

async function* cut(right: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of right) yield chunk.subarray(0, chunk.length - 4);
}

describe("a masked vector of the wrong length", () => {
  it.each([
    ["says so in its header", { words: (right: number) => right + 1 }],
    ["is longer than its header says", { chunks: appended }],
    ["is shorter than its header says", { chunks: cut }],
  ])(
    "K: a masked vector of the wrong length that %s drops exactly its site, and the round closes with the rest",
    async (_, tampering) => {
      const [dropsBefore, rejectedBefore] = [
        await drops("wrong-length"),
        await rejected("SecAggService/Upload", "update-invalid"),
      ];
      const runId = await federation.launch();
      const [bad, ...good] = await readyToUpload(await begin(runId));
      const masked = bad!.part.masked(bad!.delivered.delivered);
      await expect(bad!.part.uploadTampered(masked, tampering)).rejects.toMatchObject({ code: "update-invalid" });
      expect(await bad!.part.upload(masked)).toMatchObject({ kind: "dropped", reason: "wrong-length" });
      for (const outcome of await finish(good))
        expect(outcome).toMatchObject({ kind: "result", cohort: names.slice(1) });
      const record = await federation.committed(runId);
      expect(record.cohort).toEqual(names.slice(1));
      expect(record.dropped).toMatchObject([{ siteId: "east", reason: "wrong-length" }]);
      expect(await drops("wrong-length")).toBe(dropsBefore + 1);
      expect(await rejected("SecAggService/Upload", "update-invalid")).toBe(rejectedBefore + 1);
    },
  );
});

describe("an update that is not finite", () => {
  it.each([Number.NaN, Number.POSITIVE_INFINITY])(
    "K: an update of %d never leaves its site, and the others close the round",
    async (value) => {
      const before = await drops("not-finite");
      const runId = await federation.launch();
      const [bad, ...good] = await begin(runId);
      const directory = mkdtempSync(join(tmpdir(), "broken-site-"));
      const participant = realParticipant(bad!.site, { directory, trainer: brokenTrainer(value) });
      await participant.receive({ kind: "plan", received: await bad!.site.planOf(runId) });
      for (const outcome of await playOut(good)) expect(outcome).toMatchObject({ kind: "result" });
      expect(participant.state).toMatchObject({ kind: "failed", code: "not-finite" });
      await participant.stop();
      const record = await federation.committed(runId);
      expect(record.cohort).toEqual(names.slice(1));
      expect(record.dropped).toMatchObject([{ siteId: "east", reason: "not-finite" }]);
      expect(await drops("not-finite")).toBe(before + 1);
      rmSync(directory, { recursive: true, force: true });
    },
  );
});

describe("a call that is repeated", () => {
  it("gets the same answer in every stage, and other bytes are a conflict that costs nobody the round", async () => {
    const runId = await federation.launch();
    const [odd, ...rest] = await begin(runId);

    /** While its stage is open: the same call again waits for the same answer, other bytes are refused. */
    async function twice<Kind extends StageOutcome["kind"]>(
      stage: { phase: string; answer: Kind; first: () => Promise<StageOutcome>; other: () => Promise<StageOutcome> },
      others: () => Promise<unknown>,
    ) {
      const { first, other, answer } = stage;
      const waiting = Promise.all([first(), first()]);
      await federation.siteReaches(runId, { siteId: odd!.site.siteId, phase: stage.phase });
      await expect(other()).rejects.toEqual(conflict);
      await Promise.all([waiting, others()]);
      const [one, again] = await waiting;
      expect(again).toEqual(one);
      expect(await first()).toEqual(one);
      return requireKind(one, answer);
    }

    const impostor = odd!.newSession();
    const adverting = () => odd!.send({ stage: "advertise", advertisement: impostor.advertise() });
    const advertised = await twice(
      { phase: "ready", answer: "advertised", first: () => odd!.advertise(), other: adverting },
      () => Promise.all(rest.map((part) => part.advertise())),
    );
    await expect(adverting()).rejects.toEqual(conflict);

    const sealed = odd!.session.share(advertised.advertised);
    const bent = { ...sealed, root: Buffer.from(sealed.root).fill(0) };
    const deliveries = rest.map(() => deferredDelivery());
    const delivered = await twice(
      {
        phase: "shared",
        answer: "delivered",
        first: () => odd!.send({ stage: "share", sealed }),
        other: () => odd!.send({ stage: "share", sealed: bent }),
      },
      () => Promise.all(rest.map(async (part, i) => deliveries[i]!.resolve(await part.share(advertised)))),
    );

    const masked = odd!.masked(delivered.delivered);
    const survivors = await twice(
      {
        phase: "uploaded",
        answer: "survivors",
        first: () => odd!.upload(masked),
        other: () => odd!.uploadTampered(masked, { chunks: inverted }),
      },
      () =>
        Promise.all(rest.map(async (part, i) => part.upload(part.masked((await deliveries[i]!.promise).delivered)))),
    );

    const signature = odd!.session.confirm(survivors.uploads);
    const confirmed = await twice(
      {
        phase: "confirmed",
        answer: "confirmed",
        first: () => odd!.send({ stage: "confirm", signature }),
        other: () => odd!.send({ stage: "confirm", signature: Buffer.alloc(64) }),
      },
      () => Promise.all(rest.map((part) => part.confirm(survivors))),
    );

    const reveals = odd!.session.reveal(confirmed.signatures);
    const result = await twice(
      {
        phase: "unmasked",
        answer: "result",
        first: () => odd!.send({ stage: "unmask", reveals }),
        other: () => odd!.send({ stage: "unmask", reveals: [...reveals].reverse() }),
      },
      () => Promise.all(rest.map((part) => part.unmask(confirmed))),
    );
    expect(result.cohort).toEqual(names);
    expect((await federation.committed(runId)).cohort).toEqual(names);
    expect(await rejected("SecAggService/Exchange", "message-conflict")).toBe(5);
    expect(await rejected("SecAggService/Upload", "message-conflict")).toBe(1);
  });
});

const deferredDelivery = () => deferred<Extract<StageOutcome, { kind: "delivered" }>>();

async function* inverted(right: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const chunk of right) yield chunk.map((byte) => byte ^ 0xff);
}

describe("a call that does not belong", () => {
  it("K: a call that does not belong is refused with a code: another site's name, a stage that is not open, an attempt that is not there", async () => {
    const notOwn = expect.objectContaining({ code: "not-authorised" });
    const unauthorisedBefore = await rejected("SecAggService/Exchange", "not-authorised");
    const staleBefore = await rejected("SecAggService/Exchange", "stale");
    const runId = await federation.launch();
    const parts = await begin(runId);
    const [east, north] = parts;
    const advertisement = east!.session.advertise();
    const { client } = north!.site;
    const call = { key: east!.key, timeoutMs: 10_000, signal: new AbortController().signal };

    // East's message over north's connection.
    const thief = north!.site.clientAs("east");
    await expect(thief.exchange({ stage: "advertise", advertisement }, call)).rejects.toEqual(notOwn);
    const report = {
      key: east!.key,
      phase: "failed",
      code: "not-finite",
      clause: "",
      stepsDone: 0,
      accused: "",
    } as const;
    await expect(thief.report(report, call.signal)).rejects.toEqual(notOwn);
    await expect(thief.attach(call.signal)[Symbol.asyncIterator]().next()).rejects.toEqual(notOwn);

    await expect(east!.send({ stage: "share", sealed: nothing })).rejects.toEqual(stale);
    await expect(east!.send({ stage: "unmask", reveals: [] })).rejects.toEqual(stale);
    for (const key of [
      { ...east!.key, runId: "no-such-run" },
      { ...east!.key, attempt: 2 },
      { ...east!.key, round: 0 },
    ]) {
      await expect(east!.send({ stage: "advertise", advertisement }, key)).rejects.toEqual(stale);
      const digest = new Uint8Array(32);
      const fetching = client.fetchCheckpoint({ key, digest, offset: 0, signal: call.signal });
      await expect(fetching[Symbol.asyncIterator]().next()).rejects.toMatchObject({
        code: key.round === 0 ? "stale" : "not-found",
      });
    }
    expect(await rejected("SecAggService/Exchange", "not-authorised")).toBe(unauthorisedBefore + 1);
    expect(await rejected("FederationService/Report", "not-authorised")).toBe(1);
    expect(await rejected("FederationService/Attach", "not-authorised")).toBe(1);
    expect(await rejected("FederationService/FetchCheckpoint", "not-found")).toBe(2);
    expect(await rejected("SecAggService/Exchange", "stale")).toBe(staleBefore + 5);

    for (const outcome of await playOut(parts)) expect(outcome).toMatchObject({ kind: "result", cohort: names });
    expect(await east!.send({ stage: "advertise", advertisement })).toMatchObject({ kind: "result" });
  });

  it("K: an advert in another site's name, or with another identity, drops who sends it", async () => {
    const before = await drops("bad-signature");
    const runId = await federation.launch();
    const [east, ...rest] = await begin(runId);
    const forged: KeyAdvert = { ...east!.session.advertise().advert, siteId: "north" };
    const advertisement = { advert: forged, aborts: [] };
    await expect(east!.send({ stage: "advertise", advertisement })).rejects.toMatchObject({ code: "update-invalid" });
    for (const outcome of await playOut(rest))
      expect(outcome).toMatchObject({ kind: "result", cohort: names.slice(1) });
    expect((await federation.committed(runId)).dropped).toMatchObject([{ siteId: "east", reason: "bad-signature" }]);
    expect(await drops("bad-signature")).toBe(before + 1);
  });

  it("K: a reveal without a share drops who sends it", async () => {
    const before = await drops("bad-message");
    const runId = await federation.launch();
    const [east, ...rest] = await readyToUpload(await begin(runId));
    const survivors = await Promise.all(
      [east!, ...rest].map(async ({ part, delivered }) =>
        requireKind(await part.upload(part.masked(delivered.delivered)), "survivors"),
      ),
    );
    const confirmed = await Promise.all([east!, ...rest].map(({ part }) => part.confirm(survivors[0]!)));
    const empty = names.map((aboutSite) => ({ aboutSite, share: undefined }));
    await expect(east!.part.sendReveals(empty)).rejects.toMatchObject({ code: "update-invalid" });
    for (const { part } of rest) void part.unmask(confirmed[0]!);
    const record = await federation.committed(runId);
    expect(record.cohort).toEqual(names);
    expect(await drops("bad-message")).toBe(before + 1);
  });
});
