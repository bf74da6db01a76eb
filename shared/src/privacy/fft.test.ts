import { describe, expect, it } from "vitest";
import { randomFor } from "../random.js";
import { type Complex, fourierTransform, multiply, raise } from "./fft.js";

function randomComplex(size: number): Complex {
  const random = randomFor("fft", size);
  const values = () => Float64Array.from({ length: size }, () => random.normal());
  return { re: values(), im: values() };
}

function copy({ re, im }: Complex): Complex {
  return { re: re.slice(), im: im.slice() };
}

function largestDifference(a: Complex, b: Complex): number {
  const parts = [a.re.map((x, i) => x - b.re[i]!), a.im.map((x, i) => x - b.im[i]!)];
  return Math.max(...parts.flatMap((part) => [...part].map(Math.abs)));
}

describe("the Fourier transform", () => {
  it.each([1, 2, 8, 64])("of %i values is the sum it stands for", (size) => {
    const values = randomComplex(size);
    const expected = { re: new Float64Array(size), im: new Float64Array(size) };
    for (let k = 0; k < size; k++) {
      for (let n = 0; n < size; n++) {
        const angle = (-2 * Math.PI * k * n) / size;
        expected.re[k]! += values.re[n]! * Math.cos(angle) - values.im[n]! * Math.sin(angle);
        expected.im[k]! += values.re[n]! * Math.sin(angle) + values.im[n]! * Math.cos(angle);
      }
    }
    fourierTransform(size).forward(values);
    expect(largestDifference(values, expected)).toBeLessThan(1e-12);
  });

  it("is undone by its inverse", () => {
    const values = randomComplex(4096);
    const before = copy(values);
    const transform = fourierTransform(4096);
    transform.forward(values);
    transform.inverse(values);
    expect(largestDifference(values, before)).toBeLessThan(1e-13);
  });

  it("raises to the power that repeated products give", () => {
    const values = randomComplex(32);
    const product = copy(values);
    multiply(product, values);
    multiply(product, values);
    raise(values, 3);
    expect(largestDifference(values, product)).toBeLessThan(1e-12);
  });
});
