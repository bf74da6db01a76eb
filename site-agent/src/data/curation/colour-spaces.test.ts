import { describe, expect, it } from "vitest";
import {
  densitiesToHed,
  densityOf,
  encodedOf,
  hedToDensities,
  labToLinear,
  lightOf,
  linearOf,
  linearToLab,
  rgbToHsv,
} from "./colour-spaces.js";

type Values = [number, number, number];

/**
 * Levels, then L*a*b*, HSV and HED by scikit-image's formulas, computed with numpy and colorsys. Those of red, green and
 * blue are the figures that colorimetric tables have of sRGB for D65: 53.24, 80.09, 67.20 and so on.
 */
const known: [Values, Values, Values, Values][] = [
  [
    [255, 255, 255],
    [100, -0.00245, 0.00465],
    [0, 0, 1],
    [0, 0, 0],
  ],
  [
    [0, 0, 0],
    [0, 0, 0],
    [0, 0, 0],
    [1.210167, -0.353363, 0.88195],
  ],
  [
    [255, 0, 0],
    [53.24059, 80.09231, 67.20275],
    [0, 1, 1],
    [-0.667815, 0.654316, 1.438066],
  ],
  [
    [0, 255, 0],
    [87.7351, -86.18303, 83.1797],
    [0.333333, 1, 1],
    [1.276075, -1.488093, 1.017472],
  ],
  [
    [0, 0, 255],
    [32.29567, 79.18559, -107.8573],
    [0.666667, 1, 1],
    [1.812075, 0.127052, -0.691638],
  ],
  [
    [128, 128, 128],
    [53.58501, -0.00147, 0.00279],
    [0, 0, 0.501961],
    [0.060373, -0.017629, 0.043999],
  ],
  [
    [192, 120, 180],
    [59.83112, 37.20786, -20.0064],
    [0.861111, 0.375, 0.752941],
    [0.019803, 0.029101, 0.020856],
  ],
  [
    [224, 172, 150],
    [74.54468, 16.0184, 18.66667],
    [0.04955, 0.330357, 0.878431],
    [-0.007377, 0.004436, 0.051358],
  ],
  [
    [3, 5, 1],
    [1.1751, -1.07926, 1.32958],
    [0.25, 0.8, 0.019608],
    [0.343726, -0.19379, 0.413752],
  ],
];

type Conversion = (into: Float64Array, at: number, first: number, second: number, third: number) => void;

function converted(convert: Conversion, [first, second, third]: Values): Values {
  const into = new Float64Array(4);
  convert(into, 1, first, second, third);
  return [into[1]!, into[2]!, into[3]!];
}

const each = (values: Values, change: (value: number) => number): Values => [
  change(values[0]),
  change(values[1]),
  change(values[2]),
];

function expectValues(actual: Values, expected: Values, digits: number): void {
  for (const [index, value] of expected.entries()) expect(actual[index]).toBeCloseTo(value, digits);
}

describe.each(known)("the colour %j", (levels, lab, hsv, hed) => {
  const encoded = each(levels, (level) => level / 255);
  const linear = each(encoded, linearOf);
  const densities = each(encoded, densityOf);

  it("has the known L*a*b*", () => expectValues(converted(linearToLab, linear), lab, 4));
  it("has the known HSV", () => expectValues(converted(rgbToHsv, encoded), hsv, 5));
  it("has the known stains", () => expectValues(converted(densitiesToHed, densities), hed, 5));

  it("comes back from L*a*b* and from stains", () => {
    const fromLab = converted(labToLinear, converted(linearToLab, linear));
    expectValues(each(fromLab, encodedOf), encoded, 5);
    const fromHed = converted(hedToDensities, converted(densitiesToHed, densities));
    expectValues(each(fromHed, lightOf), encoded, 5);
  });
});
