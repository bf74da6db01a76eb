import { ConsiliumError } from "@consilium/shared/errors.js";
import { type CarriedConfig, carriedTensors, teacherPrefix } from "@consilium/shared/params/carried.js";
import type { Initializer } from "@consilium/shared/params/layout.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import { parameterOf } from "../model/layers.js";
import type { HostTensor, HostTensors, NamedTensors, TensorSpec } from "../model/tensors.js";
import type { Scalar } from "../model/tf.js";
import { emaTeacher, withoutPrefix, withPrefix } from "./ema.js";
import type { CarriedState, StepEnd } from "./method.js";

/** Name of the scalar that a teacher's momentum comes in. */
export const teacherMomentum = "teacherMomentum";

/**
 * The carried state of a run's method: what `carriedTensors` says. A teacher follows the student with the scalar
 * `teacherMomentum`; whatever else there is takes over what the loss observed under the same name.
 */
export function carriedState(config: CarriedConfig): CarriedState {
  const tensors = carriedTensors(config);
  const specs = tensors.map(({ name, shape }): [string, TensorSpec] => [name, { shape, dtype: "float32" }]);
  return {
    specs: Object.fromEntries(specs),
    travel: Object.fromEntries(tensors.map(({ name, travel }) => [name, travel])),
    start: (parameters) =>
      Object.fromEntries(
        tensors.map(({ name, shape, beginsAs, initializer }): [string, HostTensor] => [
          name,
          beginsAs === undefined
            ? { shape, data: filled(sizeOf(shape), initializer) }
            : studentValue(parameters, beginsAs),
        ]),
      ),
    afterStep: (end) => afterStep(end),
  };
}

function afterStep({ parameters, carried, observed, scalars }: StepEnd): NamedTensors {
  const teacher = withoutPrefix(carried, teacherPrefix);
  const followed =
    Object.keys(teacher).length === 0
      ? {}
      : emaTeacher(teacher, parameters, parameterOf(scalars, teacherMomentum) as Scalar);
  const rest = Object.keys(carried).filter((name) => !name.startsWith(teacherPrefix));
  return {
    ...withPrefix(followed, teacherPrefix),
    ...Object.fromEntries(rest.map((name) => [name, observed[name] ?? parameterOf(carried, name)])),
  };
}

function filled(size: number, initializer: Initializer): Float32Array {
  return new Float32Array(size).fill(initializer.kind === "ones" ? 1 : 0);
}

function studentValue(parameters: HostTensors, name: string): HostTensor {
  const value = parameters[name];
  if (value === undefined) throw new ConsiliumError("internal", `parameter ${name} is missing`);
  return value;
}

/** The teacher's tensors under the student's names. */
export function teacherOf(carried: NamedTensors): NamedTensors {
  return withoutPrefix(carried, teacherPrefix);
}
