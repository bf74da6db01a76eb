import { describe, expect, it } from "vitest";
import { itemListOf } from "./index/item-list.js";
import { Quarantine } from "./quarantine.js";
import type { SourceItem } from "./source.js";

const items = (count: number, stamp = "1"): SourceItem[] =>
  Array.from({ length: count }, (_, index) => ({ id: `${index}`, stamp }));

describe("Quarantine", () => {
  it("holds an image until its file changes", () => {
    const listed = items(10);
    const quarantine = new Quarantine(0.5);
    quarantine.begin(itemListOf(listed));
    quarantine.add(listed[3]!, "damaged");
    quarantine.begin(itemListOf(listed));
    expect(quarantine.holds(listed[3]!)).toBe(true);
    const changed = { ...listed[3]!, stamp: "2" };
    expect(quarantine.holds(changed)).toBe(false);
    quarantine.begin(itemListOf(listed.with(3, changed)));
    expect(quarantine.size).toBe(0);
  });

  it("tries again in the next round what may have come back", () => {
    const listed = items(10);
    const quarantine = new Quarantine(0.5);
    quarantine.begin(itemListOf(listed));
    quarantine.add(listed[3]!, "missing");
    quarantine.add(listed[4]!, "truncated");
    expect(quarantine.counts()).toEqual({ missing: 1, truncated: 1 });
    quarantine.begin(itemListOf(listed));
    expect(quarantine.counts()).toEqual({ truncated: 1 });
  });

  it("gives up beyond the share, naming counts and reasons", () => {
    const listed = items(10);
    const quarantine = new Quarantine(0.2);
    quarantine.begin(itemListOf(listed));
    quarantine.noteReadable();
    quarantine.add(listed[0]!, "damaged");
    quarantine.add(listed[1]!, "damaged");
    expect(() => quarantine.add(listed[2]!, "empty")).toThrow("3 of 10 images cannot be read: 2 damaged, 1 empty");
    expect(() => quarantine.begin(itemListOf(listed))).toThrow(/3 of 10/);
  });

  it("gives up when all are unreadable even if every share is allowed", () => {
    const listed = items(2);
    const quarantine = new Quarantine(1);
    quarantine.begin(itemListOf(listed));
    quarantine.noteReadable();
    quarantine.add(listed[0]!, "empty");
    expect(() => quarantine.add(listed[1]!, "empty")).toThrow(/2 of 2/);
  });

  it("does not read a large folder to its end when nothing in it can be read", () => {
    const listed = items(10_000);
    const quarantine = new Quarantine(0.2);
    quarantine.begin(itemListOf(listed));
    for (const item of listed.slice(0, 63)) quarantine.add(item, "unsupported-format");
    expect(() => quarantine.add(listed[63]!, "unsupported-format")).toThrow(/64 of 10000/);
  });

  it("counts what was known to be unreadable before", () => {
    const quarantine = new Quarantine(0.2);
    quarantine.begin(itemListOf(items(9), { damaged: 1 }));
    expect([quarantine.size, quarantine.counts()]).toEqual([1, { damaged: 1 }]);
    quarantine.noteReadable();
    quarantine.add(items(9)[0]!, "empty");
    expect(() => quarantine.add(items(9)[1]!, "damaged")).toThrow("3 of 10 images cannot be read: 2 damaged, 1 empty");
  });
});
