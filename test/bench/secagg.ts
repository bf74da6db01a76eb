import { rmSync } from "node:fs";
import { finishInThread } from "@consilium/coordinator/aggregate/finish-thread.js";
import { readSafetensors } from "@consilium/shared/params/safetensors.js";
import { createSites, flatten, layoutOf, plainMean, planOf, relativeError, runAttempt } from "../secagg/attempt.js";
import type { BenchOptions, BenchResult } from "./bench.js";

/**
 * Masks, sums and unmasks one round through files; no network. `drop` sites are gone after sharing. A site computes on
 * one thread; the coordinator on those which it starts for a sum, one that adds and takes masks off and one that decodes, hashes
 * and writes.
 */
export async function run(options: BenchOptions): Promise<BenchResult> {
  const [count, params, drop] = [options.number("sites", 5), options.number("params", 22e6), options.number("drop", 0)];
  const layout = layoutOf(params);
  const received = planOf(layout);
  const sites = createSites(received, layout, count);
  const living = sites.slice(0, count - drop);
  const dropped = sites.slice(count - drop).map((site) => site.siteId);
  const attempt = await runAttempt({ received, layout, sites, dropped, finish: finishInThread });
  try {
    const { tensors } = await readSafetensors(attempt.finished.path);
    return {
      sites: count,
      params,
      drop,
      siteSeconds: attempt.siteSeconds,
      coordinatorSeconds: attempt.coordinatorSeconds,
      ...{ siteThreads: 1, coordinatorThreads: 2 },
      uploadBytesPerParam: attempt.uploadBytes / params,
      maxRelError: relativeError(flatten(tensors, layout), plainMean(living, received.plan.weightCap)),
    };
  } finally {
    rmSync(attempt.directory, { recursive: true, force: true });
  }
}
