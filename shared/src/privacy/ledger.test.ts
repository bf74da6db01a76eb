import { describe, expect, it } from "vitest";
import {
  charge,
  type LedgerEntry,
  openLedger,
  parseLedger,
  serializeLedger,
  spent,
  spentByLoss,
  withBudget,
} from "./ledger.js";
import { epsilonFromRdp, rdpCurve } from "./rdp.js";

const opened = openLedger({ dataSet: "cxr", unit: "patient", budget: { epsilon: 8, delta: 1e-5 } });

function gaussian(id: string, steps: number, noiseMultiplier = 1.5): LedgerEntry {
  return { id, mechanism: "sampled-gaussian", noiseMultiplier, samplingRate: 0.04, steps, orderGrid: 1 };
}

const skellam: LedgerEntry = {
  id: "run-2/1/0",
  mechanism: "skellam",
  noiseMultiplier: 50,
  scale: 2 ** 16,
  dimension: 1e5,
  steps: 1,
  orderGrid: 1,
};

describe("what is spent", () => {
  it("is nothing at first", () => {
    expect(spent(opened).epsilon).toBe(0);
    expect(spentByLoss(opened)).toBe(0);
  });

  it("is that of one long run, however it was cut", () => {
    const cut = [500, 750, 1000].reduce((ledger, steps, i) => charge(ledger, gaussian(`r/${i}`, steps)), opened);
    expect(spent(cut).epsilon).toBeCloseTo(7.32911117143, 8);
    expect(spent(cut).order).toBe(3.9);
    expect(spentByLoss(cut)).toBeCloseTo(6.768787, 3);
  });

  it("is known at once for a history of thousands of releases", () => {
    const entries = Array.from({ length: 5000 }, (_, i) => gaussian(`r/${i}`, 1));
    const started = performance.now();
    expect(spent({ budget: opened.budget, entries })).toEqual(
      spent({ budget: opened.budget, entries: [gaussian("r", 5000)] }),
    );
    expect(performance.now() - started).toBeLessThan(5000);
  });

  it("grows with every entry, of either mechanism", () => {
    const one = charge(opened, gaussian("r/1", 10));
    const two = charge(one, skellam);
    const three = charge(two, gaussian("r/3", 1, 100));
    const costs = [one, two, three].map((ledger) => spent(ledger).epsilon);
    expect(costs[1]).toBeGreaterThan(costs[0]!);
    expect(costs[2]).toBeGreaterThan(costs[1]!);
    expect(spentByLoss(two)).toBeUndefined();
  });
});

describe("charging", () => {
  it("refuses what would exceed the budget, with the figures, and changes nothing", () => {
    const ledger = charge(opened, gaussian("r/1", 2250));
    expect(() => charge(ledger, gaussian("r/2", 500))).toThrow(
      /from ε 7\.329 to 8\.\d+ at δ 0\.00001, over the budget/,
    );
    expect(ledger.entries).toHaveLength(1);
    expect(charge(ledger, gaussian("r/2", 10)).entries).toHaveLength(2);
  });

  it("allows a release that spends the budget exactly", () => {
    const { epsilon } = epsilonFromRdp(rdpCurve({ noiseMultiplier: 1.5, samplingRate: 0.04, steps: 10 }), 1e-5);
    const exact = openLedger({ dataSet: "cxr", unit: "patient", budget: { epsilon, delta: 1e-5 } });
    expect(spent(charge(exact, gaussian("r/1", 10))).epsilon).toBe(epsilon);
  });

  it("does not charge the same release twice, nor another under its id", () => {
    const ledger = charge(opened, gaussian("r/1", 100));
    expect(charge(ledger, gaussian("r/1", 100))).toBe(ledger);
    expect(() => charge(ledger, gaussian("r/1", 101))).toThrow("charged with other settings");
  });

  it("stops for good under a budget that is spent already", () => {
    const ledger = withBudget(charge(opened, gaussian("r/1", 2250)), { epsilon: 5, delta: 1e-5 });
    expect(() => charge(ledger, gaussian("r/2", 1, 1000))).toThrow("over the budget of 5");
    expect(ledger.entries).toHaveLength(1);
  });

  it.each([
    [{ steps: 0 }, "steps"],
    [{ steps: 2.5 }, "steps"],
    [{ noiseMultiplier: 0 }, "noiseMultiplier"],
    [{ noiseMultiplier: Number.NaN }, "noiseMultiplier"],
    [{ samplingRate: 1.2 }, "samplingRate"],
    [{ id: "" }, "id"],
    [{ id: "a b" }, "id"],
  ])("refuses an entry with %j", (part, member) => {
    const entry = { ...gaussian("r/1", 10), ...part } as LedgerEntry;
    expect(() => charge(opened, entry)).toThrow(`privacy ledger, ${member}`);
  });

  it.each([
    { epsilon: 0, delta: 1e-5 },
    { epsilon: Number.POSITIVE_INFINITY, delta: 1e-5 },
    { epsilon: 1, delta: 1 },
  ])("refuses the budget %j", (budget) => {
    expect(() => openLedger({ dataSet: "cxr", unit: "patient", budget })).toThrow("privacy ledger, budget");
  });
});

describe("the written ledger", () => {
  const ledger = charge(charge(opened, gaussian("r/1", 100)), skellam);

  it("has one form and is read back whole", () => {
    const text = serializeLedger(ledger);
    expect(parseLedger(text)).toEqual(ledger);
    expect(serializeLedger(parseLedger(text))).toBe(text);
    expect(text).toMatch(/^\{"budget":\{"delta":0\.00001,"epsilon":8\},"dataSet":"cxr","entries":\[\{"id":"r\/1",/);
  });

  it("holds what was done and no ε but the budget's", () => {
    expect(serializeLedger(ledger).match(/epsilon/g)).toHaveLength(1);
  });

  it.each([
    ["", "nothing"],
    [serializeLedger(ledger).slice(0, -1), "a torn end"],
    [` ${serializeLedger(ledger)}`, "white space"],
    [serializeLedger(ledger).replace('"version":1', '"version":2'), "another version"],
    [serializeLedger(ledger).replace('"steps":100', '"steps":-100'), "negative steps"],
    [serializeLedger(ledger).replace('"orderGrid":1', '"orderGrid":9'), "an unknown grid"],
    [serializeLedger(ledger).replace('"unit"', '"extra":1,"unit"'), "an unknown member"],
    [serializeLedger({ ...ledger, entries: [skellam, skellam] }), "an entry twice"],
    ["null", "no object"],
  ])("is refused with damage: %#", (text) => {
    expect(() => parseLedger(text)).toThrow("damaged or from another version");
  });
});
