import type { Random } from "@consilium/shared/random.js";
import { densitiesToHed, densityOf, hedToDensities, lightOf } from "../curation/colour-spaces.js";

/** Natural optical density of one unit of the stains: `lightOf(1)` is 1e-6. */
const densityPerUnit = -Math.log(lightOf(1));

const hed = new Float64Array(3);

/** s' = α·s + β for the amounts of haematoxylin, eosin and DAB in every pixel of 0 … 1, in place. */
export function changeStains(pixels: Float32Array, alpha: readonly number[], beta: readonly number[]): void {
  for (let at = 0; at < pixels.length; at += 3) {
    densitiesToHed(hed, 0, densityOf(pixels[at]!), densityOf(pixels[at + 1]!), densityOf(pixels[at + 2]!));
    for (let stain = 0; stain < 3; stain++) hed[stain] = hed[stain]! * alpha[stain]! + beta[stain]! / densityPerUnit;
    hedToDensities(hed, 0, hed[0]!, hed[1]!, hed[2]!);
    for (let channel = 0; channel < 3; channel++) {
      pixels[at + channel] = Math.min(1, Math.max(0, lightOf(hed[channel]!)));
    }
  }
}

/**
 * Stain augmentation of Tellez et al. 2018: each stain is scaled by a factor from 1 ± strength and shifted by as much
 * natural optical density as ± strength. Their light version has a strength of 0.05, their strong one 0.2.
 */
export function jitterStains(pixels: Float32Array, strength: number, random: Random): void {
  const draw = () => strength * (2 * random.uniform() - 1);
  const alpha = Array.from({ length: 3 }, () => 1 + draw());
  const beta = Array.from({ length: 3 }, draw);
  changeStains(pixels, alpha, beta);
}
