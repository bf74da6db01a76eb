import { systemEntropy } from "@consilium/shared/entropy.js";
import { describe, expect, it } from "vitest";
import { dataSettingsSchema } from "./data-settings.js";
import { itemListOf } from "./index/item-list.js";
import { type PatientBatchOptions, patientBatches } from "./patient-batches.js";
import { patientsOf } from "./patients.js";
import { Quarantine } from "./quarantine.js";
import { UnreadableImage } from "./source.js";
import { LocalViewMaker } from "./view-maker.js";

/** Patient p has three images, whose only pixel is p in red and the image's number in green. */
const patients = 40;
const imagesEach = 3;
const items = itemListOf(
  Array.from({ length: patients * imagesEach }, (_, i) => ({
    id: `${i}`,
    stamp: "1",
    group: `p${Math.floor(i / imagesEach)}`,
  })),
);

function optionsWith(changes: Partial<PatientBatchOptions> = {}, unreadable: (id: number) => boolean = () => false) {
  const maker = new LocalViewMaker({
    source: {
      async read({ id }) {
        if (unreadable(Number(id))) throw new UnreadableImage(id, "damaged");
        return { width: 1, height: 1, data: Uint8Array.of(Math.floor(Number(id) / imagesEach), Number(id), 0) };
      },
      close: async () => {},
    },
    augment: ({ data }) => [Uint8Array.from(data)],
    cacheBytes: 0,
    concurrency: 2,
  });
  const quarantine = new Quarantine(1);
  quarantine.begin(items);
  return {
    ...{ items, maker, quarantine, seed: 1, siteId: "a", entropy: systemEntropy, ahead: 1, firstStep: 0 },
    patients: patientsOf({ items, settings: dataSettingsSchema.parse({ path: "/images" }) }),
    views: [{ name: "view", size: 1, channels: 3, kind: "pixels" as const }],
    ...{ samplingRate: 0.25, imagesPerPatient: 2, slots: 4 },
    ...changes,
  } satisfies PatientBatchOptions;
}

interface Slot {
  readonly patient: number;
  readonly images: readonly number[];
}

async function steps(count: number, options: PatientBatchOptions): Promise<{ slots: number; present: Slot[] }[]> {
  const taken = [];
  for await (const batch of patientBatches(options)) {
    const pixels = batch["view"]!.data;
    const present = [...batch["present"]!.data].flatMap((is, slot): Slot[] => {
      if (is === 0) return [];
      const rows = [0, 1].map((row) => 3 * (slot * options.imagesPerPatient + row));
      expect(pixels[rows[0]!]).toBe(pixels[rows[1]!]);
      return [{ patient: pixels[rows[0]!]!, images: rows.map((at) => pixels[at + 1]!) }];
    });
    taken.push({ slots: batch["present"]!.data.length, present });
    if (taken.length === count) break;
  }
  return taken;
}

describe("patientBatches", () => {
  it("draws every patient by chance of its own, in whole runs, with images of that patient alone", async () => {
    const drawn = await steps(400, optionsWith());
    const sizes = drawn.map(({ present }) => present.length);
    const mean = sizes.reduce((a, b) => a + b, 0) / 400;
    const variance = sizes.reduce((sum, size) => sum + (size - mean) ** 2, 0) / 400;
    // Binomial: 40 patients with probability 1/4. Five deviations of the mean and of the variance.
    expect(Math.abs(mean - 10)).toBeLessThan(5 * Math.sqrt(7.5 / 400));
    expect(Math.abs(variance - 7.5)).toBeLessThan(5 * 7.5 * Math.sqrt(2 / 400));
    for (const { slots, present } of drawn) {
      expect(slots).toBe(4 * Math.ceil(present.length / 4));
      expect(new Set(present.map(({ patient }) => patient)).size).toBe(present.length);
      for (const { patient, images } of present) {
        expect(images.map((image) => Math.floor(image / imagesEach))).toEqual([patient, patient]);
        expect(new Set(images).size).toBe(2);
      }
    }
    const counts = new Map<number, number>();
    for (const { present } of drawn)
      for (const { patient } of present) counts.set(patient, (counts.get(patient) ?? 0) + 1);
    expect(counts.size).toBe(patients);
  });

  it("does not draw what whoever knows the run could foretell", async () => {
    const [one, other] = [await steps(5, optionsWith()), await steps(5, optionsWith())];
    expect(one).not.toEqual(other);
  });

  it("has a step of nobody", async () => {
    const [step] = await steps(1, optionsWith({ samplingRate: 1e-9 }));
    expect(step).toEqual({ slots: 0, present: [] });
  });

  it("shows a patient with one readable image twice, and leaves out one with none", async () => {
    const unreadable = (id: number) => id === 0 || id === 1 || (id >= 3 && id < 6);
    const [step] = await steps(1, optionsWith({ samplingRate: 1 }, unreadable));
    expect(step!.present.find(({ patient }) => patient === 0)?.images).toEqual([2, 2]);
    expect(step!.present.map(({ patient }) => patient)).not.toContain(1);
    expect(step!.present).toHaveLength(patients - 1);
  });
});
