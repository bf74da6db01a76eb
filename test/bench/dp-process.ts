import { createInterface } from "node:readline";
import { systemEntropy } from "@consilium/shared/entropy.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { randomFor } from "@consilium/shared/random.js";
import { compiledCpuEngine } from "@consilium/site-agent/engine/compiled-engine.js";
import { presentInput } from "@consilium/site-agent/engine/patient/patient-gradients.js";
import { compilePrivateStep, PrivateStepper } from "@consilium/site-agent/engine/patient/private-stepper.js";
import { runStep } from "@consilium/site-agent/engine/run-step.js";
import { freshState } from "@consilium/site-agent/engine/training-state.js";
import type { HostTensor } from "@consilium/site-agent/model/tensors.js";
import { type EngineShape, measuredStep } from "./engine-shape.js";

/** Entry: as engine-process.ts, with steps of DP-SGD that draw one patient for each image of the batch. */

const shape = JSON.parse(process.argv[2]!) as EngineShape;
const { config } = measuredStep(shape);
const engine = compiledCpuEngine(shape.threads === 0 ? {} : { threads: shape.threads });
const { method, layout, optimizer } = runStep(config, { device: "cpu", precision: "float32" });
const options = { method, layout, optimizer, imagesPerPatient: 1, slots: Math.min(8, shape.batch), clip: 1 };
const startedAt = performance.now();
const programs = await compilePrivateStep(engine, {
  ...options,
  ...{ expectedPatients: shape.batch, noiseMultiplier: 1 },
});
const compileMs = performance.now() - startedAt;
const state = freshState(options, initialVector(layout, 1));
const stepper = new PrivateStepper(programs, options, { state, entropy: systemEntropy });

const random = randomFor("bench");
const slots = options.slots * Math.ceil(shape.batch / options.slots);
const views = method.views.map(({ name, size, channels }): [string, HostTensor] => {
  const extents = [slots, size, size, channels];
  return [name, { shape: extents, data: Uint8Array.from({ length: sizeOf(extents) }, () => random.integer(256)) }];
});
const present = Float32Array.from({ length: slots }, (_, slot) => (slot < shape.batch ? 1 : 0));
const batch = {
  ...Object.fromEntries(views),
  ...method.drawExtraInputs(slots, random),
  [presentInput]: { shape: [slots], data: present },
};
const scalars = Object.fromEntries(Object.entries(method.scalars ?? {}).map(([name, at]) => [name, at(0)]));
const request = { batch, scalars: { ...scalars, learningRate: 1e-4, weightDecay: 0.05 } };

const say = (answer: object) => process.stdout.write(`${JSON.stringify(answer)}\n`);
say({ ready: true, compileMs, device: "cpu", precision: "float32" });
for await (const line of createInterface({ input: process.stdin })) {
  if (line.trim() === "") {
    say({ peakRssMiB: process.resourceUsage().maxRSS / 1024 });
    continue;
  }
  const stepMs: number[] = [];
  for (let step = 0; step < Number(line); step++) {
    const began = performance.now();
    await stepper.takeCall([request]);
    stepMs.push(performance.now() - began);
  }
  say({ stepMs });
}
await Promise.all([programs.gradients.release(), programs.update.release()]);
