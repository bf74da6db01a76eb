import type { NamedTensors } from "../model/tensors.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";
import { clipFactors, clipGroupOf, totalOf } from "./clipping.js";
import type { LossGradients } from "./loss-gradients.js";
import { updateRule } from "./optimizer.js";
import { parameterInput, slotInput, type TrainStepOptions, tensorIn } from "./step-inputs.js";
import { joined, type Stack, type StackedTensor, stacksOf, sumOfEach, taken } from "./tensor-stacks.js";
import type { Operand, Updated, UpdateRule } from "./update-rule.js";

export interface UpdatedParameters {
  /** Parameters and the optimiser's slots under their input names. */
  readonly state: NamedTensors;
  /** Of all gradients as they were differentiated: []. */
  readonly squareSum: Scalar;
}

/** Clips the gradients and takes the optimiser's step. Parameters without a gradient stay as they are. */
export function updatedParameters(
  { layout, optimizer }: Pick<TrainStepOptions, "layout" | "optimizer">,
  inputs: NamedTensors,
  { gradients, unscale }: Pick<LossGradients, "gradients" | "unscale">,
): UpdatedParameters {
  const { gradientClip: limit, clipping: mode = "tensor" } = optimizer;
  const rule = updateRule(optimizer);
  const update = rule.begin(Object.fromEntries(rule.scalars.map((name) => [name, tensorIn(inputs, name).asScalar()])));
  const trained = layout.parameters.filter(({ name }) => name in gradients);
  const stacks = stacksOf(trained, ({ name, shape }) => `${decays({ shape })} ${clipGroupOf(name, mode)}`);
  const operands = stacks.map((stack) => operandOf(stack, { inputs, gradients, rule }));
  const sums = operands.map(({ squareSum }, index) => ({
    squareSum,
    key: clipGroupOf(stacks[index]!.members[0]!.name, mode),
  }));
  const factors = clipFactors(sums, { mode, limit, unscale });
  const state: Record<string, Tensor> = {};
  for (const inputOf of inputNames(rule)) {
    for (const { name } of layout.parameters) state[inputOf(name)] = tensorIn(inputs, inputOf(name));
  }
  stacks.forEach((stack, index) => {
    const factor = factors[index];
    const updated = update(factor === undefined ? operands[index]! : { ...operands[index]!, factor });
    Object.assign(state, outputsOf(stack, updated));
  });
  return { state, squareSum: totalOf(sums) };
}

function decays({ shape }: Pick<StackedTensor, "shape">): boolean {
  return shape.length > 1;
}

function inputNames({ slots }: UpdateRule): ((name: string) => string)[] {
  return [parameterInput, ...slots.map((slot) => (name: string) => slotInput(slot, name))];
}

interface Sources {
  readonly inputs: NamedTensors;
  readonly gradients: NamedTensors;
  readonly rule: UpdateRule;
}

function operandOf(stack: Stack, { inputs, gradients, rule }: Sources): Operand {
  const join = (tensors: NamedTensors, inputOf: (name: string) => string): Tensor =>
    joined(
      stack,
      stack.members.map(({ name }) => tensorIn(tensors, inputOf(name))),
    );
  const gradient = join(gradients, (name) => name);
  const squares = tf.square(gradient);
  return {
    parameter: join(inputs, parameterInput),
    slots: Object.fromEntries(rule.slots.map((slot) => [slot, join(inputs, (name) => slotInput(slot, name))])),
    gradient,
    squares,
    squareSum: sumOfEach(stack, squares),
    decays: decays(stack.members[0]!),
  };
}

function outputsOf(stack: Stack, { parameter, slots }: Updated): NamedTensors {
  const outputs: Record<string, Tensor> = {};
  const put = (inputOf: (name: string) => string, updated: Tensor): void => {
    taken(stack, updated).forEach((tensor, index) => {
      outputs[inputOf(stack.members[index]!.name)] = tensor;
    });
  };
  put(parameterInput, parameter);
  for (const [slot, updated] of Object.entries(slots)) put((name) => slotInput(slot, name), updated);
  return outputs;
}
