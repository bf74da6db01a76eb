import { expect, it } from "vitest";
import { compiledCpuEngine } from "./compiled-engine.js";
import { compileModel } from "./compiled-model.js";
import { relativeDifference } from "./testing/agreement.js";
import { configOf, gradientInputs, smallMethods, stepOptions } from "./testing/method-gradients.js";
import { trainStepProgram } from "./train-step.js";

const config = configOf({ model: { imageSize: 32, patchSize: 8 }, method: smallMethods.mae });
const programIn = (microBatches: number) => trainStepProgram({ ...stepOptions(config, 8), microBatches });

it("micro-batches of masked images have the loss and the gradients of the whole batch", async () => {
  const inputs = gradientInputs(config, 8);
  const outputsIn = async (microBatches: number) => {
    const step = await compiledCpuEngine({ threads: 1 }).compile(programIn(microBatches));
    const outputs = await step.run(inputs);
    await step.release();
    return outputs;
  };
  const whole = await outputsIn(1);
  for (const count of [2, 4]) {
    const parts = await outputsIn(count);
    expect(relativeDifference(whole["loss"]!, parts["loss"]!)).toBeLessThan(1e-6);
    expect(relativeDifference(whole["gradientNorm"]!, parts["gradientNorm"]!)).toBeLessThan(1e-5);
    for (const name of Object.keys(whole).filter((output) => output.startsWith("moment1/"))) {
      expect(relativeDifference(whole[name]!, parts[name]!), name).toBeLessThan(1e-5);
    }
  }
});

it("micro-batches are one function in the model, however many there are", () => {
  const bytesIn = (count: number) => compileModel(programIn(count), { products: "fused" }).bytes.length;
  const [two, eight] = [bytesIn(2), bytesIn(8)];
  expect(Math.abs(eight - two) / two).toBeLessThan(0.05);
});
