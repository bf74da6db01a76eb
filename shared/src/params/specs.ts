import type { Initializer, ParameterSpec } from "./layout.js";

/** Descriptions of the usual layers' tensors, named and shaped as PyTorch's. */

export const zeros: Initializer = { kind: "zeros" };
export const ones: Initializer = { kind: "ones" };
export const xavier: Initializer = { kind: "xavier-uniform" };
export const truncated: Initializer = { kind: "truncated-normal", std: 0.02 };
export const normal: Initializer = { kind: "normal", std: 0.02 };

export interface LinearShape {
  readonly inputs: number;
  readonly outputs: number;
}

/** weight [outputs, inputs] and bias [outputs]. */
export function linear(name: string, { inputs, outputs }: LinearShape, initializer: Initializer): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [outputs, inputs], initializer },
    { name: `${name}.bias`, shape: [outputs], initializer: zeros },
  ];
}

/** weight and bias [width] of a layer norm or a batch norm. */
export function norm(name: string, width: number): ParameterSpec[] {
  return [
    { name: `${name}.weight`, shape: [width], initializer: ones },
    { name: `${name}.bias`, shape: [width], initializer: zeros },
  ];
}

/** Kernel [outputs, inputs, side, side] without bias; normal with variance 2 / (outputs × side²) (He et al. 2015). */
export function convolution(name: string, { inputs, outputs }: LinearShape, side: number): ParameterSpec {
  const std = Math.sqrt(2 / (outputs * side * side));
  return { name: `${name}.weight`, shape: [outputs, inputs, side, side], initializer: { kind: "normal", std } };
}
