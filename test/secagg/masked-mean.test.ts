import { rmSync } from "node:fs";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { describe, expect, it } from "vitest";
import { createSites, flatten, layoutOf, plainMean, planOf, relativeError, runAttempt } from "./attempt.js";

describe("masked mean at full size", () => {
  it("equals the plain weighted mean to 2e-6: 3 sites, 5 million parameters, one dropped after sharing", async () => {
    const layout = layoutOf(5_000_000);
    const received = planOf(layout);
    const sites = createSites(received, layout, 3);
    const { finished, directory, uploadBytes } = await runAttempt({ received, layout, sites, dropped: ["site-b"] });
    try {
      const { tensors } = await readSafetensors(finished.path);
      const living = sites.filter((site) => site.siteId !== "site-b");
      expect(relativeError(flatten(tensors, layout), plainMean(living, 1000))).toBeLessThanOrEqual(2e-6);
      expect(uploadBytes).toBe(4 * (layout.dimension + received.plan.lanes.length));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  }, 120_000);
});
