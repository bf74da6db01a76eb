import { NodeProto, type TensorProto, ValueInfoProto } from "@consilium/shared/onnx/gen/onnx.js";
import { elementTypeCode, initializer } from "./tensor-proto.js";

/** Name of an output that is no tensor; first of all outputs where a model has it. */
export const sequenceOutputName = "sequence";

export interface SequenceOutput {
  readonly node: NodeProto;
  readonly initializer: TensorProto;
  readonly output: ValueInfoProto;
}

/**
 * An output that is a sequence of tensors, which ONNX Runtime's binding for Node cannot hand over: see
 * `CompiledSession`.
 */
export function sequenceOutput(): SequenceOutput {
  const member = `${sequenceOutputName}.member`;
  const tensorType = { elemType: elementTypeCode.float32, shape: { dim: [] } };
  return {
    node: NodeProto.fromPartial({ opType: "SequenceConstruct", input: [member], output: [sequenceOutputName] }),
    initializer: initializer({ name: member, shape: [], type: "float32", data: Float32Array.of(0) }),
    output: ValueInfoProto.fromPartial({
      name: sequenceOutputName,
      type: { sequenceType: { elemType: { tensorType } } },
    }),
  };
}
