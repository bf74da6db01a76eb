import { NodeProto, type TensorProto, ValueInfoProto } from "@consilium/shared/onnx/gen/onnx.js";
import { elementTypeCode, initializer } from "./tensor-proto.js";

export interface SequenceOutput {
  readonly node: NodeProto;
  readonly initializer: TensorProto;
  readonly output: ValueInfoProto;
}

/**
 * An output that is a sequence of tensors, which ONNX Runtime's binding for Node cannot hand over: see
 * `CompiledSession`. First of all outputs where a model has it.
 * @param taken names that the model has already
 */
export function sequenceOutput(taken: ReadonlySet<string>): SequenceOutput {
  let name = "sequence";
  while (taken.has(name) || taken.has(`${name}.member`)) name += "_";
  const member = `${name}.member`;
  const tensorType = { elemType: elementTypeCode.float32, shape: { dim: [] } };
  return {
    node: NodeProto.fromPartial({ opType: "SequenceConstruct", input: [member], output: [name] }),
    initializer: initializer({ name: member, shape: [], type: "float32", data: Float32Array.of(0) }),
    output: ValueInfoProto.fromPartial({
      name,
      type: { sequenceType: { elemType: { tensorType } } },
    }),
  };
}
