import { ManualClock } from "@consilium/shared/clock.js";
import { AbortedError, ConsiliumError } from "@consilium/shared/errors.js";
import { describe, expect, it } from "vitest";
import { stayAttached } from "./attachment.js";
import type { Directive } from "./round/coordinator.js";

const heartbeat: Directive = { kind: "heartbeat", sentAtMs: 0 };

/** Each connection says its directives and then ends with its error, or stays open until it is cut. */
type Connection = { readonly says: readonly Directive[]; readonly ends: Error | "stays" };

function surroundings(connections: Connection[], isLasting: (code: string) => boolean = () => false) {
  const clock = new ManualClock();
  const log: string[] = [];
  const stopping = new AbortController();
  let detach = () => {};
  let lasting = false;
  const done = stayAttached({
    coordinator: {
      async *attach(signal) {
        log.push("attach");
        const { says, ends } = connections.shift() ?? { says: [], ends: "stays" };
        yield* says;
        if (ends !== "stays") throw ends;
        await new Promise((_, reject) => signal.addEventListener("abort", () => reject(new AbortedError())));
      },
    },
    receive: async ({ kind }) => void log.push(kind),
    reachability: {
      reached: () => log.push("reached"),
      failed({ code }) {
        log.push(code);
        lasting = isLasting(code);
      },
      get lasting() {
        return lasting;
      },
    },
    rest: () => void log.push("rest"),
    onAttached: (attached) => log.push(attached ? "attached" : "detached"),
    onConnection: (end) => {
      detach = end;
    },
    clock,
    backoff: { initialMs: 1000, maxMs: 4000, random: () => 1 },
    signal: stopping.signal,
  });
  return { clock, log, done, stopping, detach: () => detach() };
}

const settle = async () => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

describe("stayAttached", () => {
  it("connects again after growing pauses until the coordinator answers", async () => {
    const refused = { says: [], ends: new ConsiliumError("unreachable", "nothing listens") };
    const { clock, log, done, stopping } = surroundings([
      refused,
      refused,
      refused,
      { says: [heartbeat], ends: "stays" },
    ]);
    for (const pauseMs of [1000, 2000, 4000]) {
      await settle();
      const before = log.length;
      clock.advance(pauseMs - 1);
      await settle();
      expect(log).toHaveLength(before);
      clock.advance(1);
    }
    await settle();
    expect(log.slice(-4)).toEqual(["attach", "reached", "attached", "heartbeat"]);
    stopping.abort();
    await done;
    expect(log.at(-1)).toBe("detached");
  });

  it("lets go of a connection on which nothing is said, from the start or any more, and makes another", async () => {
    const dumb = { says: [], ends: "stays" } as const;
    const fallsSilent = { says: [heartbeat], ends: "stays" } as const;
    const { clock, log, done, stopping } = surroundings([dumb, fallsSilent, { says: [heartbeat], ends: "stays" }]);
    const gone = ["unreachable", "rest", "detached"];
    const spoken = ["attach", "reached", "attached", "heartbeat"];
    await settle();
    clock.advance(59_999);
    await settle();
    expect(log).toEqual(["attach"]);
    clock.advance(1);
    await settle();
    expect(log).toEqual(["attach", ...gone]);
    clock.advance(1000);
    await settle();
    expect(log).toEqual(["attach", ...gone, ...spoken]);
    clock.advance(60_000);
    await settle();
    clock.advance(1000);
    await settle();
    expect(log).toEqual(["attach", ...gone, ...spoken, ...gone, ...spoken]);
    stopping.abort();
    await done;
  });

  it("begins with short pauses again after a connection that worked", async () => {
    const cut = { says: [heartbeat], ends: new ConsiliumError("unreachable", "cut") };
    const { clock, log, done, stopping } = surroundings([cut, cut, cut]);
    for (let connection = 0; connection < 3; connection++) {
      await settle();
      clock.advance(1000);
    }
    await settle();
    expect(log.filter((line) => line === "attach")).toHaveLength(4);
    stopping.abort();
    await done;
  });

  it("lets go of a connection that it was shut out from, and looks again ten minutes later", async () => {
    const revoked = { says: [], ends: new ConsiliumError("certificate-refused", "revoked") };
    const { clock, log, done, stopping } = surroundings([revoked], (code) => code === "certificate-refused");
    await settle();
    expect(log).toEqual(["attach", "certificate-refused", "detached", "rest"]);
    clock.advance(599_999);
    await settle();
    expect(log).toHaveLength(4);
    clock.advance(1);
    await settle();
    expect(log.at(-1)).toBe("attach");
    stopping.abort();
    await done;
  });

  it("attaches anew when asked to, and says nothing about it", async () => {
    const { clock, log, done, stopping, detach } = surroundings([{ says: [heartbeat], ends: "stays" }]);
    await settle();
    detach();
    await settle();
    clock.advance(1000);
    await settle();
    expect(log).toEqual(["attach", "reached", "attached", "heartbeat", "detached", "attach"]);
    stopping.abort();
    await done;
  });
});
