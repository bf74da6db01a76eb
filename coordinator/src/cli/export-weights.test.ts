import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { WeightsChunk, WeightsRequest } from "../rpc/admin-types.js";
import { downloadCheckpoint } from "./export-weights.js";
import { roundRecord, runDetail, runSummary, temporaryFolder } from "./test-surroundings.js";

const weights = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
const digest = createHash("sha256").update(weights).digest("hex");

function chunk(from: number, to: number): WeightsChunk {
  return { offset: from, data: weights.subarray(from, to) };
}

function download(
  chunks: readonly WeightsChunk[],
  change: { round?: number; detail?: ReturnType<typeof runDetail> } = {},
) {
  const outDirectory = join(temporaryFolder(), "weights");
  const asked: WeightsRequest[] = [];
  const seen: number[] = [];
  const admin = {
    async *fetchWeights(request: WeightsRequest) {
      asked.push(request);
      yield* chunks;
    },
  };
  const detail =
    change.detail ?? runDetail({ history: [roundRecord(1), roundRecord(2, { checkpointDigest: digest })] });
  const result = downloadCheckpoint({
    admin,
    detail,
    round: change.round,
    outDirectory,
    signal: new AbortController().signal,
    onBytes: (bytes) => seen.push(bytes),
  });
  return { result, outDirectory, asked, seen };
}

describe("downloadCheckpoint", () => {
  it("writes the newest round's checkpoint and nothing else", async () => {
    const { result, outDirectory, asked, seen } = download([chunk(0, 400), chunk(400, 1000)]);
    const path = join(outDirectory, "checkpoint.safetensors");
    expect(await result).toEqual({ path, digest, bytes: 1000, round: 2 });
    expect(new Uint8Array(readFileSync(path))).toEqual(weights);
    expect(readdirSync(outDirectory)).toEqual(["checkpoint.safetensors"]);
    expect(asked).toEqual([{ runId: "r-1", round: 2 }]);
    expect(seen).toEqual([400, 1000]);
  });

  it("ignores bytes that came before", async () => {
    const { result } = download([chunk(0, 400), chunk(100, 600), chunk(0, 50), chunk(600, 1000)]);
    expect((await result).bytes).toBe(1000);
  });

  it.each([
    ["changed bytes", [{ offset: 0, data: weights.map((byte) => byte ^ 1) }]],
    ["an end that is missing", [chunk(0, 999)]],
    ["a hole", [chunk(0, 400), chunk(401, 1000)]],
    ["nothing", []],
  ])("leaves no file behind for %s", async (_, chunks) => {
    const { result, outDirectory } = download(chunks);
    await expect(result).rejects.toMatchObject({ code: "digest-mismatch" });
    expect(readdirSync(outDirectory)).toEqual([]);
  });

  it("keeps the file of an earlier export when this one fails", async () => {
    const first = download([chunk(0, 1000)]);
    const { path } = await first.result;
    writeFileSync(path, "earlier");
    const admin = {
      async *fetchWeights() {
        yield chunk(0, 10);
      },
    };
    const again = downloadCheckpoint({
      admin,
      detail: runDetail({ history: [roundRecord(2, { checkpointDigest: digest })] }),
      round: undefined,
      outDirectory: first.outDirectory,
      signal: new AbortController().signal,
      onBytes: () => {},
    });
    await expect(again).rejects.toMatchObject({ code: "digest-mismatch" });
    expect(readFileSync(path, "utf8")).toBe("earlier");
  });

  it("fetches what the run began with before its first round", async () => {
    const detail = runDetail({ summary: runSummary({ checkpointDigest: digest }) });
    const { result, asked } = download([chunk(0, 1000)], { detail });
    expect((await result).round).toBe(0);
    expect(asked).toEqual([{ runId: "r-1", round: 0 }]);
  });

  it("fetches what the run began with when asked for round 0", async () => {
    const detail = runDetail({ history: [roundRecord(1, { parentDigest: digest }), roundRecord(2)] });
    const { result, asked } = download([chunk(0, 1000)], { detail, round: 0 });
    expect((await result).digest).toBe(digest);
    expect(asked).toEqual([{ runId: "r-1", round: 0 }]);
  });

  it("names the last round when the one asked for is not there", async () => {
    const { result } = download([], { round: 7 });
    await expect(result).rejects.toMatchObject({ code: "not-found", remedy: "its last committed round is 2" });
  });
});
