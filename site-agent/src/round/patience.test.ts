import { ManualClock } from "@consilium/shared/clock.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { describe, expect, it } from "vitest";
import { type Patience, persistently } from "./patience.js";

const unreachable = () => new ConsiliumError("unreachable", "no answer");

function surroundings() {
  const clock = new ManualClock();
  const said: string[] = [];
  const patience: Patience = {
    clock,
    backoff: { initialMs: 1000, maxMs: 4000, random: () => 1 },
    onUnreachable: () => said.push("unreachable"),
    onReached: () => said.push("reached"),
  };
  const signal = new AbortController();
  return { clock, said, patience, signal };
}

/** Lets promises settle, moving time along until the call ends. */
async function passTime(clock: ManualClock, until: Promise<unknown>): Promise<void> {
  let over = false;
  const ended = () => {
    over = true;
  };
  until.then(ended, ended);
  while (!over) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(500);
  }
}

describe("persistently", () => {
  it("repeats a call until the coordinator is back", async () => {
    const { clock, said, patience, signal } = surroundings();
    let calls = 0;
    const call = async () => {
      if (++calls < 4) throw unreachable();
      return "answer";
    };
    const answer = persistently(call, { patienceMs: 60_000, signal: signal.signal }, patience);
    await passTime(clock, answer);
    expect(await answer).toBe("answer");
    expect(said).toEqual(["unreachable", "unreachable", "unreachable", "reached"]);
  });

  it("gives up when patience is over", async () => {
    const { clock, patience, signal } = surroundings();
    const answer = persistently(
      () => Promise.reject(unreachable()),
      { patienceMs: 10_000, signal: signal.signal },
      patience,
    );
    await passTime(clock, answer);
    await expect(answer).rejects.toMatchObject({ code: "unreachable" });
    expect(clock.now()).toBeLessThanOrEqual(12_000);
  });

  it("does not repeat what was answered", async () => {
    const { patience, signal } = surroundings();
    let calls = 0;
    const call = async () => {
      calls++;
      throw new ConsiliumError("message-conflict", "another message came first");
    };
    const answer = persistently(call, { patienceMs: 10_000, signal: signal.signal }, patience);
    await expect(answer).rejects.toMatchObject({ code: "message-conflict" });
    expect(calls).toBe(1);
  });

  it("ends when it is no longer wanted", async () => {
    const { patience, signal } = surroundings();
    const answer = persistently(
      () => Promise.reject(unreachable()),
      { patienceMs: 10_000, signal: signal.signal },
      patience,
    );
    await new Promise((resolve) => setImmediate(resolve));
    signal.abort();
    await expect(answer).rejects.toBeInstanceOf(AbortedError);
  });
});
