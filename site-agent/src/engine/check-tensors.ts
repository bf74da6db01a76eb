import { ConsiliumError } from "@consilium/shared/errors.js";
import { sizeOf } from "@consilium/shared/params/layout.js";
import type { HostDtype, HostTensor, HostTensors, TensorSpec, TensorSpecs } from "../model/tensors.js";

/**
 * @throws ConsiliumError "internal" when a tensor that a program expects is missing or has another shape, length or type.
 * Tensors that it does not expect are ignored.
 */
export function checkTensors(program: string, specs: TensorSpecs, tensors: HostTensors): void {
  for (const [name, spec] of Object.entries(specs)) {
    const fault = faultOf(spec, tensors[name]);
    if (fault !== undefined) throw new ConsiliumError("internal", `program ${program}: tensor "${name}" ${fault}`);
  }
}

export function dtypeOf(tensor: HostTensor): HostDtype {
  if (tensor.data instanceof Float32Array) return "float32";
  return tensor.data instanceof Int32Array ? "int32" : "uint8";
}

function faultOf(spec: TensorSpec, tensor: HostTensor | undefined): string | undefined {
  if (tensor === undefined) return "is missing";
  const shape = `[${tensor.shape.join(", ")}]`;
  if (dtypeOf(tensor) !== spec.dtype) return `is ${dtypeOf(tensor)}, not ${spec.dtype}`;
  const same =
    tensor.shape.length === spec.shape.length && tensor.shape.every((extent, axis) => extent === spec.shape[axis]);
  if (!same) return `has shape ${shape}, not [${spec.shape.join(", ")}]`;
  return tensor.data.length === sizeOf(spec.shape)
    ? undefined
    : `has ${tensor.data.length} elements, which is not shape ${shape}`;
}
