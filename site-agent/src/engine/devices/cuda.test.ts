import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { tf } from "../../model/tf.js";
import { programOf } from "../testing/agreement.js";
import { cudaEngine } from "./cuda.js";
import { probeCuda } from "./cuda-probe.js";

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "cuda-"));
});
afterEach(() => rm(root, { recursive: true }));

/** A package with the provider's library, and a probing process that says what it is told to. */
async function installed(says: string): Promise<{ packageDirectory: string; entryPath: string }> {
  await mkdir(join(root, "bin/napi-v6/linux/x64"), { recursive: true });
  await writeFile(join(root, "bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so"), "");
  const entryPath = join(root, "probe.mjs");
  await writeFile(entryPath, says);
  return { packageDirectory: root, entryPath };
}

const platform = "linux/x64";
const finds = (finding: object) => `process.send(${JSON.stringify(finding)}, () => process.exit(0));`;

describe("probeCuda", () => {
  it("gives the command that installs the provider", async () => {
    const probe = await probeCuda({ platform, packageDirectory: root });
    expect(probe).toMatchObject({ device: "cuda", available: false });
    expect(probe.remedy).toContain(`node ${root}/script/install.js --onnxruntime-node-install=cuda12`);
  });

  it("says where there is no provider to install", async () => {
    const probe = await probeCuda({ platform: "darwin/arm64" });
    expect(probe.detail).toBe("ONNX Runtime has CUDA for linux/x64 only, not for darwin/arm64");
  });

  it.each([
    ["NVIDIA H200, 9.0\n", { detail: "NVIDIA H200 through CUDA", float16: true }],
    [
      "NVIDIA GeForce GTX 1080, 6.1\nNVIDIA H200, 9.0\n",
      { detail: "NVIDIA GeForce GTX 1080 through CUDA", float16: false },
    ],
    ["", { detail: "an NVIDIA card through CUDA", float16: false }],
  ])("names the first card of %j", async (cards, expected) => {
    const options = await installed(finds({ works: true, found: { cards } }));
    expect(await probeCuda({ platform, ...options })).toEqual({ device: "cuda", available: true, ...expected });
  });

  it("says which library is missing, which ONNX Runtime only prints", async () => {
    const printed = "Failed to load library x.so with error: libcudnn.so.9: cannot open shared object file";
    const thrown = finds({ works: false, reason: "Failed to load shared library" });
    const options = await installed(`process.stderr.write(${JSON.stringify(`${printed}\n`)}, () => {${thrown}});`);
    const probe = await probeCuda({ platform, ...options });
    expect(probe).toMatchObject({ available: false, detail: "libcudnn.so.9: cannot open shared object file" });
    expect(probe.remedy).toContain("cuDNN 9");
  });

  it("survives a driver that ends its process, hangs or talks nonsense", async () => {
    const detailOf = async (says: string) =>
      (await probeCuda({ platform, ...(await installed(says)), timeoutMs: 2000 })).detail;
    expect(await detailOf("process.kill(process.pid, 'SIGSEGV');")).toContain("SIGSEGV");
    expect(await detailOf("setInterval(() => {}, 1000);")).toBe("the driver did not answer within 2 s");
    expect(await detailOf("process.send(7, () => process.exit(0));")).toContain("something else");
  });
});

const { detail } = await probeCuda({ entryPath: "/nowhere.mjs" });

it.runIf(detail.endsWith("is not installed"))("refuses to compile (where the provider is not installed)", async () => {
  const program = programOf({ x: { shape: [2], dtype: "float32" } }, ({ x }) => ({ y: tf.mul(x!, 2) }));
  await expect(cudaEngine().compile(program)).rejects.toThrow("program test cannot run on CUDA");
});
