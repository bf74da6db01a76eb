/**
 * A process that compiles every method's training step for WebGPU and sends its parent what the device lacks.
 * Vulkan reads which driver to load when the process begins.
 */
import { methodNames } from "@consilium/shared/config/method-config.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { asConsiliumError } from "@consilium/shared/errors.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { webgpuEngine } from "@consilium/site-agent/engine/devices/webgpu.js";
import { trainStepProgram } from "@consilium/site-agent/engine/train-step.js";
import { createMethod } from "@consilium/site-agent/ssl/methods.js";

const small: Readonly<Record<string, object>> = {
  mae: { decoderWidth: 32, decoderBlocks: 1, decoderHeads: 2 },
  dino: { outputDim: 32, hiddenDim: 32, bottleneckDim: 16, localSize: 16 },
  ibot: { outputDim: 32, hiddenDim: 32, bottleneckDim: 16, localSize: 16 },
  dinov2: { outputDim: 32, hiddenDim: 32, bottleneckDim: 16, localSize: 16 },
};

/** @returns undefined where the step was compiled, else why not */
async function faultOf(name: string): Promise<string | undefined> {
  const config = runConfigSchema.parse({
    ...{ name: "webgpu", modality: "dermatology", rounds: 1 },
    model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
    method: { name, ...small[name] },
    optimizer: { learningRate: 1e-3 },
  });
  const { optimizer } = config;
  const program = trainStepProgram({
    ...{ method: createMethod(config), layout: parameterLayout(config), optimizer, batchSize: 4 },
  });
  try {
    await (await webgpuEngine().compile(program)).release();
    return undefined;
  } catch (thrown) {
    return asConsiliumError(thrown).message;
  }
}

const faults: Record<string, string> = {};
for (const name of methodNames) {
  const fault = await faultOf(name);
  if (fault !== undefined) faults[name] = fault;
}
process.send!({ faults });
process.exit(0);
