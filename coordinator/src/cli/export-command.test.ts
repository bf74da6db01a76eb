import { createHash } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { describe, expect, it } from "vitest";
import type { Admin } from "../rpc/admin-types.js";
import type { ExportEncoder } from "./encoder-exporter.js";
import { runCommandLine } from "./program.js";
import {
  profileFolder,
  roundRecord,
  runDetail,
  runSummary,
  temporaryFolder,
  testSurroundings,
} from "./test-surroundings.js";

const weights = new TextEncoder().encode("weights");
const digest = createHash("sha256").update(weights).digest("hex");

const admin: Partial<Admin> = {
  listRuns: async () => [runSummary()],
  getRun: async () => runDetail({ history: [roundRecord(3, { checkpointDigest: digest })] }),
  async *fetchWeights() {
    yield { offset: 0, data: weights };
  },
};

const adminOfClusters: Partial<Admin> = {
  ...admin,
  getRun: async () =>
    runDetail({ summary: runSummary({ method: "clusters" }), history: [roundRecord(3, { checkpointDigest: digest })] }),
};

async function exportRun(findEncoderExporter: () => ExportEncoder, ...parameters: string[]) {
  return exportFrom(admin, findEncoderExporter, ...parameters);
}

async function exportFrom(served: Partial<Admin>, findEncoderExporter: () => ExportEncoder, ...parameters: string[]) {
  const out = join(temporaryFolder(), "weights");
  const test = testSurroundings({ admin: served, findEncoderExporter, env: { CONSILIUM_PROFILE: profileFolder() } });
  const exitCode = await runCommandLine(["run", "export", "derm", "--out", out, ...parameters], test.surroundings, "0");
  return { out, exitCode, stdout: test.stdout(), stderr: test.stderr() };
}

const writing =
  (): ExportEncoder =>
  async ({ outDirectory }) => {
    for (const name of ["encoder.safetensors", "encoder.onnx"]) writeFileSync(join(outDirectory, name), "");
  };

const notInstalled = (): ExportEncoder => {
  throw new ConsiliumError("config-missing", "the site agent is not installed", { remedy: "install it" });
};

describe("consilium run export", () => {
  it("names a folder that it cannot write into", async () => {
    const file = join(temporaryFolder(), "file");
    writeFileSync(file, "");
    const { exitCode, stderr } = await exportRun(writing, "--out", file);
    expect(exitCode).toBe(2);
    expect(stderr).toBe(
      `error: ${file}: cannot be written (EEXIST)\n  → name a folder that you may write into with --out\n`,
    );
  });

  it("writes the checkpoint and the encoder and says where they are", async () => {
    const { out, exitCode, stdout } = await exportRun(writing);
    expect(exitCode).toBe(0);
    expect(stdout.split("\n")).toEqual([
      "run         r-1 (derm)",
      "round       3",
      `checkpoint  ${join(out, "checkpoint.safetensors")} (7 B)`,
      `digest      ${digest}`,
      `encoder     ${join(out, "encoder.safetensors")}`,
      `encoder     ${join(out, "encoder.onnx")}`,
      "",
    ]);
  });

  it("writes the clusters of a run that has such, whatever else lies in the folder", async () => {
    const exporter = (): ExportEncoder => async (request) => {
      await writing()(request);
      writeFileSync(join(request.outDirectory, "clusters.json"), "");
    };
    const { out, exitCode, stdout } = await exportFrom(adminOfClusters, exporter, "--json");
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ encoder: [], clusters: [join(out, "clusters.json")] });
  });

  it("needs no site agent with --no-onnx", async () => {
    const { out, exitCode, stdout } = await exportRun(notInstalled, "--no-onnx", "--json");
    expect(exitCode).toBe(0);
    const path = join(out, "checkpoint.safetensors");
    expect(JSON.parse(stdout)).toEqual({ runId: "r-1", round: 3, path, digest, bytes: 7, encoder: [] });
  });

  it("says that the site agent is missing before it fetches anything", async () => {
    const { out, exitCode, stderr } = await exportRun(notInstalled);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 2,
      stderr: "error: the site agent is not installed\n  → install it\n",
    });
    expect(existsSync(out)).toBe(false);
  });

  it("ends with 4 for a round that is not there", async () => {
    expect((await exportRun(writing, "--round", "9")).exitCode).toBe(4);
  });
});
