import { beforeEach, describe, expect, it } from "vitest";
import { type AdmissionCounts, admissionLimits, type Turn, UploadAdmission } from "./upload-admission.js";

const never = () => new AbortController().signal;
const siteNames = Array.from({ length: 40 }, (_, index) => `site-${index}`);

let counts: AdmissionCounts;
let most: number;
let admission: UploadAdmission;

beforeEach(() => {
  most = 0;
  admission = new UploadAdmission(admissionLimits, (now) => {
    counts = now;
    most = Math.max(most, now.received);
  });
});

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Enters, and notes when it is its turn. */
function enter(siteId: string, signal = never()) {
  const call: { turn?: Turn; code?: string } = {};
  admission.enter(siteId, signal).then(
    (turn) => {
      call.turn = turn;
    },
    (thrown: { code?: string; name: string }) => {
      call.code = thrown.code ?? thrown.name;
    },
  );
  return call;
}

describe("UploadAdmission", () => {
  it("lets forty sites through, never more at once than it may, and each of them once", async () => {
    const done: string[] = [];
    const work = siteNames.map(async (siteId, index) => {
      const turn = await admission.enter(siteId, never());
      await new Promise((resolve) => setTimeout(resolve, 1 + (index % 7)));
      done.push(siteId);
      turn.end();
      turn.end();
    });
    await Promise.all(work);
    expect(done.toSorted()).toEqual(siteNames.toSorted());
    expect(most).toBe(32);
    expect(counts).toEqual({ received: 0, waiting: 0 });
  });

  it("has a site that hangs keep one place, and no other site waits for it", async () => {
    const greedy = Array.from({ length: 6 }, () => enter("greedy"));
    await settled();
    expect(greedy.map(({ code }) => code)).toEqual([
      ...[undefined, undefined, undefined, undefined],
      ...["overloaded", "overloaded"],
    ]);
    const others = siteNames.slice(0, 31).map((siteId) => enter(siteId));
    await settled();
    // Its three older ones gave way; the newest goes on.
    expect(greedy.map(({ turn }) => turn?.signal.aborted)).toEqual([true, true, true, false, undefined, undefined]);
    expect(others.every(({ turn }) => turn?.signal.aborted === false)).toBe(true);
    expect(counts).toEqual({ received: 32, waiting: 0 });
  });

  it("takes a site's first upload before another one's second", async () => {
    const running = siteNames.slice(0, 32).map((siteId) => enter(siteId));
    const second = enter("site-0");
    const first = enter("site-39");
    await settled();
    expect([first.turn, second.turn]).toEqual([undefined, undefined]);
    running[5]!.turn!.end();
    await settled();
    expect(first.turn).toBeDefined();
    expect(second.turn).toBeUndefined();
    running[6]!.turn!.end();
    await settled();
    expect(second.turn).toBeDefined();
  });

  it("tells those to come again that even the queue has no room for", async () => {
    const names = Array.from({ length: 65 }, (_, index) => `site-${index}`);
    const calls = names.map((siteId) => enter(siteId));
    await settled();
    expect(counts).toEqual({ received: 32, waiting: 32 });
    expect(calls.filter(({ code }) => code === "overloaded")).toEqual([calls[64]]);
  });

  it("forgets who hangs up while it waits", async () => {
    for (const siteId of siteNames.slice(0, 32)) enter(siteId);
    const gone = new AbortController();
    const waiting = enter("site-39", gone.signal);
    await settled();
    expect(counts.waiting).toBe(1);
    gone.abort();
    await settled();
    expect(counts.waiting).toBe(0);
    expect(waiting.code).toBe("AbortedError");
    expect(enter("late", gone.signal).turn).toBeUndefined();
  });
});
