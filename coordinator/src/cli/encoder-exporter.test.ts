import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { findEncoderExporter } from "./encoder-exporter.js";
import { temporaryFolder } from "./test-surroundings.js";

/** A package whose command is this script. */
function packageWith(script: string, manifest: object = { bin: { "consilium-agent": "./bin/agent.mjs" } }) {
  const folder = temporaryFolder();
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin/agent.mjs"), script);
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  return { folder, resolve: () => pathToFileURL(join(folder, "package.json")).href };
}

const signal = new AbortController().signal;

describe("findEncoderExporter", () => {
  it("runs the agent's command with the checkpoint and the folder", async () => {
    const script = `import { writeFileSync } from "node:fs";
writeFileSync(process.argv.at(-1) + "/seen.json", JSON.stringify(process.argv.slice(2)));`;
    const { folder, resolve } = packageWith(script);
    await findEncoderExporter(resolve)({ checkpoint: "c.safetensors", outDirectory: folder, signal });
    const seen = JSON.parse(readFileSync(join(folder, "seen.json"), "utf8"));
    expect(seen).toEqual(["export", "--checkpoint", "c.safetensors", "--out", folder]);
  });

  it("says so when the exporter fails", async () => {
    const exportEncoder = findEncoderExporter(packageWith("process.exit(3)").resolve);
    await expect(exportEncoder({ checkpoint: "c", outDirectory: "d", signal })).rejects.toMatchObject({
      code: "internal",
      message: "the encoder could not be exported (exit 3)",
    });
  });

  it("ends the exporter when the command is interrupted", async () => {
    const stopping = new AbortController();
    const exportEncoder = findEncoderExporter(packageWith("setInterval(() => {}, 1000)").resolve);
    const exported = exportEncoder({ checkpoint: "c", outDirectory: "d", signal: stopping.signal });
    stopping.abort();
    await expect(exported).rejects.toMatchObject({ name: "AbortedError" });
  });

  it.each([
    [
      "is not there",
      () => {
        throw new Error("ERR_MODULE_NOT_FOUND");
      },
    ],
    ["has no command", packageWith("", { bin: {} }).resolve],
  ])("says what to install when the package %s", (_, resolve) => {
    expect(() => findEncoderExporter(resolve)).toThrow(
      expect.objectContaining({ code: "config-missing", remedy: expect.stringContaining("--no-onnx") }),
    );
  });
});
