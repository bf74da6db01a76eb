import { describe, expect, it } from "vitest";
import { dataSettingsSchema } from "./data-settings.js";
import { itemListOf } from "./index/item-list.js";
import { patientsOf } from "./patients.js";
import { unnamedGroup } from "./source.js";

const settings = dataSettingsSchema.parse({ path: "/images" });
const items = (...groups: (string | undefined)[]) =>
  itemListOf(groups.map((group, i) => ({ id: `${i}.png`, stamp: "1", ...(group === undefined ? {} : { group }) })));
const images = (patients: ReturnType<typeof patientsOf>) => patients.images.map((own) => [...own]);

describe("patientsOf", () => {
  it("takes all images of a group as one patient", () => {
    expect(images(patientsOf({ items: items("a", "b", "a", "c", "a"), settings }))).toEqual([[0, 2, 4], [1], [3]]);
  });

  it("keeps no more images of a patient than the site allows", () => {
    expect(images(patientsOf({ items: items("a", "b", "a", "a"), settings, mostImages: 2 }))).toEqual([[0, 2], [1]]);
  });

  it.each([
    ["no group", undefined],
    ["an empty group", ""],
    ["a slide or volume that names nobody", unnamedGroup("slide.svs")],
  ])("refuses an image with %s", (_name, group) => {
    expect(() => patientsOf({ items: items("a", group), settings })).toThrow(/does not say whose it is/);
  });

  it("takes each image as a patient where the site says so", () => {
    const each = { ...settings, patients: "each-image" as const };
    expect(images(patientsOf({ items: items(undefined, "a", "a"), settings: each }))).toEqual([[0], [1], [2]]);
  });
});
