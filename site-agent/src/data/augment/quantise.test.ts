import { expect, it } from "vitest";
import { toBytes } from "./quantise.js";

it("takes the nearest level and cuts at black and white", () => {
  expect(toBytes(Float32Array.of(0, 0.4 / 255, 0.6 / 255, 254.4 / 255, 254.6 / 255, 1))).toEqual(
    Uint8Array.of(0, 0, 1, 254, 255, 255),
  );
  expect(toBytes(Float32Array.of(-0.3, -1e-7, 1 + 1e-7, 3))).toEqual(Uint8Array.of(0, 0, 255, 255));
});

it("gives every level back", () => {
  const levels = Uint8Array.from({ length: 256 }, (_, level) => level);
  expect(toBytes(Float32Array.from(levels, (level) => level / 255))).toEqual(levels);
});
