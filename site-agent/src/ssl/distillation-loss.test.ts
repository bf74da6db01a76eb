import { describe, expect, it } from "vitest";
import { expectClose, expectGradients, wave } from "../../../test/support/golden.js";
import { type Tensor2D, tf } from "../model/tf.js";
import { centredProbabilities, crossViewLoss, hiddenPatchLoss, splitViews, viewMajor } from "./distillation-loss.js";

const [batch, prototypes, globals, locals] = [4, 16, 2, 3];
const teacherLogits = wave([batch * globals, prototypes], 5) as Tensor2D;
const studentLogits = wave([batch * (globals + locals), prototypes], 0) as Tensor2D;
const centre = wave([1, prototypes], 9, 0.2);

function dinoLoss(student: Tensor2D, teacher = teacherLogits, around = centre) {
  return crossViewLoss({
    teacher: splitViews(centredProbabilities(teacher, around, 0.04), globals),
    student: splitViews(student, student.shape[0] / batch),
    studentTemperature: 0.1,
  });
}

describe("crossViewLoss", () => {
  it("has the value of an independent evaluation, over 2 · 5 − 2 pairs", () => {
    expectClose(dinoLoss(studentLogits), [15.513727268896282], 1e-6);
  });

  it("takes two large crops without small ones", () => {
    const two = tf.slice(studentLogits, [0, 0], [2 * batch, prototypes]);
    const [t1, t2] = splitViews(centredProbabilities(teacherLogits, centre, 0.04), 2) as [Tensor2D, Tensor2D];
    const [s1, s2] = splitViews(tf.logSoftmax(tf.div(two, 0.1)), 2) as [Tensor2D, Tensor2D];
    const pair = (t: Tensor2D, s: Tensor2D) => tf.neg(tf.mean(tf.sum(tf.mul(t, s), 1)));
    expectClose(dinoLoss(two), tf.div(tf.add(pair(t1, s2), pair(t2, s1)), 2).dataSync(), 1e-6);
  });

  it("does not change when all of the student's logits grow alike, nor when teacher and centre shift alike", () => {
    expectClose(dinoLoss(tf.add(studentLogits, 3)), dinoLoss(studentLogits).dataSync(), 1e-5);
    const shift = wave([1, prototypes], 2);
    const shifted = dinoLoss(studentLogits, tf.add(teacherLogits, shift), tf.add(centre, shift));
    expectClose(shifted, dinoLoss(studentLogits).dataSync(), 1e-5);
  });

  it("agrees with finite differences", () => {
    const small = tf.mul(studentLogits, 0.1) as Tensor2D;
    expectGradients(({ student }) => dinoLoss(student as Tensor2D), { student: small }, { step: 3e-3 });
  });
});

describe("hiddenPatchLoss", () => {
  const shape = [8, 6];
  const mask = [1, 0, 1, 0, 0, 0, 0, 0];
  const weights = tf.tensor1d(mask.map((hidden) => hidden / 2));
  const teacher = tf.softmax(tf.div(wave(shape, 1), 0.07)) as Tensor2D;
  const loss = (student: Tensor2D) => hiddenPatchLoss({ teacher, student, studentTemperature: 0.1, weights, crops: 2 });

  it("has the value of an independent evaluation; a crop with nothing hidden counts in the mean", () => {
    expectClose(loss(wave(shape, 2) as Tensor2D), [1.1627773344184469], 1e-6);
  });

  it("agrees with finite differences and ignores rows that only fill up", () => {
    const student = wave(shape, 2, 0.2) as Tensor2D;
    expectGradients(({ x }) => loss(x as Tensor2D), { x: student }, { step: 3e-3 });
    const gradient = tf.grad((x) => loss(x as Tensor2D))(student);
    const rows = tf.sum(tf.abs(gradient), 1).dataSync();
    expect([...rows].map((value) => value > 0)).toEqual(mask.map((hidden) => hidden === 1));
  });
});

describe("viewMajor", () => {
  it("puts all images of a view together", () => {
    expectClose(viewMajor(tf.tensor3d([1, 2, 3, 4, 5, 6], [3, 2, 1])), [1, 3, 5, 2, 4, 6], 0);
  });
});

describe("the centre", () => {
  it("moves a tenth of the way to the mean of the teacher's logits", () => {
    const after = tf.add(tf.mul(centre, 0.9), tf.mul(tf.mean(teacherLogits, 0, true), 0.1));
    const expected = [0.07106102770446195, -0.060390582241169694];
    expectClose(tf.slice(after, [0, 0], [1, 2]), expected, 1e-6);
  });
});
