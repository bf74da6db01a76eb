import { bytesAt, floatsAt, kernels, place } from "./kernels.js";

/** Values in 0 … 1 to the nearest of 256 levels. What lies outside becomes black or white. */
export function toBytes(pixels: Float32Array): Uint8Array<ArrayBuffer> {
  const { length } = pixels;
  const at = place({ pixels: 4 * length, bytes: length });
  floatsAt(at.pixels, length).set(pixels);
  kernels.toBytes(at.pixels, at.bytes, length);
  return bytesAt(at.bytes, length).slice();
}
