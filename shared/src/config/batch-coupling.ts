import type { MethodConfig } from "./method-config.js";
import { isVit, type ModelConfig } from "./model-config.js";

/**
 * Why what training learns from one image depends on which others are in its batch, in words that follow the method's
 * name; undefined where it does not. Noise then hides a patient only as far as a bound on each patient's own gradient
 * goes, and such a method has none. The methods themselves say the same (`SslMethod.coupling`); a run is refused by
 * this before it starts, and again at each site by what its own method says.
 */
export function batchCoupling({
  model,
  method,
}: {
  readonly model: ModelConfig;
  readonly method: MethodConfig;
}): string | undefined {
  switch (method.name) {
    case "mae":
      return undefined;
    case "gmml":
      return method.alienShare > 0 ? couplings.aliens : undefined;
    case "byol":
      if (!isVit(model) || method.headNorm === "batch") return couplings.batchNorm;
      return undefined;
    case "colorme":
      return isVit(model) ? undefined : couplings.batchNorm;
    case "simclr":
    case "sit":
      return couplings.contrast;
    case "dino":
    case "ibot":
      return couplings.centre;
    case "dinov2":
      if (method.teacherNormalization === "sinkhorn-knopp") return couplings.balance;
      return method.koleoWeight > 0 ? couplings.spread : couplings.centre;
    case "clusters":
      return couplings.statistics;
  }
}

export const couplings = {
  aliens: "fills images with pixels of others of the batch: set method.alienShare to 0",
  batchNorm: "normalises over the batch: choose a vit, and method.headNorm layer where the method has it",
  contrast: "compares the images of a batch with each other",
  centre: "centres its teacher by the mean over the batch",
  balance: "balances its teacher over the batch",
  spread: "pushes the images of a batch apart",
  statistics: "sends statistics of the images themselves",
} as const;
