import type { CallGenerator, CallGenerators, Dtype, Operand } from "./draw.js";

function reduction(...dtypes: readonly Dtype[]): CallGenerator {
  return (draw) => {
    const shape = draw.shape(1);
    const axis = draw.pick<unknown>(undefined, draw.axis(shape.length), -1, draw.axes(shape.length));
    const x = draw.of(draw.pick(...dtypes), shape);
    return { inputs: { x }, attributes: { axis, keepDims: draw.flag() } };
  };
}

/** Of positive numbers: where numbers cancel, a mean is what rounding leaves. */
const mean: CallGenerator = (draw) => {
  const { inputs, attributes = {} } = reduction("float32")(draw);
  const { shape } = inputs["x"]!;
  return { inputs: { x: draw.flag() ? draw.integers(shape, 1, 5) : draw.floatBetween(shape, [1, 2]) }, attributes };
};

/** The kernel has its own name for the axes. */
const max: CallGenerator = (draw) => {
  const { inputs, attributes = {} } = reduction("float32", "int32")(draw);
  return { inputs, attributes: { reductionIndices: attributes["axis"], keepDims: attributes["keepDims"] } };
};

const positionOf: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  return { inputs: { x: draw.number(shape) }, attributes: { axis: draw.axis(shape.length) } };
};

const cumulation: CallGenerator = (draw) => {
  const shape = draw.shape(1, 3, 6);
  const attributes = { axis: draw.axis(shape.length), exclusive: draw.flag(), reverse: draw.flag() };
  return { inputs: { x: draw.number(shape) }, attributes };
};

const softmax: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  return { inputs: { logits: draw.float(shape) }, attributes: { dim: shape.length - 1 } };
};

/** Operands of equal rank with equal batches; TensorFlow.js's kernel is wrong where batches broadcast in part. */
const batchMatMul: CallGenerator = (draw) => {
  const batch = draw.shape(0, 2, 3);
  const [rows, inner, columns] = [draw.integer(1, 4), draw.integer(1, 4), draw.integer(1, 4)];
  const [transposeA, transposeB] = [draw.flag(), draw.flag()];
  const a = draw.float([...batch, ...(transposeA ? [inner, rows] : [rows, inner])]);
  const b = draw.float([...batch, ...(transposeB ? [columns, inner] : [inner, columns])]);
  return { inputs: { a, b }, attributes: { transposeA, transposeB } };
};

const fusedMatMul: CallGenerator = (draw) => {
  const { inputs, attributes = {} } = batchMatMul(draw);
  const columns = inputs["b"]!.shape.at(attributes["transposeB"] === true ? -2 : -1)!;
  const activation = draw.pick("linear", "relu", "relu6", "elu", "sigmoid", "leakyrelu", "prelu");
  const slopes: Record<string, Operand> =
    activation === "prelu" ? { preluActivationWeights: draw.floatBetween([columns], [0, 0.5]) } : {};
  const bias: Record<string, Operand> = draw.flag() ? { bias: draw.float([columns]) } : {};
  return { inputs: { ...inputs, ...bias, ...slopes }, attributes: { ...attributes, activation, leakyreluAlpha: 0.3 } };
};

const einsum: CallGenerator = (draw) => {
  const equation = draw.pick("bij,bjk->bik", "ij->ji", "bij,bkj->bik", "bhid,bhjd->bhij", "i,i->", "i,j->ij", "ij->i");
  const extents = new Map("bhijkd".split("").map((letter) => [letter, draw.integer(1, 4)]));
  const terms = equation.split("->")[0]!.split(",");
  const operands = terms.map((term, index) => [
    index,
    draw.float(term.split("").map((letter) => extents.get(letter)!)),
  ]);
  return { inputs: Object.fromEntries(operands), attributes: { equation } };
};

const bincount: CallGenerator = (draw) => {
  const x = draw.integers([draw.integer(1, 6)], 0, 5);
  const weights = draw.flag() ? draw.number(x.shape) : draw.of("float32", [0]);
  return { inputs: { x, weights }, attributes: { size: draw.integer(2, 6), binaryOutput: false } };
};

/** Rows of a matrix are counted apart, with weights or as occurring at all. */
const denseBincount: CallGenerator = (draw) => {
  const x = draw.integers(draw.shape(1, 2, 5), 0, 5);
  const weights = draw.flag() ? draw.number(x.shape) : draw.of("float32", [0]);
  return { inputs: { x, weights }, attributes: { size: draw.integer(2, 6), binaryOutput: draw.flag() } };
};

const searchSorted: CallGenerator = (draw) => {
  const [batch, count] = [draw.integer(1, 3), draw.integer(1, 6)];
  const ascending = draw.float([batch, count]);
  for (let row = 0; row < batch; row++) ascending.data.subarray(row * count, (row + 1) * count).sort();
  const values = draw.float([batch, draw.integer(1, 4)]);
  return { inputs: { sortedSequence: ascending, values }, attributes: { side: draw.pick("left", "right") } };
};

export const reductionCalls: CallGenerators = {
  All: reduction("bool"),
  Any: reduction("bool"),
  ArgMax: positionOf,
  ArgMin: positionOf,
  BatchMatMul: batchMatMul,
  Bincount: bincount,
  Cumprod: cumulation,
  Cumsum: cumulation,
  DenseBincount: denseBincount,
  Einsum: einsum,
  Max: max,
  Mean: mean,
  Min: reduction("float32", "int32"),
  Prod: reduction("float32", "int32"),
  SearchSorted: searchSorted,
  Softmax: softmax,
  Sum: reduction("float32", "int32", "bool"),
  _FusedMatMul: fusedMatMul,
};
