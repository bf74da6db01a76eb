import type { TensorSpecs } from "../../model/tensors.js";
import { GraphBuilder } from "../graph/builder.js";
import type { Graph } from "../graph/graph.js";
import { modelOutputs } from "../onnx/lower-graph.js";
import { serializeModel } from "../onnx/serialize-model.js";

export interface CopyingModel {
  readonly bytes: Uint8Array;
  /** The model's name for the copy of each input. */
  readonly copies: Readonly<Record<string, string>>;
}

/** A model that hands its inputs through. */
export function copyingModel(specs: TensorSpecs): CopyingModel {
  const builder = new GraphBuilder();
  const inputs = Object.entries(specs).map(([name, { shape, dtype }]) => ({
    name,
    value: builder.input(shape, dtype),
  }));
  const graph: Graph = { name: "copy", inputs, outputs: inputs };
  const copies = modelOutputs(graph).map(({ name }, index) => [inputs[index]!.name, name]);
  return { bytes: serializeModel(graph, { producer: "consilium" }), copies: Object.fromEntries(copies) };
}
