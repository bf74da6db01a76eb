import { elementwise, product } from "../../graph/emit.js";
import { broadcastShape } from "../../graph/shapes.js";
import type { TraceKernel, TraceKernels } from "../kernel-call.js";
import { activated } from "./activations.js";

const batchMatMul: TraceKernel = (call) =>
  product(call.builder, [call.input("a"), call.input("b")], {
    transposeA: call.flag("transposeA"),
    transposeB: call.flag("transposeB"),
  });

const fusedMatMul: TraceKernel = (call) => {
  const { builder } = call;
  const bias = call.optionalInput("bias");
  const linear = product(builder, [call.input("a"), call.input("b")], {
    transposeA: call.flag("transposeA"),
    transposeB: call.flag("transposeB"),
  });
  const shifted = bias === undefined ? linear : elementwise(builder, "Add", [linear, bias]);
  return activated(call, shifted);
};

/** The extent of every letter of an equation such as "bij,bjk->bik". */
function extents(terms: readonly string[], shapes: readonly (readonly number[])[]): ReadonlyMap<string, number> {
  const found = new Map<string, number>();
  terms.forEach((term, index) => {
    term.split("").forEach((letter, axis) => {
      const [extent] = broadcastShape([[found.get(letter) ?? 1], [shapes[index]?.[axis] ?? 1]]);
      found.set(letter, extent ?? 1);
    });
  });
  return found;
}

const einsum: TraceKernel = (call) => {
  const equation = call.text("equation").replaceAll(" ", "");
  const [left = "", right = ""] = equation.split("->");
  const known = extents(
    left.split(","),
    call.inputs.map((input) => input.shape),
  );
  const shape = right.split("").map((letter) => known.get(letter) ?? 1);
  const attributes = { equation: { text: equation } };
  return call.builder.apply({ op: "Einsum", inputs: call.inputs, attributes, shape, type: call.inputs[0]!.type });
};

export const productKernels: TraceKernels = {
  BatchMatMul: batchMatMul,
  Einsum: einsum,
  _FusedMatMul: fusedMatMul,
};
