import type { ImageHeader } from "./header.js";
import { applyPalette } from "./palette.js";
import type { PixelModule } from "./pixel-module.js";
import { DicomProblem } from "./problem.js";
import type { Frame, Samples } from "./samples.js";

/**
 * A frame in colour as interleaved 8-bit red, green and blue (PS3.3 C.7.6.3.1.2).
 * @throws DicomProblem "unsupported-pixels"
 */
export function toRgb(frame: Frame, { pixels, palette }: ImageHeader): Uint8Array {
  if (palette !== undefined) return applyPalette(palette, frame.samples);
  const bytes = toBytes(frame.samples, pixels);
  return frame.isRgb || !isYbr(pixels) ? bytes : ybrToRgb(bytes);
}

function isYbr({ photometric }: PixelModule): boolean {
  return photometric === "YBR_FULL" || photometric === "YBR_FULL_422";
}

function toBytes(samples: Samples, { bitsStored, signed }: PixelModule): Uint8Array {
  if (signed) throw new DicomProblem("unsupported-pixels", "colours with signs");
  const shift = bitsStored - 8;
  if (shift === 0) return samples instanceof Uint8Array ? samples : Uint8Array.from(samples);
  return Uint8Array.from(samples, (value: number) => (shift > 0 ? value >>> shift : value << -shift));
}

/** ITU-R BT.601 over the full range, as JPEG uses it. In place. */
export function ybrToRgb(bytes: Uint8Array): Uint8Array {
  const clamped = new Uint8ClampedArray(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let i = 0; i + 2 < bytes.length; i += 3) {
    const [y, cb, cr] = [bytes[i]!, bytes[i + 1]! - 128, bytes[i + 2]! - 128];
    clamped[i] = y + 1.402 * cr;
    clamped[i + 1] = y - 0.344136 * cb - 0.714136 * cr;
    clamped[i + 2] = y + 1.772 * cb;
  }
  return bytes;
}
