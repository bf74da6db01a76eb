import { type ParameterLayout, placeParameters } from "@consilium/shared/params/layout.js";
import type { NamedTensors } from "../../model/tensors.js";
import { type Scalar, type Tensor2D, tf } from "../../model/tf.js";
import { emaTeacher, movingAverage, withoutPrefix, withPrefix } from "../../ssl/ema.js";
import type { SslMethod } from "../../ssl/method.js";

const teacherPrefix = "teacher.";

function outputs(view: Tensor2D, parameters: NamedTensors): Tensor2D {
  return tf.add(tf.matMul(view, parameters["backbone.weight"]! as Tensor2D), parameters["backbone.bias"]!);
}

/**
 * For tests: a student [3] → [4] with a head of its own that follows an EMA teacher's centred outputs, image by image.
 * Extra inputs: `importance` [batch] per image, and `gain`, a scalar.
 */
export const teacherStudent: SslMethod = {
  name: "teacher-student",
  views: [{ name: "view", size: 1, channels: 3, kind: "pixels" }],
  separable: true,
  coupling: undefined,
  extraInputs: (batchSize) => ({
    importance: { shape: [batchSize], dtype: "float32" },
    gain: { shape: [], dtype: "float32" },
  }),
  drawExtraInputs: (batchSize, random) => ({
    importance: { shape: [batchSize], data: Float32Array.from({ length: batchSize }, () => random.normal()) },
    gain: { shape: [], data: Float32Array.of(1 + random.uniform()) },
  }),
  scalars: {
    teacherMomentum: (step) => 1 - 0.5 / (step + 1),
    teacherTemperature: (step) => 1 + step / 10,
  },
  carried: {
    specs: {
      "teacher.backbone.weight": { shape: [3, 4], dtype: "float32" },
      "teacher.backbone.bias": { shape: [4], dtype: "float32" },
      centre: { shape: [4], dtype: "float32" },
    },
    start: (parameters) => ({
      ...withPrefix(parameters, teacherPrefix),
      centre: { shape: [4], data: new Float32Array(4) },
    }),
    afterStep: ({ parameters, carried, observed, scalars }) => ({
      ...withPrefix(
        emaTeacher(withoutPrefix(carried, teacherPrefix), parameters, scalars["teacherMomentum"]!.asScalar()),
        teacherPrefix,
      ),
      centre: movingAverage(carried["centre"]!, observed["teacherMean"]!, 0.9),
    }),
  },
  loss(parameters, batch, carried) {
    const view: Tensor2D = tf.reshape(batch["view"]!, [-1, 3]);
    const taught = outputs(view, withoutPrefix(carried, teacherPrefix));
    const target = tf.div(tf.sub(taught, carried["centre"]!), batch["teacherTemperature"]!);
    const student = tf.matMul(outputs(view, parameters), parameters["head.weight"]! as Tensor2D);
    const gap = tf.sum(tf.square(tf.sub(tf.mul(student, batch["gain"]!), target)), 1);
    const loss: Scalar = tf.mean(tf.mul(gap, tf.add(tf.square(batch["importance"]!), 0.5)));
    return { loss, terms: { gap: tf.mean(gap) }, observed: { teacherMean: tf.mean(taught, 0) } };
  },
};

export const teacherStudentLayout: ParameterLayout = placeParameters([
  { name: "backbone.weight", shape: [3, 4], initializer: { kind: "xavier-uniform" } },
  { name: "backbone.bias", shape: [4], initializer: { kind: "zeros" } },
  { name: "head.weight", shape: [4, 4], initializer: { kind: "xavier-uniform" } },
]);
