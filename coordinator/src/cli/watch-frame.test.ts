import { describe, expect, it } from "vitest";
import { roundProgress, roundRecord, runDetail, runSummary } from "./test-surroundings.js";
import { runTimeLeftMs, shareDone, watchFrame } from "./watch-frame.js";

const configJson = JSON.stringify({
  name: "derm",
  modality: "dermatology",
  model: { architecture: "vit-nano" },
  method: { name: "simclr" },
  optimizer: { learningRate: 0.001 },
  training: { stepsPerRound: 50 },
  rounds: 4,
});

const sites = [
  { siteId: "hospital-a", phase: "training", reason: "", stepsDone: 25, uploadedBytes: 0 },
  { siteId: "hospital-b", phase: "refused", reason: "policy: methods", stepsDone: 0, uploadedBytes: 0 },
];

const inRound3 = runDetail({
  configJson,
  summary: runSummary({ roundsDone: 2, lastLoss: 3 }),
  history: [roundRecord(1), roundRecord(2)],
  current: roundProgress({
    round: 3,
    attempt: 2,
    startedAtMs: 1000,
    deadlineMs: 61_000,
    waitingFor: "hospital-c, which is not attached",
    sites,
  }),
});

describe("watchFrame", () => {
  it("pictures the run, its round, its sites and what it waits for", () => {
    const { lines } = watchFrame(inRound3, { nowMs: 1000, seenRounds: 0 });
    expect(lines).toEqual([
      "derm  simclr on vit-nano  r-1",
      "███████████████░░░░░░░░░  61 %  2 of 4 rounds, about 20 s left",
      "status   running",
      "now      round 3: training, attempt 2, at most 1 min 00 s more",
      "waiting  hospital-c, which is not attached",
      "loss     █▁  4.000 → 3.000",
      "sent     6.0 MiB masked",
      "",
      "SITE        PHASE     STEPS  SENT  REASON",
      "hospital-a  training  25/50     –",
      "hospital-b  refused    0/50     –  policy: methods",
    ]);
  });

  it("says in a log what is new since watching began, and why somebody is missing", () => {
    const { summary } = watchFrame(inRound3, { nowMs: 1000, seenRounds: 1 });
    expect(summary).toEqual([
      "round 2 of 4 done: loss 3.000, 300 images, 3.0 MiB, 10 s; about 20 s left",
      "round 3 (attempt 2): training",
      "round 3 (attempt 2): waiting for hospital-c, which is not attached",
      "round 3 (attempt 2): hospital-b refused: policy: methods",
      "run derm (r-1) is running",
    ]);
  });

  it("shows the figures of the newest round, in a log those of every round", () => {
    const figures = { featureSpread: 0.61, effectiveRank: 14.23, cosine: 0.4 };
    const history = [roundRecord(1), roundRecord(2, { figures })];
    const { lines, summary } = watchFrame({ ...inRound3, history }, { nowMs: 1000, seenRounds: 0 });
    expect(lines).toContain("figures  spread 0.61, rank 14.2, cosine 0.4");
    expect(summary[1]).toBe(
      "round 2 of 4 done: loss 3.000, 300 images, 3.0 MiB, 10 s; spread 0.61, rank 14.2, cosine 0.4; about 20 s left",
    );
  });

  it("does not change a log line with the time of day", () => {
    const at = (nowMs: number) => watchFrame(inRound3, { nowMs, seenRounds: 0 }).summary;
    expect(at(9_000_000)).toEqual(at(1000));
  });

  it("makes do without a round and with a configuration it cannot read", () => {
    const { lines } = watchFrame(runDetail({ configJson: "?", current: roundProgress({ sites }) }), {
      nowMs: 0,
      seenRounds: 0,
    });
    expect(lines).toContain("loss    after the first round");
    expect(lines.at(-2)).toBe("hospital-a  training     25     –");
  });
});

describe("time left", () => {
  it("is what the rounds to come will take", () => expect(runTimeLeftMs(inRound3, 5000)).toBe(16_000));
  it("is not counted below the rounds after this one", () => expect(runTimeLeftMs(inRound3, 1_000_000)).toBe(10_000));
  it("is unknown before the first round is done", () => expect(runTimeLeftMs(runDetail(), 0)).toBeUndefined());
});

describe("shareDone", () => {
  it("does not count a round twice that was just committed", () => {
    const current = roundProgress({ round: 2, stage: "committed", sites });
    const detail = runDetail({
      configJson,
      summary: runSummary({ roundsDone: 2 }),
      history: [roundRecord(1), roundRecord(2)],
      current,
    });
    expect(shareDone(detail)).toBe(0.5);
    expect(watchFrame(detail, { nowMs: 0, seenRounds: 2 }).summary).toEqual(["run derm (r-1) is running"]);
  });

  it("counts the steps of sites that still take part", () => expect(shareDone(inRound3)).toBeCloseTo((2 + 0.45) / 4));
  it("is whole for a completed run", () => {
    expect(shareDone(runDetail({ summary: runSummary({ status: "completed", roundsDone: 4 }) }))).toBe(1);
  });
});
