import { expect, it } from "vitest";
import type { TensorSpec } from "../../../model/tensors.js";
import { type Tensor, tf } from "../../../model/tf.js";
import { disagreement, drawInputs, programOf, runBoth } from "../../testing/agreement.js";

type Case = readonly [name: string, operands: readonly TensorSpec[], run: (...operands: Tensor[]) => Tensor | Tensor[]];

const float = (...shape: number[]): TensorSpec => ({ shape, dtype: "float32" });
const int = (...shape: number[]): TensorSpec => ({ shape, dtype: "int32" });
const positive = (x: Tensor) => tf.add(tf.abs(x), 0.1);

const cases: readonly Case[] = [
  [
    "unary on any number",
    [float(2, 3)],
    (x) => [
      tf.neg(x),
      tf.exp(x),
      tf.expm1(x),
      tf.square(x),
      tf.abs(x),
      tf.sign(x),
      tf.erf(x),
      tf.tanh(x),
      tf.sigmoid(x),
      tf.relu(x),
      tf.step(x),
      tf.step(x, 0.5),
      tf.floor(x),
      tf.ceil(x),
      tf.round(x),
      tf.cos(x),
      tf.sin(x),
      tf.softplus(x),
    ],
  ],
  [
    "unary on positive numbers",
    [float(5)],
    (x) => {
      const y = positive(x);
      return [tf.log(y), tf.log1p(y), tf.sqrt(y), tf.rsqrt(y), tf.reciprocal(y), tf.pow(y, 1.7)];
    },
  ],
  ["unary on integers", [int(4)], (x) => [tf.neg(x), tf.abs(x), tf.square(x), tf.relu(x), tf.cast(x, "float32")]],
  [
    "binary with broadcasting",
    [float(2, 1, 3), float(4, 1)],
    (a, b) => [
      tf.add(a, b),
      tf.sub(a, b),
      tf.mul(a, b),
      tf.div(a, positive(b)),
      tf.maximum(a, b),
      tf.minimum(a, b),
      tf.squaredDifference(a, b),
      tf.floorDiv(a, positive(b)),
    ],
  ],
  [
    "binary on integers",
    [int(3, 2), int(2)],
    (a, b) => [tf.add(a, b), tf.sub(a, b), tf.mul(a, b), tf.maximum(a, b), tf.floorDiv(tf.sub(a, 2), tf.add(b, 1))],
  ],
  [
    "comparisons",
    [int(3, 2), int(2)],
    (a, b) => [
      tf.equal(a, b),
      tf.notEqual(a, b),
      tf.greater(a, b),
      tf.greaterEqual(a, b),
      tf.less(a, b),
      tf.lessEqual(a, b),
    ],
  ],
  [
    "logic",
    [float(6), float(6)],
    (a, b) => {
      const [p, q] = [tf.greater(a, 0), tf.greater(b, 0)];
      return [
        tf.logicalAnd(p, q),
        tf.logicalOr(p, q),
        tf.logicalNot(p),
        tf.any(p),
        tf.all(q),
        tf.where(p, a, b),
        tf.where(q, a, 0),
      ];
    },
  ],
  [
    "odd numbers",
    [float(4)],
    (x) => {
      const odd = tf.div(x, tf.relu(tf.neg(x)));
      return [tf.isFinite(odd), tf.isInf(odd), tf.isNaN(tf.log(x))];
    },
  ],
  [
    "casts",
    [float(4), int(4)],
    (x, n) => [
      tf.cast(tf.mul(x, 3), "int32"),
      tf.cast(n, "float32"),
      tf.cast(n, "bool"),
      tf.cast(tf.greater(x, 0), "float32"),
    ],
  ],
  ["clip", [float(3, 3)], (x) => tf.clipByValue(x, -0.5, 0.5)],
  ["sums of lists", [float(2, 2), float(2, 2)], (a, b) => [tf.addN([a, b, a]), tf.addN([b])]],
  [
    "reductions",
    [float(2, 3, 4)],
    (x) => [
      tf.sum(x),
      tf.sum(x, 1),
      tf.sum(x, [0, 2], true),
      tf.mean(x),
      tf.mean(x, -1, true),
      tf.max(x, 0),
      tf.min(x, [1, 2]),
      tf.prod(x, 2),
      tf.argMax(x, 1),
      tf.argMin(x, -1),
      tf.cumsum(x, 1),
      tf.cumsum(x, 2, true, true),
      tf.logSumExp(x, -1),
    ],
  ],
  ["reductions of integers", [int(2, 3)], (x) => [tf.sum(x, 0), tf.mean(x, 1), tf.max(x), tf.prod(x, 1)]],
  ["softmax", [float(3, 5)], (x) => [tf.softmax(x), tf.logSoftmax(x), tf.logSoftmax(x, 1)]],
  [
    "matrix products",
    [float(2, 3), float(3, 4), float(4, 3)],
    (a, b, c) => [
      tf.matMul(a, b),
      tf.matMul(a, c, false, true),
      tf.matMul(b, a, true, true),
      tf.matMul(tf.transpose(b), a, false, true),
    ],
  ],
  [
    "batched products",
    [float(2, 2, 3, 4), float(2, 2, 3, 4), float(1, 1, 4, 3)],
    (a, b, c) => [
      tf.matMul(a, b, false, true),
      tf.matMul(a, b, true, false),
      tf.matMul(a, c),
      tf.matMul(a, c, true, true),
      tf.matMul(a, tf.transpose(b, [0, 1, 3, 2])),
    ],
  ],
  [
    "stack times matrix",
    [float(2, 3, 4), float(4, 5), float(5, 4)],
    (a, w, v) => [
      tf.matMul(a, w),
      tf.matMul(a, v, false, true),
      tf.add(tf.reshape(tf.matMul(tf.reshape(a, [6, 4]), w), [2, 3, 5]), tf.slice(v, [0, 0], [5, 1]).flatten()),
    ],
  ],
  ["einsum", [float(2, 3, 4), float(2, 4, 5)], (a, b) => tf.einsum("bij,bjk->bik", a, b)],
  [
    "fused product",
    [float(2, 3), float(3, 4), float(4)],
    (a, b, bias) => [tf.fused.matMul({ a, b, bias }), tf.fused.matMul({ a, b, bias, activation: "relu" })],
  ],
  [
    "reshapes",
    [float(2, 3, 4)],
    (x) => [
      tf.reshape(x, [6, 4]),
      tf.reshape(tf.reshape(x, [-1]), [4, 6]),
      tf.expandDims(x, 1),
      tf.expandDims(x, -1),
      tf.squeeze(tf.slice(x, [0, 1, 0], [2, 1, -1])),
      tf.transpose(x),
      tf.transpose(tf.transpose(x, [2, 0, 1]), [1, 0, 2]),
      tf.transpose(tf.expandDims(x, 0), [1, 0, 2, 3]),
    ],
  ],
  [
    "slices",
    [float(4, 5)],
    (x) => [
      tf.slice(x, [1, 0], [2, 5]),
      tf.stridedSlice(x, [0, 1], [4, 5], [2, 3]),
      tf.stridedSlice(x, [3, 0], [0, 5], [-1, 2]),
      tf.stridedSlice(x, [3, 0], [-9, 5], [-2, 1]),
      tf.reverse(x, 0),
      tf.reverse(x),
    ],
  ],
  [
    "joining",
    [float(2, 3), float(2, 3)],
    (a, b) => [
      tf.concat([a, b], 0),
      tf.concat([a, b], -1),
      tf.stack([a, b], 1),
      ...tf.unstack(a, 1),
      ...tf.split(a, 3, 1),
      ...tf.split(b, [1, 2], 1),
      ...tf.split(b, 1, 0),
    ],
  ],
  [
    "repetition and padding",
    [float(1, 3)],
    (x) => [
      tf.tile(x, [4, 1]),
      tf.tile(x, [2, 2]),
      tf.broadcastTo(x, [2, 3]),
      tf.pad(x, [
        [1, 0],
        [0, 2],
      ]),
      tf.pad(
        x,
        [
          [0, 1],
          [0, 0],
        ],
        7,
      ),
    ],
  ],
  [
    "gathering",
    [float(4, 3), int(2, 2)],
    (x, places) => [
      tf.gather(x, places),
      tf.gather(x, places.flatten(), 1),
      tf.gatherND(x, places),
      tf.scatterND(places, tf.slice(x, [0, 0], [2, 1]).flatten(), [3, 3]),
      tf.unsortedSegmentSum(x, tf.slice(places.flatten(), [0], [4]).as1D(), 3),
      tf.oneHot(places.flatten(), 3),
      tf.oneHot(places, 4, 0.9, 0.1, "float32"),
    ],
  ],
  [
    "largest",
    [float(3, 5)],
    (x) => {
      const { values, indices } = tf.topk(x, 2);
      return [values, indices];
    },
  ],
  [
    "made without inputs",
    [float(3)],
    (x) => [
      tf.add(x, tf.ones([3])),
      tf.mul(x, tf.fill([2, 3], 2.5)),
      tf.add(tf.range(0, 6, 2), x),
      tf.add(tf.linspace(0, 1, 3), x),
      tf.zerosLike(x),
      tf.onesLike(x),
      tf.mul(tf.eye(3), x),
      tf.diag(x),
      tf.zeros([20, 20]),
      tf.fill([2], 3, "int32"),
    ],
  ],
];

it.each(cases)("agrees with the reference: %s", async (_name, operands, run) => {
  const inputs = Object.fromEntries(operands.map((spec, index) => [`x${index}`, spec]));
  const program = programOf(inputs, (tensors) => {
    const result = run(...Object.values(tensors));
    return Object.fromEntries(
      (Array.isArray(result) ? result : [result]).map((tensor, index) => [`y${index}`, tensor]),
    );
  });
  const both = await runBoth(program, drawInputs(inputs));
  for (const name of Object.keys(both.eager)) {
    const single = { eager: { [name]: both.eager[name]! }, compiled: { [name]: both.compiled[name]! } };
    expect(
      disagreement(single),
      `${name} ${both.eager[name]!.data.join()} ${both.compiled[name]!.data.join()}`,
    ).toBeLessThan(2e-6);
  }
});
