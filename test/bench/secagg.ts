import { rmSync } from "node:fs";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { createSites, flatten, layoutOf, plainMean, planOf, relativeError, runAttempt } from "../secagg/attempt.js";

export interface SecaggBenchOptions {
  /** Sites that share. */
  readonly sites?: number;
  /** Aggregated parameters. */
  readonly params?: number;
  /** Sites that are gone after sharing. */
  readonly drop?: number;
}

/** Masks, sums and unmasks one round through files; no network. Seconds on one thread. */
export async function run(options: SecaggBenchOptions = {}): Promise<Record<string, number | string>> {
  const { sites: count = 5, params = 22_000_000, drop = 0 } = options;
  const layout = layoutOf(params);
  const received = planOf(layout);
  const sites = createSites(received, layout, count);
  const living = sites.slice(0, count - drop);
  const dropped = sites.slice(count - drop).map((site) => site.siteId);
  const attempt = await runAttempt({ received, layout, sites, dropped });
  try {
    const { tensors } = await readSafetensors(attempt.finished.path);
    return {
      sites: count,
      params,
      drop,
      siteSeconds: attempt.siteSeconds,
      coordinatorSeconds: attempt.coordinatorSeconds,
      uploadBytesPerParam: attempt.uploadBytes / params,
      maxRelError: relativeError(flatten(tensors, layout), plainMean(living, received.plan.weightCap)),
    };
  } finally {
    rmSync(attempt.directory, { recursive: true, force: true });
  }
}
