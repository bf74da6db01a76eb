import { rmSync } from "node:fs";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import type { SiteNoise } from "@consilium/shared/privacy/site-mechanism.js";
import { describe, expect, it } from "vitest";
import { createSites, flatten, layoutOf, planOf, runAttempt } from "./attempt.js";

const clip = 0.25;
const noise: SiteNoise = { clip, scale: 2 ** 20, shareVariance: (0.05 * 2 ** 20) ** 2 };

/** A round of five sites, some of which are gone after sharing, and what the mean has beside the clipped updates'. */
async function residue(dropped: readonly string[], length: number): Promise<Float64Array> {
  const layout = layoutOf(30_000);
  const terms = { tensorClips: layout.parameters.map(() => clip), l2Clip: clip, weightCap: 1, lanes: ["weight"] };
  const received = planOf(layout, terms);
  const sites = createSites(received, layout, 5).map((site) => {
    const { delta } = site.contribution;
    const norm = Math.sqrt(delta.reduce((sum, value) => sum + value * value, 0));
    const contribution = { ...site.contribution, sampleCount: 1, noise, delta: delta.map((v) => (v * length) / norm) };
    return { ...site, contribution };
  });
  const tamper = (job: Parameters<NonNullable<Parameters<typeof runAttempt>[0]["tamper"]>>[0]) => ({ ...job, noise });
  const { finished, directory } = await runAttempt({ received, layout, sites, dropped, tamper });
  try {
    const mean = flatten((await readSafetensors(finished.path)).tensors, layout);
    const living = sites.filter(({ siteId }) => !dropped.includes(siteId));
    const cut = Math.min(1, clip / length) / living.length;
    return Float64Array.from(mean, (value, i) => {
      return value - living.reduce((sum, { contribution }) => sum + cut * contribution.delta[i]!, 0);
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe("a masked round of sites that add noise", () => {
  it.each([
    ["all sites", [], 5, 0.1],
    ["the sites that are left", ["site-b", "site-d"], 3, 0.1],
    ["sites whose updates are too long", [], 5, 40],
  ] as const)(
    "gives the clipped mean of %s, with the noise that they added",
    async (_name, dropped, survivors, length) => {
      const rest = await residue(dropped, length);
      const variance = (survivors * noise.shareVariance) / (survivors * (noise.scale / clip)) ** 2;
      const chiSquare = rest.reduce((sum, value) => sum + value * value, 0) / variance;
      expect(Math.abs(chiSquare - rest.length)).toBeLessThan(5 * Math.sqrt(2 * rest.length));
    },
  );
});
