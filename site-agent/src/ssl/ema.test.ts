import { describe, expect, it } from "vitest";
import { tf } from "../model/tf.js";
import { emaTeacher, movingAverage, withoutPrefix, withPrefix } from "./ema.js";

const numbers = (tensor: { dataSync(): ArrayLike<number> }) => Array.from(tensor.dataSync());

describe("movingAverage()", () => {
  it("moves towards the value", () => {
    const moved = movingAverage(tf.tensor1d([1, -2]), tf.tensor1d([3, 2]), 0.75);
    expect(numbers(moved)).toEqual([1.5, -1]);
  });

  it("keeps every bit at a momentum of one", () => {
    const average = tf.tensor1d([1e-30, 0.1, -7, 3e30]);
    expect(numbers(movingAverage(average, tf.tensor1d([5, 6, 7, 8]), tf.scalar(1)))).toEqual(numbers(average));
  });
});

describe("emaTeacher()", () => {
  const student = { "fc.weight": tf.tensor2d([[2]]), "head.weight": tf.tensor1d([9]) };

  it("follows the student in the tensors that it has", () => {
    const teacher = emaTeacher({ "fc.weight": tf.tensor2d([[4]]) }, student, tf.scalar(0.5));
    expect(Object.keys(teacher)).toEqual(["fc.weight"]);
    expect(teacher["fc.weight"]!.shape).toEqual([1, 1]);
    expect(numbers(teacher["fc.weight"]!)).toEqual([3]);
  });

  it("names what the student lacks", () => {
    expect(() => emaTeacher({ gone: tf.scalar(1) }, student, 0.5)).toThrow(/gone is missing/);
  });

  it("equals the average of teachers that follow different students", () => {
    const follow = (weight: number) =>
      emaTeacher({ "fc.weight": tf.tensor2d([[4]]) }, { "fc.weight": tf.tensor2d([[weight]]) }, 0.9)["fc.weight"]!;
    const apart = (numbers(follow(1))[0]! + numbers(follow(5))[0]!) / 2;
    expect(numbers(follow(3))[0]).toBeCloseTo(apart, 6);
  });
});

it("prefixes go on and come off", () => {
  const tensors = withPrefix({ a: tf.scalar(1), b: tf.scalar(2) }, "teacher.");
  expect(Object.keys(tensors)).toEqual(["teacher.a", "teacher.b"]);
  expect(Object.keys(withoutPrefix({ ...tensors, centre: tf.scalar(3) }, "teacher."))).toEqual(["a", "b"]);
});
