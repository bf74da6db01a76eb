import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { randomFor } from "@consilium/shared/random.js";
import { compiledCpuEngine } from "@consilium/site-agent/engine/compiled-engine.js";
import { patientGradientsProgram, presentInput } from "@consilium/site-agent/engine/patient/patient-gradients.js";
import { freshState, stateTensors } from "@consilium/site-agent/engine/training-state.js";
import type { HostTensor, HostTensors } from "@consilium/site-agent/model/tensors.js";
import { createMethod } from "@consilium/site-agent/ssl/methods.js";
import { clip } from "./audited-run.js";

/** Draws of hidden patches that a patient's gradient is averaged over: the auditor does not know the trainer's. */
const draws = 6;

/**
 * What each patient adds to a step's sum on average, at the run's first model: the clipped gradient, [dimension] each, in a
 * checkpoint's order.
 * @param images RGB, image size² × 3 bytes each
 */
export async function patientGradients(config: RunConfig, images: readonly Uint8Array[]): Promise<Float32Array[]> {
  const method = createMethod(config);
  const shape = { method, layout: parameterLayout(config), optimizer: config.optimizer };
  const program = patientGradientsProgram({ ...shape, slots: 1, imagesPerPatient: 1, clip });
  const compiled = await compiledCpuEngine({ threads: 1 }).compile(program);
  const state = stateTensors(shape, freshState(shape, initialVector(checkpointLayout(config), config.seed)));
  const known = Object.fromEntries(Object.entries(state).filter(([name]) => name in program.inputs));
  const [view] = method.views;
  const { parameters, dimension } = checkpointLayout(config);
  const rows: Float32Array[] = [];
  for (const [patient, data] of images.entries()) {
    const row = new Float32Array(dimension);
    for (let draw = 0; draw < draws; draw++) {
      const batch: HostTensors = {
        [view!.name]: { shape: [1, view!.size, view!.size, view!.channels], data } satisfies HostTensor,
        ...method.drawExtraInputs(1, randomFor("auditor", patient, draw)),
        [presentInput]: { shape: [1], data: Float32Array.of(1) },
      };
      const outputs = await compiled.run({ ...known, ...batch });
      for (const { name, offset } of parameters) {
        const part = outputs[`gradient/${name}`]?.data ?? [];
        for (let i = 0; i < part.length; i++) row[offset + i]! += part[i]! / draws;
      }
    }
    rows.push(row);
  }
  await compiled.release();
  return rows;
}
