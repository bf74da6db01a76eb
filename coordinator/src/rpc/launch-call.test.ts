import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import type { LaunchPart } from "@consilium/shared/rpc/gen/admin.js";
import { beforeEach, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { runFile, TestFederation } from "../round/test-federation.js";
import { receiveLaunch } from "./launch-call.js";
import { launchParts } from "./launch-parts.js";

const source = "ab".repeat(32);
const configYaml = runFile(1);
const layout = checkpointLayout(runConfigSchema.parse(parse(configYaml)));
const vector = Float32Array.from({ length: layout.dimension }, (_, index) => Math.sin(index));

let federation: TestFederation;
beforeEach(() => {
  federation = new TestFederation();
  return () => federation.remove();
});

async function* stream<T>(...items: T[]): AsyncGenerator<T> {
  yield* items;
}

const launch = (parts: AsyncIterable<LaunchPart>) =>
  receiveLaunch(federation.parts.queue, parts, "fed://demo/researcher/r1");
/** Blocks of other sizes than tensors and chunks have. */
const blocks = () => stream(vector.subarray(0, 7), vector.subarray(7, 100_007), vector.subarray(100_007));
const whole = (values = blocks(), requestId = "r") =>
  launchParts({ requestId, configYaml, sourceSha256: source, values });

const header: LaunchPart = {
  part: { $case: "header", value: { requestId: "r", configYaml, sourceSha256: source } },
};
const bytesOf = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
const values = (offset: number, data: Buffer): LaunchPart => ({ part: { $case: "values", value: { offset, data } } });
const seal = (of: Buffer): LaunchPart => ({
  part: { $case: "seal", value: { sha256: createHash("sha256").update(of).digest() } },
});
const all = bytesOf(vector);
const checkpoints = () => readdirSync(join(federation.home, "checkpoints"));

describe("receiveLaunch()", () => {
  it("makes round 0 of what was sent, and names the file that it came from", async () => {
    const { runId, checkpointDigest } = await launch(whole());
    const { tensors, metadata } = await readSafetensors(
      join(federation.home, "checkpoints", `${checkpointDigest}.safetensors`),
    );
    expect(metadata).toMatchObject({ warmStart: source, method: "simclr" });
    for (const { name, offset, size } of layout.parameters) {
      const stored = tensors.get(name)?.data ?? new Float32Array();
      expect(bytesOf(stored).equals(bytesOf(vector.subarray(offset, offset + size)))).toBe(true);
    }
    expect(federation.parts.queue.checkpointOf(runId, 0)).toBe(checkpointDigest);
  });

  it("gives a repeated request its run without reading the values again", async () => {
    const { runId } = await launch(whole());
    const again = await launch(stream(header));
    expect(again.runId).toBe(runId);
    expect(checkpoints()).toHaveLength(1);
  });

  it("names the line of a wrong run file before it reads values", async () => {
    const wrong = { requestId: "r", configYaml: "name: x\nbogus: 1\n", sourceSha256: source };
    const parts = stream<LaunchPart>({ part: { $case: "header", value: wrong } });
    await expect(launch(parts)).rejects.toMatchObject({
      code: "config-invalid",
      message: expect.stringMatching(/:2:/),
    });
  });

  const other = Buffer.from(all);
  other[5] = (other[5] ?? 0) ^ 1;
  const infinite = Float32Array.from(vector);
  infinite[1234] = Number.NEGATIVE_INFINITY;
  const chunked = (bytes: Buffer) => [values(0, bytes.subarray(0, 400)), values(400, bytes.subarray(400))];

  const refused: readonly [string, string, readonly LaunchPart[]][] = [
    ["nothing", "update-invalid", []],
    ["no header", "update-invalid", chunked(all)],
    ["no digest of the source", "update-invalid", [withSource("A".repeat(64))]],
    ["no seal", "update-invalid", [header, ...chunked(all)]],
    ["too few values", "update-invalid", [header, values(0, all.subarray(4)), seal(all.subarray(4))]],
    ["too many values", "update-invalid", [header, ...chunked(all), values(all.length, Buffer.alloc(4)), seal(all)]],
    ["a gap", "update-invalid", [header, values(0, all.subarray(0, 400)), values(404, all.subarray(404)), seal(all)]],
    ["a stretch twice", "update-invalid", [header, values(0, all.subarray(0, 400)), values(0, all), seal(all)]],
    [
      "a value in two parts",
      "update-invalid",
      [header, values(0, all.subarray(0, 6)), values(6, all.subarray(6)), seal(all)],
    ],
    ["another header", "update-invalid", [header, header]],
    ["parts after the seal", "update-invalid", [header, ...chunked(all), seal(all), seal(all)]],
    ["other bytes than sealed", "digest-mismatch", [header, ...chunked(other), seal(all)]],
    ["a value that is not finite", "not-finite", [header, ...chunked(bytesOf(infinite)), seal(bytesOf(infinite))]],
  ];

  function withSource(sourceSha256: string): LaunchPart {
    return { part: { $case: "header", value: { requestId: "r", configYaml, sourceSha256 } } };
  }

  it.each(refused)("refuses %s, and keeps nothing", async (_, code, parts) => {
    await expect(launch(stream(...parts))).rejects.toMatchObject({ code });
    expect(checkpoints()).toEqual([]);
    expect(federation.parts.queue.list()).toEqual([]);
  });

  it("keeps nothing when the caller goes away, and takes the same request again", async () => {
    async function* broken(): AsyncGenerator<LaunchPart> {
      yield header;
      yield values(0, all.subarray(0, 400));
      throw new Error("gone");
    }
    await expect(launch(broken())).rejects.toThrow("gone");
    expect(checkpoints()).toEqual([]);
    expect((await launch(whole())).status).toBe("running");
  });
});
