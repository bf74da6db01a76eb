import type { HostTensors } from "../model/tensors.js";
import { checkTensors } from "./check-tensors.js";
import type { Graph } from "./graph/graph.js";
import { serializeModel } from "./onnx/serialize-model.js";
import { optimize } from "./passes/optimize.js";
import { rewrite } from "./passes/rewrite.js";
import type { Program } from "./program.js";
import { traceProgram } from "./trace/trace-program.js";

export interface ExportRequest {
  /** Shapes are fixed: the file takes the batch size that the program was written for. */
  readonly program: Program;
  /** Inputs of the program to freeze into the file as initialisers; the rest stay inputs. */
  readonly constants: HostTensors;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A program as an ONNX file of standard operators (opset 18), with its weights inside. */
export function exportOnnx({ program, constants, metadata }: ExportRequest): Uint8Array {
  const specs = Object.fromEntries(Object.entries(program.inputs).filter(([name]) => name in constants));
  checkTensors(program.name, specs, constants);
  const graph = optimize(freeze(traceProgram(program), constants), { products: "plain" });
  return serializeModel(graph, { producer: "consilium", metadata });
}

function freeze(graph: Graph, constants: HostTensors): Graph {
  const names = new Map(graph.inputs.map(({ name, value }) => [value.operation, name]));
  const frozen = rewrite(graph, (operation, _inputs, { builder }) => {
    const constant = constants[names.get(operation) ?? ""];
    const { shape, type } = operation.outputs[0]!;
    return constant === undefined ? undefined : builder.constant(constant.data, shape, type);
  });
  return { ...frozen, inputs: frozen.inputs.filter(({ name }) => !(name in constants)) };
}
