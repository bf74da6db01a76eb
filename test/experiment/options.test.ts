import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { methodNames } from "@consilium/shared/config/method-config.js";
import { describe, expect, it } from "vitest";
import { datasetPath } from "./datasets.js";
import { parseOptions } from "./options.js";

describe("parseOptions", () => {
  it("runs every method for a quarter of an hour unless told otherwise", () => {
    expect(parseOptions(["methods"])).toMatchObject({
      ...{
        dataset: "derm",
        methods: methodNames,
        minutes: 15,
        seeds: [1],
        threads: 2,
        device: "cpu",
        floors: true,
        json: false,
      },
      ...{ steps: undefined, out: undefined },
    });
  });

  it("takes lists and numbers", () => {
    const args =
      "methods --data pcam --methods dino,mae --minutes 2.5 --seeds 1,2,3 --steps 40 --threads 1 --device webgpu --json";
    expect(parseOptions([...args.split(" "), "--out", "runs.jsonl", "--no-floors", "--data-root", "images"])).toEqual({
      ...{ dataset: "pcam", root: "images", methods: ["dino", "mae"], minutes: 2.5, seeds: [1, 2, 3], steps: 40 },
      ...{ threads: 1, device: "webgpu", floors: false, json: true, out: "runs.jsonl" },
    });
  });

  it.each([[[]], [["methods", "--help"]]])("shows the usage for %j", (args) => {
    expect(parseOptions(args)).toBeUndefined();
  });

  it.each([
    [["sites"], /'methods'/],
    [["methods", "--data", "chest"], /--data chest: use derm, pcam/],
    [["methods", "--methods", "mae,moco"], /--methods moco: use simclr, /],
    [["methods", "--minutes", "0"], /--minutes 0/],
    [["methods", "--seeds", "1,,2"], /--seeds/],
    [["methods", "--threads", "1.5"], /--threads 1.5/],
    [["methods", "--epochs", "3"], /epochs/],
  ])("refuses %j", (args, message) => {
    expect(() => parseOptions(args)).toThrow(message);
  });
});

describe("datasetPath", () => {
  it("finds a folder by its labels, and says what is missing", () => {
    const root = mkdtempSync(join(tmpdir(), "experiment-data-"));
    try {
      expect(() => datasetPath(root, "pcam")).toThrow(/slides\/pcam96\/labels\.csv is not there: .*--data-root/);
      mkdirSync(join(root, "slides/pcam96"), { recursive: true });
      writeFileSync(join(root, "slides/pcam96/labels.csv"), "file,label,split\n");
      expect(datasetPath(root, "pcam")).toBe(join(root, "slides/pcam96"));
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});
