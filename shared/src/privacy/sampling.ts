import type { Entropy } from "../entropy.js";
import { ConsiliumError } from "../errors.js";

/** Patients drawn for at a time. */
const drawn = 8192;
const bytesEach = 8;

/**
 * A Poisson sample: each of `count` patients is in it with probability `rate`, whatever others are. This is what
 * amplification by sampling assumes; batches of a fixed size, or passes over a shuffled list, do not have it. The sample
 * may be empty, and whoever averages must divide by the expected size, not by the drawn one.
 * @returns positions in ascending order
 * @throws ConsiliumError "config-invalid" for a count or a rate that cannot be
 */
export function poissonSample(count: number, rate: number, entropy: Entropy): number[] {
  if (!Number.isSafeInteger(count) || count < 0 || !(rate >= 0 && rate <= 1)) {
    throw new ConsiliumError("config-invalid", `no sample of ${count} patients at rate ${rate} can be drawn`, {
      remedy: "the rate is the expected batch over the number of patients, at most one",
    });
  }
  // Scaling by a power of two is exact, so the probability is never above the rate, and below it by 2^-53 at most.
  const threshold = Math.floor(rate * 2 ** 53);
  const sample: number[] = [];
  for (let first = 0; first < count; first += drawn) {
    const size = Math.min(drawn, count - first);
    const bytes = entropy.bytes(bytesEach * size);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let i = 0; i < size; i++) if (uniform53(view, bytesEach * i) < threshold) sample.push(first + i);
  }
  return sample;
}

/** A whole number below 2^53 from eight bytes. */
function uniform53(view: DataView, at: number): number {
  return (view.getUint32(at, true) >>> 11) * 2 ** 32 + view.getUint32(at + 4, true);
}
