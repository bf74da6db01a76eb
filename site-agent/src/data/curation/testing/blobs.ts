import { randomFor } from "@consilium/shared/random.js";
import type { FeatureRows } from "../feature-rows.js";

/** Rows around centres that lie far apart, centre after centre in turn. */
export function blobs(count: number, centres: number, width: number, seed = 1): FeatureRows {
  const random = randomFor("blobs", seed);
  const places = Array.from({ length: centres * width }, () => 10 * random.normal());
  const data = Float32Array.from({ length: count * width }, (_, at) => {
    const centre = Math.floor(at / width) % centres;
    return places[centre * width + (at % width)]! + 0.1 * random.normal();
  });
  return { data, width };
}
