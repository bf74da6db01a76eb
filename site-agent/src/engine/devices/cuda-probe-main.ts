import { execFileSync } from "node:child_process";
import type { CudaFound } from "./cuda-probe.js";
import { createCudaSession } from "./cuda-runtime.js";
import { checkDoubling, doublingModel } from "./gpu-probe-model.js";
import type { Finding } from "./probe-process.js";

/** A process that uses CUDA once and tells its parent how that went. A driver that crashes takes only this one along. */
async function find(): Promise<Finding<CudaFound>> {
  try {
    const session = await createCudaSession("probe", doublingModel("float32"));
    await checkDoubling(session);
    await session.release();
    return { works: true, found: { cards: cardsOf() } };
  } catch (error) {
    return { works: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** As NVIDIA's driver lists them, "NVIDIA H200, 9.0" per line; empty where its tool is not there. */
function cardsOf(): string {
  try {
    const parameters = ["--query-gpu=name,compute_cap", "--format=csv,noheader"];
    return execFileSync("nvidia-smi", parameters, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
      timeout: 20_000,
    });
  } catch {
    return "";
  }
}

const finding = await find();
// Ends without waiting for whatever threads the driver keeps.
process.send?.(finding, () => process.exit(0));
