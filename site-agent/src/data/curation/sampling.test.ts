import { randomFor } from "@consilium/shared/random.js";
import { describe, expect, it } from "vitest";
import { CuratedOrder, type CuratedOrderOptions } from "./sampling.js";
import { type ItemKeys, SamplingTable } from "./sampling-table.js";

type Row = [group: number, cluster: number, slide: number, patient: number];

function keysOf(rows: readonly Row[]): ItemKeys {
  const column = (index: number) => Int32Array.from(rows, (row) => row[index]!);
  return { group: column(0), cluster: column(1), slide: column(2), patient: column(3) };
}

/** Two laboratories of 90 and 10 items; three clusters, of which the second laboratory lacks one; slides of unlike size. */
const rows: Row[] = Array.from({ length: 100 }, (_, item): Row => {
  if (item >= 90) return [1, item % 2, 20 + (item % 3), 10 + (item % 2)];
  return [0, item % 3, item < 60 ? 0 : item % 7, item % 9];
});
const weights = [1, 3, 0.5];

function chanceOf(item: number, exponent: number): number {
  const [group, cluster, slide] = rows[item]!;
  const members = rows.filter((row) => row[0] === group);
  const sizes = [90, 10].map((size) => size ** exponent);
  const present = [...new Set(members.map((row) => row[1]))].reduce((sum, one) => sum + weights[one]!, 0);
  const inCell = members.filter((row) => row[1] === cluster);
  const slides = new Set(inCell.map((row) => row[2])).size;
  const inSlide = inCell.filter((row) => row[2] === slide).length;
  return (((sizes[group]! / (sizes[0]! + sizes[1]!)) * weights[cluster]!) / present / slides) * (1 / inSlide);
}

/** Within four deviations of what the statistic is by chance. */
function expectByChance(counts: readonly number[], chances: readonly number[]): void {
  const total = counts.reduce((sum, count) => sum + count);
  const statistic = counts.reduce(
    (sum, count, at) => sum + (count - total * chances[at]!) ** 2 / (total * chances[at]!),
    0,
  );
  const freedom = counts.length - 1;
  expect(statistic).toBeLessThan(freedom + 4 * Math.sqrt(2 * freedom));
}

const order = (over: Partial<CuratedOrderOptions> = {}) =>
  new CuratedOrder({ seed: 1, siteId: "a", keys: keysOf(rows), exponent: 0.5, weights, ...over });

function counted(from: CuratedOrder, places: number): number[] {
  const counts = new Array<number>(rows.length).fill(0);
  for (let place = 0; place < places; place++) counts[from.slot(place).index]!++;
  return counts;
}

describe("CuratedOrder", () => {
  it.each([0, 0.5, 1])("draws as often as group^%d, weight, slide and patch say", (exponent) => {
    const chances = rows.map((_, item) => chanceOf(item, exponent));
    expect(chances.reduce((sum, chance) => sum + chance)).toBeCloseTo(1, 10);
    expectByChance(counted(order({ exponent }), 100_000), chances);
  });

  it("depends on seed, site and place only", () => {
    const running = order();
    const through = Array.from({ length: 350 }, (_, place) => running.slot(place));
    const fresh = order();
    expect(fresh.slot(333)).toEqual(through[333]);
    expect(fresh.slot(120)).toEqual(through[120]);
    expect(through[120]).toMatchObject({ epoch: 1, position: 20 });
    for (const over of [{ seed: 2 }, { siteId: "b" }]) {
      const other = order(over);
      expect(Array.from({ length: 350 }, (_, place) => other.slot(place))).not.toEqual(through);
    }
  });

  it("never draws what is dropped or weighs nothing", () => {
    const dropped = rows.map(([group, cluster, slide, patient], item): Row => {
      return [group, item < 5 ? -1 : cluster, slide, patient];
    });
    const counts = counted(order({ keys: keysOf(dropped), weights: [1, 0, 2] }), 5000);
    for (const [item, row] of dropped.entries()) {
      if (row[1] === -1 || row[1] === 1) expect(counts[item]).toBe(0);
      else expect(counts[item]).toBeGreaterThan(0);
    }
    expect(() => order({ weights: [0, 0, 0] })).toThrow(/curation leaves no image/);
  });

  it("takes no more of a patient in an epoch than the cap, and still fills the epoch", () => {
    for (const maxPerPatient of [1, 5, 9, 30]) {
      const capped = order({ maxPerPatient });
      expect(capped.epochLength).toBe(Math.min(100, 11 * maxPerPatient));
      for (const epoch of [0, 1]) {
        const perPatient = new Array<number>(12).fill(0);
        for (let position = 0; position < capped.epochLength; position++) {
          const slot = capped.slot(epoch * capped.epochLength + position);
          expect(slot.epoch).toBe(epoch);
          perPatient[rows[slot.index]![3]]!++;
        }
        expect(Math.max(...perPatient)).toBeLessThanOrEqual(maxPerPatient);
      }
    }
  });

  it("holds a million items", () => {
    const million = Array.from({ length: 4 }, () => new Int32Array(1_000_000)) as [
      Int32Array,
      Int32Array,
      Int32Array,
      Int32Array,
    ];
    const random = randomFor("million");
    for (let item = 0; item < 1_000_000; item++) {
      for (const [index, most] of [30, 9, 2000, 1500].entries()) million[index]![item] = random.integer(most);
    }
    const [group, cluster, slide, patient] = million;
    const large = order({
      keys: { group, cluster, slide, patient },
      weights: new Float64Array(9).fill(1),
      maxPerPatient: 900,
    });
    expect(large.epochLength).toBe(1_000_000);
    expect(large.slot(1_234_567)).toMatchObject({ epoch: 1, position: 234_567 });
  });
});

describe("SamplingTable", () => {
  it("says what share of draws each cluster of each group gets", () => {
    const shares = new SamplingTable(keysOf(rows), { exponent: 0.5, weights }).shares();
    expect(shares).toHaveLength(5);
    for (const { group, cluster, items, share } of shares) {
      const members = [...rows.keys()].filter((item) => rows[item]![0] === group && rows[item]![1] === cluster);
      expect(items).toBe(members.length);
      expect(share).toBeCloseTo(
        members.reduce((sum, item) => sum + chanceOf(item, 0.5), 0),
        12,
      );
    }
  });
});
