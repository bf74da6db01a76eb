import { readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { permutation, randomFor } from "@consilium/shared/random.js";
import { canaryAudit } from "../privacy-audit/canary-audit.js";
import type { BenchOptions, BenchResult } from "./bench.js";

const ownPictures = fileURLToPath(new URL("../../../shared/data/derm/ham10000/images", import.meta.url));

/**
 * A canary audit of one private training on real pictures: what an auditor who knows all else guesses of who took part,
 * as it is charged for and where the noise is missing, beside what ε allows.
 */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const audited = {
    ...{ canaries: options.number("canaries", 96), others: options.number("others", 32) },
    ...{ samplingRate: options.number("rate", 0.5), steps: options.number("steps", 10) },
    ...{ noiseMultiplier: options.number("noise", 6), delta: options.number("delta", 1e-5) },
    seed: options.number("seed", 1),
  };
  const folder = options.text("data", ownPictures);
  const names = readdirSync(folder).filter((name) => /\.(jpe?g|png)$/i.test(name));
  const order = permutation(names.length, randomFor(audited.seed, "pictures"));
  const files = Array.from(order, (place) => join(folder, names[place]!));
  const { epsilon, advantageAllowed, asCharged, withoutNoise } = await canaryAudit(audited, files);
  const { guesses } = asCharged.guesses;
  return {
    ...audited,
    ...{ epsilon, advantageAllowed, advantage: asCharged.advantage, leastEpsilon: asCharged.leastEpsilon },
    right: `${asCharged.guesses.right} of ${guesses}`,
    advantageWithoutNoise: withoutNoise.advantage,
    leastEpsilonWithoutNoise: withoutNoise.leastEpsilon,
    rightWithoutNoise: `${withoutNoise.guesses.right} of ${guesses}`,
  };
}
