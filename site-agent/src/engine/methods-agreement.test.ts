import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { initialVector } from "@consilium/shared/params/initialize.js";
import { parameterLayout } from "@consilium/shared/params/parameters.js";
import { randomFor } from "@consilium/shared/random.js";
import { expect, it } from "vitest";
import { createMethod } from "../ssl/methods.js";
import { drawInputs, relativeDifference, runBoth } from "./testing/agreement.js";
import { trainStepProgram } from "./train-step.js";
import { freshState, stateTensors } from "./training-state.js";

const batchSize = 4;
const methods = [{ name: "simclr" }, { name: "mae", decoderWidth: 32, decoderBlocks: 1, decoderHeads: 2 }];

it.each(methods)(
  "agrees on a whole training step of $name",
  async (method) => {
    const config = runConfigSchema.parse({
      name: "agreement",
      modality: "dermatology",
      model: { architecture: "vit-nano", imageSize: 32, patchSize: 8 },
      method,
      optimizer: { learningRate: 1e-3, gradientClip: 3 },
      rounds: 1,
    });
    const layout = parameterLayout(config);
    const program = trainStepProgram({ method: createMethod(config), layout, optimizer: config.optimizer, batchSize });
    const scalar = (number: number) => ({ shape: [], data: Float32Array.of(number) });
    const inputs = {
      ...drawInputs(program.inputs),
      ...createMethod(config).drawExtraInputs(batchSize, randomFor("masks")),
      ...stateTensors(layout, freshState(initialVector(layout, 1))),
      learningRate: scalar(1e-3),
      weightDecay: scalar(0.05),
      step: scalar(1),
    };
    const { eager, compiled } = await runBoth(program, inputs);
    const difference = (name: string) => relativeDifference(eager[name]!, compiled[name]!);
    expect(compiled["finite"]!.data[0]).toBe(1);
    expect(difference("loss")).toBeLessThan(1e-5);
    expect(difference("gradientNorm")).toBeLessThan(1e-5);
    for (const { name } of layout.parameters) {
      // From zero, the first moment is a tenth of the gradient.
      expect(difference(`moment1/${name}`), name).toBeLessThan(1e-4);
    }
  },
  120_000,
);
