import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { afterAll, describe, expect, it } from "vitest";
import { addEngineExplain } from "./engine-explain-command.js";

const folder = mkdtempSync(join(tmpdir(), "engine-explain-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

const good = file(
  "run.yaml",
  `name: test
modality: dermatology
model: { architecture: vit-nano, imageSize: 16, patchSize: 8 }
method: { name: mae, decoderWidth: 32, decoderBlocks: 1, decoderHeads: 2 }
optimizer: { learningRate: 0.001 }
training: { batchSize: 4 }
rounds: 1
`,
);

async function explain(...parameters: string[]): Promise<string> {
  const written: string[] = [];
  const stream = { write: (text: string) => written.push(text) };
  const surroundings = { stdout: stream, stderr: stream, signal: new AbortController().signal };
  const program = new Command("consilium-agent").option("--json").exitOverride();
  program.configureOutput({ writeErr: (text) => written.push(text), writeOut: (text) => written.push(text) });
  const engine = program.command("engine").exitOverride().copyInheritedSettings(program);
  addEngineExplain(engine, surroundings);
  await program.parseAsync(["engine", "explain", ...parameters], { from: "user" });
  return written.join("");
}

describe("engine explain", () => {
  it("shows operations, memory and time", { timeout: 60_000 }, async () => {
    const text = await explain("--run", good, "--profile", "--threads", "1", "--top", "3");
    expect(text).toMatch(/^program +mae step, batch 4 on cpu$/m);
    expect(text).toMatch(/^memory of a step +[\d.]+ MiB, .* available$/m);
    expect(text).toMatch(/^batch that fits +about [\d,]+ images$/m);
    expect(text).toMatch(/^operations +traced +optimised +in the runtime$/m);
    expect(text).toMatch(/^\d+ others/m);
    expect(text).toMatch(/^time by operator +ms +share +calls$/m);
    expect(text).toMatch(/^time by shape +ms +share +calls +GFLOP\/s +shapes$/m);
    expect(text).not.toContain("undefined");
  });

  it("prints one document with --json, and does not run anything without --profile", async () => {
    const document: unknown = JSON.parse(await explain("--run", good, "--batch", "2", "--json"));
    expect(document).toMatchObject({ batchSize: 2, device: "cpu", memory: { stateBytes: expect.any(Number) } });
    expect(document).not.toHaveProperty("profile");
  });

  it("counts and predicts for WebGPU without opening it", async () => {
    const text = await explain("--run", good, "--device", "webgpu");
    expect(text).toMatch(/^operations +traced +optimised$/m);
    await expect(explain("--run", good, "--device", "webgpu", "--profile")).rejects.toMatchObject({
      code: "config-invalid",
    });
  });

  it("refuses files that are not there or do not fit", async () => {
    await expect(explain("--run", join(folder, "none.yaml"))).rejects.toMatchObject({ code: "config-missing" });
    const bad = file("bad.yaml", "name: test\ntypo: 1\n");
    await expect(explain("--run", bad)).rejects.toMatchObject({ code: "config-invalid" });
  });

  it.each([
    ["--batch", "0"],
    ["--top", "many"],
    ["--device", "abacus"],
  ])("refuses %s %s", async (option, value) => {
    await expect(explain("--run", good, option, value)).rejects.toMatchObject({ code: "commander.invalidArgument" });
  });
});
