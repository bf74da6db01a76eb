import { parameterOf } from "../model/layers.js";
import type { NamedTensors } from "../model/tensors.js";
import { type Scalar, type Tensor, tf } from "../model/tf.js";

/**
 * m · average + (1 − m) · value, of one shape: a teacher's tensor, or a centre [width] that follows the mean of a
 * batch's outputs (Caron et al. 2021). A momentum of one keeps the average bit by bit.
 */
export function movingAverage(average: Tensor, value: Tensor, momentum: Scalar | number): Tensor {
  return tf.add(tf.mul(average, momentum), tf.mul(value, tf.sub(1, momentum)));
}

/**
 * The teacher after a step: t ← m t + (1 − m) s (Tarvainen and Valpola 2017) for every tensor that it has. Tensors that
 * only the student has are passed over.
 * @param student after the optimiser's update, with the teacher's names
 * @throws ConsiliumError "internal" when the student lacks a tensor of the teacher
 */
export function emaTeacher(teacher: NamedTensors, student: NamedTensors, momentum: Scalar | number): NamedTensors {
  return Object.fromEntries(
    Object.entries(teacher).map(([name, tensor]) => [
      name,
      movingAverage(tensor, parameterOf(student, name), momentum),
    ]),
  );
}

/** Tensors called `<prefix><name>`, by name without the prefix. */
export function withoutPrefix(tensors: NamedTensors, prefix: string): NamedTensors {
  const own = Object.entries(tensors).filter(([name]) => name.startsWith(prefix));
  return Object.fromEntries(own.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

export function withPrefix<T>(tensors: Readonly<Record<string, T>>, prefix: string): Record<string, T> {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [`${prefix}${name}`, tensor]));
}
