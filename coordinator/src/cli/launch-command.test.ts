import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseYaml } from "@consilium/shared/config/load-yaml.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { ConsiliumError } from "@consilium/shared/errors.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { writeSafetensors } from "@consilium/shared/params/safetensors.js";
import { describe, expect, it } from "vitest";
import type { Admin } from "../rpc/admin-types.js";
import { runCommandLine } from "./program.js";
import { profileFolder, runSummary, temporaryFolder, testSurroundings } from "./test-surroundings.js";

const configYaml = `name: derm
seed: 5
modality: dermatology
model: { architecture: vit-nano, imageSize: 32, patchSize: 8 }
method: { name: simclr }
optimizer: { learningRate: 0.001 }
rounds: 4
`;

function runFile(more = ""): string {
  const path = join(temporaryFolder(), "run.yaml");
  writeFileSync(path, configYaml + more);
  return path;
}

const config = parseYaml(configYaml, runConfigSchema, "run file");
const layout = checkpointLayout(config);

function valueAt(name: string, index: number): number {
  return Math.sin(name.length + index);
}

/** An encoder like the run's, but for some shapes. */
async function weightFile(shapes: Readonly<Record<string, readonly number[]>> = {}, prefix = ""): Promise<string> {
  const path = join(temporaryFolder(), "encoder.safetensors");
  const tensors = layout.parameters
    .filter(({ name }) => !name.startsWith("head."))
    .map((parameter) => {
      const { name } = parameter;
      const shape = shapes[name] ?? parameter.shape;
      const data = Float32Array.from({ length: sizeOf(shape) }, (_, index) => valueAt(name, index));
      return { name: prefix + name, shape, data };
    });
  await writeSafetensors(path, tensors);
  return path;
}

async function run(admin: Partial<Admin>, ...parameters: string[]) {
  const test = testSurroundings({ admin, env: { CONSILIUM_PROFILE: profileFolder() } });
  const exitCode = await runCommandLine(parameters, test.surroundings, "0");
  return { exitCode, stdout: test.stdout(), stderr: test.stderr() };
}

describe("consilium run launch --dry-run", () => {
  const privateBy = (noise: string) => {
    return `monitor: { collapse: "off" }\nprivacy: { mode: site, clip: 1, ${noise}, delta: 1.0e-5 }\n`;
  };

  it("says that a run could be launched, and what its privacy costs", async () => {
    expect(await run({}, "run", "launch", runFile(), "--dry-run")).toMatchObject({ exitCode: 0 });
    const hopeful = await run({}, "run", "launch", runFile(privateBy("noiseMultiplier: 0.001")), "--dry-run");
    expect(hopeful).toMatchObject({ exitCode: 0, stderr: "" });
    expect(hopeful.stdout).toMatch(/^privacy of each site: /);
    expect(hopeful.stdout).toMatch(/: a run that could be launched\n$/);
  });

  it("refuses as launching would where noise leaves nothing to learn, and shows the figures", async () => {
    const { exitCode, stdout, stderr } = await run({}, "run", "launch", runFile(privateBy("epsilon: 8")), "--dry-run");
    expect(exitCode).toBe(6);
    expect(stdout).toContain("noise to signal");
    expect(stdout).not.toContain("could be launched");
    expect(stderr).toContain("private training would fail");
  });
});

describe("consilium run launch --warm-start", () => {
  it("sends the file's encoder and the seed's heads, in the checkpoint's order", async () => {
    const [path, file] = [runFile(), await weightFile({}, "backbone.")];
    const sent: number[] = [];
    const facts: unknown[] = [];
    const launchRunFrom: Admin["launchRunFrom"] = async ({ values, ...rest }) => {
      facts.push(rest);
      for await (const block of values) sent.push(...block);
      return runSummary({ status: "queued" });
    };
    const { exitCode, stdout } = await run({ launchRunFrom }, "run", "launch", path, "--warm-start", file);
    expect(exitCode).toBe(0);
    const sourceSha256 = createHash("sha256").update(readFileSync(file)).digest("hex");
    expect(facts).toEqual([{ requestId: "request-1", configYaml, sourceSha256 }]);
    const wanted = initialVector(layout, config.seed);
    for (const { name, size, offset } of layout.parameters) {
      if (name.startsWith("head.")) continue;
      for (let index = 0; index < size; index++) wanted[offset + index] = valueAt(name, index);
    }
    expect(Buffer.from(Float32Array.from(sent).buffer).equals(Buffer.from(wanted.buffer))).toBe(true);
    expect(stdout).toContain("matched     54\n");
    expect(stdout).toContain("launched run r-1 (derm)");
  });

  it("reads and sends the file anew when an answer was lost", async () => {
    const counts: number[] = [];
    const launchRunFrom: Admin["launchRunFrom"] = async ({ values }) => {
      let count = 0;
      for await (const block of values) count += block.length;
      counts.push(count);
      if (counts.length === 1) throw new ConsiliumError("unreachable", "lost");
      return runSummary();
    };
    const parameters = ["run", "launch", runFile(), "--warm-start", await weightFile(), "--json"];
    const { exitCode, stdout } = await run({ launchRunFrom }, ...parameters);
    expect(exitCode).toBe(0);
    expect(counts[0]).toBe(counts[1]);
    expect(counts[0]).toBe(layout.dimension);
    expect(JSON.parse(stdout)).toMatchObject({ runId: "r-1", warmStart: { resized: [], unexpected: [] } });
  });

  it("refuses a file of another shape before it connects", async () => {
    const file = await weightFile({ "patch_embed.proj.weight": [96, 3, 16, 16] });
    const test = testSurroundings({
      connect: () => Promise.reject(new Error("connected")),
      env: { CONSILIUM_PROFILE: profileFolder() },
    });
    const exitCode = await runCommandLine(["run", "launch", runFile(), "--warm-start", file], test.surroundings, "0");
    expect(exitCode).toBe(2);
    expect(test.stderr()).toContain(
      `error: ${file}: tensors of the file have other shapes: patch_embed.proj.weight is [96, 3, 16, 16], the run needs`,
    );
    expect(test.stderr()).toContain("→ set model.architecture, model.patchSize");
  });

  it("says which file is missing", async () => {
    const { exitCode, stderr } = await run({}, "run", "launch", runFile(), "--warm-start", "/no/file.pth");
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("/no/file.pth") });
  });
});

describe("consilium run warm-start-report", () => {
  it("shows what would be taken, without a coordinator", async () => {
    const file = await weightFile({ pos_embed: [1, 50, 96] });
    const { exitCode, stdout } = await run({}, "run", "warm-start-report", runFile(), file);
    expect(exitCode).toBe(0);
    expect(stdout).toContain("resized     1: pos_embed from 7 × 7 to 4 × 4 patches\n");
    const { stdout: json } = await run({}, "run", "warm-start-report", runFile(), file, "--json");
    expect(JSON.parse(json)).toMatchObject({
      container: "",
      resized: [{ name: "pos_embed", from: 7, to: 4, classRowAdded: false }],
      missing: ["head.fc1.weight", "head.fc1.bias", "head.fc2.weight", "head.fc2.bias"],
    });
  });
});
