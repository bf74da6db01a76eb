import { batchCoupling } from "@consilium/shared/config/batch-coupling.js";
import { isSeparable, type MethodOf } from "@consilium/shared/config/method-config.js";
import type { VitConfig } from "@consilium/shared/config/model-config.js";
import { viewPlan } from "../data/view-plan.js";
import { meanPatchTokens } from "../model/tokens.js";
import { encodeBlocks } from "../model/vit.js";
import { branchInputs, branchScalesOf } from "./branch-scales.js";
import { corruptedBatch, corruptedViews } from "./corruption.js";
import type { SslMethod } from "./method.js";
import { effectiveRank, featureSpread } from "./monitors.js";
import { averagedBlocks, averagedTokens, reconstructedPatches, restorationLoss } from "./reconstruction.js";

/**
 * Group masked model learning (Atito et al. 2021), with which SPCXR trains on chest radiographs: blocks of connected
 * pixels are replaced by noise or by another image, and the encoder restores them from what lies around.
 */
export function gmml(model: VitConfig, config: MethodOf<"gmml">): SslMethod {
  const blocks = averagedBlocks(model);
  return {
    name: "gmml",
    views: viewPlan({ model, method: config }),
    separable: isSeparable({ model, method: config }),
    coupling: batchCoupling({ model, method: config }),
    ...branchInputs(model, corruptedViews.length),
    loss(parameters, batch) {
      const { clean, corrupted, mask } = corruptedBatch(batch);
      const outputs = encodeBlocks({ model, parameters, images: corrupted, ...branchScalesOf(batch) });
      const tokens = averagedTokens(outputs, blocks, parameters);
      const prediction = reconstructedPatches(tokens, parameters, model);
      const loss = restorationLoss({ prediction, clean, mask }, model.patchSize);
      const features = meanPatchTokens(tokens, model.registers);
      return {
        loss,
        terms: { reconstruction: loss, featureSpread: featureSpread(features), effectiveRank: effectiveRank(features) },
      };
    },
  };
}
