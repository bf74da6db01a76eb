import { ModelProto } from "@consilium/shared/onnx/gen/onnx.js";
import type { Graph } from "../graph/graph.js";
import { lowerGraph, modelOutputs, valueInfo } from "./lower-graph.js";

export interface ModelOptions {
  readonly producer: string;
  /** Written as metadata_props, for whoever opens the file. */
  readonly metadata?: Readonly<Record<string, string>>;
}

const opset = 18;
const irVersion = 8;

/**
 * The bytes of an ONNX model: inputs and outputs keep their names (an output called like an input gets
 * the suffix ".next"), constants are initialisers.
 * The graph must have been through `optimize`, which leaves only operators that ONNX Runtime knows.
 */
export function serializeModel(graph: Graph, { producer, metadata = {} }: ModelOptions): Uint8Array {
  const model = ModelProto.fromPartial({
    irVersion,
    producerName: producer,
    opsetImport: [
      { domain: "", version: opset },
      { domain: "com.microsoft", version: 1 },
    ],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      ...lowerGraph(graph),
      name: graph.name,
      input: graph.inputs.map(valueInfo),
      output: modelOutputs(graph).map(valueInfo),
    },
  });
  return ModelProto.encode(model).finish();
}
