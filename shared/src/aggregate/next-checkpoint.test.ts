import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { writeCheckpoint } from "../checkpoint/writer.js";
import { placeParameters } from "../params/layout.js";
import { readSafetensors } from "../params/safetensors.js";
import { laneNames } from "../secagg/lanes.js";
import { ringBoundOf } from "../secagg/protocol.js";
import { AggregateReader, AggregateWriter } from "./aggregate-file.js";
import { type AggregateWatch, type NextCheckpointJob, writeNextCheckpoint } from "./next-checkpoint.js";

const layout = placeParameters([
  { name: "a", shape: [2, 2], initializer: { kind: "zeros" } },
  { name: "b", shape: [3], initializer: { kind: "zeros" } },
]);
const terms = { tensorClips: [1, 0.5], weightCap: 10, lanes: [...laneNames], advertisers: 3, survivors: 2 };
const ringBound = ringBoundOf(terms.advertisers);
const unwatched: AggregateWatch = { block() {}, finish() {} };

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "consilium-next-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Two sites of full weight whose mean delta is a quarter of each tensor's clip. */
async function storeSum(): Promise<AggregateReader> {
  const writer = await AggregateWriter.begin(directory);
  const sums = Int32Array.from({ length: 7 }, () => Math.round(0.5 * ringBound));
  await writer.write(sums);
  await writer.write(Int32Array.of(20, 0, 4, 0));
  return AggregateReader.open((await writer.commit()).path);
}

async function job(changes: Partial<NextCheckpointJob> = {}): Promise<NextCheckpointJob> {
  const header = { tensors: layout.parameters, dimension: layout.dimension, metadata: {} };
  const previous = await writeCheckpoint(directory, header, [Float32Array.from({ length: 7 }, (_, i) => i)]);
  const metadataOf = ({ weight }: { weight: number }) => ({ weight: String(weight) });
  const sums = await storeSum();
  return {
    ...{ layout, terms, sums, previous, outputDirectory: directory, metadataOf, watch: unwatched },
    serverOptimizer: "fedavg",
    ...changes,
  };
}

describe("the next checkpoint", () => {
  it("is the one before plus the mean, the same bytes each time", async () => {
    const seen: number[] = [];
    const watch: AggregateWatch = {
      block: ({ first, sums, mean, next }) => void seen.push(first, sums.length, mean[0]!, next[0]!),
      finish: ({ deltaNorm }) => void seen.push(deltaNorm),
    };
    const first = await writeNextCheckpoint(await job({ watch }));
    const { tensors, metadata } = await readSafetensors(first.path);
    expect([...tensors.get("a")!.data]).toEqual([0.25, 1.25, 2.25, 3.25]);
    expect([...tensors.get("b")!.data]).toEqual([4.125, 5.125, 6.125]);
    expect(metadata).toEqual({ weight: "20" });
    const norm = Math.sqrt(4 * 0.25 ** 2 + 3 * 0.125 ** 2);
    expect(first).toMatchObject({ lanes: { weight: 20, steps: 4 }, deltaNorm: expect.closeTo(norm, 8) });
    expect(seen).toEqual([0, 7, 0.25, 0.25, first.deltaNorm]);
    expect((await writeNextCheckpoint(await job())).digest).toBe(first.digest);
  });

  it("is not stored when the watch objects, and nothing is left", async () => {
    const objecting = (watch: Partial<AggregateWatch>) => job({ watch: { ...unwatched, ...watch } });
    const refuse = () => {
      throw new Error("too far");
    };
    const before = await job();
    const files = readdirSync(directory).sort();
    await expect(writeNextCheckpoint(await objecting({ block: refuse }))).rejects.toThrow("too far");
    await expect(writeNextCheckpoint(await objecting({ finish: refuse }))).rejects.toThrow("too far");
    expect(readdirSync(directory).sort()).toEqual(files);
    const damaged = { ...before, previous: { ...before.previous, digest: "0".repeat(64) } };
    await expect(writeNextCheckpoint(damaged)).rejects.toMatchObject({ code: "digest-mismatch" });
    expect(readdirSync(directory).sort()).toEqual(files);
  });

  it("follows from no sum that honest sites cannot have made", async () => {
    const heavier = { ...terms, survivors: 1 };
    await expect(writeNextCheckpoint(await job({ terms: heavier }))).rejects.toMatchObject({
      code: "aggregate-invalid",
    });
    const fewer = { ...terms, tensorClips: [1] };
    await expect(writeNextCheckpoint(await job({ terms: fewer }))).rejects.toMatchObject({ code: "plan-invalid" });
  });
});
