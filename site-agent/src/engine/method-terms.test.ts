import { methodNames } from "@consilium/shared/config/method-config.js";
import { runConfigSchema } from "@consilium/shared/config/run-config.js";
import { termsOf } from "@consilium/shared/secagg/figures.js";
import { expect, it } from "vitest";
import { runStep } from "./run-step.js";
import { seenByMethod, stepInputs, stepTensors } from "./step-inputs.js";
import { configOf, smallMethods } from "./testing/method-gradients.js";
import { traceProgram } from "./trace/trace-program.js";

/** The coordinator chooses a run's lanes without a method at hand; sites fill them from what the method says. */
it.each(
  methodNames.flatMap(
    (name) =>
      [
        { name, strategy: "fedavg" },
        { name, strategy: "fedprox" },
      ] as const,
  ),
)("$name with $strategy has the terms that a plan has lanes for", ({ name, strategy }) => {
  const plain = configOf({ model: { imageSize: 16, patchSize: 4 }, method: smallMethods[name] });
  const config = runConfigSchema.parse({ ...plain, aggregation: { strategy: { name: strategy } } });
  const options = { ...runStep(config, { device: "cpu", precision: "float32" }), batchSize: 4 };
  const { outputs } = traceProgram({
    name: "terms",
    inputs: stepInputs(options),
    build(inputs) {
      const { parameters, carried, images, shared, methodScalars } = stepTensors(options, inputs);
      const batch = { ...seenByMethod(options.method, images), ...shared, ...methodScalars };
      return options.method.loss(parameters, batch, carried).terms;
    },
  });
  expect(outputs.map((output) => output.name).sort()).toEqual(termsOf(config).sort());
});
