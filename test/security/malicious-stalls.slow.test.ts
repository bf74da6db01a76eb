import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { HostileFederation } from "../support/hostile-federation.js";
import {
  beginParts,
  dropsCounted,
  finish,
  playOut,
  readyToUpload,
  rejectedCalls,
  untilUnmask,
} from "../support/hostile-rounds.js";

const names = ["east", "north", "south", "west"];
const others = names.slice(1);
/** Stages that the tests let run out, long enough for honest sites on a busy machine. */
const shortStages = { deadlines: { trainingSeconds: 60, stageSeconds: 5 } };

let federation: HostileFederation;
beforeAll(async () => {
  federation = await HostileFederation.start(names);
}, 60_000);
afterEach(() => federation.stopRuns());
afterAll(() => federation.stop(), 20_000);

const begin = (runId: string) => beginParts(federation, runId);

describe("a site that lets stages run out", () => {
  it("K: a site that never unmasks costs a stage's window, and the sum opens without it", async () => {
    const before = await dropsCounted(federation, "deadline");
    const runId = await federation.launch(shortStages);
    const { parts, confirmed } = await untilUnmask(await begin(runId));
    await Promise.all(parts.slice(1).map((part) => part.unmask(confirmed)));
    expect((await federation.committed(runId)).cohort).toEqual(names);
    expect(await dropsCounted(federation, "deadline")).toBe(before + 1);
  }, 60_000);

  it("K: a site that stalls three stages in a row is left out until it attaches anew", async () => {
    const runId = await federation.launch({ rounds: 4, ...shortStages });
    for (const round of [1, 2, 3]) {
      const parts = await beginParts(federation, runId, { round });
      const adverts = await Promise.all(parts.map((part) => part.advertise()));
      const rest = parts.slice(1);
      const delivered = await Promise.all(rest.map((part, i) => part.share(adverts[i + 1]!)));
      await finish(rest.map((part, i) => ({ part, delivered: delivered[i]! })));
      expect((await federation.committed(runId, round)).cohort).toEqual(others);
    }
    const [, ...honest] = federation.sites;
    await playOut(await Promise.all(honest.map((site) => site.begin(runId, { round: 4 }))));
    expect(await federation.committed(runId, 4)).toMatchObject({ cohort: others, dropped: [] });
  }, 90_000);

  it("K: a site that never advertises costs two training windows, then sits a round out, also when it attaches anew", async () => {
    const runId = await federation.launch({ rounds: 4, deadlines: { trainingSeconds: 10, stageSeconds: 10 } });
    const [east, ...honest] = federation.sites;
    const playRound = async (round: number) => {
      await playOut(await Promise.all(honest.map((site) => site.begin(runId, { round }))));
      return federation.committed(runId, round);
    };
    for (const round of [1, 2]) {
      expect(await playRound(round)).toMatchObject({
        cohort: others,
        dropped: [{ siteId: "east", reason: "deadline" }],
      });
    }
    await east!.detach();
    east!.attach();
    expect(await playRound(3)).toMatchObject({ cohort: others, dropped: [] });
    await playOut(await beginParts(federation, runId, { round: 4 }));
    expect((await federation.committed(runId, 4)).cohort).toEqual(names);
  }, 90_000);

  it("K: an upload before, and one without, its shares finds no place in the sum", async () => {
    const runId = await federation.launch(shortStages);
    const parts = await begin(runId);
    const [east, ...rest] = parts;
    const noise = async function* () {
      yield new Uint8Array(4 * east!.words).fill(7);
    };
    const early = await rejectedCalls(federation, "SecAggService/Upload", "stale");
    await expect(east!.uploadRaw(noise())).rejects.toMatchObject({ code: "stale" });
    expect(await rejectedCalls(federation, "SecAggService/Upload", "stale")).toBe(early + 1);
    const adverts = await Promise.all(parts.map((part) => part.advertise()));
    const delivered = await Promise.all(rest.map((part, i) => part.share(adverts[i + 1]!)));
    expect(await east!.uploadRaw(noise())).toEqual({ kind: "dropped", reason: "deadline" });
    await finish(rest.map((part, i) => ({ part, delivered: delivered[i]! })));
    expect((await federation.committed(runId)).cohort).toEqual(others);
  }, 60_000);

  it("K: an upload after the stage closed changes nothing", async () => {
    const runId = await federation.launch(shortStages);
    const [late, ...ready] = await readyToUpload(await begin(runId));
    const outcomes = await finish(ready);
    expect(await late!.part.upload(late!.part.masked(late!.delivered.delivered))).toMatchObject({ kind: "dropped" });
    for (const outcome of outcomes) expect(outcome).toMatchObject({ kind: "result", cohort: others });
  }, 60_000);
});
