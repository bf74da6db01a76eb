import type { CallGenerator, CallGenerators, Draw, Dtype, Operand } from "./draw.js";

function unary(...dtypes: readonly Dtype[]): CallGenerator {
  return (draw) => ({ inputs: { x: draw.of(draw.pick(...dtypes), draw.shape(0)) } });
}

function between(least: number, most: number): CallGenerator {
  return (draw) => ({ inputs: { x: draw.floatBetween(draw.shape(0), [least, most]) } });
}

function binary(...dtypes: readonly Dtype[]): CallGenerator {
  return (draw) => {
    const dtype = draw.pick(...dtypes);
    const [a, b] = draw.broadcastShapes();
    return { inputs: { a: draw.of(dtype, a), b: draw.of(dtype, b) } };
  };
}

function division(...dtypes: readonly Dtype[]): CallGenerator {
  return (draw) => {
    const dtype = draw.pick(...dtypes);
    const [a, b] = draw.broadcastShapes();
    const dividend =
      dtype === "float32" ? draw.numbers(a, () => 3 * draw.floatBetween([], [-1, 1]).data[0]!) : undefined;
    return { inputs: { a: dividend ?? draw.of(dtype, a), b: draw.divisors(b, dtype) } };
  };
}

/** Positive bases of real exponents; any integers with small exponents. */
const pow: CallGenerator = (draw) => {
  const [a, b] = draw.broadcastShapes();
  if (draw.flag()) return { inputs: { a: draw.floatBetween(a, [0.1, 3]), b: draw.float(b) } };
  return { inputs: { a: draw.integers(a, -3, 3), b: draw.integers(b, 0, 3) } };
};

const withAlpha: CallGenerator = (draw) => ({
  inputs: { x: draw.number(draw.shape(0)) },
  attributes: { alpha: draw.pick(0.2, 0.5) },
});

const step: CallGenerator = (draw) => ({
  inputs: { x: draw.float(draw.shape(0)) },
  attributes: { alpha: draw.pick(0, 0.5, -1) },
});

const clip: CallGenerator = (draw) => ({
  inputs: { x: draw.number(draw.shape(0)) },
  attributes: { clipValueMin: draw.pick(-2, -1), clipValueMax: draw.pick(0, 1) },
});

const select: CallGenerator = (draw) => {
  const shape = draw.shape(0);
  const dtype = draw.pick<Dtype>("float32", "int32", "bool");
  return { inputs: { condition: draw.booleans(shape), t: draw.of(dtype, shape), e: draw.of(dtype, shape) } };
};

const cast: CallGenerator = (draw) => ({
  inputs: { x: draw.any(draw.shape(0)) },
  attributes: { dtype: draw.pick("float32", "int32", "bool") },
});

/** With numbers that are none among them. */
function oddNumbers(draw: Draw): { inputs: Record<string, Operand> } {
  const odd = () => draw.pick(Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, 1.5);
  const shape = draw.shape(0);
  return { inputs: { x: draw.flag() ? draw.numbers(shape, odd) : draw.number(shape) } };
}

const eluGrad: CallGenerator = (draw) => {
  const shape = draw.shape(0);
  return { inputs: { dy: draw.float(shape), y: draw.floatBetween(shape, [-1, 1]) } };
};

const prelu: CallGenerator = (draw) => {
  const shape = draw.shape(1);
  const alpha = shape.map((extent) => (draw.flag() ? extent : 1)).slice(draw.integer(0, shape.length - 1));
  return { inputs: { x: draw.float(shape), alpha: draw.floatBetween(alpha, [0, 0.5]) } };
};

const addAll: CallGenerator = (draw) => {
  const shape = draw.shape(0);
  const dtype = draw.pick<Dtype>("float32", "int32");
  const terms = Array.from({ length: draw.integer(1, 3) }, () => draw.of(dtype, shape));
  return { inputs: Object.fromEntries(terms.map((term, index) => [index, term])) };
};

const real = unary("float32");
const number = unary("float32", "int32");

export const elementwiseCalls: CallGenerators = {
  Abs: number,
  Acos: between(-0.95, 0.95),
  Acosh: between(1.05, 4),
  Add: binary("float32", "int32"),
  AddN: addAll,
  Asin: between(-0.95, 0.95),
  Asinh: real,
  Atan: real,
  Atan2: binary("float32"),
  Atanh: between(-0.95, 0.95),
  BitwiseAnd: binary("int32"),
  Cast: cast,
  Ceil: number,
  ClipByValue: clip,
  Cos: real,
  Cosh: real,
  Elu: real,
  EluGrad: eluGrad,
  Equal: binary("float32", "int32", "bool"),
  Erf: real,
  Exp: number,
  Expm1: real,
  Floor: number,
  FloorDiv: division("float32", "int32"),
  Greater: binary("float32", "int32", "bool"),
  GreaterEqual: binary("float32", "int32", "bool"),
  IsFinite: oddNumbers,
  IsInf: oddNumbers,
  IsNan: oddNumbers,
  LeakyRelu: withAlpha,
  Less: binary("float32", "int32", "bool"),
  LessEqual: binary("float32", "int32", "bool"),
  Log: between(0.05, 5),
  Log1p: between(-0.9, 5),
  LogicalAnd: binary("bool"),
  LogicalNot: unary("bool"),
  LogicalOr: binary("bool"),
  Maximum: binary("float32", "int32"),
  Minimum: binary("float32", "int32"),
  Mod: division("float32", "int32"),
  Multiply: binary("float32", "int32"),
  Neg: number,
  NotEqual: binary("float32", "int32", "bool"),
  Pow: pow,
  Prelu: prelu,
  RealDiv: division("float32"),
  Reciprocal: between(0.2, 4),
  Relu: number,
  Relu6: between(-2, 9),
  Round: number,
  Rsqrt: between(0.05, 5),
  Select: select,
  Selu: real,
  Sigmoid: real,
  Sign: number,
  Sin: real,
  Sinh: real,
  Softplus: real,
  Sqrt: between(0, 5),
  Square: number,
  SquaredDifference: binary("float32", "int32"),
  Step: step,
  Sub: binary("float32", "int32"),
  Tan: between(-1.2, 1.2),
  Tanh: real,
};
