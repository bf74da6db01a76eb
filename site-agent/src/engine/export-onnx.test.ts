import { ModelProto } from "@consilium/shared/onnx/gen/onnx.js";
import { InferenceSession, Tensor } from "onnxruntime-node";
import { expect, it } from "vitest";
import { tf } from "../model/tf.js";
import { exportOnnx } from "./export-onnx.js";
import { programOf } from "./testing/agreement.js";

const program = programOf(
  { "parameter/weight": { shape: [2, 3], dtype: "float32" }, images: { shape: [1, 2], dtype: "float32" } },
  (inputs) => ({ features: tf.matMul(inputs["images"]!, inputs["parameter/weight"]!) }),
);
const constants = { "parameter/weight": { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) } };

it("writes a model with its weights inside that any runtime can open", async () => {
  const bytes = exportOnnx({ program, constants, metadata: { method: "simclr" } });
  const model = ModelProto.decode(bytes);
  expect(model.metadataProps).toEqual([{ key: "method", value: "simclr" }]);
  expect(model.graph?.input.map(({ name }) => name)).toEqual(["images"]);
  expect(model.graph?.node.every(({ domain }) => domain === "")).toBe(true);
  const session = await InferenceSession.create(bytes);
  const { features } = await session.run({ images: new Tensor("float32", Float32Array.of(1, 10), [1, 2]) });
  expect([...(features!.data as Float32Array)]).toEqual([41, 52, 63]);
});

it("names a weight of the wrong shape", () => {
  const wrong = { "parameter/weight": { shape: [3, 2], data: new Float32Array(6) } };
  expect(() => exportOnnx({ program, constants: wrong, metadata: {} })).toThrow('"parameter/weight" has shape [3, 2]');
});
