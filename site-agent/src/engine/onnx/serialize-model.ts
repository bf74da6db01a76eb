import { ModelProto } from "@consilium/shared/onnx/gen/onnx.js";
import type { Graph } from "../graph/graph.js";
import { lowerGraph, modelOutputs, valueInfo } from "./lower-graph.js";
import { sequenceOutput } from "./sequence-output.js";

export interface ModelOptions {
  readonly producer: string;
  /** Written as metadata_props, for whoever opens the file. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Adds the output of `sequence-output.ts`. */
  readonly sequence?: boolean;
}

const opset = 18;
const irVersion = 8;

/**
 * The bytes of an ONNX model: inputs and outputs keep their names (an output called like an input gets
 * the suffix ".next"), constants are initialisers.
 * The graph must have been through `optimize`, which leaves only operators that ONNX Runtime knows.
 */
export function serializeModel(graph: Graph, { producer, metadata = {}, sequence = false }: ModelOptions): Uint8Array {
  const lowered = lowerGraph(graph);
  const outputs = modelOutputs(graph);
  const extra = sequence ? [sequenceOutput(new Set([...graph.inputs, ...outputs].map(({ name }) => name)))] : [];
  const model = ModelProto.fromPartial({
    irVersion,
    producerName: producer,
    opsetImport: [
      { domain: "", version: opset },
      { domain: "com.microsoft", version: 1 },
    ],
    metadataProps: Object.entries(metadata).map(([key, value]) => ({ key, value })),
    graph: {
      node: [...extra.map(({ node }) => node), ...lowered.node],
      initializer: [...extra.map((added) => added.initializer), ...lowered.initializer],
      name: graph.name,
      input: graph.inputs.map(valueInfo),
      output: [...extra.map(({ output }) => output), ...outputs.map(valueInfo)],
    },
  });
  return ModelProto.encode(model).finish();
}
