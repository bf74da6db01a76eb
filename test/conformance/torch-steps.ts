import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { readSafetensors, type StoredTensor, writeSafetensors } from "@consilium/shared/params/safetensors.js";
import type { HostTensors } from "@consilium/site-agent/model/tensors.js";
import type { EngineSteps } from "./engine-steps.js";

/** @throws Error with what to do when the Python has no PyTorch */
export function checkPython(python: string): void {
  const { status, stderr, error } = spawnSync(python, ["-c", "import numpy, torch"], { encoding: "utf8" });
  if (status === 0) return;
  const reason = (stderr || String(error ?? `it left with ${status}`)).trim().split("\n").at(-1);
  throw new Error(`${python} cannot import torch: ${reason}\n  → name one that can with --python`);
}

const script = fileURLToPath(new URL("reference.py", import.meta.url));

/**
 * The same steps in PyTorch.
 * @returns "loss/…", "gradient/…", "parameter/…", "carried/…" and "determined/…", as reference.py says
 * @throws Error with what Python said
 */
export async function torchSteps(
  python: string,
  config: RunConfig,
  { before, requests, rates }: EngineSteps,
): Promise<ReadonlyMap<string, StoredTensor>> {
  const directory = mkdtempSync(join(tmpdir(), "conformance-"));
  const [input, output] = [join(directory, "input.safetensors"), join(directory, "output.safetensors")];
  const batches = requests.flatMap(({ batch }, step) => named(batch, `batch/${step}/`));
  const request = JSON.stringify({ config, rates, scalars: requests.map(({ scalars }) => scalars) });
  try {
    await writeSafetensors(input, [...named(before, ""), ...batches], { request });
    const { status, stderr, error } = spawnSync(python, ["-B", script, input, output], { encoding: "utf8" });
    if (status !== 0) throw new Error(`the reference failed: ${stderr || String(error)}`);
    return (await readSafetensors(output)).tensors;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** As floats, which hold every byte and every place exactly. */
function named(tensors: HostTensors, prefix: string) {
  return Object.entries(tensors).map(([name, { shape, data }]) => ({
    name: `${prefix}${name}`,
    ...{ shape, data: Float32Array.from(data) },
  }));
}
