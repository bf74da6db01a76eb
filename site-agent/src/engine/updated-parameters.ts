import type { NamedTensors } from "../model/tensors.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";
import type { HeldBack } from "../ssl/method.js";
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
  { layout, optimizer, method, rateOf = () => 1 }: Pick<TrainStepOptions, "layout" | "optimizer" | "method" | "rateOf">,
  inputs: NamedTensors,
  { gradients, unscale }: Pick<LossGradients, "gradients" | "unscale">,
): UpdatedParameters {
  const { gradientClip: limit, clipping: mode = "tensor" } = optimizer;
  const rule = updateRule(optimizer);
  const scalars = Object.fromEntries(rule.scalars.map((name) => [name, tensorIn(inputs, name).asScalar()]));
  const updates = new Map<string, ReturnType<UpdateRule["begin"]>>();
  const held = (name: string): HeldBack | undefined =>
    method.heldBack?.parameters.test(name) === true ? method.heldBack : undefined;
  const updateOf = ({ members }: Stack) => {
    const { name } = members[0]!;
    const rate = rateOf(name);
    const gate = held(name);
    const key = `${rate} ${gate?.scalar ?? ""}`;
    const own = gate === undefined ? slowed(scalars, rate) : gated(slowed(scalars, rate), gate, inputs);
    const update = updates.get(key) ?? rule.begin(own);
    updates.set(key, update);
    return update;
  };
  const trained = layout.parameters.filter(({ name }) => name in gradients);
  const stacks = stacksOf(
    trained,
    ({ name, shape }) => `${decays({ shape })} ${clipGroupOf(name, mode)} ${rateOf(name)} ${held(name) !== undefined}`,
  );
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
    const operand = operands[index]!;
    const updated = updateOf(stack)(factor === undefined ? operand : { ...operand, factor });
    const gate = held(stack.members[0]!.name);
    const skips = gate?.how === "skip" ? tensorIn(inputs, gate.scalar) : undefined;
    Object.assign(state, outputsOf(stack, skips === undefined ? updated : skippedUnless(skips, operand, updated)));
  });
  return { state, squareSum: totalOf(sums) };
}

type Scalars = Readonly<Record<string, Scalar>>;

/** The rule's scalars with a smaller learning rate. */
function slowed(scalars: Scalars, rate: number): Scalars {
  const { learningRate } = scalars;
  return learningRate === undefined || rate === 1 ? scalars : { ...scalars, learningRate: tf.mul(learningRate, rate) };
}

/**
 * The rule's scalars for parameters that are held back. Moments that were left at zero until now have had fewer steps than
 * others: without their own count, Adam's correction of the bias would take them for old and move several times too far.
 */
function gated(scalars: Scalars, { scalar, how }: HeldBack, inputs: NamedTensors): Scalars {
  const value = tensorIn(inputs, scalar).asScalar();
  const { learningRate, step } = scalars;
  if (how === "rate")
    return learningRate === undefined ? scalars : { ...scalars, learningRate: tf.mul(learningRate, value) };
  return step === undefined ? scalars : { ...scalars, step: tf.minimum(step, tf.maximum(value, 1)) };
}

/** The update where the scalar is not zero; otherwise parameters and slots bit by bit as they were. */
function skippedUnless(scalar: Tensor, before: Operand, after: Updated): Updated {
  const goes = tf.notEqual(scalar, 0);
  const chosen = (updated: Tensor, old: Tensor): Tensor => tf.where(goes, updated, old);
  const slots = Object.entries(after.slots).map(([name, slot]) => [name, chosen(slot, tensorIn(before.slots, name))]);
  return { parameter: chosen(after.parameter, before.parameter), slots: Object.fromEntries(slots) };
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
