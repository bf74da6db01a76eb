import { rmSync } from "node:fs";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { expect, it } from "vitest";
import { createSites, flatten, layoutOf, plainMean, planOf, relativeError, runAttempt } from "./attempt.js";

const count = 132;

/** Above 128 sites each masks and shares with its neighbours on a ring only. */
it("gives the mean of a cohort on a ring, also where sites are lost after sharing", async () => {
  const layout = layoutOf(600);
  const received = planOf(layout, { colluders: 7, minCohort: 9, cohortSize: count });
  const sites = createSites(received, layout, count);
  const dropped = sites.slice(-7).map(({ siteId }) => siteId);
  const { finished, directory } = await runAttempt({ received, layout, sites, dropped });
  try {
    const { tensors } = await readSafetensors(finished.path);
    const living = sites.slice(0, -7);
    expect(relativeError(flatten(tensors, layout), plainMean(living, 1000))).toBeLessThanOrEqual(1e-5);
    expect(finished.blamed).toEqual([]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 500_000);
