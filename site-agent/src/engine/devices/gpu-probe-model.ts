import type { InferenceSession } from "onnxruntime-node";
import { Tensor } from "onnxruntime-node";
import { GraphBuilder } from "../graph/builder.js";
import { cast, elementwise, scalarLike } from "../graph/emit.js";
import type { ElementType } from "../graph/graph.js";
import { serializeModel } from "../onnx/serialize-model.js";

/** A model that doubles four numbers, in a type of choice. */
export function doublingModel(type: ElementType): Uint8Array {
  const builder = new GraphBuilder();
  const x = builder.input([4], "float32");
  const converted = cast(builder, x, type);
  const doubled = elementwise(builder, "Mul", [converted, scalarLike(builder, 2, converted)]);
  const outputs = [{ name: "y", value: cast(builder, doubled, "float32") }];
  return serializeModel({ name: "probe", inputs: [{ name: "x", value: x }], outputs }, { producer: "consilium" });
}

/** @throws what the session throws, or an error when it does not double */
export async function checkDoubling(session: Pick<InferenceSession, "run">): Promise<void> {
  const { y } = await session.run({ x: new Tensor("float32", Float32Array.of(1, 2, 3, 0.5), [4]) });
  const doubled = y?.data.toString();
  if (doubled !== "2,4,6,1") throw new Error(`a product of four numbers came out as ${doubled}`);
}
