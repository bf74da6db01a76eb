import { ConsiliumError } from "@consilium/shared/errors.js";
import type { RoundKey } from "@consilium/shared/protocol.js";
import { BadShare } from "@consilium/shared/secagg/seal.js";
import { describe, expect, it } from "vitest";
import type { StageOutcome } from "./coordinator.js";
import type { ParticipantEvent, ParticipantState } from "./state.js";
import { isNews, transition } from "./transition.js";

const key: RoundKey = { runId: "run-1", round: 3, attempt: 1 };
const accepted: ParticipantEvent = { kind: "plan-accepted", key, updateReady: false, advertised: false };
const outcome = (value: StageOutcome): ParticipantEvent => ({ kind: "outcome", key, outcome: value });

const works = (effects: readonly { kind: string }[]) =>
  effects.flatMap((effect) => ("work" in effect ? [effect.work] : []));

describe("transition", () => {
  it("goes through a whole round", () => {
    const events: ParticipantEvent[] = [
      accepted,
      { kind: "fetched", key },
      { kind: "progress", key, stepsDone: 2 },
      { kind: "trained", key },
      outcome({ kind: "advertised", advertised: { adverts: [], aborts: [] } }),
      outcome({ kind: "delivered", delivered: { sharers: [], shares: [] } }),
      outcome({ kind: "survivors", uploads: [] }),
      outcome({ kind: "confirmed", signatures: [] }),
      outcome({ kind: "result", cohort: [], checkpointDigest: new Uint8Array(32) }),
    ];
    let state: ParticipantState = { kind: "idle" };
    const seen: string[] = [];
    const performed: unknown[] = [];
    for (const event of events) {
      const step = transition(state, event);
      state = step.state;
      seen.push(state.kind);
      performed.push(...works(step.effects));
    }
    expect(seen).toEqual([
      ...["fetching", "training", "training", "ready", "sharing", "uploading", "confirming", "unmasking", "done"],
    ]);
    expect(performed).toEqual(["fetch", "train", "advertise", "share", "upload", "confirm", "unmask"]);
  });

  it("goes straight to the masking when the round's update is on disk", () => {
    const step = transition({ kind: "idle" }, { ...accepted, updateReady: true });
    expect(step.state.kind).toBe("ready");
    expect(works(step.effects)).toEqual(["advertise"]);
  });

  it("takes no part in an attempt in which it lost its keys, and says so", () => {
    const step = transition({ kind: "idle" }, { ...accepted, updateReady: true, advertised: true });
    expect(step.state).toEqual({ kind: "left", key, cause: "restarted" });
    expect(works(step.effects)).toEqual([]);
    expect(step.effects).toContainEqual(
      expect.objectContaining({ kind: "report", phase: "failed", code: "attempt-aborted" }),
    );
  });

  it.each(["dropped", "aborted"] as const)("keeps the update when it is %s", (kind) => {
    const step = transition({ kind: "uploading", key }, outcome({ kind, reason: "deadline" }));
    expect(step.state).toEqual({ kind: "left", key, cause: kind });
    expect(step.effects).toEqual([{ kind: "abandon" }]);
  });

  it("forgets the update once the round is committed", () => {
    const result = outcome({ kind: "result", cohort: [], checkpointDigest: new Uint8Array(32) });
    const step = transition({ kind: "unmasking", key }, result);
    expect(step.effects).toContainEqual({ kind: "forget-update", key });
  });

  it("knows from a later plan that its sum is committed, and from nothing earlier", () => {
    const committed = { kind: "committed", key } as const;
    expect(transition({ kind: "unmasking", key }, committed).state.kind).toBe("done");
    expect(transition({ kind: "uploading", key }, committed).state.kind).toBe("uploading");
  });

  it("fails the attempt when the coordinator answers with another stage's outcome", () => {
    const step = transition({ kind: "ready", key }, outcome({ kind: "survivors", uploads: [] }));
    expect(step.state).toMatchObject({ kind: "failed", code: "plan-invalid" });
  });

  it("ends work on a withdrawn or overtaken plan", () => {
    const training: ParticipantState = { kind: "training", key, stepsDone: 1 };
    expect(transition(training, { kind: "withdrawn", key }).state).toMatchObject({ kind: "left", cause: "withdrawn" });
    const newer = { ...key, attempt: 2 };
    const step = transition(training, { ...accepted, key: newer });
    expect(step.state).toEqual({ kind: "fetching", key: newer });
    expect(step.effects[0]).toEqual({ kind: "abandon" });
  });

  it("reports refusals with their clause and failures with their code", () => {
    const refused = transition({ kind: "idle" }, { kind: "plan-refused", key, clause: "jobs.maxRounds" });
    expect(refused.effects).toContainEqual(
      expect.objectContaining({ phase: "refused", code: "policy-refused", clause: "jobs.maxRounds" }),
    );
    const error = new ConsiliumError("not-finite", "the loss is not a number");
    const failed = transition({ kind: "training", key, stepsDone: 1 }, { kind: "failed", key, error });
    expect(failed.effects).toContainEqual(expect.objectContaining({ phase: "failed", code: "not-finite" }));
  });

  it("names the author of a share that does not open", () => {
    const error = new BadShare("site-b", new Error("it was altered"));
    const { effects } = transition({ kind: "uploading", key }, { kind: "failed", key, error });
    const named = { kind: "report", phase: "failed", code: "share-invalid", accused: "site-b" };
    expect(effects).toContainEqual(expect.objectContaining(named));
  });

  it("does not change for events about another attempt", () => {
    const states: ParticipantState[] = [
      { kind: "training", key, stepsDone: 1 },
      { kind: "done", key },
      { kind: "failed", key, code: "internal" },
    ];
    const other = { ...key, attempt: 0 };
    const events: ParticipantEvent[] = [
      { kind: "withdrawn", key: other },
      { kind: "fetched", key: other },
      { kind: "progress", key: other, stepsDone: 1 },
      { kind: "trained", key: other },
      { kind: "outcome", key: other, outcome: { kind: "dropped", reason: "deadline" } },
      { ...accepted, key: other },
      { kind: "plan-refused", key: other, clause: "federation" },
    ];
    for (const state of states) {
      for (const event of events) expect(transition(state, event)).toEqual({ state, effects: [] });
    }
  });
});

describe("isNews", () => {
  it("holds for later attempts, later rounds and other runs only", () => {
    const state: ParticipantState = { kind: "left", key, cause: "dropped" };
    expect(isNews(state, key)).toBe(false);
    expect(isNews(state, { ...key, attempt: 0 })).toBe(false);
    expect(isNews(state, { ...key, attempt: 2 })).toBe(true);
    expect(isNews(state, { ...key, round: 2, attempt: 9 })).toBe(false);
    expect(isNews(state, { ...key, round: 4, attempt: 0 })).toBe(true);
    expect(isNews(state, { ...key, runId: "run-2", round: 0 })).toBe(true);
  });

  it("holds for a refused plan that comes again, since policy and hours may have changed", () => {
    expect(isNews({ kind: "refused", key, clause: "schedule.hours" }, key)).toBe(true);
  });
});
