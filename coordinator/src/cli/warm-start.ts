import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { pipeline } from "node:stream/promises";
import type { RunConfig } from "@consilium/shared/config/run-config.js";
import { asConsiliumError, ConsiliumError } from "@consilium/shared/errors.js";
import { checkpointLayout } from "@consilium/shared/params/checkpoint-layout.js";
import { findWeights } from "@consilium/shared/params/warm-start/find-weights.js";
import { warmStartBlocks } from "@consilium/shared/params/warm-start/initial-values.js";
import { planWarmStart, type WarmStartReport } from "@consilium/shared/params/warm-start/plan.js";
import { openWeightFile } from "@consilium/shared/params/warm-start/weight-file.js";
import type { WarmStart } from "../rpc/admin-types.js";

/** A file of weights that fits a run. */
export interface FittingWeights {
  readonly report: WarmStartReport;
  /** Reads the whole file for its digest. `values` can be iterated once; asking again starts anew. */
  prepare(): Promise<() => WarmStart>;
  close(): Promise<void>;
}

/**
 * Opens a file of weights and fits it to a run, without reading any values.
 * @throws ConsiliumError "input-unreadable" or "input-unsupported", naming the file
 */
export async function openWarmStart(path: string, config: RunConfig): Promise<FittingWeights> {
  const file = await openWeightFile(path);
  try {
    const plan = planWarmStart(findWeights(file.tree), checkpointLayout(config), config);
    return {
      report: plan.report,
      prepare: async () => {
        const sourceSha256 = await sha256Of(path);
        return () => ({ sourceSha256, values: warmStartBlocks(plan, config.seed) });
      },
      close: () => file.close(),
    };
  } catch (thrown) {
    await file.close();
    const { code, message, remedy = "" } = asConsiliumError(thrown);
    throw new ConsiliumError(code, `${path}: ${message}`, { cause: thrown, remedy });
  }
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), hash);
  return hash.digest("hex");
}
