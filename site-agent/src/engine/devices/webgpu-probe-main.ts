import { checkDoubling, doublingModel } from "./gpu-probe-model.js";
import { adapterTraces } from "./gpu-system-files.js";
import type { Finding } from "./probe-process.js";
import type { WebgpuFound } from "./webgpu-probe.js";
import { createWebgpuSession } from "./webgpu-runtime.js";

/** A process that uses WebGPU and tells its parent how that went. A driver that crashes takes only this one along. */
async function find(): Promise<Finding<WebgpuFound>> {
  try {
    const session = await createWebgpuSession("probe", { bytes: doublingModel("float32") });
    await checkDoubling(session);
    // While the device is open.
    const found = { traces: adapterTraces(), float16: await hasFloat16() };
    await session.release();
    return { works: true, found };
  } catch (error) {
    return { works: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

async function hasFloat16(): Promise<boolean> {
  try {
    const session = await createWebgpuSession("probe", { bytes: doublingModel("float16") });
    await checkDoubling(session);
    await session.release();
    return true;
  } catch {
    return false;
  }
}

const finding = await find();
// Ends without waiting for whatever threads the driver keeps.
process.send?.(finding, () => process.exit(0));
