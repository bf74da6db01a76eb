import { randomFor } from "@consilium/shared/random.js";
import { type Tensor, tf } from "@consilium/site-agent/model/tf.js";
import { expect } from "vitest";

/** Input of the reference vectors: scale × sin(0.7 i + shift), row-major. */
export function wave(shape: readonly number[], shift: number, scale = 1): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const values = Float32Array.from({ length: size }, (_, index) => scale * Math.sin(0.7 * index + shift));
  return tf.tensor(values, [...shape]);
}

/** Standard normal values that depend on the seed alone. */
export function noise(shape: readonly number[], seed: number): Tensor {
  const random = randomFor("noise", seed);
  const size = shape.reduce((product, extent) => product * extent, 1);
  return tf.tensor(
    Float32Array.from({ length: size }, () => random.normal()),
    [...shape],
  );
}

export function expectClose(actual: Tensor | ArrayLike<number>, expected: ArrayLike<number>, tolerance = 1e-5): void {
  const values = "dataSync" in actual ? actual.dataSync() : actual;
  expect(values.length).toBe(expected.length);
  for (let index = 0; index < expected.length; index++) {
    const [value, wanted] = [Number(values[index]), Number(expected[index])];
    const allowed = tolerance * Math.max(1, Math.abs(wanted));
    if (!(Math.abs(value - wanted) <= allowed)) expect.fail(`element ${index}: ${value}, expected ${wanted}`);
  }
}

/** Largest difference over the largest magnitude of the second. */
export function relativeDistance(actual: Tensor, expected: Tensor): number {
  const distance = tf.max(tf.abs(tf.sub(actual, expected))).dataSync()[0] ?? Number.NaN;
  return distance / Math.max(1e-12, tf.max(tf.abs(expected)).dataSync()[0] ?? 0);
}

/**
 * Compares each gradient with a central difference along a fixed direction through it. float32 limits the agreement,
 * so that the step is wide and the tolerance a few per mille.
 */
export function expectGradients(
  f: (tensors: Readonly<Record<string, Tensor>>) => Tensor,
  at: Readonly<Record<string, Tensor>>,
  { step = 1e-2, tolerance = 5e-3 } = {},
): void {
  const names = Object.keys(at);
  const named = (tensors: readonly Tensor[]) => Object.fromEntries(names.map((name, index) => [name, tensors[index]!]));
  const values = names.map((name) => at[name]!);
  const gradients = tf.grads((...tensors: Tensor[]) => f(named(tensors)))(values);
  for (const [index, name] of names.entries()) {
    const point = values[index]!;
    // Partly along the gradient, so that the derivative is not lost in rounding.
    const gradient = gradients[index]!;
    const length = Math.max(1e-12, tf.norm(gradient).dataSync()[0] ?? 0);
    const mixed = tf.add(tf.div(gradient, length), tf.mul(wave(point.shape, 3), 0.3 / Math.sqrt(point.size)));
    const direction = tf.div(mixed, tf.norm(mixed));
    const along = (sign: number) => {
      const moved = values.map((value, other) =>
        other === index ? tf.add(value, tf.mul(direction, sign * step)) : value,
      );
      return f(named(moved)).dataSync()[0] ?? Number.NaN;
    };
    const measured = (along(1) - along(-1)) / (2 * step);
    const analytic = tf.sum(tf.mul(gradient, direction)).dataSync()[0] ?? Number.NaN;
    const allowed = tolerance * Math.max(Math.abs(analytic), 1e-2);
    if (!(Math.abs(measured - analytic) <= allowed))
      expect.fail(`gradient of ${name}: ${analytic}, measured ${measured}`);
  }
}
