import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestFederation, type TestFederation } from "../../../test/support/identities.js";
import { startRig } from "../../../test/support/rpc-rig.js";
import { ManualClock } from "../clock.js";
import { CallBudget } from "./call-budget.js";
import { callUnary } from "./calls.js";
import { SitePhase } from "./gen/federation.js";

const limits = { callCostPerSecond: 10, callCostAtOnce: 30 };

function budgetAt(startMs: number) {
  const clock = new ManualClock(startMs);
  const budget = new CallBudget(limits, clock);
  const served = (owner: string, calls: number, cost = 1) => {
    return Array.from({ length: calls }, () => budget.take(owner, cost)).filter((isServed) => isServed).length;
  };
  return { clock, budget, served };
}

describe("CallBudget", () => {
  it("serves a burst, then what comes back with time, each caller by itself", () => {
    const { clock, served } = budgetAt(1_000);
    expect(served("site/north", 100)).toBe(30);
    expect(served("site/south", 3, 10)).toBe(3);
    clock.advance(500);
    expect(served("site/north", 100)).toBe(5);
    expect(served("site/south", 1, 10)).toBe(0);
    clock.advance(500);
    expect(served("site/south", 1, 10)).toBe(1);
    clock.advance(3_600_000);
    expect(served("site/north", 100)).toBe(30);
  });

  it("gives nothing for a clock that is set back, and goes on from there", () => {
    const { clock, served } = budgetAt(10_000);
    served("site/north", 30);
    clock.advance(-5_000);
    expect(served("site/north", 1)).toBe(0);
    clock.advance(100);
    expect(served("site/north", 100)).toBe(1);
  });

  it("says once a minute that a caller was refused", () => {
    const { clock, budget } = budgetAt(0);
    expect([budget.notes("site/north"), budget.notes("site/north"), budget.notes("site/south")]).toEqual([
      true,
      false,
      true,
    ]);
    clock.advance(60_000);
    expect(budget.notes("site/north")).toBe(true);
  });

  it("forgets callers that have all of it again once there are many", () => {
    const { clock, budget } = budgetAt(0);
    for (let number = 0; number < 4096; number++) budget.take(`site/${number}`, number === 0 ? 30 : 1);
    clock.advance(200);
    budget.take("site/new", 1);
    expect(budget.size).toBe(2);
    expect(budget.take("site/0", 30)).toBe(false);
  });
});

describe("a server", () => {
  let test: TestFederation;
  beforeAll(async () => {
    test = await createTestFederation();
  });
  afterAll(() => test.remove());

  it("refuses the calls of who has spent its budget over all connections, and counts them", async () => {
    const rig = await startRig({ test, server: { limits: { callCostPerSecond: 0.001, callCostAtOnce: 6 } } });
    try {
      const connect = async (siteId: string) => rig.connect(await test.bundle("site", siteId)).federation;
      const call = (siteId: string, federation: Awaited<ReturnType<typeof connect>>) => {
        const phase = SitePhase.TRAINING;
        const report = { key: undefined, siteId, phase, code: "", clause: "", stepsDone: 1, accused: "" };
        return callUnary(federation.report.bind(federation), report, { timeoutMs: 5_000 }).then(
          () => "answered",
          ({ code }: { code: unknown }) => code,
        );
      };
      const two = [await connect("hospital-a"), await connect("hospital-a")];
      const codes: unknown[] = [];
      for (let number = 0; number < 10; number++) codes.push(await call("hospital-a", two[number % 2]!));
      expect(codes).toEqual([...Array<string>(6).fill("answered"), ...Array<string>(4).fill("overloaded")]);
      expect(await call("hospital-b", await connect("hospital-b"))).toBe("answered");
      expect(rig.recorder.rejected.map(({ code }) => code)).toEqual(Array<string>(4).fill("overloaded"));
      const lines = rig.recorder.logged.filter(({ event }) => event === "rpc.too-many-calls");
      expect(lines.map(({ fields }) => fields["caller"])).toEqual(["site/hospital-a"]);
    } finally {
      await rig.stop();
    }
  }, 60_000);
});
