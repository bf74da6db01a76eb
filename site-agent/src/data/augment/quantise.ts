/** Values in 0 … 1 to the nearest of 256 levels. What lies outside becomes black or white. */
export function toBytes(pixels: Float32Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8ClampedArray(pixels.length);
  for (let index = 0; index < bytes.length; index++) bytes[index] = pixels[index]! * 255;
  return new Uint8Array(bytes.buffer);
}
